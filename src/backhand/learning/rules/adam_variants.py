"""NAdam and RAdam: Adam with Nesterov's correction, and with its first steps held back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.learning.rules.rule import UpdateRule, check_not_negative, check_share, check_truth

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


@dataclass(frozen=True)
class _Moments(UpdateRule):
    """What both share: running means of the gradient and of its square."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decoupled_weight_decay: bool = False

    def check(self) -> None:
        check_share(self, "beta1", self.beta1)
        check_share(self, "beta2", self.beta2)
        check_truth(self, "decoupled_weight_decay", self.decoupled_weight_decay)
        check_not_negative(self, "epsilon", self.epsilon)
        check_not_negative(self, "weight_decay", self.weight_decay)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {"mean": torch.zeros_like(value), "square": torch.zeros_like(value)}

    def _decayed(self, parameter: Parameter, gradient: Tensor, learning_rate: float) -> Tensor:
        """The gradient that the moments see, the value decayed first where that is decoupled."""
        if self.weight_decay and self.decoupled_weight_decay:
            parameter.value.mul_(1 - learning_rate * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient.add(parameter.value, alpha=self.weight_decay)
        return gradient

    def _moments(self, parameter: Parameter, gradient: Tensor) -> tuple[Tensor, Tensor]:
        mean = parameter.state["mean"].lerp_(gradient, 1 - self.beta1)
        square = parameter.state["square"].mul_(self.beta2)
        return mean, square.addcmul_(gradient, gradient, value=1 - self.beta2)


@dataclass(frozen=True)
class NAdam(_Moments):
    """NAdam: Adam with Nesterov's correction, its momentum rising from step to step.

    μₜ = β₁ (1 - ½ · 0.96^(t · momentum_decay));  πₜ = μ₁ · … · μₜ; the means as Adam's
    value ← value - learning_rate · (μₜ₊₁ mean / (1 - πₜ μₜ₊₁) + (1 - μₜ) g / (1 - πₜ))
                    / (√(square / (1 - β₂ᵗ)) + ε)
    Dozat, "Incorporating Nesterov Momentum into Adam" (2016), algorithm 2.

    Args:
        beta1, beta2: decay of the two means, in [0, 1); default 0.9 and 0.999.
        epsilon: default 1e-8.
        weight_decay: default 0.
        decoupled_weight_decay: as AdamW's instead of Adam's; default False.
        momentum_decay: default 0.004.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    momentum_decay: float = 4e-3

    def check(self) -> None:
        super().check()
        check_not_negative(self, "momentum_decay", self.momentum_decay)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        # The product of all momenta so far: in no lower a precision than float32, where 1 - it
        # would have no digits left.
        precision = torch.promote_types(value.dtype, torch.float32)
        return {**super().state(value), "product": value.new_ones((), dtype=precision)}

    def _momentum(self, t: float) -> float:
        lack: float = 0.5 * 0.96 ** (t * self.momentum_decay)
        return self.beta1 * (1 - lack)

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        t = parameter.updates
        gradient = self._decayed(parameter, gradient, learning_rate)
        mean, square = self._moments(parameter, gradient)
        now, following = self._momentum(t), self._momentum(t + 1)
        product = parameter.state["product"].mul_(now)
        root = square.div(1 - self.beta2**t).sqrt_().add_(self.epsilon)
        of_gradient = learning_rate * (1 - now) / (1 - product)
        of_mean = learning_rate * following / (1 - product * following)
        step = (gradient * of_gradient).addcmul_(mean, of_mean.to(mean.dtype))
        parameter.value.sub_(step.div_(root))


@dataclass(frozen=True)
class RAdam(_Moments):
    """RAdam: Adam whose adaptive step waits until the square's mean has samples enough.

    ρ∞ = 2 / (1 - β₂) - 1;  ρₜ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ); the means as Adam's
    m = mean / (1 - β₁ᵗ); value ← value - learning_rate · m as long as ρₜ ≤ 5, then
    value ← value - learning_rate · m · r √(1 - β₂ᵗ) / (√square + ε),
    r = √((ρₜ - 4)(ρₜ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρₜ)).
    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020), algorithm 2,
    with torch.optim's bound.

    Args:
        beta1, beta2: decay of the two means, in [0, 1); default 0.9 and 0.999.
        epsilon: default 1e-8.
        weight_decay: default 0.
        decoupled_weight_decay: as AdamW's instead of Adam's; default False.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        t = parameter.updates
        gradient = self._decayed(parameter, gradient, learning_rate)
        mean, square = self._moments(parameter, gradient)
        rate = learning_rate / (1 - self.beta1**t)
        last_plain = _last_plain_step(self.beta2)
        if last_plain is None:
            parameter.value.add_(mean, alpha=-rate)
            return
        # Which of the two steps is taken hangs on t, which a recorded step knows only by
        # arithmetic: how many plain steps are left, never below 0, and 0 to the power of that.
        left = last_plain + 1 - t
        left = (left + (left * left) ** 0.5) / 2
        adaptive = 0.0**left
        plain = 1 - adaptive
        length, longest = _length(self.beta2, t), _longest(self.beta2)
        share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        rectified = (share * adaptive * (1 - self.beta2**t)) ** 0.5
        root = square.sqrt().add_(self.epsilon + plain)
        parameter.value.addcdiv_(mean, root, value=-(rate * rectified))
        parameter.value.add_(mean, alpha=-(rate * plain))


ENOUGH = 5.0
"""ρₜ above which RAdam's steps are adaptive."""


def _longest(beta2: float) -> float:
    """ρ∞."""
    return 2 / (1 - beta2) - 1


def _length(beta2: float, t: float) -> float:
    """ρₜ: the length of the simple moving average that the square's running mean amounts to."""
    power: float = beta2**t
    return _longest(beta2) - 2 * t * power / (1 - power)


@lru_cache(maxsize=64)
def _last_plain_step(beta2: float) -> int | None:
    """The last step with ρₜ ≤ 5; None where every step is."""
    t = 1
    while _length(beta2, t) <= ENOUGH:
        if _length(beta2, t) == _longest(beta2):
            return None
        t += 1
    return t - 1
