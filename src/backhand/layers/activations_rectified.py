"""Activations that are the input itself above a bend, and something smaller below it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import finite, real, whole
from backhand.layer import Layer, LayerError
from backhand.learning.parameter import Parameter


class LeakyReLU(Layer):
    """output = input where it is above 0, else negative_slope · input; of any shape.

    Backward: input error = error where the input is above 0, else negative_slope · error. With a
    slope of 0 or more the output has the input's sign, and backward needs the output alone.
    Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models" (2013), eq. 2.

    Args:
        negative_slope: default 0.01.

    Raises:
        ValueError: negative_slope is not a finite number.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = finite("LeakyReLU", "negative_slope", negative_slope)

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        output = torch.where(input > 0, input, input * self.negative_slope)
        return output, output if self.negative_slope >= 0 else input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        signed: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        return torch.where(signed > 0, error, error * self.negative_slope)


class ELU(Layer):
    """output = input where it is above 0, else alpha · (eⁱⁿᵖᵘᵗ - 1); of any shape.

    Backward: input error = error where the input is above 0, else error · alpha · eⁱⁿᵖᵘᵗ: from
    the input, since output + alpha loses all its digits where eⁱⁿᵖᵘᵗ is small.
    Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units" (2016),
    eq. 15.

    Args:
        alpha: default 1.

    Raises:
        ValueError: alpha is not a finite number.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = finite("ELU", "alpha", alpha)

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        below = torch.expm1(input.clamp(max=0)) * self.alpha
        return torch.where(input > 0, input, below), input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        input: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        slope = torch.exp(input.clamp(max=0)) * self.alpha
        return torch.where(input > 0, error, error * slope)


class Softplus(Layer):
    """output = log(1 + eᶻ) / beta with z = beta · input, and the input itself where z > threshold.

    Formed as (max(z, 0) + log(1 + e⁻ᶻ of |z|)) / beta, which no z makes too large. Any shape.
    Backward: input error = error · sigmoid(z), and the error itself where z > threshold.
    Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing"
    (2001), section 3.

    Args:
        beta: how sharp the bend is; above 0, default 1.
        threshold: where the line begins; default 20.

    Raises:
        ValueError: beta is not a finite number above 0, or the threshold no number.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = finite("Softplus", "beta", beta)
        if self.beta <= 0:
            raise ValueError(f"Softplus: expected a finite beta above 0, got {beta}")
        self.threshold = real("Softplus", "threshold", threshold)

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        z = input * self.beta
        bend = torch.log1p(torch.exp(-z.abs())) * (1 / self.beta) + input.clamp(min=0)
        return torch.where(z > self.threshold, input, bend), input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        input: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        z = input * self.beta
        return torch.where(z > self.threshold, error, error * torch.sigmoid(z))


class PReLU(Layer):
    """output = input where it is above 0, else weight · input: LeakyReLU with a learned slope.

    Shapes: input and output (batch, channels, *rest), weight (num_parameters,): a slope for each
    channel, or one for all, and then any shape will do.
    Backward: input error = error where the input is above 0, else weight · error; the weight
    learns error · min(input, 0), summed over all of its channel.
    He et al., "Delving Deep into Rectifiers" (2015), eq. 1 and 4.

    Args:
        num_parameters: 1, or the number of channels; default 1.
        init: the slopes' first value; default 0.25.

    Raises:
        ValueError: num_parameters less than 1, or init not a finite number.
        LayerError: (at a call) the input's axis 1 is not num_parameters long, or its dtype is
            another.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.num_parameters = whole("PReLU", "num_parameters", num_parameters)
        self.init = finite("PReLU", "init", init)
        self.weight = Parameter(torch.full((self.num_parameters,), self.init))

    def _slopes(self, dimensions: int) -> Tensor:
        """The weight, to go with the channels of an input of so many axes."""
        if self.num_parameters == 1:
            return self.weight.value.reshape(())
        return self.weight.value.reshape(-1, *[1] * (dimensions - 2))

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        if self.num_parameters > 1 and input.shape[1:2] != (self.num_parameters,):
            raise LayerError(
                f"{self!r} expected input (batch, {self.num_parameters}, …), "
                f"got {tuple(input.shape)}"
            )
        self.expect_like(input, self.weight.value)
        return torch.where(input > 0, input, input * self._slopes(input.dim())), input

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        input: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        input_error = torch.where(input > 0, error, error * self._slopes(input.dim()))
        shares = error * input.clamp(max=0)
        if self.num_parameters > 1:
            shares = shares.movedim(1, -1)
        self.weight.learn_sum(shares.reshape(-1, self.num_parameters), learning_rate)
        return input_error
