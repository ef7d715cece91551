"""Layers: one family a file. A layer is its mathematics and nothing else."""

from backhand.layers.activations import SELU, Mish, ReLU, Sigmoid, Tanh
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
    "SELU",
    "Dropout",
    "FullyConnected",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "Mish",
    "NeuralTangentLinear",
    "ReLU",
    "Scale",
    "Sigmoid",
    "Tanh",
    "XavierNormal",
    "XavierUniform",
]
