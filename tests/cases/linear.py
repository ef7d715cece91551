"""Rows: fully connected layers and their kin."""

from torch import nn

import backhand as bh
from cases.case import over_features


def linear(layer: bh.FullyConnected) -> nn.Module:
    return nn.Linear(layer.inputs, layer.outputs, bias=layer.bias is not None)


CASES = [
    over_features("FullyConnected", lambda width: bh.FullyConnected(width, 4), twin=linear),
    over_features(
        "FullyConnected without bias",
        lambda width: bh.FullyConnected(width, 4, bias=False),
        twin=linear,
    ),
    over_features("Scale", bh.Scale),
    over_features("NeuralTangentLinear", lambda width: bh.NeuralTangentLinear(width, 4)),
]
