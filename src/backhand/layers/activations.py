"""Activations: functions of each element alone. They take the learning rate and leave it alone."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.layer import Layer


class Sigmoid(Layer):
    """output = 1 / (1 + e⁻ⁱⁿᵖᵘᵗ), of any shape.

    Backward, from the output: input error = error · (output - output²).
    """

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        output = torch.sigmoid(input)
        return output, output

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        output: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        return error * torch.addcmul(output, output, output, value=-1)


class Tanh(Layer):
    """output = tanh(input), of any shape.

    Backward, from the output: input error = error · (1 - output²).
    """

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        output = torch.tanh(input)
        return output, output

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        output: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        return error * (1 - output * output)


class ReLU(Layer):
    """output = max(0, input), of any shape.

    Backward, from the output: input error = error · sign(output), since the sign of what is
    never negative is its derivative: 1 where it rises, 0 elsewhere.
    """

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        output = torch.relu(input)
        return output, output

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        output: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        return output.sign().mul_(error)


class SELU(Layer):
    """output = λ · input where it is above 0, else λ α (eⁱⁿᵖᵘᵗ - 1), of any shape.

    Klambauer et al., "Self-Normalizing Neural Networks" (2017), eq. 2, with its λ and α.
    Backward, from the output: input error = error · λ where it is above 0, else
    error · (output + λ α).
    """

    SCALE = 1.0507009873554804934193349852946
    ALPHA = 1.6732632423543772848170429916717

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        below = torch.expm1(input.clamp(max=0)) * (self.SCALE * self.ALPHA)
        output = input.clamp(min=0) * self.SCALE + below
        return output, output

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        output: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        below = output + self.SCALE * self.ALPHA
        return error * torch.where(output > 0, self.SCALE, below)


class Mish(Layer):
    """output = input · tanh(log(1 + eⁱⁿᵖᵘᵗ)), of any shape.

    Misra, "Mish: A Self Regularized Non-Monotonic Activation Function" (2019), eq. 1. With
    e = eⁱⁿᵖᵘᵗ and n = e (e + 2), the tangent is n / (n + 2); it is 1 in every float from
    HIGHEST on, 0 up to LOWEST.
    Backward: input error = error · (n / (n + 2) + input · 4 e (e + 1) / (n + 2)²).
    """

    LOWEST = -800.0
    HIGHEST = 30.0

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        above = input.clamp(min=self.LOWEST)  # -∞ times a tangent of 0 is no number
        e = torch.exp(above.clamp(max=self.HIGHEST))
        n = e * (e + 2)
        return above * (n / (n + 2)), input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        input: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        within = input.clamp(min=self.LOWEST, max=self.HIGHEST)  # beyond, the slope is constant
        e = torch.exp(within)
        n = e * (e + 2)
        share = 1 / (n + 2)
        return error * (n * share + within * (e * (e + 1) * share * share) * 4)
