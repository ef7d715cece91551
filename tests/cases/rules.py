"""Rows: update rules, each beside torch.optim's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, optim

import backhand as bh
from backhand.learning.rules import Adagrad, Lion, NAdam, RAdam, RMSProp


@dataclass(frozen=True, eq=False)
class RuleCase:
    """An update rule and its counterpart.

    Args:
        name: of the test.
        rule: makes it.
        optimizer: (values, lr=rate) -> torch.optim's counterpart, or one written in the tests.
        factor: what the rule multiplies the rate by.
        kind: whether it stands for its kind where all gates and engines are gone through, too.
        smooth: whether a gradient changed by a rounding changes the step by no more than that.
    """

    name: str
    rule: Callable[[], bh.UpdateRule]
    optimizer: Callable[..., optim.Optimizer]
    factor: float = 1.0
    kind: bool = True
    smooth: bool = True

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    def twin(self, values: list[Tensor], rate: float) -> optim.Optimizer:
        """The counterpart, at this learning rate."""
        made = self.optimizer(values, lr=rate)
        self.set_rate(made, rate)
        return made

    def set_rate(self, optimizer: optim.Optimizer, rate: float) -> None:
        """Let the counterpart go on as the rule does at a learning rate."""
        for group in optimizer.param_groups:
            group["lr"] = rate * self.factor


def momentum(**options):
    return partial(optim.SGD, momentum=0.8, **options)


class LionOfThePaper(optim.Optimizer):
    """Chen et al. (2023), algorithm 2, line by line."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for theta in group["params"]:
                m = self.state[theta].setdefault("m", torch.zeros_like(theta))
                c = beta1 * m + (1 - beta1) * theta.grad
                theta -= group["lr"] * (torch.sign(c) + group["weight_decay"] * theta)
                self.state[theta]["m"] = beta2 * m + (1 - beta2) * theta.grad


CASES = [
    RuleCase("SGD", bh.SGD, optim.SGD),
    RuleCase(
        "SGD, decay", lambda: bh.SGD(weight_decay=0.01), partial(optim.SGD, weight_decay=0.01)
    ),
    RuleCase("Momentum", lambda: bh.Momentum(0.8), momentum()),
    RuleCase(
        "Momentum, decay",
        lambda: bh.Momentum(0.8, weight_decay=0.01),
        momentum(weight_decay=0.01),
    ),
    RuleCase("Nesterov", lambda: bh.Momentum(0.8, nesterov=True), momentum(nesterov=True)),
    RuleCase(
        "Nesterov, decay",
        lambda: bh.Momentum(0.8, nesterov=True, weight_decay=0.01),
        momentum(nesterov=True, weight_decay=0.01),
    ),
    RuleCase("Adam", bh.Adam, optim.Adam),
    RuleCase(
        "Adam, other numbers",
        lambda: bh.Adam(beta1=0.7, beta2=0.98, epsilon=1e-6),
        partial(optim.Adam, betas=(0.7, 0.98), eps=1e-6),
        kind=False,
    ),
    RuleCase(
        "Adam, decay", lambda: bh.Adam(weight_decay=0.01), partial(optim.Adam, weight_decay=0.01)
    ),
    RuleCase("AdamW", bh.AdamW, partial(optim.AdamW, weight_decay=0.01)),
    RuleCase(
        "Adam at three times the rate", lambda: bh.WithRate(bh.Adam(), 3.0), optim.Adam, factor=3.0
    ),
    RuleCase("SGD at half the rate", lambda: bh.WithRate(bh.SGD(), 0.5), optim.SGD, factor=0.5),
    RuleCase(
        "Momentum, dampened",
        lambda: bh.Momentum(0.8, dampening=0.3),
        momentum(dampening=0.3),
        kind=False,
    ),
    RuleCase(
        "Momentum, dampened, decay",
        lambda: bh.Momentum(0.8, weight_decay=0.01, dampening=0.9),
        momentum(weight_decay=0.01, dampening=0.9),
        kind=False,
    ),
    RuleCase("RMSProp", RMSProp, optim.RMSprop),
    RuleCase(
        "RMSProp, all",
        lambda: RMSProp(0.9, 1e-6, 0.01, momentum=0.7, centered=True),
        partial(optim.RMSprop, alpha=0.9, eps=1e-6, weight_decay=0.01, momentum=0.7, centered=True),
        kind=False,
        smooth=False,  # a variance near 0 is the difference of two numbers
    ),
    RuleCase(
        "RMSProp, centered",
        lambda: RMSProp(centered=True),
        partial(optim.RMSprop, centered=True),
        kind=False,
        smooth=False,
    ),
    RuleCase("Adagrad", Adagrad, optim.Adagrad),
    RuleCase(
        "Adagrad, all",
        lambda: Adagrad(0.1, 0.01, 0.5, 1e-6),
        partial(
            optim.Adagrad, lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.5, eps=1e-6
        ),
        kind=False,
    ),
    RuleCase(
        "Adam, amsgrad",
        lambda: bh.Adam(beta2=0.9, amsgrad=True),
        partial(optim.Adam, betas=(0.9, 0.9), amsgrad=True),
        kind=False,
    ),
    RuleCase(
        "AdamW, amsgrad",
        lambda: bh.AdamW(amsgrad=True),
        partial(optim.AdamW, amsgrad=True),
        kind=False,
    ),
    RuleCase("NAdam", NAdam, optim.NAdam),
    RuleCase(
        "NAdam, decay",
        lambda: NAdam(0.8, 0.99, 1e-6, 0.01, momentum_decay=0.1),
        partial(optim.NAdam, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01, momentum_decay=0.1),
        kind=False,
    ),
    RuleCase(
        "NAdam, decoupled",
        lambda: NAdam(weight_decay=0.01, decoupled_weight_decay=True),
        partial(optim.NAdam, weight_decay=0.01, decoupled_weight_decay=True),
        kind=False,
    ),
    RuleCase("RAdam", RAdam, optim.RAdam),
    RuleCase(
        "RAdam, short", lambda: RAdam(0.5, 0.9), partial(optim.RAdam, betas=(0.5, 0.9)), kind=False
    ),
    RuleCase(
        "RAdam, barely",
        lambda: RAdam(beta2=0.67),
        partial(optim.RAdam, betas=(0.9, 0.67)),
        kind=False,
    ),
    RuleCase(
        "RAdam, never", lambda: RAdam(beta2=0.6), partial(optim.RAdam, betas=(0.9, 0.6)), kind=False
    ),
    RuleCase(
        "RAdam, decay",
        lambda: RAdam(epsilon=1e-6, weight_decay=0.01),
        partial(optim.RAdam, eps=1e-6, weight_decay=0.01),
        kind=False,
    ),
    RuleCase(
        "RAdam, decoupled",
        lambda: RAdam(weight_decay=0.01, decoupled_weight_decay=True),
        partial(optim.RAdam, weight_decay=0.01, decoupled_weight_decay=True),
        kind=False,
    ),
    RuleCase("Lion", Lion, LionOfThePaper, smooth=False),
    RuleCase(
        "Lion, decay",
        lambda: Lion(0.8, 0.95, 0.1),
        partial(LionOfThePaper, betas=(0.8, 0.95), weight_decay=0.1),
        smooth=False,
        kind=False,
    ),
]
