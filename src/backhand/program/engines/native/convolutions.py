"""Convolutions, forward and transposed, as products with columns of the input.

A convolution of one image is weight (outputs, K) @ columns (K, L): K = channels · kernel, L the
positions, columns[c·kernel + k, p] = input[c, p · stride + k · dilation - padding], 0 past an
edge. A transposed one adds such columns, weightᵀ @ input, to where they came from. What a weight's
gradient needs is a convolution, too, with a kernel as large as the image: the columns are walked
along whichever of kernel and positions is the longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backhand.program.calls import View, contiguous_strides
from backhand.program.engines.native.copying import write_copy
from backhand.program.engines.native.layout import C_TYPES, REAL, Window
from backhand.program.engines.native.operands import argument, only, pair, within_image
from backhand.program.engines.native.product import MatrixProduct
from backhand.program.engines.native.products import write_product
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


@dataclass(frozen=True)
class _Windows:
    """Where the elements of an image's columns lie: position · stride + tap · dilation - padding.

    Each of two numbers, for rows and columns of an image.
    """

    image: Sequence[int]
    positions: Sequence[int]
    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]

    def turned(self) -> _Windows:
        """With positions and taps in each other's place."""
        return replace(
            self,
            positions=self.kernel, kernel=self.positions,
            stride=self.dilation, dilation=self.stride,
        )  # fmt: skip


def _image(window: Window, axes: int) -> Window:
    """Batch, channels, rows and columns; of a signal, one row."""
    if axes == 2:
        return window
    shape, stride = window.shape, window.stride
    return replace(window, shape=(*shape[:2], 1, shape[2]), stride=(*stride[:2], 0, stride[2]))


def write_convolution(writer: Writer, operation: Operation) -> None:
    """conv1d and conv2d, conv_transpose1d and conv_transpose2d."""
    axes = int(operation.name[-2])
    is_transposed = "transpose" in operation.name
    last = ("output_padding", "groups", "dilation") if is_transposed else ("dilation", "groups")
    names = ("stride", "padding", *last)
    only(writer, operation, "input", "weight", "bias", *names)
    numbers = {
        name: argument(operation, at, name, 0 if "padding" in name else 1)
        for at, name in enumerate(names, 3)
    }
    groups, dtype = numbers["groups"], operation.target.dtype
    views = [argument(operation, 0, "input"), argument(operation, 1, "weight")]
    bias = argument(operation, 2, "bias")
    if dtype not in REAL or any(each.dtype is not dtype for each in views):
        raise writer.refuse("is written for real numbers of one type")
    if len(operation.target.shape) != axes + 2 or not isinstance(groups, int):
        raise writer.refuse("is written for batches")
    if operation.target.count == 0:
        return
    source, out = (
        _grouped(_image(writer.window(each), axes), 1, groups)
        for each in (views[0], operation.target)
    )
    weight = _grouped(_image(writer.window(views[1]), axes), 0, groups)
    start = _grouped(writer.window(bias), 0, groups) if isinstance(bias, View) else None
    image, positions = (out, source) if is_transposed else (source, out)
    windows = _Windows(
        image.shape[3:],
        positions.shape[3:],
        weight.shape[3:],
        pair(writer, numbers["stride"], axes),
        pair(writer, numbers["padding"], axes, 0),
        pair(writer, numbers["dilation"], axes),
    )
    if writer.lanes is None:
        write = _write_transposed_plainly if is_transposed else _write_plainly
    else:
        write = _write_transposed if is_transposed else _write_forward
    write(writer, _Convolution(source, weight, out, start, windows))


@dataclass(frozen=True)
class _Convolution:
    """A convolution of groups, with images: a signal is one of one row.

    Attributes:
        source, out: (batch, groups, channels of a group, rows, columns).
        weight: (groups, first, second, *kernel): outputs and inputs of a group, or the inputs
            and outputs of a transposed one.
        bias: (groups, outputs of a group); None for none.
        windows: of the larger image, which the columns are of.
    """

    source: Window
    weight: Window
    out: Window
    bias: Window | None
    windows: _Windows


def _grouped(window: Window, axis: int, groups: int) -> Window:
    """With an axis of channels as two: groups, and the channels of a group."""
    channels, step = window.shape[axis] // groups, window.stride[axis]
    return replace(
        window,
        shape=(*window.shape[:axis], groups, channels, *window.shape[axis + 1 :]),
        stride=(*window.stride[:axis], channels * step, step, *window.stride[axis + 1 :]),
    )


def _write_forward(writer: Writer, convolution: _Convolution) -> None:
    source, out, windows = convolution.source, convolution.out, convolution.windows
    matrices = _as_matrices(writer, convolution.weight)
    _, outputs, depth = matrices.shape
    places = math.prod(windows.positions)
    by_taps = windows.kernel[1] > windows.positions[1]
    name = writer.pack_space(out.dtype, depth * places)
    steps = (1, depth) if by_taps else (places, 1)
    columns = Window(name, (depth, places), steps, 0, out.dtype)
    flat, dense = _flattened(out), None
    if flat is None:
        space = writer.pack_space(out.dtype, outputs * places)
        dense = Window(space, (outputs, places), (places, 1), 0, out.dtype)
    with writer.loops(out.shape[:2]) as (n, group):
        _write_columns(writer, _of_group(source, n, group), columns, windows, by_taps)
        start = convolution.bias
        if start is not None:
            start = start.without_axis(0, group)
            start = replace(start, shape=(outputs, places), stride=(start.stride[0], 0))
        target = dense if flat is None else _of_group(flat, n, group)
        assert target is not None
        product = MatrixProduct(target, matrices.without_axis(0, group), columns, start)
        write_product(writer, product, (True, False))
        if dense is not None:
            image = _of_group(out, n, group)
            step = windows.positions[1]
            write_copy(writer, replace(dense, shape=image.shape, stride=(places, step, 1)), image)


def _write_transposed(writer: Writer, convolution: _Convolution) -> None:
    source, out, windows = convolution.source, convolution.out, convolution.windows
    matrices = _as_matrices(writer, convolution.weight)
    depth, places = matrices.shape[2], math.prod(windows.positions)
    columns = Window(
        writer.pack_space(out.dtype, depth * places), (depth, places), (places, 1), 0, out.dtype
    )
    flat = _flattened(source)
    if flat is None:
        dense = _contiguous(source, writer.pack_space(out.dtype, math.prod(source.shape)))
        write_copy(writer, source, dense)
        flat = _flattened(dense)
        assert flat is not None
    with writer.loops(out.shape[:2]) as (n, group):
        left = matrices.without_axis(0, group).turned()
        right = _of_group(flat, n, group)
        write_product(writer, MatrixProduct(columns, left, right), (True, False))
        image = _of_group(out, n, group)
        _write_begun(writer, image, convolution.bias, group)
        _write_columns(writer, image, columns, windows, by_taps=False, added=True)


def _write_plainly(writer: Writer, convolution: _Convolution) -> None:
    """Element by element, with no memory of its own."""
    source, weight, out = convolution.source, convolution.weight, convolution.out
    with writer.loops(out.shape) as (n, group, o, y, x), writer.block():
        value = "0" if convolution.bias is None else convolution.bias.at(group, o)
        writer.line(f"{C_TYPES[out.dtype]} total = {value};")
        with writer.loops(weight.shape[2:]) as (c, v, u), writer.block():
            inside = _write_place(writer, convolution.windows, (y, x), (v, u))
            element = source.at(n, group, c, "at_y", "at_x")
            writer.line(f"if ({inside}) total += {weight.at(group, o, c, v, u)} * {element};")
        writer.line(f"{out.at(n, group, o, y, x)} = total;")


def _write_transposed_plainly(writer: Writer, convolution: _Convolution) -> None:
    source, weight, out = convolution.source, convolution.weight, convolution.out
    with writer.loops(out.shape[:2]) as (n, group):
        _write_begun(writer, _of_group(out, n, group), convolution.bias, group)
    with writer.loops(source.shape) as (n, group, c, y, x), writer.block():
        writer.line(f"const {C_TYPES[out.dtype]} value = {source.at(n, group, c, y, x)};")
        with writer.loops(weight.shape[2:]) as (o, v, u), writer.block():
            inside = _write_place(writer, convolution.windows, (y, x), (v, u))
            element = out.at(n, group, o, "at_y", "at_x")
            writer.line(f"if ({inside}) {element} += {weight.at(group, c, o, v, u)} * value;")


def _write_place(
    writer: Writer, windows: _Windows, position: tuple[str, str], tap: tuple[str, str]
) -> str:
    """Declare `at_y` and `at_x`, where a window's tap lies; C text of whether in the image."""
    for axis, letter in enumerate("yx"):
        writer.line(
            f"const int at_{letter} = {position[axis]} * {windows.stride[axis]} + "
            f"{tap[axis]} * {windows.dilation[axis]} - {windows.padding[axis]};"
        )
    return within_image(*windows.image)


def _write_begun(writer: Writer, image: Window, bias: Window | None, group: str) -> None:
    """Set each channel of a group's image to its bias, or to 0."""
    with writer.loops(image.shape, independent=True) as indices:
        value = writer.literal(0, image.dtype) if bias is None else bias.at(group, indices[0])
        writer.line(f"{image.at(*indices)} = {value};")


def _of_group(window: Window, n: str, group: str) -> Window:
    """The channels of one image that are one group's."""
    return window.without_axis(0, n).without_axis(0, group)


def _flattened(window: Window) -> Window | None:
    """With the rows and columns of images as one axis, where they lie so."""
    *first, rows, columns = window.shape
    *steps, row, column = window.stride
    if rows != 1 and columns != 1 and row != columns * column:
        return None
    step = column if columns != 1 else row
    return replace(window, shape=(*first, rows * columns), stride=(*steps, step))


def _contiguous(window: Window, space: str) -> Window:
    """An array of the same shape elsewhere."""
    return replace(window, base=space, offset=0, stride=contiguous_strides(window.shape))


def _as_matrices(writer: Writer, weight: Window) -> Window:
    """Weights with the axes after the second as one; packed, where they do not lie so."""
    groups, rows, *rest = weight.shape
    depth = math.prod(rest)
    steps = zip(rest, weight.stride[2:], contiguous_strides(tuple(rest)), strict=True)
    if not all(length == 1 or have == wanted for length, have, wanted in steps):
        packed = _contiguous(weight, writer.pack_space(weight.dtype, math.prod(weight.shape)))
        write_copy(writer, weight, packed)
        weight = packed
    return replace(weight, shape=(groups, rows, depth), stride=(*weight.stride[:2], 1))


def _write_columns(
    writer: Writer,
    data: Window,
    columns: Window,
    windows: _Windows,
    by_taps: bool,
    added: bool = False,
) -> None:
    """Copy an image's elements to its columns, or add its columns to an image's elements.

    Args:
        data: the image: channels, rows, columns.
        by_taps: whether the innermost loop goes along the kernel, not along positions.
    """
    type_ = C_TYPES[data.dtype]
    step_k, step_l = columns.stride
    outer, inner = windows.kernel, windows.positions
    outer_step, inner_step = step_k, step_l
    if by_taps:
        windows = windows.turned()
        outer, inner = windows.kernel, windows.positions
        outer_step, inner_step = step_l, step_k
    (height, width), (up, left) = windows.image, windows.padding
    (sy, sx), (dy, dx) = windows.stride, windows.dilation
    taps = math.prod(windows.positions if by_taps else windows.kernel)
    step_c, step_row, step_column = data.stride
    with writer.loops([data.shape[0], *outer]) as (c, v, u), writer.block():
        # Along x: where x · sx + u · dx - left is inside the image.
        writer.line(f"const int shift = {u} * {dx} - {left};")
        writer.line(f"int lo = shift < 0 ? ({sx - 1} - shift) / {sx} : 0;")
        writer.line(f"int hi = shift < {width} ? ({width - 1} - shift) / {sx} + 1 : 0;")
        writer.line(f"if (lo > {inner[1]}) lo = {inner[1]};")
        writer.line(f"if (hi > {inner[1]}) hi = {inner[1]};")
        writer.line("if (hi < lo) hi = lo;")
        with writer.block(f"for (int y = 0; y < {inner[0]}; y++)"):
            writer.line(f"const int at = y * {sy} + {v} * {dy} - {up};")
            place = (
                f"{c} * {taps * step_k} + ({v} * {outer[1]} + {u}) * {outer_step} + "
                f"y * {inner[1] * inner_step}"
            )
            qualifier = "const " if added else ""
            writer.line(f"{qualifier}{type_} *const column = {columns.base} + {place};")
            outside = f"at < 0 || at >= {height}"
            if added:
                writer.line(f"if ({outside}) continue;")
            else:
                with writer.block(f"if ({outside})"):
                    _write_zeros(writer, "0", str(inner[1]), inner_step)
                    writer.line("continue;")
                _write_zeros(writer, "0", "lo", inner_step)
                _write_zeros(writer, "hi", str(inner[1]), inner_step)
            row = f"{data.offset} + {c} * {step_c} + at * {step_row} + shift * {step_column}"
            whose = "" if added else "const "
            writer.line(f"{whose}{type_} *const row = {data.base} + {row};")
            element = f"row[x * {sx * step_column}]"
            other = f"column[x * {inner_step}]"
            writer.line("BH_INDEPENDENT")
            statement = f"{element} += {other}" if added else f"{other} = {element}"
            writer.line(f"for (int x = lo; x < hi; x++) {statement};")


def _write_zeros(writer: Writer, begin: str, end: str, step: int) -> None:
    writer.line(f"for (int x = {begin}; x < {end}; x++) column[x * {step}] = 0;")
