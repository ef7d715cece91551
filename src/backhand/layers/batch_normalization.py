"""Batch normalization."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import finite, truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.channels import (
    all_but_channels,
    channelwise,
    expect_channels,
    learn_channels,
    scale_and_shift,
)
from backhand.layers.normalization import (
    small,
    standardized,
    standardized_error,
    value_of,
)
from backhand.learning.buffer import Buffer
from backhand.learning.parameter import Parameter


class BatchNorm(Layer):
    """What BatchNorm1d and BatchNorm2d have in common; see BatchNorm1d."""

    dimensions: ClassVar[tuple[int, ...]]
    """How many axes an input may have."""
    axes_expected: ClassVar[str]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        bias: bool = True,
    ) -> None:
        name = type(self).__name__
        self.num_features = whole(name, "num_features", num_features)
        self.momentum = None if momentum is None else finite(name, "momentum", momentum)
        if self.momentum is not None and not 0 <= self.momentum <= 1:
            raise ValueError(f"{name}: expected momentum in [0, 1] or None, got {momentum}")
        self.eps = small(self, eps)
        self.affine = truth(name, "affine", affine)
        self.track_running_stats = truth(name, "track_running_stats", track_running_stats)
        self.weight = Parameter(torch.ones(num_features)) if affine else None
        self._bias = truth(name, "bias", bias)
        self.bias = Parameter(torch.zeros(num_features)) if affine and bias else None
        tracked = track_running_stats
        self.running_mean = Buffer(torch.zeros(num_features)) if tracked else None
        self.running_var = Buffer(torch.ones(num_features)) if tracked else None
        counts = tracked and momentum is None
        self.batches = Buffer(torch.zeros((), dtype=torch.int64)) if counts else None

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"bias": self._bias}

    def forward(
        self, input: Float[Tensor, "batch channels *lengths"], training: bool
    ) -> tuple[Float[Tensor, "batch channels *lengths"], tuple[Tensor, ...] | None]:
        self._expect(input)
        if not training and self.running_mean is not None and self.running_var is not None:
            mean = channelwise(self.running_mean.value, input)
            inverse = torch.rsqrt(channelwise(self.running_var.value, input) + self.eps)
            return scale_and_shift((input - mean) * inverse, self.weight, self.bias), None
        if training and self._values_a_channel(input) == 1:
            raise LayerError(
                f"{self!r} expected more than one value a channel in training, "
                f"got {tuple(input.shape)}"
            )
        z, inverse, mean, variance = standardized(input, all_but_channels(input), self.eps)
        return scale_and_shift(z, self.weight, self.bias), (z, inverse, mean, variance)

    def propagate(
        self,
        error: Float[Tensor, "batch channels *lengths"],
        memory: tuple[Tensor, Tensor, Tensor, Tensor],
        learning_rate: float,
    ) -> Float[Tensor, "batch channels *lengths"]:
        z, inverse, mean, variance = memory
        scaled_error = scale_and_shift(error, self.weight, None)
        input_error = standardized_error(scaled_error, z, inverse, all_but_channels(z))
        learn_channels(self.weight, error * z, learning_rate)
        learn_channels(self.bias, error, learning_rate)
        if z.numel():
            self._follow(mean.flatten(), variance.flatten(), self._values_a_channel(z))
        return input_error

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics towards a batch's: its mean, and its unbiased variance."""
        unbiased = variance * (count / (count - 1))
        for running, now in ((self.running_mean, mean), (self.running_var, unbiased)):
            if running is not None and self.momentum is not None:
                running.follow(now, self.momentum)
            elif running is not None and self.batches is not None:
                running.become(running.value + (now - running.value) / (self.batches.value + 1))
        if self.batches is not None:
            self.batches.become(self.batches.value + 1)

    def _values_a_channel(self, input: Tensor) -> int:
        return math.prod(input.shape) // self.num_features

    def _expect(self, input: Tensor) -> None:
        self.expect_tensor(input)
        if input.dim() not in self.dimensions:
            raise LayerError(
                f"{self!r} expected input {self.axes_expected}, got {tuple(input.shape)}"
            )
        expect_channels(self, input, self.num_features, value_of(self.weight or self.running_mean))


class BatchNorm1d(BatchNorm):
    """output = z · weight + bias with z = (input - mean) / √(variance + eps), channel by channel.

    In training, mean and variance are the batch's, over all axes but the channels; the variance
    divides by their count n. In `predict` they are the running ones, which move in backward:
    running ← (1 - momentum) running + momentum · batch's, of the variance the unbiased one
    (n / (n - 1)). Where one step uses the layer several times they follow in the order of the
    backward, the last use first (PyTorch's follow in the order of the forward).
    Ioffe & Szegedy, "Batch Normalization" (2015), algorithms 1 and 2.
    Shapes: input and output (batch, num_features) or (batch, num_features, length); weight, bias,
    running_mean and running_var (num_features,).
    Backward: with e = error · weight, input error = (e - mean(e) - z · mean(e · z)) /
    √(variance + eps), means over a channel; weight learns error · z, bias the error, both summed
    over all but the channels.

    Args:
        num_features: channels, at least 1.
        eps: above 0; default 1e-5.
        momentum: how far the running statistics move, in [0, 1]; default 0.1; None makes them the
            mean over all batches.
        affine: whether there are weight (it begins at 1) and bias (at 0); default True.
        track_running_stats: whether there are running statistics; without, `predict` uses its
            batch's. Default True.
        bias: whether there is a bias beside the weight; default True.

    Raises:
        ValueError: an argument is out of range.
        LayerError: (at a call) the input has other channels, axes or another dtype; or, in
            training, only one value a channel, whose deviation is 0.
    """

    dimensions = (2, 3)
    axes_expected = "(batch, channels) or (batch, channels, length)"


class BatchNorm2d(BatchNorm):
    """As BatchNorm1d, for images.

    Shapes: input and output (batch, num_features, height, width); weight, bias, running_mean and
    running_var (num_features,).
    Formula, backward, arguments and errors: as BatchNorm1d.
    """

    dimensions = (4,)
    axes_expected = "(batch, channels, height, width)"
