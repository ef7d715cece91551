"""Adam and AdamW."""

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
class Adam(UpdateRule):
    """Adam: steps scaled by running means of the gradient and of its square.

    mean ← β₁ mean + (1 - β₁) g;  square ← β₂ square + (1 - β₂) g²
    value ← value - learning_rate · (mean / (1 - β₁ᵗ)) / (√(square / (1 - β₂ᵗ)) + ε)
    Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.

    Args:
        beta1, beta2: decay of the two means, in [0, 1); default 0.9 and 0.999.
        epsilon: default 1e-8.
        weight_decay: default 0.
        amsgrad: divide by the largest square so far instead of the latest (Reddi et al., "On the
            Convergence of Adam and Beyond" (2018), algorithm 2); default False.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def check(self) -> None:
        check_share(self, "beta1", self.beta1)
        check_share(self, "beta2", self.beta2)
        check_truth(self, "amsgrad", self.amsgrad)
        check_not_negative(self, "epsilon", self.epsilon)
        check_not_negative(self, "weight_decay", self.weight_decay)

    def state(self, value: Tensor) -> dict[str, Tensor]:
        names = ("mean", "square", "largest") if self.amsgrad else ("mean", "square")
        return {name: torch.zeros_like(value) for name in names}

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
        if self.amsgrad:
            square = parameter.state["largest"].clamp_(min=square)
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
