"""Gradients summed and nothing learnt: a recorded step then says the loss and its gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.learning.parameter import Parameter
from backhand.learning.rules.rule import UpdateRule


@dataclass(frozen=True)
class GradientSum(UpdateRule):
    """gradient_sum ← gradient_sum + gradient, in the parameter's state; its value stays.

    For optimizers that walk over all weights at once, by the loss of a whole data set: batches
    of one recorded step add up to its gradient. Set the state to 0 before each sum.
    """

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {"gradient_sum": torch.zeros_like(value)}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        parameter.state["gradient_sum"].add_(gradient)

    def update_product(
        self,
        parameter: Parameter,
        left: Float[Tensor, "outputs rows"],
        right: Float[Tensor, "rows inputs"],
        learning_rate: float,
    ) -> None:
        parameter.state["gradient_sum"].addmm_(left, right)
