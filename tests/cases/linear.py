"""Rows: fully connected layers and their kin."""

from torch import nn

import backhand as bh
from cases.case import Case, floats, integers, over_features, several


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
    *(
        Case(
            f"LinearCrossEntropy, {options}",
            lambda options=options: bh.LinearCrossEntropy(3, 5, **options),
            several(floats(*between, 3), integers(5, *between)),
            long="chunk" in options,  # a chunk is written out after another
        )
        for options, between in [
            ({}, ()),
            ({"chunk": 2}, ()),
            ({"bias": False, "label_smoothing": 0.1, "chunk": 3}, (2,)),
            ({"ignore_index": 1, "label_smoothing": 0.1, "chunk": 2}, (2,)),
        ]
    ),
]
