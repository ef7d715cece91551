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

from backhand.program.engines.native.dots import cost_of_dots, write_dots
from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.product import Product, times
from backhand.program.engines.native.tiles import cost_of_vectors, write_vectors
from backhand.program.engines.native.writer import Writer


def write_product(writer: Writer, product: Product) -> None:
    """Write a product in its cheapest form."""
    m, k, n = product.sizes
    if m == 0 or n == 0:
        return
    if writer.lanes is None or k == 0:
        _write_plain(writer, product)
        return
    forms: list[tuple[float, Callable[[], None]]] = [
        (cost_of_vectors(writer, product), lambda: write_vectors(writer, product)),
        (
            cost_of_vectors(writer, product.turned()),
            lambda: write_vectors(writer, product.turned()),
        ),
        (cost_of_dots(writer, product), lambda: write_dots(writer, product)),
    ]
    min(forms, key=lambda form: form[0])[1]()


def _write_plain(writer: Writer, product: Product) -> None:
    m, k, n = product.sizes
    type_ = C_TYPES[product.out.dtype]
    with writer.loops([m, n]) as (i, j):
        writer.line(f"{type_} total = {writer.literal(0, product.out.dtype)};")
        with writer.loops([k]) as (inner,):
            writer.line(f"total += {times(product.left.at(i, inner), product.right.at(inner, j))};")
        start = None if product.start is None else product.start.at(i, j)
        writer.line(f"{product.out.at(i, j)} = {product.finished('total', start)};")
