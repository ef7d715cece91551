"""Gradient descent: SGD and Momentum, which never form the gradient of a weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.learning.rules.rule import UpdateRule, check_not_negative, check_share

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


@lru_cache(maxsize=64)
def _ones(rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.ones(rows, dtype=dtype, device=device)


@dataclass(frozen=True)
class SGD(UpdateRule):
    """Stochastic gradient descent: value ← value - learning_rate · gradient.

    The gradient of a weight is never formed: the product goes straight into the value.

    Args:
        weight_decay: default 0.

    Raises:
        ValueError: weight_decay is negative.
    """

    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "weight_decay", self.weight_decay)

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        if self.weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        parameter.value.add_(gradient, alpha=-learning_rate)

    def update_product(
        self,
        parameter: Parameter,
        left: Float[Tensor, "outputs rows"],
        right: Float[Tensor, "rows inputs"],
        learning_rate: float,
    ) -> None:
        if self.weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        parameter.value.addmm_(left, right, alpha=-learning_rate)

    def update_sum(
        self, parameter: Parameter, error: Float[Tensor, "rows outputs"], learning_rate: float
    ) -> None:
        # The sum as a product with ones: one call, and no gradient formed.
        if self.weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        ones = _ones(len(error), error.dtype, error.device)
        parameter.value.addmv_(error.t(), ones, alpha=-learning_rate)


@dataclass(frozen=True)
class Momentum(UpdateRule):
    """velocity ← momentum · velocity + gradient;  value ← value - learning_rate · velocity.

    With Nesterov's correction, value ← value - learning_rate · (gradient + momentum · velocity).
    The gradient of a weight is never formed. Sutskever et al., "On the importance of
    initialization and momentum in deep learning" (2013), in torch.optim's form.

    Args:
        momentum: in [0, 1); default 0.9.
        nesterov: default False.
        weight_decay: default 0.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_share(self, "momentum", self.momentum)
        check_not_negative(self, "weight_decay", self.weight_decay)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {"velocity": torch.zeros_like(value)}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        velocity = parameter.state["velocity"].mul_(self.momentum).add_(gradient)
        self._decay(parameter, learning_rate)
        if self.nesterov:
            parameter.value.add_(gradient, alpha=-learning_rate)
        self._follow(parameter, velocity, learning_rate)

    def update_product(
        self,
        parameter: Parameter,
        left: Float[Tensor, "outputs rows"],
        right: Float[Tensor, "rows inputs"],
        learning_rate: float,
    ) -> None:
        velocity = parameter.state["velocity"].addmm_(left, right, beta=self.momentum)
        self._decay(parameter, learning_rate)
        if self.nesterov:
            parameter.value.addmm_(left, right, alpha=-learning_rate)
        self._follow(parameter, velocity, learning_rate)

    def _decay(self, parameter: Parameter, learning_rate: float) -> None:
        if self.weight_decay:
            parameter.state["velocity"].add_(parameter.value, alpha=self.weight_decay)
            if self.nesterov:
                parameter.value.mul_(1 - learning_rate * self.weight_decay)

    def _follow(self, parameter: Parameter, velocity: Tensor, learning_rate: float) -> None:
        pull = self.momentum if self.nesterov else 1.0
        parameter.value.add_(velocity, alpha=-learning_rate * pull)
