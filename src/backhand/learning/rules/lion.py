"""Lion: steps of one size, in the direction of a sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.learning.rules.rule import UpdateRule, check_not_negative, check_share

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


@dataclass(frozen=True)
class Lion(UpdateRule):
    """Lion: every element moves by the learning rate, in the direction of a sign.

    value ← value - learning_rate · (sign(β₁ mean + (1 - β₁) g) + weight_decay · value)
    mean ← β₂ mean + (1 - β₂) g
    One state, where Adam has two. A step is as long as the learning rate says: a third to a
    tenth of Adam's. Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023),
    algorithm 2.

    Args:
        beta1, beta2: in [0, 1); default 0.9 and 0.99.
        weight_decay: decoupled, as AdamW's; default 0.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    def check(self) -> None:
        check_share(self, "beta1", self.beta1)
        check_share(self, "beta2", self.beta2)
        check_not_negative(self, "weight_decay", self.weight_decay)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {"mean": torch.zeros_like(value)}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        if self.weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        mean = parameter.state["mean"]
        direction = (mean * self.beta1).add_(gradient, alpha=1 - self.beta1).sign_()
        parameter.value.add_(direction, alpha=-learning_rate)
        mean.mul_(self.beta2).add_(gradient, alpha=1 - self.beta2)
