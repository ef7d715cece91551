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
from dataclasses import replace
from functools import partial

from backhand.program.engines.native.dots import cost_of_dots, write_dots
from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.product import Product, is_side_by_side, times
from backhand.program.engines.native.tiles import cost_of_vectors, packed, write_vectors
from backhand.program.engines.native.writer import Writer


def write_product(
    writer: Writer, product: Product, fixed: tuple[bool, bool] = (False, False)
) -> None:
    """Write a product in its cheapest form; in a steady step, in the one that suits any batch.

    Args:
        fixed: whether left and right were there before the step.
    """
    m, k, n = product.sizes
    if m == 0 or n == 0:
        return
    if writer.lanes is None or k == 0:
        _write_plain(writer, product)
        return
    with writer.block():
        dots = vectors = True
        if writer.steady:
            product, dots = _steady(writer, product, fixed)
            vectors = not dots
        forms: list[tuple[float, Callable[[], None]]] = []
        if vectors:
            for each in (product, product.turned()):
                forms.append((cost_of_vectors(writer, each), partial(write_vectors, writer, each)))
        if dots:
            forms.append((cost_of_dots(writer, product), partial(write_dots, writer, product)))
        min(forms, key=lambda form: form[0])[1]()


def _steady(writer: Writer, product: Product, fixed: tuple[bool, bool]) -> tuple[Product, bool]:
    """The product, and whether it is written as dot products.

    In either form, a sum runs in an order of its own length alone, so that a row's bits are the
    same in a batch of any size; the two orders differ. So the operand that has no rows of the
    batch decides between them, by how it lies; the other one is packed where it lies otherwise.
    """
    left, right = product.left, product.right
    lies = is_side_by_side(left, 1), is_side_by_side(right, 0)
    if left.number is not None or right.number is not None:
        dots = True
    else:
        dots = lies[fixed.index(True)] if fixed[0] != fixed[1] else all(lies)
    if dots and not lies[0]:
        left = packed(writer, left)
    if dots and not lies[1]:
        right = packed(writer, right.turned()).turned()
    return replace(product, left=left, right=right), dots


def _write_plain(writer: Writer, product: Product) -> None:
    m, k, n = product.sizes
    type_ = C_TYPES[product.out.dtype]
    with writer.loops([m, n]) as (i, j):
        writer.line(f"{type_} total = {writer.literal(0, product.out.dtype)};")
        with writer.loops([k]) as (inner,):
            writer.line(f"total += {times(product.left.at(i, inner), product.right.at(inner, j))};")
        start = None if product.start is None else product.start.at(i, j)
        writer.line(f"{product.out.at(i, j)} = {product.finished('total', start)};")
