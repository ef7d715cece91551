"""Rows: activations, and what draws."""

from torch import nn

import backhand as bh
from cases.case import Case, floats, over_features

CASES = [
    over_features("Sigmoid", lambda width: bh.Sigmoid(), twin=lambda layer: nn.Sigmoid()),
    over_features("Tanh", lambda width: bh.Tanh(), twin=lambda layer: nn.Tanh()),
    over_features("ReLU", lambda width: bh.ReLU(), twin=lambda layer: nn.ReLU()),
    over_features("SELU", lambda width: bh.SELU(), twin=lambda layer: nn.SELU()),
    over_features("Mish", lambda width: bh.Mish(), twin=lambda layer: nn.Mish()),
    over_features(
        "Dropout",
        lambda width: bh.Dropout(0.3),
        twin=lambda layer: nn.Dropout(layer.rate),
        draws=True,
    ),
    over_features("LeakyReLU", lambda width: bh.LeakyReLU(), twin=lambda layer: nn.LeakyReLU()),
    over_features(
        "LeakyReLU, falling",
        lambda width: bh.LeakyReLU(-0.3),
        twin=lambda layer: nn.LeakyReLU(layer.negative_slope),
    ),
    over_features("ELU", lambda width: bh.ELU(0.7), twin=lambda layer: nn.ELU(layer.alpha)),
    over_features(
        "Softplus",
        lambda width: bh.Softplus(2.0, 1.0),
        twin=lambda layer: nn.Softplus(layer.beta, layer.threshold),
    ),
    over_features("PReLU", lambda width: bh.PReLU(), twin=lambda layer: nn.PReLU()),
    Case(
        "PReLU, a slope for each channel",
        lambda: bh.PReLU(3),
        floats(3, 2),
        twin=lambda layer: nn.PReLU(3),
    ),
    over_features("GELU", lambda width: bh.GELU(), twin=lambda layer: nn.GELU()),
    over_features("GELU, tanh", lambda width: bh.GELU("tanh"), twin=lambda layer: nn.GELU("tanh")),
    over_features("SiLU", lambda width: bh.SiLU(), twin=lambda layer: nn.SiLU()),
    over_features("Hardswish", lambda width: bh.Hardswish(), twin=lambda layer: nn.Hardswish()),
    over_features("Softmax", lambda width: bh.Softmax(), twin=lambda layer: nn.Softmax(-1)),
    over_features(
        "LogSoftmax", lambda width: bh.LogSoftmax(), twin=lambda layer: nn.LogSoftmax(-1)
    ),
    Case("Softmax, 1", lambda: bh.Softmax(1), floats(3, 2), twin=lambda layer: nn.Softmax(1)),
]
