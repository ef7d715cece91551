"""Transposed convolutions over one axis or two: from positions back to lengths."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from backhand.arguments import instance
from backhand.layer import LayerError
from backhand.layers.convolution import CONVOLVE, TRANSPOSED, Windowed, weight_gradient
from backhand.layers.initializers import Initializer, KaimingUniform
from backhand.layers.windows import Size, cut, images, like, sizes, written
from backhand.learning.parameter import Parameter


class TransposedConvolution(Windowed):
    """What ConvTranspose1d and ConvTranspose2d have in common; see there."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        initializer: Initializer = KaimingUniform(),
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self._pads = sizes(self, "padding", padding, self.axes, 0)
        self._unused = sizes(self, "output_padding", output_padding, self.axes, 0)
        for unused, step, spread in zip(self._unused, self._stride, self._dilation, strict=True):
            if unused >= max(step, spread):
                raise ValueError(
                    f"{type(self).__name__}: expected output_padding below stride or dilation, "
                    f"got {output_padding} with stride {self.stride}, dilation {self.dilation}"
                )
        self.padding = written(self._pads)
        self.output_padding = written(self._unused)
        self.initializer = instance(type(self).__name__, "initializer", initializer, Initializer)
        drawn = initializer(out_channels // groups, in_channels, *self._kernel)
        self.weight = Parameter(drawn.transpose(0, 1).contiguous())
        self.bias = self._bias(bias)

    def forward(
        self, input: Float[Tensor, "*batch_inputs_positions"], training: bool
    ) -> tuple[Float[Tensor, "*batch_outputs_lengths"], Float[Tensor, "*batch_inputs_positions"]]:
        weight = self.weight.value
        rows = self._images(input, weight)
        lengths = self._lengths(input.shape[-self.axes :])
        if not all(input.shape[-self.axes :]):
            raise LayerError(
                f"{self!r} expected at least 1 along each axis, got input {tuple(input.shape)}"
            )
        if min(lengths) < 1:
            raise LayerError(f"{self!r}: input {tuple(input.shape)} leaves no output")
        if not len(rows):
            return like(input.new_zeros(0, self.out_channels, *lengths), input, self.axes), input
        bias = None if self.bias is None else self.bias.value
        output = TRANSPOSED[self.axes](
            rows, weight, bias, self._stride, self._pads, self._unused, self.groups, self._dilation
        )
        return like(output, input, self.axes), input

    def propagate(
        self,
        error: Float[Tensor, "*batch_outputs_lengths"],
        input: Float[Tensor, "*batch_inputs_positions"],
        learning_rate: float,
    ) -> Float[Tensor, "*batch_inputs_positions"]:
        errors, rows = images(self, error, self.axes), images(self, input, self.axes)
        whole = CONVOLVE[self.axes](
            errors, self.weight.value, None, self._stride, self._pads, self._dilation, self.groups
        )
        input_error = cut(whole, (0,) * self.axes, rows.shape[2:])
        gradient = weight_gradient(
            errors, rows, self._kernel, self._stride, self._pads, self._dilation, self.groups
        )
        self.weight.learn(gradient, learning_rate)
        self._learn_bias(errors, learning_rate)
        return like(input_error, input, self.axes)

    def _lengths(self, positions: Sequence[int]) -> list[int]:
        sides = zip(
            positions, self._stride, self._pads, self._dilation, self._kernel, self._unused,
            strict=True,
        )  # fmt: skip
        return [(n - 1) * s - 2 * p + d * (k - 1) + 1 + unused for n, s, p, d, k, unused in sides]


class ConvTranspose1d(TransposedConvolution):
    """output[b, o, q] = bias[o] + Σ weight[c, o, k] · input[b, c, p], the transpose of Conv1d.

    The sum is over all c, k and p for which q = p·s + k·d - padding.

    Shapes: input (*batch, in_channels, positions), output (*batch, out_channels, length) with
    length = (positions - 1) s - 2 padding + d (kernel_size - 1) + output_padding + 1, weight
    (in_channels, out_channels / groups, kernel_size), bias (out_channels,).
    Backward: the input error is the convolution of the error with the weight; the weight learns
    the error convolved with the input, the bias the error summed over batch and length.
    Zeiler et al., "Deconvolutional Networks" (2010); Dumoulin & Visin (2016), section 4.

    Args:
        in_channels, out_channels, kernel_size, stride, dilation, groups, bias: as Conv1d.
        padding: what is cut off on both sides of the output; default 0.
        output_padding: lengthens the output at its end; below stride or dilation; default 0.
        initializer: makes the weight; default Kaiming uniform.

    Raises:
        ValueError: a size is out of range, or channels are not divisible by groups.
        LayerError: (at a call) the input has other channels or another dtype, or an empty axis.
    """

    axes = 1


class ConvTranspose2d(TransposedConvolution):
    """The transpose of Conv2d: as ConvTranspose1d, along height and width.

    Shapes: input (*batch, in_channels, …, …), output (*batch, out_channels, height, width),
    weight (in_channels, out_channels / groups, kernel_size …), bias (out_channels,).
    Backward, arguments and errors: as ConvTranspose1d; sizes are one number, or a pair
    (height, width).
    """

    axes = 2
