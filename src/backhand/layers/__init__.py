"""Layers: one family a file. A layer is its mathematics and nothing else."""

from backhand.layers.activations import SELU, Mish, ReLU, Sigmoid, Tanh
from backhand.layers.activations_gated import GELU, Hardswish, SiLU
from backhand.layers.activations_normalized import LogSoftmax, Softmax
from backhand.layers.activations_rectified import ELU, LeakyReLU, PReLU, Softplus
from backhand.layers.dropout import Dropout
from backhand.layers.initializers import (
    Initializer,
    KaimingNormal,
    KaimingUniform,
    XavierNormal,
    XavierUniform,
)
from backhand.layers.linear import FullyConnected
from backhand.layers.tabular import NeuralTangentLinear, Scale

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Dropout",
    "FullyConnected",
    "Hardswish",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "NeuralTangentLinear",
    "PReLU",
    "ReLU",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "XavierNormal",
    "XavierUniform",
]
