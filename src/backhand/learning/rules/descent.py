"""Gradient descent: SGD and Momentum, which never form the gradient of a weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from backhand.arguments import finite
from backhand.learning.contributions import Several
from backhand.learning.rules.rule import UpdateRule, check_not_negative, check_share, check_truth

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

    def check(self) -> None:
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

    def update_rows(
        self,
        parameter: Parameter,
        index: Int64[Tensor, " rows"],
        rows: Float[Tensor, "rows ..."],
        learning_rate: float,
    ) -> None:
        if self.weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        parameter.value.index_add_(0, index, rows, alpha=-learning_rate)

    def update_several(self, parameter: Parameter, parts: Several, learning_rate: float) -> None:
        # Linear in the gradient: the parts one after another, after one decay.
        if self.weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        for part in parts.parts:
            part.update(parameter, SGD(), learning_rate)


@dataclass(frozen=True)
class Momentum(UpdateRule):
    """velocity ← momentum · velocity + share · g;  value ← value - learning_rate · velocity.

    g is the gradient (and weight_decay · value), share is 1 - dampening, and 1 at the first
    update. With Nesterov's correction, value ← value - learning_rate · (g + momentum · velocity).
    The gradient of a weight is never formed. Sutskever et al., "On the importance of
    initialization and momentum in deep learning" (2013), in torch.optim's form.

    Args:
        momentum: in [0, 1); default 0.9.
        nesterov: default False.
        weight_decay: default 0.
        dampening: in [0, 1]; default 0. Without momentum it has no effect, as in torch.optim.

    Raises:
        ValueError: a hyperparameter outside its range, or dampening with Nesterov's correction.
    """

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    dampening: float = 0.0

    def check(self) -> None:
        check_share(self, "momentum", self.momentum)
        check_truth(self, "nesterov", self.nesterov)
        check_not_negative(self, "weight_decay", self.weight_decay)
        if not 0 <= finite("Momentum", "dampening", self.dampening) <= 1:
            raise ValueError(f"Momentum: expected dampening in [0, 1], got {self.dampening}")
        if self.nesterov and self.dampening:
            raise ValueError(
                f"Momentum: Nesterov's correction goes without dampening, got {self.dampening}"
            )

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {"velocity": torch.zeros_like(value)}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        velocity = parameter.state["velocity"].mul_(self.momentum)
        velocity.add_(gradient, alpha=self._share(parameter))
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
        velocity = parameter.state["velocity"].addmm_(
            left, right, beta=self.momentum, alpha=self._share(parameter)
        )
        self._decay(parameter, learning_rate)
        if self.nesterov:
            parameter.value.addmm_(left, right, alpha=-learning_rate)
        self._follow(parameter, velocity, learning_rate)

    def _share(self, parameter: Parameter) -> float:
        if not self.dampening or not self.momentum:
            return 1.0
        # 0 to the power of t - 1 is 1 at the first update and 0 after: a choice that a recorded
        # step makes anew at each step.
        first: float = 0.0 ** (parameter.updates - 1)
        return 1 - self.dampening * (1 - first)

    def _decay(self, parameter: Parameter, learning_rate: float) -> None:
        if self.weight_decay:
            decay = self.weight_decay * self._share(parameter)
            parameter.state["velocity"].add_(parameter.value, alpha=decay)
            if self.nesterov:
                parameter.value.mul_(1 - learning_rate * self.weight_decay)

    def _follow(self, parameter: Parameter, velocity: Tensor, learning_rate: float) -> None:
        pull = self.momentum if self.nesterov else 1.0
        parameter.value.add_(velocity, alpha=-learning_rate * pull)
