"""Convolutions over one axis or two.

A convolution, its input error and its weight's gradient are one sum, Σ left · right over windows,
seen from its three ends: docs/math/convolution.md derives them. Each end is a plain forward
operation of torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import instance, truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.initializers import Initializer, KaimingUniform
from backhand.layers.windows import Size, cut, images, like, padded, sizes, written
from backhand.learning.parameter import Parameter

CONVOLVE: dict[int, Callable[..., Tensor]] = {1: torch.conv1d, 2: torch.conv2d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: torch.conv_transpose1d,
    2: torch.conv_transpose2d,
}


def weight_gradient(
    input: Float[Tensor, "batch inputs *lengths"],
    error: Float[Tensor, "batch outputs *positions"],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Float[Tensor, "outputs inputs_per_group *kernel"]:
    """The gradient of a convolution's weight: the input convolved with the error.

    gradient[o, c, k] = Σ over batch b and positions p of
    error[b, o, p] · input[b, c, p · stride + k · dilation - padding].
    As a convolution: channels and batch change places, and so do stride and dilation.
    """
    axes = len(kernel)
    batch, inputs, outputs = len(input), input.shape[1], error.shape[1]
    if not batch:
        return input.new_zeros(outputs, inputs // groups, *kernel)
    if groups == 1:
        turned, kernels = input.transpose(0, 1), error.transpose(0, 1)
    else:  # the groups stand side by side as channels: (inputs of a group, groups · batch, …)
        grouped = input.reshape(batch, groups, inputs // groups, *input.shape[2:])
        turned = grouped.permute(2, 1, 0, *range(3, 3 + axes)).flatten(1, 2)
        kernels = error.transpose(0, 1)
    found = CONVOLVE[axes](turned, kernels, None, dilation, padding, stride, groups)
    return cut(found, (0,) * axes, kernel).transpose(0, 1)


class Windowed(Layer):
    """What convolutions and transposed ones have in common; see Conv1d and ConvTranspose1d."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        dilation: Size,
        groups: int,
    ) -> None:
        owner = type(self).__name__
        self.in_channels = whole(owner, "in_channels", in_channels)
        self.out_channels = whole(owner, "out_channels", out_channels)
        self.groups = whole(owner, "groups", groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{owner}: expected channels divisible by groups={groups}, got "
                f"in_channels={in_channels}, out_channels={out_channels}"
            )
        self._kernel = sizes(self, "kernel_size", kernel_size, self.axes, 1)
        self._stride = sizes(self, "stride", stride, self.axes, 1)
        self._dilation = sizes(self, "dilation", dilation, self.axes, 1)
        self.kernel_size = written(self._kernel)
        self.stride = written(self._stride)
        self.dilation = written(self._dilation)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"bias": self.bias is not None}

    bias: Parameter | None

    def _bias(self, wanted: bool) -> Parameter | None:
        truth(type(self).__name__, "bias", wanted)
        return Parameter(torch.zeros(self.out_channels)) if wanted else None

    def _images(self, input: Tensor, weight: Tensor) -> Tensor:
        found = images(self, input, self.axes, self.in_channels)
        self.expect_like(input, weight)
        return found

    def _learn_bias(self, error: Tensor, learning_rate: float) -> None:
        if self.bias is not None:
            self.bias.learn(error.sum((0, *range(2, 2 + self.axes))), learning_rate)


class Convolution(Windowed):
    """What Conv1d and Conv2d have in common; see there."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        initializer: Initializer = KaimingUniform(),
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self._before, self._after = self._padding(padding)
        self.padding = padding if isinstance(padding, str) else written(self._before)
        self.initializer = instance(type(self).__name__, "initializer", initializer, Initializer)
        self.weight = Parameter(initializer(out_channels, in_channels // groups, *self._kernel))
        self.bias = self._bias(bias)

    def _padding(self, padding: Size | str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Zeros before and after along each axis; "same" puts an odd one after, as PyTorch does."""
        if not isinstance(padding, str):
            both = sizes(self, "padding", padding, self.axes, 0)
            return both, both
        name = type(self).__name__
        if padding not in ("same", "valid"):
            raise ValueError(
                f'{name}: expected padding as numbers, "same" or "valid", got {padding!r}'
            )
        if padding == "valid":
            return (0,) * self.axes, (0,) * self.axes
        if any(step != 1 for step in self._stride):
            raise ValueError(f'{name}: padding="same" wants a stride of 1, got {self.stride}')
        total = [d * (k - 1) for d, k in zip(self._dilation, self._kernel, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)

    def _evenly_padded(self, input: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """The input, and the padding, equal on both sides, that the convolution itself adds."""
        if self._before == self._after:
            return input, self._before
        return padded(input, self._before, self._after), (0,) * self.axes

    def forward(
        self, input: Float[Tensor, "*batch_inputs_lengths"], training: bool
    ) -> tuple[Float[Tensor, "*batch_outputs_positions"], Float[Tensor, "*batch_inputs_lengths"]]:
        weight = self.weight.value
        rows, padding = self._evenly_padded(self._images(input, weight))
        self._expect_room(input)
        bias = None if self.bias is None else self.bias.value
        output = CONVOLVE[self.axes](
            rows, weight, bias, self._stride, padding, self._dilation, self.groups
        )
        return like(output, input, self.axes), input

    def propagate(
        self,
        error: Float[Tensor, "*batch_outputs_positions"],
        input: Float[Tensor, "*batch_inputs_lengths"],
        learning_rate: float,
    ) -> Float[Tensor, "*batch_inputs_lengths"]:
        errors = images(self, error, self.axes)
        rows, padding = self._evenly_padded(images(self, input, self.axes))
        input_error = self._input_error(errors, rows, padding)
        gradient = weight_gradient(
            rows, errors, self._kernel, self._stride, padding, self._dilation, self.groups
        )
        self.weight.learn(gradient, learning_rate)
        self._learn_bias(errors, learning_rate)
        uncovered = cut(input_error, self._before, input.shape[-self.axes :])
        return like(uncovered, input, self.axes)

    def _input_error(self, error: Tensor, input: Tensor, padding: tuple[int, ...]) -> Tensor:
        """The error through the transposed convolution, to the very lengths of the input."""
        lengths = zip(input.shape[2:], error.shape[2:], strict=True)
        unused = tuple(
            length - ((positions - 1) * s - 2 * p + d * (k - 1) + 1)
            for (length, positions), s, p, d, k in zip(
                lengths, self._stride, padding, self._dilation, self._kernel, strict=True
            )
        )
        if not len(error):
            return torch.zeros_like(input)
        return TRANSPOSED[self.axes](
            error, self.weight.value, None, self._stride, padding, unused, self.groups,
            self._dilation,
        )  # fmt: skip

    def _expect_room(self, input: Tensor) -> None:
        """Refuse an input that is empty, or shorter than one window."""
        for length, k, d, before, after in zip(
            input.shape[-self.axes :], self._kernel, self._dilation, self._before, self._after,
            strict=True,
        ):  # fmt: skip
            if length < 1 or length + before + after < d * (k - 1) + 1:
                raise LayerError(
                    f"{self!r} expected at least {max(1, d * (k - 1) + 1 - before - after)} along "
                    f"each axis, got input {tuple(input.shape)}"
                )


class Conv1d(Convolution):
    """output[b, o, p] = bias[o] + Σ weight[o, c, k] · input[b, c, p·s + k·d - padding] over c, k.

    Shapes: input (*batch, in_channels, length), output (*batch, out_channels, positions) with
    positions = ⌊(length + 2 padding - d (kernel_size - 1) - 1) / s⌋ + 1, weight (out_channels,
    in_channels / groups, kernel_size), bias (out_channels,). s is the stride, d the dilation;
    with groups, each group of outputs sees its own group of inputs only.
    Backward: the input error is the transposed convolution of the error with the weight; the
    weight learns the input convolved with the error, the bias the error summed over batch and
    positions. Dumoulin & Visin, "A guide to convolution arithmetic" (2016), sections 2 and 4.

    Args:
        in_channels, out_channels: at least 1, divisible by groups.
        kernel_size: of a window; at least 1.
        stride: from window to window; default 1.
        padding: zeros on both sides, default 0; "same" keeps the length (stride 1), "valid" is 0.
        dilation: from element to element of a window; default 1.
        groups: default 1.
        bias: whether there is one; default True. It begins at 0.
        initializer: makes the weight; default Kaiming uniform (He et al. 2015, eq. 10).

    Raises:
        ValueError: a size is out of range, or channels are not divisible by groups.
        LayerError: (at a call) the input has other channels or another dtype, or is shorter than
            a window.
    """

    axes = 1


class Conv2d(Convolution):
    """output[b, o, p, q] = bias[o] + Σ over c, k, l of weight[o, c, k, l] · input[b, c, …, …].

    Where Conv1d slides along a length, this slides along height and width: each of kernel_size,
    stride, padding and dilation is one number, or a pair (height, width).
    Shapes: input (*batch, in_channels, height, width), output (*batch, out_channels, …, …),
    weight (out_channels, in_channels / groups, kernel_size …), bias (out_channels,).
    Backward, arguments and errors: as Conv1d.
    """

    axes = 2
