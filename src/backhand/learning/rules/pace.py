"""A rule at a pace of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaxtyping import Float, Int64
from torch import Tensor

from backhand.arguments import finite, instance
from backhand.learning.contributions import Several
from backhand.learning.rules.rule import UpdateRule

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


@dataclass(frozen=True)
class WithRate(UpdateRule):
    """Another rule at a multiple of the learning rate, for parameters with a pace of their own.

    Args:
        rule: what updates.
        factor: what the learning rate is multiplied by; above 0.

    Raises:
        TypeError: the rule is no UpdateRule, or the factor no number.
        ValueError: the factor is not a finite number above 0.
    """

    rule: UpdateRule
    factor: float

    def check(self) -> None:
        instance("WithRate", "rule", self.rule, UpdateRule)
        if finite("WithRate", "factor", self.factor) <= 0:
            raise ValueError(f"WithRate: expected a finite factor above 0, got {self.factor}")

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return self.rule.state(value)

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        self.rule.update(parameter, gradient, learning_rate * self.factor)

    def update_product(
        self,
        parameter: Parameter,
        left: Float[Tensor, "outputs rows"],
        right: Float[Tensor, "rows inputs"],
        learning_rate: float,
    ) -> None:
        self.rule.update_product(parameter, left, right, learning_rate * self.factor)

    def update_sum(
        self, parameter: Parameter, error: Float[Tensor, "rows outputs"], learning_rate: float
    ) -> None:
        self.rule.update_sum(parameter, error, learning_rate * self.factor)

    def update_rows(
        self,
        parameter: Parameter,
        index: Int64[Tensor, " rows"],
        rows: Float[Tensor, "rows ..."],
        learning_rate: float,
    ) -> None:
        self.rule.update_rows(parameter, index, rows, learning_rate * self.factor)

    def update_several(self, parameter: Parameter, parts: Several, learning_rate: float) -> None:
        self.rule.update_several(parameter, parts, learning_rate * self.factor)
