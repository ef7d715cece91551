"""Matrix products, and sums, which are products with ones.

A product is written in one of three forms, whichever needs the fewest instructions: vectors
along the columns of the result, vectors along its rows (the transposed product), or dot
products along the axis that is summed over. Sizes are constants of the compiled code; a tile of
the result stays in registers while the sum runs. Where a vector's elements do not lie side by
side they are packed first. The order of every sum is fixed, so the bits are the same at every
run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.writer import SHARED, SHARED_PRODUCTS, Writer

TILE = 24
"""Vectors of a result that are kept in registers at once (half as many without AVX-512)."""
ROWS = 6


@dataclass(frozen=True)
class Product:
    """out = finish(beta · start + alpha · left @ right): left (m, k), right (k, n), out (m, n).

    alpha and beta are C text, None for 1; start is None for none. finish divides a sum by a
    number, C text; None for nothing.
    """

    out: Window
    left: Window
    right: Window
    start: Window | None = None
    alpha: str | None = None
    beta: str | None = None
    divisor: str | None = None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """m, k, n."""
        return self.left.shape[0], self.left.shape[1], self.right.shape[1]

    def turned(self) -> Product:
        """outᵀ = rightᵀ @ leftᵀ."""
        start = None if self.start is None else self.start.turned()
        return replace(
            self,
            out=self.out.turned(), left=self.right.turned(), right=self.left.turned(), start=start,
        )  # fmt: skip

    def finished(self, total: str, start: str | None) -> str:
        """C text of an element (or a vector of them) of the result."""
        text = total if self.alpha is None else f"{self.alpha} * {total}"
        if start is not None:
            begun = start if self.beta is None else f"{self.beta} * {start}"
            text = f"{begun} + {text}"
        return text if self.divisor is None else f"({text}) / {self.divisor}"


def write_product(writer: Writer, product: Product) -> None:
    """Write a product in its cheapest form."""
    m, k, n = product.sizes
    if m == 0 or n == 0:
        return
    if writer.lanes is None or k == 0:
        _write_plain(writer, product)
        return
    forms: list[tuple[float, Callable[[], None]]] = [
        (_cost_of_vectors(writer, product), lambda: _write_vectors(writer, product)),
        (
            _cost_of_vectors(writer, product.turned()),
            lambda: _write_vectors(writer, product.turned()),
        ),
        (_cost_of_dots(writer, product), lambda: _write_dots(writer, product)),
    ]
    min(forms, key=lambda form: form[0])[1]()


def _write_plain(writer: Writer, product: Product) -> None:
    m, k, n = product.sizes
    type_ = C_TYPES[product.out.dtype]
    with writer.loops([m, n]) as (i, j):
        writer.line(f"{type_} total = {writer.literal(0, product.out.dtype)};")
        with writer.loops([k]) as (inner,):
            writer.line(
                f"total += {_times(product.left.at(i, inner), product.right.at(inner, j))};"
            )
        start = None if product.start is None else product.start.at(i, j)
        writer.line(f"{product.out.at(i, j)} = {product.finished('total', start)};")


def _times(one: str, other: str) -> str:
    """Their product as C text; times 1 is nothing."""
    ones = ("1.0", "1.0f")
    if one in ones:
        return other
    return one if other in ones else f"{one} * {other}"


def _is_side_by_side(window: Window, axis: int) -> bool:
    return window.number is not None or window.stride[axis] == 1 or window.shape[axis] == 1


# Vectors along the columns.


def _cost_of_vectors(writer: Writer, product: Product) -> float:
    m, k, n = product.sizes
    width = writer.width(product.out.dtype, n)
    vectors = -(-n // width)
    cost = m * k * (vectors + 0.3) + m * vectors * 2
    if not _is_side_by_side(product.right, 1):
        cost += 1.5 * k * n
    if not _is_side_by_side(product.out, 1):
        cost += 2.0 * m * n
    return cost


def _write_vectors(writer: Writer, product: Product) -> None:
    m, k, n = product.sizes
    dtype = product.out.dtype
    width = writer.width(dtype, n)
    with writer.block():
        if not _is_side_by_side(product.right, 1):
            product = replace(product, right=_packed(writer, product.right))
        whole, rest = _column_tiles(n, width)
        widest = max(len(rest), 4 if whole else 1)
        budget = TILE if writer.lanes and writer.lanes.get(torch.float32, 1) >= 16 else TILE // 2
        rows = max(1, min(ROWS, m, budget // widest))
        full = m - m % rows
        for begin, end, step in ((0, full, rows), (full, m, m % rows)):
            if end - begin == 0:
                continue
            with _counted(writer, begin, end, step, shared=m * k * n) as i:
                if whole:
                    with _counted(writer, 0, whole * 4 * width, 4 * width) as j:
                        _tile(
                            writer, product, i, step, j, [each * width for each in range(4)], width
                        )
                _tile(writer, product, i, step, "0", rest, width)


class _counted:
    """A loop from begin to end; none, where it would run once.

    Args:
        shared: multiplications inside, where each turn has elements of its own.
    """

    def __init__(self, writer: Writer, begin: int, end: int, step: int, shared: int = 0) -> None:
        self.writer = writer
        self.once = end - begin <= step
        self.index = str(begin) if self.once else writer.fresh("i")
        self.header = (
            ""
            if self.once
            else f"for (int {self.index} = {begin}; {self.index} < {end}; {self.index} += {step})"
        )
        if not self.once and writer.shares(shared, SHARED_PRODUCTS):
            writer.line(SHARED)

    def __enter__(self) -> str:
        self.block = self.writer.block(self.header)
        self.block.__enter__()
        return self.index

    def __exit__(self, *problem: object) -> None:
        self.block.__exit__(None, None, None)


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


def _shifted(index: str, by: int) -> str:
    if index.isdigit():
        return str(int(index) + by)
    return index if by == 0 else f"{index} + {by}"


def _tile(
    writer: Writer, product: Product, i: str, rows: int, j: str, starts: list[int], width: int
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
    columns = [_shifted(j, start) for start in starts]
    with writer.block():
        for cell in grid:
            writer.line(f"{kind} {totals[cell]} = {zero};")
        with _counted(writer, 0, k, 1) as inner:
            for column, at in enumerate(columns):
                writer.line(f"const {kind} r{column} = {_load(product.right, inner, at, width)};")
            for row in range(rows):
                factor = product.left.at(_shifted(i, row), inner)
                for column in range(len(starts)):
                    writer.line(f"{totals[row, column]} += {_times(factor, f'r{column}')};")
        if _is_side_by_side(product.out, 1):
            _store_vectors(writer, product, i, columns, totals, kind, width)
        else:
            _store_elements(writer, product, i, j, starts, totals, width)


def _load(window: Window, row: str, column: str, width: int) -> str:
    text = window.at(row, column)
    if width == 1:
        return text
    kind = f"{C_TYPES[window.dtype]}_{width}"
    if window.number is not None or window.stride[1] == 0:
        return f"({kind}){{{', '.join([text] * width)}}}"
    return f"BH_LOAD({kind}, &{text})"


def _store_vectors(
    writer: Writer,
    product: Product,
    i: str,
    columns: list[str],
    totals: dict[tuple[int, int], str],
    kind: str,
    width: int,
) -> None:
    for row, column in totals:
        at = (_shifted(i, row), columns[column])
        start = None
        if product.start is not None:
            strided = product.start.number is None and product.start.stride[1] not in (0, 1)
            start = (
                _gathered(product.start, *at, width) if strided and width > 1
                else _load(product.start, *at, width)
            )  # fmt: skip
        total = totals[row, column]
        writer.line(f"const {kind} s{total} = {product.finished(total, start)};")
    for row, column in totals:
        element = product.out.at(_shifted(i, row), columns[column])
        value = f"s{totals[row, column]}"
        writer.line(
            f"{element} = {value};" if width == 1 else f"BH_STORE({kind}, &{element}, {value});"
        )


def _gathered(window: Window, row: str, column: str, width: int) -> str:
    words = [window.at(row, _shifted(column, lane)) for lane in range(width)]
    return f"({C_TYPES[window.dtype]}_{width}){{{', '.join(words)}}}"


def _store_elements(
    writer: Writer,
    product: Product,
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
            with _counted(writer, skipped, width, 1) as lane:
                at = (_shifted(i, row), f"{_shifted(j, start)} + {lane}")
                begun = None if product.start is None else product.start.at(*at)
                value = total if width == 1 else f"{total}[{lane}]"
                writer.line(f"{product.out.at(*at)} = {product.finished(value, begun)};")


def _packed(writer: Writer, matrix: Window) -> Window:
    """The matrix copied row by row, its columns side by side."""
    k, n = matrix.shape
    name = writer.pack_space(matrix.dtype, k * n)
    copy = Window(name, (k, n), (n, 1), 0, matrix.dtype)
    with writer.loops([n, k]) as (j, i):
        writer.line(f"{copy.at(i, j)} = {matrix.at(i, j)};")
    return copy


# Dot products.


def _cost_of_dots(writer: Writer, product: Product) -> float:
    m, k, n = product.sizes
    if not (_is_side_by_side(product.left, 1) and _is_side_by_side(product.right, 0)):
        return float("inf")
    width = writer.width(product.out.dtype, k)
    tail: float = (k % width) ** 0.5
    return m * n * (1.5 * (k // width) + tail + 5)


def _write_dots(writer: Writer, product: Product) -> None:
    m, k, n = product.sizes
    if n == 1 and m > 1:
        product = product.turned()
        m, n = n, m
    abreast = min(4, n)
    with _counted(writer, 0, m, 1, shared=m * k * n) as i:
        full = n - n % abreast
        for begin, end, step in ((0, full, abreast), (full, n, n % abreast)):
            if begin != end:
                with _counted(writer, begin, end, step) as j:
                    _dots(writer, product, i, [_shifted(j, each) for each in range(step)], k)


def _dots(writer: Writer, product: Product, i: str, columns: list[str], k: int) -> None:
    """Several dot products of one row, each in ever narrower vectors."""
    dtype = product.out.dtype
    type_ = C_TYPES[dtype]
    width, done = writer.width(dtype, k), 0
    totals: list[str] = []
    while width > 1:
        kind, steps = f"{type_}_{width}", (k - done) // width
        folded = [f"fold_{type_}_{2 * width}({total})" for total in totals]
        totals = [writer.fresh("t") for _ in columns]
        for number, total in enumerate(totals):
            writer.line(f"{kind} {total} = {folded[number] if folded else '{0}'};")
        if steps:
            with _counted(writer, done, done + steps * width, width) as inner:
                left = _load(product.left, i, inner, width)
                writer.line(f"const {kind} l0 = {left};")
                for total, column in zip(totals, columns, strict=True):
                    right = _load(product.right.turned(), column, inner, width)
                    if product.right.number is not None:
                        right = product.right.number
                    writer.line(f"{total} += {_times('l0', right)};")
            done += steps * width
        width //= 2
    sums = [f"fold_{type_}_2({total})" for total in totals] or ["0"] * len(columns)
    for before, column in zip(sums, columns, strict=True):
        total = writer.fresh("t")
        writer.line(f"{type_} {total} = {before};")
        for rest in range(done, k):
            factors = product.left.at(i, str(rest)), product.right.at(str(rest), column)
            writer.line(f"{total} += {_times(*factors)};")
        start = None if product.start is None else product.start.at(i, column)
        writer.line(f"{product.out.at(i, column)} = {product.finished(total, start)};")
