"""Products as dot products along the axis that is summed over."""

from __future__ import annotations

from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.product import (
    Product,
    counted,
    is_side_by_side,
    load,
    shifted,
    times,
)
from backhand.program.engines.native.writer import Writer


def cost_of_dots(writer: Writer, product: Product) -> float:
    """What this form costs, in instructions; infinite where it cannot be."""
    m, k, n = product.sizes
    if not (is_side_by_side(product.left, 1) and is_side_by_side(product.right, 0)):
        return float("inf")
    width = writer.width(product.out.dtype, k)
    tail: float = (k % width) ** 0.5
    return m * n * (1.5 * (k // width) + tail + 5)


def write_dots(writer: Writer, product: Product) -> None:
    """Write a product in this form."""
    m, k, n = product.sizes
    if n == 1 and m > 1:
        product = product.turned()
        m, n = n, m
    abreast = min(4, n)
    with counted(writer, 0, m, 1, shared=m * k * n) as i:
        full = n - n % abreast
        for begin, end, step in ((0, full, abreast), (full, n, n % abreast)):
            if begin != end:
                with counted(writer, begin, end, step) as j:
                    _dots(writer, product, i, [shifted(j, each) for each in range(step)], k)


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
            with counted(writer, done, done + steps * width, width) as inner:
                left = load(product.left, i, inner, width)
                writer.line(f"const {kind} l0 = {left};")
                for total, column in zip(totals, columns, strict=True):
                    right = load(product.right.turned(), column, inner, width)
                    if product.right.number is not None:
                        right = product.right.number
                    writer.line(f"{total} += {times('l0', right)};")
            done += steps * width
        width //= 2
    sums = [f"fold_{type_}_2({total})" for total in totals] or ["0"] * len(columns)
    for before, column in zip(sums, columns, strict=True):
        total = writer.fresh("t")
        writer.line(f"{type_} {total} = {before};")
        for rest in range(done, k):
            factors = product.left.at(i, str(rest)), product.right.at(str(rest), column)
            writer.line(f"{total} += {times(*factors)};")
        start = None if product.start is None else product.start.at(i, column)
        writer.line(f"{product.out.at(i, column)} = {product.finished(total, start)};")
