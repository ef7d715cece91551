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

from backhand.program.engines.native import blas
from backhand.program.engines.native.dots import cost_of_dots, write_dots
from backhand.program.engines.native.layout import C_TYPES
from backhand.program.engines.native.product import MatrixProduct, is_side_by_side, times
from backhand.program.engines.native.tiles import cost_of_vectors, packed, write_vectors
from backhand.program.engines.native.writer import Writer

FEW = 8
"""Rows that pay for packing what they are multiplied with."""


def write_product(
    writer: Writer, product: MatrixProduct, fixed: tuple[bool, bool] = (False, False)
) -> None:
    """Write a product in its cheapest form; in a steady step, in the one that suits any batch.

    In either form, dot products or vectors, a sum runs in an order of its own length alone, so
    that a row's bits are the same in a batch of any size; the two orders differ. So what decides
    between them is the same in every batch: of a matrix with rows of the batch, where its elements
    lie and how many they are is not, of the other one it is.

    Args:
        fixed: whether left and right are the same in every batch.
    """
    left, right = product.left, product.right
    if fixed == (True, False):
        dots = is_side_by_side(left, 1) and _suits_dots(writer, product.turned())
    else:
        dots = fixed[1] and is_side_by_side(right, 0) and _suits_dots(writer, product)
    _write(writer, product, dots if writer.steady else None)


def write_sums(writer: Writer, product: MatrixProduct, is_last: bool) -> None:
    """Write sums, a product with ones; see write_product.

    Args:
        is_last: whether they are along an array's last axis, as its elements mostly lie.
    """
    _write(writer, product, is_last if writer.steady else None)


def _write(writer: Writer, product: MatrixProduct, dots: bool | None) -> None:
    """As dot products or not, None for the cheapest; what lies otherwise is packed."""
    m, k, n = product.sizes
    if m == 0 or n == 0:
        return
    if writer.lanes is None or k == 0:
        _write_plain(writer, product)
        return
    if writer.library_takes(product.out.dtype, m * k * n) and blas.fits(product):
        blas.write_call(writer, product)
        return
    with writer.block():
        if dots and not is_side_by_side(product.left, 1):
            product = replace(product, left=packed(writer, product.left))
        if dots and not is_side_by_side(product.right, 0):
            right = packed(writer, product.right.turned()).turned()
            product = replace(product, right=right)
        forms: list[tuple[float, Callable[[], None]]] = []
        if not dots:
            for each in (product, product.turned()):
                forms.append((cost_of_vectors(writer, each), partial(write_vectors, writer, each)))
        if dots is not False:
            forms.append((cost_of_dots(writer, product), partial(write_dots, writer, product)))
        min(forms, key=lambda form: form[0])[1]()


def _suits_dots(writer: Writer, product: MatrixProduct) -> bool:
    """Whether few rows times the right matrix are cheaper as dot products."""
    _, k, n = product.sizes
    few = replace(product.left, shape=(FEW, k), stride=(k, 1))
    product = replace(product, left=few, out=replace(product.out, shape=(FEW, n), stride=(n, 1)))
    return cost_of_dots(writer, product) <= cost_of_vectors(writer, product)


def _write_plain(writer: Writer, product: MatrixProduct) -> None:
    m, k, n = product.sizes
    type_ = C_TYPES[product.out.dtype]
    with writer.loops([m, n]) as (i, j):
        writer.line(f"{type_} total = {writer.literal(0, product.out.dtype)};")
        with writer.loops([k]) as (inner,):
            writer.line(f"total += {times(product.left.at(i, inner), product.right.at(inner, j))};")
        start = None if product.start is None else product.start.at(i, j)
        writer.line(f"{product.out.at(i, j)} = {product.finished('total', start)};")
