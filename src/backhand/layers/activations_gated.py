"""Activations that are the input times a gate which the input itself opens.

Below some input the gate is 0 in every dtype, and so is the output: the input is bounded there,
so that even -∞ times a shut gate is 0. Beyond both bounds the slope is 0 or 1 in every dtype.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.layer import Layer


class GELU(Layer):
    """output = input · Φ(input), Φ the normal distribution function; of any shape.

    Φ(x) = ½ erfc(-x / √2), right to the last digits in its lower tail too. With
    approximate="tanh", Φ(x) ≈ ½ (1 + tanh u) = sigmoid(2u), u = √(2/π) (x + 0.044715 x³).
    Backward: input error = error · (Φ + input · φ), φ(x) = e^(-x²/2) / √(2π); approximately
    φ ≈ s (1 - s) · 2 √(2/π) (1 + 0.134145 x²) with s = sigmoid(2u).
    Hendrycks & Gimpel, "Gaussian Error Linear Units" (2016), section 2.

    Args:
        approximate: "none" or "tanh"; default "none".

    Raises:
        ValueError: approximate is neither.
    """

    SHUT = 64.0
    CUBIC = 0.044715

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: expected approximate "none" or "tanh", got {approximate!r}')
        self.approximate = approximate

    def _gate(self, input: Tensor) -> Tensor:
        if self.approximate == "none":
            return torch.erfc(input * -math.sqrt(0.5)) * 0.5
        return torch.sigmoid((input * input * self.CUBIC + 1) * input * math.sqrt(8 / math.pi))

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        gate = self._gate(input.clamp(-self.SHUT, self.SHUT))
        return input.clamp(min=-self.SHUT) * gate, input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        input: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        x = input.clamp(-self.SHUT, self.SHUT)
        gate = self._gate(x)
        if self.approximate == "none":
            density = torch.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
        else:
            rise = (x * x * (3 * self.CUBIC) + 1) * math.sqrt(8 / math.pi)
            density = (gate - gate * gate) * rise
        return error * (gate + x * density)


class SiLU(Layer):
    """output = input · sigmoid(input), also called swish; of any shape.

    Backward: input error = error · s (1 + input (1 - s)), s = sigmoid(input).
    Elfwing et al., "Sigmoid-Weighted Linear Units" (2018), eq. 3 and 5.
    """

    SHUT = 1000.0

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        return input.clamp(min=-self.SHUT) * torch.sigmoid(input), input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        input: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        gate = torch.sigmoid(input)
        x = input.clamp(-self.SHUT, self.SHUT)
        return error * (gate * (x * (1 - gate) + 1))


class Hardswish(Layer):
    """output = input · min(max(input + 3, 0), 6) / 6, of any shape.

    Backward: input error = 0 up to -3, error · (input / 3 + ½) between, the error itself from 3 on.
    Howard et al., "Searching for MobileNetV3" (2019), section 5.2.
    """

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        return input.clamp(min=-3) * ((input + 3).clamp(0, 6) * (1 / 6)), input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        input: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        rising = torch.where(input < 3, error * (input * (1 / 3) + 0.5), error)
        return torch.where(input > -3, rising, 0.0)
