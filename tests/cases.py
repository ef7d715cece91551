"""Every layer and network, a row each: what the contract tests go through."""

from __future__ import annotations

from collections.abc import Callable

import torch

import backhand as bh
from backhand import FullyConnected, Layer


def tower(width: int) -> Layer:
    return bh.Sequential([FullyConnected(width, width), bh.Tanh()])


def used_twice(width: int) -> Layer:
    one = FullyConnected(width, width)
    return bh.Sequential([one, bh.Tanh(), one])


def siamese(width: int) -> Layer:
    one = tower(width)
    return bh.Concatenate([one, bh.Sequential([bh.Sigmoid(), one])])


def gated_unit(width: int) -> Layer:
    gate = bh.Sequential([FullyConnected(width, 3), bh.Sigmoid()])
    return bh.Product([FullyConnected(width, 3), gate])


class Members(Layer):
    """The mean of the members that a Stack put beside each other."""

    def forward(self, input, training):
        return input.mean(-2), input.shape[-2]

    def propagate(self, error, members, learning_rate):
        return (error * (1 / members)).unsqueeze(-2).expand(*error.shape[:-1], members, -1)


def stacked(width: int) -> Layer:
    return bh.Sequential([bh.Stack([FullyConnected(width, 3), tower3(width)]), Members()])


LAYERS: dict[str, Callable[[int], Layer]] = {
    "FullyConnected": lambda width: FullyConnected(width, 4),
    "FullyConnected without bias": lambda width: FullyConnected(width, 4, bias=False),
    "Sigmoid": lambda width: bh.Sigmoid(),
    "Tanh": lambda width: bh.Tanh(),
    "ReLU": lambda width: bh.ReLU(),
    "SELU": lambda width: bh.SELU(),
    "Mish": lambda width: bh.Mish(),
    "Scale": lambda width: bh.Scale(width),
    "NeuralTangentLinear": lambda width: bh.NeuralTangentLinear(width, 4),
    "Dropout": lambda width: bh.Dropout(0.3),
    "Sequential": lambda width: bh.Sequential(
        [FullyConnected(width, 5), bh.ReLU(), FullyConnected(5, 2), bh.Sigmoid()]
    ),
    "Sequential, empty": lambda width: bh.Sequential([]),
    "Residual": lambda width: bh.Residual(tower(width)),
    "Sum": lambda width: bh.Sum(
        [FullyConnected(width, 3), FullyConnected(width, 3), tower3(width)]
    ),
    "Product": lambda width: bh.Product([FullyConnected(width, 3), tower3(width)]),
    "Product of three": lambda width: bh.Product([tower3(width) for _ in range(3)]),
    "Concatenate": lambda width: bh.Concatenate([FullyConnected(width, 2), tower3(width)]),
    "Stack": stacked,
    "a layer used twice": used_twice,
    "a Siamese pair": siamese,
    "a gated unit": gated_unit,
    "residuals in residuals": lambda width: bh.Residual(bh.Residual(tower(width))),
}


def tower3(width: int) -> Layer:
    return bh.Sequential([FullyConnected(width, 3), bh.Tanh()])


def rules() -> dict[str, bh.UpdateRule]:
    return {
        "SGD": bh.SGD(),
        "SGD, decay": bh.SGD(weight_decay=0.01),
        "Momentum": bh.Momentum(0.8),
        "Momentum, decay": bh.Momentum(0.8, weight_decay=0.01),
        "Nesterov": bh.Momentum(0.8, nesterov=True),
        "Nesterov, decay": bh.Momentum(0.8, nesterov=True, weight_decay=0.01),
        "Adam": bh.Adam(),
        "Adam, decay": bh.Adam(weight_decay=0.01),
        "AdamW": bh.AdamW(),
        "Adam at three times the rate": bh.WithRate(bh.Adam(), 3.0),
        "SGD at half the rate": bh.WithRate(bh.SGD(), 0.5),
    }


def torch_optimizer(rule: bh.UpdateRule, values: list[torch.Tensor], rate: float):
    """torch.optim's counterpart of a rule."""
    if isinstance(rule, bh.WithRate):
        return torch_optimizer(rule.rule, values, rate * rule.factor)
    match rule:
        case bh.SGD():
            return torch.optim.SGD(values, rate, weight_decay=rule.weight_decay)
        case bh.Momentum():
            return torch.optim.SGD(
                values,
                rate,
                momentum=rule.momentum,
                nesterov=rule.nesterov,
                weight_decay=rule.weight_decay,
            )
        case bh.AdamW():
            kind = torch.optim.AdamW
        case bh.Adam():
            kind = torch.optim.Adam
    return kind(
        values,
        rate,
        betas=(rule.beta1, rule.beta2),
        eps=rule.epsilon,
        weight_decay=rule.weight_decay,
    )
