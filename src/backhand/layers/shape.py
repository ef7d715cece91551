"""Layers that only give their input another shape, and the error its own again."""

from __future__ import annotations

import math
from typing import Any

from jaxtyping import Shaped
from torch import Tensor

from backhand.arguments import whole
from backhand.layer import Layer, LayerError


class Flatten(Layer):
    """output = input with the axes from start_dim to end_dim in one.

    Shapes: input (batch, …), output (batch, features) by default.
    Backward: the error in the input's shape.

    Args:
        start_dim, end_dim: the first and the last axis of those; default 1 and -1. The batch axis
            is 0 and may not be among them.

    Raises:
        ValueError: start_dim is 0.
        LayerError: (at a call) the input has no such axes.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = whole("Flatten", "start_dim", start_dim, -math.inf)
        self.end_dim = whole("Flatten", "end_dim", end_dim, -math.inf)
        if start_dim == 0:
            raise ValueError("Flatten: expected start_dim other than 0, the batch axis")

    def forward(
        self, input: Shaped[Tensor, "*shape"], training: bool
    ) -> tuple[Shaped[Tensor, "*flat"], tuple[int, ...]]:
        self.expect_tensor(input, floats=False)
        axes = input.dim()
        first, last = (dim + axes if dim < 0 else dim for dim in (self.start_dim, self.end_dim))
        if not 0 < first <= last < axes:
            raise LayerError(f"{self!r} expected an input with such axes, got {tuple(input.shape)}")
        merged = math.prod(input.shape[first : last + 1])
        shape = (*input.shape[:first], merged, *input.shape[last + 1 :])
        return input.reshape(shape), tuple(input.shape)

    def propagate(
        self, error: Shaped[Tensor, "*flat"], shape: tuple[int, ...], learning_rate: float
    ) -> Shaped[Tensor, "*shape"]:
        return error.reshape(shape)


class Reshape(Layer):
    """output = each example's numbers under another shape.

    Shapes: input (batch, …), output (batch, *shape), of as many numbers.
    Backward: the error in the input's shape.

    Args:
        shape: lengths of at least 1 without the batch axis.

    Raises:
        ValueError: a length less than 1.
        LayerError: (at a call) the input has another number of numbers.
    """

    def __init__(self, shape: Any) -> None:
        given = shape if isinstance(shape, tuple | list) else [shape]
        self.shape = tuple(whole("Reshape", "shape", each) for each in given)

    def forward(
        self, input: Shaped[Tensor, "batch *shape"], training: bool
    ) -> tuple[Shaped[Tensor, "batch *output"], tuple[int, ...]]:
        self.expect_tensor(input, floats=False)
        if math.prod(input.shape[1:]) != math.prod(self.shape):
            raise LayerError(
                f"{self!r} expected examples of {math.prod(self.shape)} numbers, "
                f"got input {tuple(input.shape)}"
            )
        return input.reshape(len(input), *self.shape), tuple(input.shape)

    def propagate(
        self, error: Shaped[Tensor, "batch *output"], shape: tuple[int, ...], learning_rate: float
    ) -> Shaped[Tensor, "batch *shape"]:
        return error.reshape(shape)


class Transpose(Layer):
    """output = input with two axes in each other's place.

    Backward: the error with the same axes in each other's place.

    Args:
        dim0, dim1: the axes; neither is 0, the batch axis.

    Raises:
        ValueError: one is 0.
        LayerError: (at a call) the input has no such axes.
    """

    def __init__(self, dim0: int, dim1: int) -> None:
        self.dim0 = whole("Transpose", "dim0", dim0, -math.inf)
        self.dim1 = whole("Transpose", "dim1", dim1, -math.inf)
        if 0 in (dim0, dim1):
            raise ValueError("Transpose: expected axes other than 0, the batch axis")

    def forward(
        self, input: Shaped[Tensor, "*shape"], training: bool
    ) -> tuple[Shaped[Tensor, "*turned"], None]:
        self.expect_tensor(input, floats=False)
        axes = input.dim()
        if not all(0 < (dim + axes if dim < 0 else dim) < axes for dim in (self.dim0, self.dim1)):
            raise LayerError(f"{self!r} expected an input with such axes, got {tuple(input.shape)}")
        return input.transpose(self.dim0, self.dim1), None

    def propagate(
        self, error: Shaped[Tensor, "*turned"], memory: None, learning_rate: float
    ) -> Shaped[Tensor, "*shape"]:
        return error.transpose(self.dim0, self.dim1)
