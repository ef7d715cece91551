"""Layers: one family a file. A layer is its mathematics and nothing else."""

from backhand.layers.activations import ReLU, Sigmoid, Tanh
from backhand.layers.dropout import Dropout
from backhand.layers.initializers import (
    Initializer,
    KaimingNormal,
    KaimingUniform,
    XavierNormal,
    XavierUniform,
)
from backhand.layers.linear import FullyConnected

__all__ = [
    "Dropout",
    "FullyConnected",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "ReLU",
    "Sigmoid",
    "Tanh",
    "XavierNormal",
    "XavierUniform",
]
