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
        output = torch.relu(input)
        return output, output

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        output: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        return output.sign().mul_(error)
