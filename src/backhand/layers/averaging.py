"""Average pooling: the mean of each window, over one axis or two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from backhand.arguments import truth
from backhand.layer import Layer, LayerError
from backhand.layers.pooling import expect_at_most_half
from backhand.layers.window_sums import (
    SteppedWindows,
    Windows,
    adaptive_windows,
    divided,
    regular_windows,
)
from backhand.layers.windows import Size, images, like, positions, sizes, written


class Averaging(Layer):
    """What average pooling has in common, whatever its windows."""

    axes: ClassVar[int]

    def windows(self, length: int, axis: int) -> Windows | SteppedWindows:
        """The windows along an axis of this length."""
        raise NotImplementedError(f"{type(self).__name__} has no windows")

    def forward(
        self, input: Float[Tensor, "*batch_channels_lengths"], training: bool
    ) -> tuple[Float[Tensor, "*batch_channels_positions"], Any]:
        sums = images(self, input, self.axes)
        along = self._along(input.shape)
        for axis, windows in enumerate(along, start=-self.axes):
            sums = windows.sums(sums, axis)
        output = divided(sums, [windows.runs for windows in along])
        return like(output, input, self.axes), input.shape

    def propagate(
        self, error: Float[Tensor, "*batch_channels_positions"], shape: Any, learning_rate: float
    ) -> Float[Tensor, "*batch_channels_lengths"]:
        along = self._along(shape)
        input_error = divided(error, [windows.runs for windows in along])
        for axis in range(-1, -1 - self.axes, -1):
            input_error = along[axis].spread(input_error, axis)
        return input_error

    def _along(self, shape: Sequence[int]) -> list[Windows | SteppedWindows]:
        lengths = shape[-self.axes :]
        return [self.windows(length, axis) for axis, length in enumerate(lengths)]


class AveragePooling(Averaging):
    """What AvgPool1d and AvgPool2d have in common; see AvgPool1d."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._kernel = sizes(self, "kernel_size", kernel_size, self.axes, 1)
        self._stride = (
            self._kernel if stride is None else sizes(self, "stride", stride, self.axes, 1)
        )
        self._pads = sizes(self, "padding", padding, self.axes, 0)
        expect_at_most_half(self, self._pads, self._kernel)
        self.kernel_size = written(self._kernel)
        self.stride = None if stride is None else written(self._stride)
        self.padding = written(self._pads)
        self.ceil_mode = truth(type(self).__name__, "ceil_mode", ceil_mode)
        self.count_include_pad = truth(type(self).__name__, "count_include_pad", count_include_pad)

    def windows(self, length: int, axis: int) -> Windows | SteppedWindows:
        k, s, pad = self._kernel[axis], self._stride[axis], self._pads[axis]
        count = positions(self, length, k, s, pad, self.ceil_mode)
        return regular_windows(length, k, s, pad, count, self.count_include_pad)


class AvgPool1d(AveragePooling):
    """output[…, p] = the mean of input[…, p·stride + k - padding] over k.

    Shapes: input (*batch, channels, length), output (*batch, channels, positions) with
    positions = ⌊(length + 2 padding - kernel_size) / stride⌋ + 1, or ⌈ ⌉ with ceil_mode, whose
    last window must begin inside the input or its padding on the left.
    Backward: every element of a window gets the error over its count; where windows overlap, the
    sum.

    Args:
        kernel_size: of a window; at least 1.
        stride: from window to window; default None, the kernel_size.
        padding: zeros on both sides; at most half of kernel_size; default 0.
        ceil_mode: whether a window that reaches past the end counts; default False.
        count_include_pad: whether the mean counts the padding's zeros; default True.

    Raises:
        ValueError: a size is out of range.
        LayerError: (at a call) the input has too few axes, or is shorter than a window.
    """

    axes = 1


class AvgPool2d(AveragePooling):
    """As AvgPool1d, over height and width: sizes are one number, or a pair (height, width).

    Shapes: input (*batch, channels, height, width), output (*batch, channels, …, …).
    Backward, arguments and errors: as AvgPool1d.
    """

    axes = 2


class AdaptiveAveragePooling(Averaging):
    """What AdaptiveAvgPool1d and AdaptiveAvgPool2d have in common; see AdaptiveAvgPool1d."""

    def __init__(self, output_size: Any) -> None:
        given = output_size if isinstance(output_size, tuple | list) else (output_size,) * self.axes
        least = sizes(self, "output_size", [1 if n is None else n for n in given], self.axes, 1)
        self._output = tuple(
            None if each is None else size for each, size in zip(given, least, strict=True)
        )
        self.output_size = written(self._output)

    def windows(self, length: int, axis: int) -> Windows | SteppedWindows:
        if not length:
            raise LayerError(f"{self!r} expected at least 1 along each axis, got 0")
        return adaptive_windows(length, self._output[axis] or length)


class AdaptiveAvgPool1d(AdaptiveAveragePooling):
    """output[…, p] = the mean of input[…, ⌊p·length / n⌋ : ⌈(p + 1)·length / n⌉], n positions.

    Shapes: input (*batch, channels, length), output (*batch, channels, n).
    Backward: every element of a window gets the error over its count; where windows overlap, the
    sum.

    Args:
        output_size: n, at least 1.

    Raises:
        ValueError: output_size is less than 1.
        LayerError: (at a call) the input has too few axes, or an empty one.
    """

    axes = 1


class AdaptiveAvgPool2d(AdaptiveAveragePooling):
    """As AdaptiveAvgPool1d, over height and width.

    Shapes: input (*batch, channels, height, width), output (*batch, channels, *output_size).

    Args:
        output_size: one number, or a pair (height, width); None keeps a length as it is.
    """

    axes = 2


class GlobalAveragePooling(Layer):
    """What GlobalAvgPool1d and GlobalAvgPool2d have in common; see GlobalAvgPool1d."""

    axes: ClassVar[int]

    def forward(
        self, input: Float[Tensor, "*batch_channels_lengths"], training: bool
    ) -> tuple[Float[Tensor, "*batch_channels"], tuple[int, ...]]:
        images(self, input, self.axes)
        if not math.prod(input.shape[-self.axes :]):
            raise LayerError(
                f"{self!r} expected at least 1 along each axis, got {tuple(input.shape)}"
            )
        return input.flatten(-self.axes).mean(-1), tuple(input.shape)

    def propagate(
        self, error: Float[Tensor, "*batch_channels"], shape: tuple[int, ...], learning_rate: float
    ) -> Float[Tensor, "*batch_channels_lengths"]:
        share = error * (1 / math.prod(shape[-self.axes :]))
        return share.reshape(*error.shape, *(1,) * self.axes).expand(shape)


class GlobalAvgPool1d(GlobalAveragePooling):
    """output[…, c] = the mean of input[…, c, :].

    Shapes: input (*batch, channels, length), output (*batch, channels).
    Backward: every element gets the error over the length.
    Lin et al., "Network In Network" (2014), section 3.2.

    Raises:
        LayerError: (at a call) the input has too few axes.
    """

    axes = 1


class GlobalAvgPool2d(GlobalAveragePooling):
    """output[…, c] = the mean of input[…, c, :, :].

    Shapes: input (*batch, channels, height, width), output (*batch, channels).
    Backward: every element gets the error over height · width.
    Lin et al., "Network In Network" (2014), section 3.2.

    Raises:
        LayerError: (at a call) the input has too few axes.
    """

    axes = 2
