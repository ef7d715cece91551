"""Update rules: how a gradient moves a parameter.

A rule holds hyperparameters only; what it remembers of a parameter stands in the parameter's
`state`, and the step number t is the parameter's `updates`. Weight decay, where it is not
decoupled, adds weight_decay · value to the gradient, as in torch.optim.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from backhand.parameter import Parameter


class UpdateRule:
    """What every rule keeps. Write `update`; the other forms form the gradient and call it."""

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


def _check_share(rule: UpdateRule, name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{type(rule).__name__}: expected {name} in [0, 1), got {value}")


def _check_not_negative(rule: UpdateRule, name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{type(rule).__name__}: expected {name} of 0 or more, got {value}")


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
        _check_not_negative(self, "weight_decay", self.weight_decay)

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
        _check_share(self, "momentum", self.momentum)
        _check_not_negative(self, "weight_decay", self.weight_decay)

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


@dataclass(frozen=True)
class Adam(UpdateRule):
    """Adam: steps scaled by running means of the gradient and of its square.

    mean ← β₁ mean + (1 - β₁) g;  square ← β₂ square + (1 - β₂) g²
    value ← value - learning_rate · (mean / (1 - β₁ᵗ)) / (√(square / (1 - β₂ᵗ)) + ε)
    Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.

    Args:
        beta1, beta2: decay of the two means, in [0, 1); default 0.9 and 0.999.
        epsilon: default 1e-8.
        weight_decay: default 0.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_share(self, "beta1", self.beta1)
        _check_share(self, "beta2", self.beta2)
        _check_not_negative(self, "epsilon", self.epsilon)
        _check_not_negative(self, "weight_decay", self.weight_decay)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {"mean": torch.zeros_like(value), "square": torch.zeros_like(value)}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        if self.weight_decay:
            gradient = gradient.add(parameter.value, alpha=self.weight_decay)
        self._step(parameter, gradient, learning_rate)

    def _step(self, parameter: Parameter, gradient: Tensor, learning_rate: float) -> None:
        t = parameter.updates
        mean = parameter.state["mean"].lerp_(gradient, 1 - self.beta1)
        square = parameter.state["square"]
        square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        # Algorithm 1 as reordered at the end of section 2: √(1 - β₂ᵗ) taken out of the root.
        unbias = (1 - self.beta2**t) ** 0.5
        root = square.sqrt().add_(self.epsilon * unbias)
        rate = learning_rate * unbias / (1 - self.beta1**t)
        parameter.value.addcdiv_(mean, root, value=-rate)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: value ← value · (1 - learning_rate · weight_decay) first.

    Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.

    Args:
        weight_decay: default 0.01; the rest as for Adam.
    """

    weight_decay: float = 0.01

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        if self.weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        self._step(parameter, gradient, learning_rate)


@dataclass(frozen=True)
class WithRate(UpdateRule):
    """Another rule at a multiple of the learning rate, for parameters with a pace of their own.

    Args:
        rule: what updates.
        factor: what the learning rate is multiplied by; above 0.

    Raises:
        ValueError: the factor is not a finite number above 0.
    """

    rule: UpdateRule
    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < float("inf"):
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
