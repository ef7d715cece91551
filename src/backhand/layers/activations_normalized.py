"""Activations over an axis: what comes out sums to 1 along it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import whole
from backhand.layer import Layer, LayerError


def _expect_axis(layer: Layer, input: Tensor, dim: int) -> None:
    if not -max(input.dim(), 1) <= dim < max(input.dim(), 1):
        raise LayerError(
            f"{layer!r} expected an input with an axis {dim}, got {tuple(input.shape)}"
        )


class Softmax(Layer):
    """output = eⁱⁿᵖᵘᵗ / Σ eⁱⁿᵖᵘᵗ along one axis, of any shape.

    Backward, from the output: input error = output · (error - Σ error · output).
    Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990).

    Args:
        dim: the axis; default the last.

    Raises:
        TypeError: dim is not an integer.
        LayerError: (at a call) the input has no such axis.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole("Softmax", "dim", dim, least=-math.inf)

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        _expect_axis(self, input, self.dim)
        output = torch.softmax(input, self.dim)
        return output, output

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        output: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        share = error * output
        return share - output * share.sum(self.dim, keepdim=True)


class LogSoftmax(Layer):
    """output = input - log Σ eⁱⁿᵖᵘᵗ along one axis, of any shape.

    Backward, from the output: input error = error - e^output · Σ error.

    Args:
        dim: the axis; default the last.

    Raises:
        TypeError: dim is not an integer.
        LayerError: (at a call) the input has no such axis.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole("LogSoftmax", "dim", dim, least=-math.inf)

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        self.expect_tensor(input)
        _expect_axis(self, input, self.dim)
        output = torch.log_softmax(input, self.dim)
        return output, output

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        output: Float[Tensor, "*shape"],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        return error - torch.exp(output) * error.sum(self.dim, keepdim=True)
