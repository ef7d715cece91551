"""Max pooling: the largest of each window, over one axis or two."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from backhand.arguments import truth
from backhand.layer import Layer, LayerError
from backhand.layers.windows import Size, images, like, positions, sizes, written


class MaxPooling(Layer):
    """What MaxPool1d and MaxPool2d have in common; see MaxPool1d."""

    axes: ClassVar[int]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> None:
        self._kernel = sizes(self, "kernel_size", kernel_size, self.axes, 1)
        self._stride = (
            self._kernel if stride is None else sizes(self, "stride", stride, self.axes, 1)
        )
        self._pads = sizes(self, "padding", padding, self.axes, 0)
        self._dilation = sizes(self, "dilation", dilation, self.axes, 1)
        expect_at_most_half(self, self._pads, self._kernel)
        self.kernel_size = written(self._kernel)
        self.stride = None if stride is None else written(self._stride)
        self.padding = written(self._pads)
        self.dilation = written(self._dilation)
        self.ceil_mode = truth(type(self).__name__, "ceil_mode", ceil_mode)

    def forward(
        self, input: Float[Tensor, "*batch_channels_lengths"], training: bool
    ) -> tuple[Float[Tensor, "*batch_channels_positions"], tuple[Int64[Tensor, "..."], Any]]:
        rows = images(self, input, self.axes)
        if not rows.shape[1]:
            raise LayerError(f"{self!r} expected at least one channel, got {tuple(input.shape)}")
        spread = [d * (k - 1) + 1 for d, k in zip(self._dilation, self._kernel, strict=True)]
        for sides in zip(rows.shape[2:], spread, self._stride, self._pads, strict=True):
            positions(self, *sides, self.ceil_mode)
        self._expect_met(input)
        output, places = torch.ops.aten.max_pool2d_with_indices(
            rows if self.axes == 2 else rows.unsqueeze(2),
            self._flat(self._kernel, 1),
            self._flat(self._stride, 1),
            self._flat(self._pads, 0),
            self._flat(self._dilation, 1),
            self.ceil_mode,
        )
        pooled = output if self.axes == 2 else output.squeeze(2)
        return like(pooled, input, self.axes), (places, input.shape)

    def propagate(
        self,
        error: Float[Tensor, "*batch_channels_positions"],
        memory: tuple[Int64[Tensor, "..."], Any],
        learning_rate: float,
    ) -> Float[Tensor, "*batch_channels_lengths"]:
        places, shape = memory
        flat = places.flatten(2)
        input_error = error.new_zeros(*flat.shape[:2], shape[-self.axes :].numel())
        return input_error.scatter_add_(2, flat, error.reshape(flat.shape)).reshape(shape)

    def _expect_met(self, input: Tensor) -> None:
        """Refuse an input that a window has no element in: what it would be is no number.

        A window that begins in the padding first comes out of it at begin modulo dilation.
        """
        lengths = input.shape[-self.axes :]
        sides = zip(lengths, self._stride, self._pads, self._dilation, strict=True)
        for length, stride, padding, dilation in sides:
            outside = range(-padding, 0, stride) if dilation > length else ()
            if any(begin % dilation >= length for begin in outside):
                raise LayerError(
                    f"{self!r} expected an input in which every window has an element, got "
                    f"{tuple(input.shape)}, which a window with dilation {dilation} steps over"
                )

    def _flat(self, numbers: tuple[int, ...], across: int) -> list[int]:
        """Sizes along height and width; over one axis the image is one high."""
        return [across, *numbers] if self.axes == 1 else list(numbers)


def expect_at_most_half(layer: Layer, padding: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    """Refuse padding in which a window could lie whole."""
    if any(2 * pad > k for pad, k in zip(padding, kernel, strict=True)):
        raise ValueError(
            f"{type(layer).__name__}: expected padding of at most half of "
            f"kernel_size={written(kernel)}, got {written(padding)}"
        )


class MaxPool1d(MaxPooling):
    """output[…, p] = the largest of input[…, p·stride + k·dilation - padding] over k.

    Shapes: input (*batch, channels, length), output (*batch, channels, positions) with
    positions = ⌊(length + 2 padding - dilation (kernel_size - 1) - 1) / stride⌋ + 1, or ⌈ ⌉ with
    ceil_mode, whose last window must begin inside the input or its padding on the left.
    Backward: the error goes to the place of the largest, the first one where several are equal,
    and is summed where windows overlap. Memory: the places.

    Args:
        kernel_size: of a window; at least 1.
        stride: from window to window; default None, the kernel_size.
        padding: on both sides, of what is smaller than every number; at most half of
            kernel_size; default 0.
        dilation: from element to element of a window; default 1.
        ceil_mode: whether a window that reaches past the end counts; default False.

    Raises:
        ValueError: a size is out of range.
        LayerError: (at a call) the input has too few axes, is shorter than a window, or lies
            whole between two elements of one.
    """

    axes = 1


class MaxPool2d(MaxPooling):
    """As MaxPool1d, over height and width: sizes are one number, or a pair (height, width).

    Shapes: input (*batch, channels, height, width), output (*batch, channels, …, …).
    Backward, arguments and errors: as MaxPool1d.
    """

    axes = 2
