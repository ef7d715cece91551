"""Convolutions, forward and transposed, as products with columns of the input.

A convolution of one image is weight (outputs, K) @ columns (K, L): K = channels · kernel, L the
positions, columns[c·kernel + k, p] = input[c, p · stride + k · dilation - padding], 0 past an
edge. A transposed one adds such columns, weightᵀ @ input, to where they came from. What a weight's
gradient needs is a convolution, too, with a kernel as large as the image: there the columns of all
images are made for one channel at a time, which are summed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from backhand.program.calls import View, contiguous_strides
from backhand.program.engines.native.columns import (
    Windows,
    from_column,
    room_for,
    write_columns,
)
from backhand.program.engines.native.copying import write_copy
from backhand.program.engines.native.layout import C_TYPES, REAL, Window
from backhand.program.engines.native.operands import argument, only, pair, within_image
from backhand.program.engines.native.product import MatrixProduct
from backhand.program.engines.native.products import write_product
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


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
    windows = Windows(
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
        by_taps = windows.kernel[1] > windows.positions[1]
        forward = _write_by_channels if by_taps else _write_by_images
        write = _write_transposed if is_transposed else forward
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
    windows: Windows


def _grouped(window: Window, axis: int, groups: int) -> Window:
    """With an axis of channels as two: groups, and the channels of a group."""
    channels, step = window.shape[axis] // groups, window.stride[axis]
    return replace(
        window,
        shape=(*window.shape[:axis], groups, channels, *window.shape[axis + 1 :]),
        stride=(*window.stride[:axis], channels * step, step, *window.stride[axis + 1 :]),
    )


NEAR = 1 << 18
"""Bytes of columns that are made at once: what a second-level cache surely holds."""


def _at_once(writer: Writer, images: int, elements: int, itemsize: int) -> int:
    """How many images' columns are made at once; each alone, where no row may depend on others."""
    if writer.steady:
        return 1
    most = max(1, NEAR // max(elements * itemsize, 1))
    return max(each for each in range(1, images + 1) if images % each == 0 and each <= most)


def _write_by_images(writer: Writer, convolution: _Convolution) -> None:
    """For some images at a time: weight (outputs, channels · kernel) @ columns."""
    source, out, windows = convolution.source, convolution.out, convolution.windows
    matrices = _as_matrices(writer, convolution.weight)
    _, outputs, depth = matrices.shape
    images, groups = out.shape[:2]
    places = math.prod(windows.positions)
    many = _at_once(writer, images, depth * places, out.dtype.itemsize)
    length = many * places
    columns = room_for(writer, depth, length, out.dtype)
    flat = _flattened(out) if many == 1 else None
    dense = room_for(writer, outputs, length, out.dtype) if flat is None else None
    with writer.loops([groups, images // many]) as (group, block):
        with writer.loops([many]) as (n,):
            image = source.without_axis(1, group).without_axis(0, _nth(block, many, n))
            write_columns(writer, image, from_column(columns, n, places), windows)
        start = convolution.bias
        if start is not None:
            start = start.without_axis(0, group)
            start = replace(start, shape=(outputs, length), stride=(start.stride[0], 0))
        target = dense or _of_group(flat or out, block, group)
        product = MatrixProduct(target, matrices.without_axis(0, group), columns, start)
        write_product(writer, product, (True, False))
        if dense is not None:
            with writer.loops([many]) as (n,):
                image = _of_group(out, _nth(block, many, n), group)
                lies = (length, windows.positions[1], 1)
                found = replace(from_column(dense, n, places), shape=image.shape, stride=lies)
                write_copy(writer, found, image)


def _nth(block: str, many: int, n: str) -> str:
    """The number of the n-th image of a block."""
    return f"{block} * {many} + {n}" if many > 1 else block


def _write_by_channels(writer: Writer, convolution: _Convolution) -> None:
    """Where the kernel is as large as the images, as for a weight's gradient: the sum over some
    channels at a time of weight (outputs, channels · kernel) @ columns (…, images · positions)."""
    source, weight, out = convolution.source, convolution.weight, convolution.out
    windows = convolution.windows
    images, groups, outputs = out.shape[:3]
    taps, places = math.prod(windows.kernel), math.prod(windows.positions)
    channels = source.shape[2]
    many = _at_once(writer, channels, taps * images * places, out.dtype.itemsize)
    depth, length = many * taps, images * places
    turned = room_for(writer, length, depth, out.dtype)
    left = room_for(writer, outputs, depth, out.dtype)
    total = room_for(writer, outputs, length, out.dtype)
    kernel = (outputs, many, *windows.kernel)
    with writer.loops([groups]) as (group,):
        with writer.loops(total.shape) as at:
            value = writer.literal(0, out.dtype)
            if convolution.bias is not None:
                value = convolution.bias.at(group, at[0])
            writer.line(f"{total.at(*at)} = {value};")
        with writer.loops([channels // many]) as (block,):
            some = weight.without_axis(0, group)
            base = f"({some.base} + {block} * {many * some.stride[1]})"
            some = replace(some, base=base, shape=kernel)
            write_copy(writer, some, replace(left, shape=kernel, stride=contiguous_strides(kernel)))
            with writer.loops([many]) as (n,):
                data = source.without_axis(1, group).without_axis(1, _nth(block, many, n))
                write_columns(writer, data, from_column(turned, n, taps), windows.turned())
            product = MatrixProduct(total, left, turned.turned(), total)
            write_product(writer, product, (True, False))
        image = out.without_axis(1, group)
        lies = (places, length, windows.positions[1], 1)
        write_copy(writer, replace(total, shape=image.shape, stride=lies), image)


def _write_transposed(writer: Writer, convolution: _Convolution) -> None:
    """For some images at a time: weightᵀ (outputs · kernel, inputs) @ input, added to the image."""
    source, out, windows = convolution.source, convolution.out, convolution.windows
    matrices = _as_matrices(writer, convolution.weight)
    _, inputs, depth = matrices.shape
    images, groups = out.shape[:2]
    places = math.prod(windows.positions)
    many = _at_once(writer, images, depth * places, out.dtype.itemsize)
    length = many * places
    columns = room_for(writer, depth, length, out.dtype)
    right = room_for(writer, inputs, length, out.dtype)
    with writer.loops([groups, images // many]) as (group, block):
        with writer.loops([many]) as (n,):
            image = _of_group(source, _nth(block, many, n), group)
            lies = (length, windows.positions[1], 1)
            place = replace(from_column(right, n, places), shape=image.shape, stride=lies)
            write_copy(writer, image, place)
        left = matrices.without_axis(0, group).turned()
        write_product(writer, MatrixProduct(columns, left, right), (True, False))
        with writer.loops([many]) as (n,):
            image = _of_group(out, _nth(block, many, n), group)
            _write_begun(writer, image, convolution.bias, group)
            write_columns(writer, image, from_column(columns, n, places), windows, added=True)


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
    writer: Writer, windows: Windows, position: tuple[str, str], tap: tuple[str, str]
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
