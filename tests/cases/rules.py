"""Rows: update rules, each beside torch.optim's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, optim

import backhand as bh


@dataclass(frozen=True, eq=False)
class RuleCase:
    """An update rule and its counterpart.

    Args:
        name: of the test.
        rule: makes it.
        optimizer: (values, lr=rate) -> torch.optim's counterpart, or one written in the tests.
        factor: what the rule multiplies the rate by.
        smooth: whether a gradient changed by a rounding changes the step by no more than that.
    """

    name: str
    rule: Callable[[], bh.UpdateRule]
    optimizer: Callable[..., optim.Optimizer]
    factor: float = 1.0
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
    ),
    RuleCase(
        "Adam, decay", lambda: bh.Adam(weight_decay=0.01), partial(optim.Adam, weight_decay=0.01)
    ),
    RuleCase("AdamW", bh.AdamW, partial(optim.AdamW, weight_decay=0.01)),
    RuleCase(
        "Adam at three times the rate", lambda: bh.WithRate(bh.Adam(), 3.0), optim.Adam, factor=3.0
    ),
    RuleCase("SGD at half the rate", lambda: bh.WithRate(bh.SGD(), 0.5), optim.SGD, factor=0.5),
]
