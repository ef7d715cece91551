"""Products as vectors along the columns of the result, a tile of it kept in registers."""

from __future__ import annotations

from dataclasses import replace

from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.product import (
    MatrixProduct,
    added,
    counted,
    is_one,
    is_side_by_side,
    loaded,
    parts,
    shifted,
    spread,
    vectors_in_registers,
)
from backhand.program.engines.native.writer import Writer

ROWS = 6
PACKED_TOGETHER = 16
"""Rows of a matrix that are packed together: as many floats as a cache line holds."""
MOVE = 16
"""Multiplications that take as long as moving an element."""


def cost_of_vectors(writer: Writer, product: MatrixProduct) -> float:
    """What this form costs, in instructions."""
    m, k, n = product.sizes
    width = writer.width(product.out.dtype, n)
    vectors = -(-n // width)
    cost = m * k * (vectors + 0.3) + m * vectors * 2
    if not is_side_by_side(product.right, 1):
        cost += 1.5 * k * n
    if not is_side_by_side(product.out, 1):
        cost += 2.0 * m * n
    return cost


def write_vectors(writer: Writer, product: MatrixProduct) -> None:
    """Write a product in this form."""
    m, k, n = product.sizes
    dtype = product.out.dtype
    width = writer.width(dtype, n)
    with writer.block():
        if not is_side_by_side(product.right, 1):
            product = replace(product, right=packed(writer, product.right))
        whole, rest = _column_tiles(n, width)
        widest = max(len(rest), 4 if whole else 1)
        rows = max(1, min(ROWS, m, vectors_in_registers(writer) // widest))
        for begin, end, step in parts(m, rows):
            with counted(writer, begin, end, step, shared=m * k * n) as i:
                if whole:
                    with counted(writer, 0, whole * 4 * width, 4 * width) as j:
                        _tile(
                            writer, product, i, step, j, [each * width for each in range(4)], width
                        )
                _tile(writer, product, i, step, "0", rest, width)


def _column_tiles(n: int, width: int) -> tuple[int, list[int]]:
    """How many whole tiles of 4 vectors, and where the vectors after them begin.

    The last vector may overlap the one before it: both then hold the same elements. They stand
    in one tile, which reads all it needs before it writes.
    """
    whole = n // (4 * width) if n > 6 * width else 0
    if whole and 0 < n - whole * 4 * width < width:
        whole -= 1
    starts = list(range(whole * 4 * width, n - width + 1, width))
    if starts and starts[-1] + width < n:
        starts.append(n - width)
    return whole, starts


def _tile(
    writer: Writer, product: MatrixProduct, i: str, rows: int, j: str, starts: list[int], width: int
) -> None:
    """A tile of the result: `rows` rows from i, vectors at columns j + starts."""
    _, k, _ = product.sizes
    dtype = product.out.dtype
    kind = C_TYPES[dtype] if width == 1 else f"{C_TYPES[dtype]}_{width}"
    zero = writer.literal(0, dtype) if width == 1 else "{0}"
    if not starts:
        return
    grid = [(row, column) for row in range(rows) for column in range(len(starts))]
    totals = {cell: f"t{cell[0]}_{cell[1]}" for cell in grid}
    columns = [shifted(j, start) for start in starts]
    with writer.block():
        for cell in grid:
            writer.line(f"{kind} {totals[cell]} = {zero};")
        with counted(writer, 0, k, 1) as inner:
            for column, at in enumerate(columns):
                writer.line(f"const {kind} r{column} = {loaded(product.right, inner, at, width)};")
            for row in range(rows):
                factor = product.left.at(shifted(i, row), inner)
                if writer.steady and not is_one(factor):
                    writer.line(f"const {kind} f{row} = {spread(factor, kind, width)};")
                    factor = f"f{row}"
                for column in range(len(starts)):
                    total = totals[row, column]
                    writer.line(added(writer, total, factor, f"r{column}", kind))
        if is_side_by_side(product.out, 1):
            _store_vectors(writer, product, i, columns, totals, kind, width)
        else:
            _store_elements(writer, product, i, j, starts, totals, width)


def _store_vectors(
    writer: Writer,
    product: MatrixProduct,
    i: str,
    columns: list[str],
    totals: dict[tuple[int, int], str],
    kind: str,
    width: int,
) -> None:
    for row, column in totals:
        at = (shifted(i, row), columns[column])
        start = None
        if product.start is not None:
            strided = product.start.number is None and product.start.stride[1] not in (0, 1)
            start = (
                _gathered(product.start, *at, width) if strided and width > 1
                else loaded(product.start, *at, width)
            )  # fmt: skip
        total = totals[row, column]
        writer.line(f"const {kind} s{total} = {product.finished(total, start)};")
    for row, column in totals:
        element = product.out.at(shifted(i, row), columns[column])
        value = f"s{totals[row, column]}"
        writer.line(
            f"{element} = {value};" if width == 1 else f"BH_STORE({kind}, &{element}, {value});"
        )


def _gathered(window: Window, row: str, column: str, width: int) -> str:
    words = [window.at(row, shifted(column, lane)) for lane in range(width)]
    return f"({C_TYPES[window.dtype]}_{width}){{{', '.join(words)}}}"


def _store_elements(
    writer: Writer,
    product: MatrixProduct,
    i: str,
    j: str,
    starts: list[int],
    totals: dict[tuple[int, int], str],
    width: int,
) -> None:
    """Lane by lane, each element once."""
    for row in range(max(row for row, _ in totals) + 1):
        done = starts[0]
        for column, start in enumerate(starts):
            total = totals[row, column]
            skipped, done = max(0, done - start), start + width
            with counted(writer, skipped, width, 1) as lane:
                at = (shifted(i, row), f"{shifted(j, start)} + {lane}")
                begun = None if product.start is None else product.start.at(*at)
                value = total if width == 1 else f"{total}[{lane}]"
                writer.line(f"{product.out.at(*at)} = {product.finished(value, begun)};")


def packed(writer: Writer, matrix: Window) -> Window:
    """The matrix copied row by row, its columns side by side.

    Some rows at a time, from side to side: whole columns would come from, and whole rows go to,
    addresses of one cache set, where the matrix is a power of two wide.
    """
    k, n = matrix.shape
    name = writer.pack_space(matrix.dtype, k * n)
    copy = Window(name, (k, n), (n, 1), 0, matrix.dtype)
    for begin, end, step in parts(k, PACKED_TOGETHER):
        with (
            counted(writer, begin, end, step, shared=MOVE * k * n) as first,
            writer.loops([n, step]) as (j, i),
        ):
            row = f"{first} + {i}"
            writer.line(f"{copy.at(row, j)} = {matrix.at(row, j)};")
    return copy
