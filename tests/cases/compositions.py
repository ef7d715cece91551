"""Rows: layers made of layers."""

from torch import nn

import backhand as bh
from backhand import FullyConnected, Layer
from cases.case import Members, over_features


def tower(width: int, outputs: int | None = None) -> Layer:
    return bh.Sequential([FullyConnected(width, outputs or width), bh.Tanh()])


def tower3(width: int) -> Layer:
    return tower(width, 3)


def used_twice(width: int) -> Layer:
    one = FullyConnected(width, width)
    return bh.Sequential([one, bh.Tanh(), one])


def siamese(width: int) -> Layer:
    one = tower(width)
    return bh.Concatenate([one, bh.Sequential([bh.Sigmoid(), one])])


def gated_unit(width: int) -> Layer:
    gate = bh.Sequential([FullyConnected(width, 3), bh.Sigmoid()])
    return bh.Product([FullyConnected(width, 3), gate])


def perceptron(width: int) -> Layer:
    return bh.Sequential([FullyConnected(width, 5), bh.ReLU(), FullyConnected(5, 2), bh.Sigmoid()])


def torch_perceptron(layer: bh.Sequential) -> nn.Module:
    width = layer.layers[0].inputs
    return nn.Sequential(nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, 2), nn.Sigmoid())


CASES = [
    over_features("Sequential", perceptron, twin=torch_perceptron),
    over_features("Sequential, empty", lambda width: bh.Sequential([])),
    over_features("Residual", lambda width: bh.Residual(tower(width))),
    over_features(
        "Sum",
        lambda width: bh.Sum([FullyConnected(width, 3), FullyConnected(width, 3), tower3(width)]),
    ),
    over_features("Product", lambda width: bh.Product([FullyConnected(width, 3), tower3(width)])),
    over_features("Product of three", lambda width: bh.Product([tower3(width) for _ in range(3)])),
    over_features(
        "Concatenate", lambda width: bh.Concatenate([FullyConnected(width, 2), tower3(width)])
    ),
    over_features(
        "Concatenate, dim=1",
        lambda width: bh.Sequential(
            [
                bh.Stack([FullyConnected(width, 3), tower3(width)]),
                bh.Concatenate([FullyConnected(3, 3), bh.Tanh()], dim=1),
            ]
        ),
    ),
    over_features("Stack", lambda width: bh.Stack([FullyConnected(width, 3), tower3(width)])),
    over_features(
        "Stack, averaged",
        lambda width: bh.Sequential(
            [bh.Stack([FullyConnected(width, 3), tower3(width)]), Members()]
        ),
    ),
    over_features("a layer used twice", used_twice),
    over_features("a Siamese pair", siamese),
    over_features("a gated unit", gated_unit),
    over_features("residuals in residuals", lambda width: bh.Residual(bh.Residual(tower(width)))),
]
