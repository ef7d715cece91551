"""Pooling: the largest of each window of an image, and where it is."""

from __future__ import annotations

from backhand.program.engines.native.layout import C_TYPES, REAL
from backhand.program.engines.native.operands import only, pair, within_image
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


def write_max_pool(writer: Writer, operation: Operation) -> None:
    """max_pool2d_with_indices: the largest of each window, and its place in the image."""
    only(writer, operation)
    view, *sizes = operation.operands
    source = writer.window(view)
    values, places = (writer.window(each) for each in operation.targets)
    if len(source.shape) != 4 or source.dtype not in REAL:
        raise writer.refuse("is written for batches of images of real numbers")
    type_, (height, width) = C_TYPES[source.dtype], source.shape[2:]
    kernel = pair(writer, sizes[0])
    stride = pair(writer, sizes[1] if len(sizes) > 1 and sizes[1] else sizes[0])
    padding = pair(writer, sizes[2] if len(sizes) > 2 else 0)
    dilation = pair(writer, sizes[3] if len(sizes) > 3 else 1)
    with writer.loops(values.shape) as (n, c, y, x), writer.block():
        writer.line(f"{type_} best = -INFINITY;")
        writer.line("int64_t place = -1;")
        with writer.loops(kernel) as (v, u), writer.block():
            for axis, (letter, index, tap) in enumerate((("y", y, v), ("x", x, u))):
                writer.line(
                    f"const int at_{letter} = {index} * {stride[axis]} + {tap} * {dilation[axis]} "
                    f"- {padding[axis]};"
                )
            with writer.block(f"if ({within_image(height, width)})"):
                writer.line(f"const {type_} value = {source.at(n, c, 'at_y', 'at_x')};")
                with writer.block("if (value > best || value != value || place < 0)"):
                    writer.line("best = value;")
                    writer.line(f"place = (int64_t)at_y * {width} + at_x;")
        writer.line(f"{values.at(n, c, y, x)} = best;")
        writer.line(f"{places.at(n, c, y, x)} = place;")
