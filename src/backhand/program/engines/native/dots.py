"""Products as dot products along the axis that is summed over."""

from __future__ import annotations

import torch

from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.product import (
    MatrixProduct,
    added,
    counted,
    is_one,
    is_side_by_side,
    loaded,
    parts,
    shifted,
    vectors_in_registers,
)
from backhand.program.engines.native.writer import SHARED_PRODUCTS, Writer

ABREAST = 4
"""Columns whose dot products run side by side."""

NEAR = 1 << 18
"""Bytes that a second-level cache surely holds."""

PARTS = 8
"""Of a product that threads share."""


def cost_of_dots(writer: Writer, product: MatrixProduct) -> float:
    """What this form costs, in instructions; infinite where it cannot be."""
    m, k, n = product.sizes
    if not (is_side_by_side(product.left, 1) and is_side_by_side(product.right, 0)):
        return float("inf")
    width = writer.width(product.out.dtype, k)
    tail: float = (k % width) ** 0.5
    return m * n * (1.5 * (k // width) + tail + 5)


def write_dots(writer: Writer, product: MatrixProduct) -> None:
    """Write a product in this form.

    How a sum runs depends on its length alone: not on how many rows and columns there are, nor
    on how many of them are taken together.
    """
    m, k, n = product.sizes
    if n == 1 and m > 1:
        product = product.turned()
        m, n = n, m
    abreast = min(ABREAST, n)
    rows = min(m, vectors_in_registers(writer) // abreast) if writer.steady else 1
    together = _rows_together(writer, product, rows) if writer.steady else 1
    for top, bottom, block in parts(m, together):
        with counted(writer, top, bottom, block, shared=m * k * n) as begin:
            for first, last, step in parts(n, abreast):
                with counted(writer, first, last, step) as j:
                    columns = [shifted(j, each) for each in range(step)]
                    for above, below, many in parts(block, rows):
                        with counted(writer, above, below, many) as at:
                            i = f"{begin} + {at}" if begin != "0" else at
                            _dots(
                                writer, product, [shifted(i, each) for each in range(many)], columns
                            )


def _rows_together(writer: Writer, product: MatrixProduct, rows: int) -> int:
    """How many rows of the left matrix stay near while the right one's columns pass by.

    Whole parts, so that there is one kind of tile; several, where threads share them.
    """
    m, k, n = product.sizes
    most = m // PARTS if writer.shares(m * k * n, SHARED_PRODUCTS) else m
    together = rows
    while m % (2 * together) == 0 and 2 * together <= most:
        if 2 * together * k * product.left.dtype.itemsize > NEAR:
            break
        together *= 2
    return together


def _dots(writer: Writer, product: MatrixProduct, rows: list[str], columns: list[str]) -> None:
    """The dot products of some rows with some columns, each in ever narrower vectors."""
    _, k, _ = product.sizes
    dtype = product.out.dtype
    type_ = C_TYPES[dtype]
    width, done = writer.width(dtype, k), 0
    cells = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    least = 4 if dtype is torch.float32 and len(columns) == ABREAST and k % 4 < 2 else 2
    totals: list[str] = []
    while width >= least:
        kind, steps = f"{type_}_{width}", (k - done) // width
        folded = [f"fold_{type_}_{2 * width}({total})" for total in totals]
        totals = [writer.fresh("t") for _ in cells]
        for number, total in enumerate(totals):
            writer.line(f"{kind} {total} = {folded[number] if folded else '{0}'};")
        if steps:
            with counted(writer, done, done + steps * width, width) as inner:
                _add_vectors(writer, product, rows, columns, totals, inner, width)
            done += steps * width
        width //= 2
    kind = f"{type_}_{2 * width}"
    if done == k and _is_stored_together(product, columns):
        _store_together(writer, product, rows, columns, totals, kind)
        return
    sums = _sums(writer, totals, len(columns), kind, type_) or ["0"] * len(cells)
    for before, (row, column) in zip(sums, cells, strict=True):
        i, j = rows[row], columns[column]
        total = writer.fresh("t")
        writer.line(f"{type_} {total} = {before};")
        for rest in range(done, k):
            factors = product.left.at(i, str(rest)), product.right.at(str(rest), j)
            writer.line(added(writer, total, *factors, type_))
        start = None if product.start is None else product.start.at(i, j)
        writer.line(f"{product.out.at(i, j)} = {product.finished(total, start)};")


def _is_stored_together(product: MatrixProduct, columns: list[str]) -> bool:
    """Whether the results in some columns of a row make one vector, and what they start from."""
    start = product.start
    return (
        len(columns) == ABREAST
        and product.out.stride[1] == 1
        and (start is None or start.number is not None or start.stride[1] in (0, 1))
    )


def _store_together(
    writer: Writer,
    product: MatrixProduct,
    rows: list[str],
    columns: list[str],
    totals: list[str],
    kind: str,
) -> None:
    """Store the sums of each row as one vector; all are read before the first is written."""
    four = f"{C_TYPES[product.out.dtype]}_{ABREAST}"
    finished = []
    for row, i in enumerate(rows):
        sums = ", ".join(totals[row * ABREAST : (row + 1) * ABREAST])
        start = None if product.start is None else loaded(product.start, i, columns[0], ABREAST)
        finished.append(writer.fresh("s"))
        writer.line(f"{four} {finished[-1]} = folds_{kind}({sums});")
        writer.line(f"{finished[-1]} = {product.finished(finished[-1], start)};")
    for i, name in zip(rows, finished, strict=True):
        writer.line(f"BH_STORE({four}, &{product.out.at(i, columns[0])}, {name});")


def _add_vectors(
    writer: Writer,
    product: MatrixProduct,
    rows: list[str],
    columns: list[str],
    totals: list[str],
    inner: str,
    width: int,
) -> None:
    """Add the products of one vector of each row and column to their totals."""
    kind = f"{C_TYPES[product.out.dtype]}_{width}"

    def vector(name: str, text: str) -> str:
        writer.line(f"{kind} {name} = {text};")
        if len(rows) > 1:
            writer.line(f"BH_HELD({name});")
        return name

    lefts = [vector(f"l{row}", loaded(product.left, i, inner, width)) for row, i in enumerate(rows)]
    right = product.right
    for column, j in enumerate(columns):
        if right.number is not None and is_one(right.number):
            factor = right.number
        else:
            factor = vector(f"r{column}", loaded(right.turned(), j, inner, width))
        for row, left in enumerate(lefts):
            total = totals[row * len(columns) + column]
            writer.line(added(writer, total, left, factor, kind))


def _sums(writer: Writer, totals: list[str], abreast: int, kind: str, type_: str) -> list[str]:
    """C text of the elements that vectors of a kind fold to; four at once where they are four."""
    if not totals:
        return []
    if abreast != ABREAST:
        return [f"fold_{kind}({total})" for total in totals]
    found = []
    for first in range(0, len(totals), ABREAST):
        name = writer.fresh("s")
        four = ", ".join(totals[first : first + ABREAST])
        writer.line(f"const {type_}_{ABREAST} {name} = folds_{kind}({four});")
        found += [f"{name}[{lane}]" for lane in range(ABREAST)]
    return found
