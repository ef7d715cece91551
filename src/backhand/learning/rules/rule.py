"""Update rules: how a gradient moves a parameter.

A rule holds hyperparameters only; what it remembers of a parameter stands in the parameter's
`state`, and the step number t is the parameter's `updates`. Weight decay, where it is not
decoupled, adds weight_decay · value to the gradient, as in torch.optim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Float, Int64
from torch import Tensor

from backhand.arguments import finite, keep_plain, truth
from backhand.learning.contributions import Rows, Several

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


class UpdateRule:
    """What every rule keeps. Write `update`; the other forms form the gradient and call it.

    A rule with hyperparameters is a frozen dataclass. They are kept as Python's own numbers, also
    where NumPy's were given: before `check` sees them, so that no rule need think of it.
    """

    def __post_init__(self) -> None:
        keep_plain(self)
        self.check()

    def check(self) -> None:
        """Refuse hyperparameters that are out of range; called as a rule is made."""

    def state(self, value: Tensor) -> dict[str, Tensor]:
        """The tensors this rule remembers of a parameter, as they are before any step."""
        return {}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        """Move the parameter's value in place by a gradient of its shape."""
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def update_product(
        self,
        parameter: Parameter,
        left: Float[Tensor, "outputs rows"],
        right: Float[Tensor, "rows inputs"],
        learning_rate: float,
    ) -> None:
        """Move it by the gradient left @ right."""
        self.update(parameter, left @ right, learning_rate)

    def update_sum(
        self, parameter: Parameter, error: Float[Tensor, "rows outputs"], learning_rate: float
    ) -> None:
        """Move it by the error summed over its rows."""
        self.update(parameter, error.sum(0), learning_rate)

    def update_rows(
        self,
        parameter: Parameter,
        index: Int64[Tensor, " rows"],
        rows: Float[Tensor, "rows ..."],
        learning_rate: float,
    ) -> None:
        """Move it by the gradient that is 0 but for these rows; equal indices add up.

        Rows without a gradient move as the rule moves them by a gradient of 0: under Momentum and
        Adam by what is remembered, under decay towards 0, as in the dense result.
        """
        self.update(parameter, Rows(index, rows, len(parameter.value)).gradient(), learning_rate)

    def update_several(self, parameter: Parameter, parts: Several, learning_rate: float) -> None:
        """Move it once, by the sum of these parts."""
        self.update(parameter, parts.gradient(), learning_rate)


def check_share(rule: UpdateRule, name: str, value: float) -> None:
    """Refuse a hyperparameter that is no number, or outside [0, 1)."""
    finite(type(rule).__name__, name, value)
    if not 0 <= value < 1:
        raise ValueError(f"{type(rule).__name__}: expected {name} in [0, 1), got {value}")


def check_truth(rule: UpdateRule, name: str, value: bool) -> None:
    """Refuse a hyperparameter that is neither True nor False."""
    truth(type(rule).__name__, name, value)


def check_not_negative(rule: UpdateRule, name: str, value: float) -> None:
    """Refuse a hyperparameter that is no number, negative or not finite."""
    if finite(type(rule).__name__, name, value) < 0:
        raise ValueError(f"{type(rule).__name__}: expected {name} of 0 or more, got {value}")
