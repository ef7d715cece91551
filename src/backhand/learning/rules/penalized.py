"""The penalty on large weights that scikit-learn calls alpha, for any update rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import instance
from backhand.learning.parameter import Parameter
from backhand.learning.rules.rule import UpdateRule


@dataclass(frozen=True)
class Penalized(UpdateRule):
    """The rule, on the gradient of loss + ½ penalty · value².

    gradient ← gradient + penalty · value, element by element. The penalty lies in the
    parameter's state, not in the rule: a search over many penalties then shares one recording.

    Args:
        rule: what the gradient goes to.

    Raises:
        TypeError: the rule is no UpdateRule.
    """

    rule: UpdateRule

    def check(self) -> None:
        instance("Penalized", "rule", self.rule, UpdateRule)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {**self.rule.state(value), "penalty": torch.zeros_like(value)}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        penalized = torch.addcmul(gradient, parameter.value, parameter.state["penalty"])
        self.rule.update(parameter, penalized, learning_rate)


def penalize(parameters: Iterable[Parameter], penalty: float) -> None:
    """Set the penalty of every weight; biases and other vectors have none."""
    for parameter in parameters:
        if parameter.value.dim() > 1:
            parameter.state["penalty"].fill_(penalty)


def squared_weights(parameters: Iterable[Parameter]) -> float:
    """The sum of the squares of all weights that `penalize` reaches."""
    total = 0.0
    for parameter in parameters:
        if parameter.value.dim() > 1:
            flat = parameter.value.reshape(-1)
            total += float(torch.dot(flat, flat))
    return total
