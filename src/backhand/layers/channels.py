"""Normalization by channels: what group and batch normalization share, and GroupNorm."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.normalization import (
    affine,
    small,
    standardized,
    standardized_error,
    value_of,
)
from backhand.learning.parameter import Parameter


def channelwise(values: Tensor, like: Tensor) -> Tensor:
    """One number a channel, so that they broadcast over (batch, channels, …)."""
    return values.reshape(-1, *(1,) * (like.dim() - 2))


def scale_and_shift(
    z: Tensor, weight: Parameter | None, bias: Parameter | None
) -> Float[Tensor, "batch channels *lengths"]:
    """Z · weight + bias, channel by channel, each where there is one."""
    values = (None if each is None else channelwise(each.value, z) for each in (weight, bias))
    return affine(z, *values)


def learn_channels(parameter: Parameter | None, errors: Tensor, learning_rate: float) -> None:
    """Learn from errors (batch, channels, …), summed over all but the channels."""
    if parameter is not None:
        parameter.learn(errors.sum(all_but_channels(errors)), learning_rate)


def all_but_channels(values: Tensor) -> tuple[int, ...]:
    """The axes of (batch, channels, …) but for the second."""
    return (0, *range(2, values.dim()))


def expect_channels(layer: Layer, input: Tensor, channels: int, weight: Tensor | None) -> None:
    """Refuse an input that is not (batch, channels, …), or of another dtype than the weight's."""
    layer.expect_tensor(input)
    if input.dim() < 2 or input.shape[1] != channels:
        raise LayerError(
            f"{layer!r} expected input (batch, {channels}, …), got {tuple(input.shape)}"
        )
    if weight is not None:
        layer.expect_like(input, weight)


class GroupNorm(Layer):
    """output = z · weight + bias with z = (input - mean) / √(variance + eps), group by group.

    The channels stand in groups of equal size; mean and variance are each example's and group's
    own, over its channels and all further axes. Wu & He, "Group Normalization" (2018), eq. 1-7.
    Shapes: input and output (batch, num_channels, …), weight and bias (num_channels,).
    Backward: with e = error · weight, input error = (e - mean(e) - z · mean(e · z)) /
    √(variance + eps), means over a group; weight learns error · z, bias the error, both summed
    over all but the channels.

    Args:
        num_groups: divides num_channels.
        num_channels: at least 1.
        eps: above 0; default 1e-5.
        affine: whether there are weight (it begins at 1) and bias (at 0); default True.
        bias: whether there is a bias beside the weight; default True.

    Raises:
        ValueError: num_channels is not divisible by num_groups, or eps is not above 0.
        LayerError: (at a call) the input has other channels or another dtype.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        self.num_groups = whole("GroupNorm", "num_groups", num_groups)
        self.num_channels = whole("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(
                "GroupNorm: expected num_channels divisible by num_groups, got "
                f"num_groups={num_groups}, num_channels={num_channels}"
            )
        self.eps = small(self, eps)
        self.affine = truth("GroupNorm", "affine", affine)
        self.weight = Parameter(torch.ones(num_channels)) if affine else None
        self._bias = truth("GroupNorm", "bias", bias)
        self.bias = Parameter(torch.zeros(num_channels)) if affine and bias else None

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"bias": self._bias}

    def forward(
        self, input: Float[Tensor, "batch channels *lengths"], training: bool
    ) -> tuple[Float[Tensor, "batch channels *lengths"], tuple[Tensor, Tensor]]:
        expect_channels(self, input, self.num_channels, value_of(self.weight))
        z, inverse, _, _ = standardized(self._groups(input), (-1,), self.eps)
        z = z.reshape(input.shape)
        return scale_and_shift(z, self.weight, self.bias), (z, inverse)

    def propagate(
        self,
        error: Float[Tensor, "batch channels *lengths"],
        memory: tuple[Tensor, Tensor],
        learning_rate: float,
    ) -> Float[Tensor, "batch channels *lengths"]:
        z, inverse = memory
        scaled_error = scale_and_shift(error, self.weight, None)
        grouped = self._groups(scaled_error), self._groups(z)
        input_error = standardized_error(*grouped, inverse, (-1,)).reshape(error.shape)
        learn_channels(self.weight, error * z, learning_rate)
        learn_channels(self.bias, error, learning_rate)
        return input_error

    def _groups(self, values: Tensor) -> Tensor:
        """(batch, groups, everything else of a group)."""
        count = math.prod(values.shape[1:]) // self.num_groups
        return values.reshape(len(values), self.num_groups, count)
