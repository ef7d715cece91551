"""Normalization over an example's last axes: LayerNorm and RMSNorm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import finite, truth, whole
from backhand.layer import Layer, LayerError
from backhand.learning.buffer import Buffer
from backhand.learning.parameter import Parameter


def standardized(
    input: Float[Tensor, "*shape"], axes: tuple[int, ...], eps: float
) -> tuple[Float[Tensor, "*shape"], Tensor, Tensor, Tensor]:
    """Z = (input - mean) / √(variance + eps), 1 / √(variance + eps), the mean and the variance.

    Mean and variance are over `axes`, which they keep with length 1.
    """
    mean = input.mean(axes, keepdim=True)
    centred = input - mean
    variance = centred.square().mean(axes, keepdim=True)
    inverse = torch.rsqrt(variance + eps)
    return centred * inverse, inverse, mean, variance


def standardized_error(
    error: Float[Tensor, "*shape"],
    z: Float[Tensor, "*shape"],
    inverse: Tensor,
    axes: tuple[int, ...],
) -> Float[Tensor, "*shape"]:
    """(error - mean(error) - z · mean(error · z)) / √(variance + eps), means over `axes`.

    The two means are what the error does by way of the mean and of the variance.
    """
    along = (error * z).mean(axes, keepdim=True)
    return (error - error.mean(axes, keepdim=True) - z * along) * inverse


def affine(z: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Z · weight + bias, each where there is one."""
    if weight is None:
        return z
    return z * weight if bias is None else torch.addcmul(bias, z, weight)


def value_of(part: Parameter | Buffer | None) -> Tensor | None:
    """The parameter's or buffer's value, where there is one."""
    return None if part is None else part.value


def small(layer: Layer, eps: float) -> float:
    """The eps as a float; refused where it is not a finite number above 0."""
    number = finite(type(layer).__name__, "eps", eps)
    if number <= 0:
        raise ValueError(f"{type(layer).__name__}: expected an eps above 0, got {eps}")
    return number


class _Trailing(Layer):
    """What LayerNorm and RMSNorm have in common: they look at the last axes."""

    def __init__(self, normalized_shape: int | Sequence[int]) -> None:
        owner = type(self).__name__
        given: Any = normalized_shape
        if not isinstance(given, tuple | list):
            given = [given]
        if not given:
            raise ValueError(f"{owner}: expected normalized_shape with at least one length")
        self._shape = tuple(whole(owner, "normalized_shape", each) for each in given)
        self._axes = tuple(range(-len(self._shape), 0))
        whole_shape = isinstance(normalized_shape, tuple | list)
        self.normalized_shape = type(given)(self._shape) if whole_shape else self._shape[0]

    def _expect(self, input: Tensor, weight: Parameter | None) -> None:
        self.expect_tensor(input)
        if input.shape[-len(self._shape) :] != self._shape:
            shape = ", ".join(map(str, self._shape))
            raise LayerError(f"{self!r} expected input (batch, {shape}), got {tuple(input.shape)}")
        if weight is not None:
            self.expect_like(input, weight.value)

    def _learn(self, parameter: Parameter | None, errors: Tensor, learning_rate: float) -> None:
        """Learn from errors of the input's shape."""
        if parameter is not None:
            rows = errors.reshape(-1, math.prod(self._shape))
            if len(self._shape) == 1:
                parameter.learn_sum(rows, learning_rate)
            else:
                parameter.learn(rows.sum(0).reshape(self._shape), learning_rate)


class LayerNorm(_Trailing):
    """output = z · weight + bias with z = (input - mean) / √(variance + eps).

    Mean and variance are each example's own, over the last axes (normalized_shape); the variance
    divides by their count. Ba, Kiros, Hinton, "Layer Normalization" (2016), eq. 3 and 4.
    Shapes: input and output (*batch, *normalized_shape), weight and bias normalized_shape.
    Backward: with e = error · weight, input error = (e - mean(e) - z · mean(e · z)) /
    √(variance + eps); weight learns error · z, bias the error, both summed over the batch.

    Args:
        normalized_shape: the last axes' lengths; one number for one axis.
        eps: above 0; default 1e-5.
        elementwise_affine: whether there is a weight (it begins at 1); default True.
        bias: whether there is a bias beside it (it begins at 0); default True.

    Raises:
        ValueError: a length less than 1, or eps is not above 0.
        LayerError: (at a call) the input's last axes are others, or its dtype.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(normalized_shape)
        self.eps = small(self, eps)
        self.elementwise_affine = truth(
            type(self).__name__, "elementwise_affine", elementwise_affine
        )
        self._bias = truth("LayerNorm", "bias", bias)
        self.weight = Parameter(torch.ones(self._shape)) if elementwise_affine else None
        self.bias = Parameter(torch.zeros(self._shape)) if elementwise_affine and bias else None

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"bias": self._bias}

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], tuple[Float[Tensor, "*shape"], Tensor]]:
        self._expect(input, self.weight)
        z, inverse, _, _ = standardized(input, self._axes, self.eps)
        return affine(z, value_of(self.weight), value_of(self.bias)), (z, inverse)

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        memory: tuple[Float[Tensor, "*shape"], Tensor],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        z, inverse = memory
        scaled_error = error if self.weight is None else error * self.weight.value
        input_error = standardized_error(scaled_error, z, inverse, self._axes)
        self._learn(self.weight, error * z, learning_rate)
        self._learn(self.bias, error, learning_rate)
        return input_error


class RMSNorm(_Trailing):
    """output = z · weight with z = input / √(mean(input²) + eps).

    The mean is each example's own, over the last axes (normalized_shape). Zhang & Sennrich, "Root
    Mean Square Layer Normalization" (2019), eq. 4.
    Shapes: input and output (*batch, *normalized_shape), weight normalized_shape.
    Backward: with e = error · weight, input error = (e - z · mean(e · z)) / √(mean(input²) + eps);
    weight learns error · z summed over the batch.

    Args:
        normalized_shape: the last axes' lengths; one number for one axis.
        eps: above 0; default None, the dtype's distance from 1 to the next number.
        elementwise_affine: whether there is a weight (it begins at 1); default True.

    Raises:
        ValueError: a length less than 1, or eps is not above 0.
        LayerError: (at a call) the input's last axes are others, or its dtype.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__(normalized_shape)
        if eps is not None:
            eps = small(self, eps)
        self.eps = eps
        self.elementwise_affine = truth(
            type(self).__name__, "elementwise_affine", elementwise_affine
        )
        self.weight = Parameter(torch.ones(self._shape)) if elementwise_affine else None

    def forward(
        self, input: Float[Tensor, "*shape"], training: bool
    ) -> tuple[Float[Tensor, "*shape"], tuple[Float[Tensor, "*shape"], Tensor]]:
        self._expect(input, self.weight)
        eps = torch.finfo(input.dtype).eps if self.eps is None else self.eps
        inverse = torch.rsqrt(input.square().mean(self._axes, keepdim=True) + eps)
        z = input * inverse
        return affine(z, value_of(self.weight), None), (z, inverse)

    def propagate(
        self,
        error: Float[Tensor, "*shape"],
        memory: tuple[Float[Tensor, "*shape"], Tensor],
        learning_rate: float,
    ) -> Float[Tensor, "*shape"]:
        z, inverse = memory
        scaled_error = error if self.weight is None else error * self.weight.value
        along = (scaled_error * z).mean(self._axes, keepdim=True)
        input_error = (scaled_error - z * along) * inverse
        self._learn(self.weight, error * z, learning_rate)
        return input_error
