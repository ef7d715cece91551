"""RMSProp and Adagrad: steps divided by the root of the squares seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.learning.rules.rule import UpdateRule, check_not_negative, check_share, check_truth

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


@dataclass(frozen=True)
class RMSProp(UpdateRule):
    """RMSProp: steps divided by the root of a running mean of the gradient's square.

    square ← alpha · square + (1 - alpha) · g²;  step = g / (√square + ε)
    value ← value - learning_rate · step, or with momentum
    velocity ← momentum · velocity + step;  value ← value - learning_rate · velocity.
    Centered, √(square - mean²) with a running mean of g (0 where that rounds below 0).
    Hinton, "Neural Networks for Machine Learning" (2012), lecture 6e; Graves, "Generating
    Sequences With Recurrent Neural Networks" (2013), eq. 38–45; ε as in torch.optim.

    Args:
        alpha: decay of the running means, in [0, 1); default 0.99.
        epsilon: default 1e-8.
        weight_decay: default 0.
        momentum: in [0, 1); default 0.
        centered: default False.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    alpha: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def check(self) -> None:
        check_share(self, "alpha", self.alpha)
        check_share(self, "momentum", self.momentum)
        check_truth(self, "centered", self.centered)
        check_not_negative(self, "epsilon", self.epsilon)
        check_not_negative(self, "weight_decay", self.weight_decay)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        names = ["square"]
        names += ["mean"] if self.centered else []
        names += ["velocity"] if self.momentum else []
        return {name: torch.zeros_like(value) for name in names}

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        if self.weight_decay:
            gradient = gradient.add(parameter.value, alpha=self.weight_decay)
        square = parameter.state["square"].mul_(self.alpha)
        square.addcmul_(gradient, gradient, value=1 - self.alpha)
        if self.centered:
            mean = parameter.state["mean"].lerp_(gradient, 1 - self.alpha)
            square = square.addcmul(mean, mean, value=-1).clamp_(min=0)
        root = square.sqrt().add_(self.epsilon)
        if self.momentum:
            velocity = parameter.state["velocity"].mul_(self.momentum).addcdiv_(gradient, root)
            parameter.value.add_(velocity, alpha=-learning_rate)
        else:
            parameter.value.addcdiv_(gradient, root, value=-learning_rate)


@dataclass(frozen=True)
class Adagrad(UpdateRule):
    """Adagrad: steps divided by the root of the sum of all squares of the gradient.

    sum ← sum + g²;  value ← value - rate · g / (√sum + ε)
    with rate = learning_rate / (1 + (t - 1) · lr_decay).
    Duchi et al., "Adaptive Subgradient Methods" (2011), the diagonal form of section 1.3, with
    torch.optim's ε.

    Args:
        lr_decay: default 0.
        weight_decay: default 0.
        initial_accumulator_value: what the sum begins at; default 0.
        epsilon: default 1e-10.

    Raises:
        ValueError: a hyperparameter is negative.
    """

    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    epsilon: float = 1e-10

    def check(self) -> None:
        for name in ("lr_decay", "weight_decay", "initial_accumulator_value", "epsilon"):
            check_not_negative(self, name, getattr(self, name))

    def state(self, value: Tensor) -> dict[str, Tensor]:
        return {"sum": torch.full_like(value, self.initial_accumulator_value)}

    def _rate(self, parameter: Parameter, learning_rate: float) -> float:
        if not self.lr_decay:
            return learning_rate
        return learning_rate / (1 + (parameter.updates - 1) * self.lr_decay)

    def update(
        self, parameter: Parameter, gradient: Float[Tensor, "..."], learning_rate: float
    ) -> None:
        if self.weight_decay:
            gradient = gradient.add(parameter.value, alpha=self.weight_decay)
        total = parameter.state["sum"].addcmul_(gradient, gradient)
        root = total.sqrt().add_(self.epsilon)
        parameter.value.addcdiv_(gradient, root, value=-self._rate(parameter, learning_rate))
