"""Rows: activations, and what draws."""

from torch import nn

import backhand as bh
from backhand.layers.activations_gated import GELU, Hardswish, SiLU
from backhand.layers.activations_normalized import LogSoftmax, Softmax
from backhand.layers.activations_rectified import ELU, LeakyReLU, PReLU, Softplus
from cases.case import over_features

CASES = [
    over_features("Sigmoid", lambda width: bh.Sigmoid(), twin=lambda layer: nn.Sigmoid()),
    over_features("Tanh", lambda width: bh.Tanh(), twin=lambda layer: nn.Tanh()),
    over_features("ReLU", lambda width: bh.ReLU(), twin=lambda layer: nn.ReLU()),
    over_features("SELU", lambda width: bh.SELU(), twin=lambda layer: nn.SELU()),
    over_features("Mish", lambda width: bh.Mish(), twin=lambda layer: nn.Mish()),
    over_features("LeakyReLU", lambda width: LeakyReLU(), twin=lambda layer: nn.LeakyReLU()),
    over_features(
        "LeakyReLU, steeper", lambda width: LeakyReLU(0.3), twin=lambda layer: nn.LeakyReLU(0.3)
    ),
    over_features("ELU", lambda width: ELU(0.7), twin=lambda layer: nn.ELU(0.7)),
    over_features(
        "Softplus", lambda width: Softplus(2.0, 1.0), twin=lambda layer: nn.Softplus(2.0, 1.0)
    ),
    over_features("PReLU", lambda width: PReLU(), twin=lambda layer: nn.PReLU()),
    over_features("GELU", lambda width: GELU(), twin=lambda layer: nn.GELU(), native=False),
    over_features("GELU, tanh", lambda width: GELU("tanh"), twin=lambda layer: nn.GELU("tanh")),
    over_features("SiLU", lambda width: SiLU(), twin=lambda layer: nn.SiLU()),
    over_features("Hardswish", lambda width: Hardswish(), twin=lambda layer: nn.Hardswish()),
    over_features("Softmax", lambda width: Softmax(), twin=lambda layer: nn.Softmax(-1)),
    over_features(
        "LogSoftmax", lambda width: LogSoftmax(), twin=lambda layer: nn.LogSoftmax(-1), native=False
    ),
    over_features(
        "Dropout",
        lambda width: bh.Dropout(0.3),
        twin=lambda layer: nn.Dropout(layer.rate),
        draws=True,
    ),
]
