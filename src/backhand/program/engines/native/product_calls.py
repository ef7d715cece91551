"""Calls that are matrix products, each put as one: mm, mv, addmm, addmv, batched, dot, addr."""

from __future__ import annotations

from dataclasses import replace

from backhand.program.engines.native.layout import REAL, Window
from backhand.program.engines.native.operands import only
from backhand.program.engines.native.product import MatrixProduct
from backhand.program.engines.native.products import write_product
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import Operation


def write_products(writer: Writer, operation: Operation) -> None:
    """mm, mv, addmm, addmv and their batched forms."""
    only(writer, operation, "alpha", "beta")
    adds = "add" in operation.name
    operands = [writer.window(each) for each in operation.operands]
    start = operands.pop(0) if adds else None
    left, right = operands
    out = writer.window(operation.target)
    dtype = out.dtype
    if dtype not in REAL or any(each.dtype is not dtype for each in operands):
        raise writer.refuse("is written for real numbers of one type")
    if start is not None:
        start = start.broadcast(out.shape)
    if operation.name in ("mv", "addmv"):
        out, right = _as_column(out), _as_column(right)
        start = None if start is None else _as_column(start)
    keywords = operation.keywords
    alpha, beta = keywords.get("alpha", 1), keywords.get("beta", 1)
    alpha_text = None if _is(alpha, 1) else writer.number(alpha, dtype)
    beta_text = None if _is(beta, 1) else writer.number(beta, dtype)
    if _is(beta, 0):  # what was there does not matter then, NaN or not
        start = None
    product = MatrixProduct(out, left, right, start, alpha_text, beta_text)
    one, other = operation.operands[-2:]
    fixed = one.storage not in writer.varying, other.storage not in writer.varying
    if operation.name in ("bmm", "baddbmm"):
        with writer.loops(out.shape[:1]) as (b,):
            inside = None if start is None else start.without_axis(0, b)
            write_product(
                writer,
                replace(
                    product,
                    out=out.without_axis(0, b), left=left.without_axis(0, b),
                    right=right.without_axis(0, b), start=inside,
                ),
                fixed,
            )  # fmt: skip
    else:
        write_product(writer, product, fixed)


def _is(value: object, number: int) -> bool:
    return isinstance(value, int | float) and value == number


def write_dot(writer: Writer, operation: Operation) -> None:
    """dot: a row times a column."""
    left, right = operation.operands
    row = replace(left, shape=(1, *left.shape), stride=(0, *left.stride))
    column = replace(right, shape=(*right.shape, 1), stride=(*right.stride, 0))
    target = replace(operation.target, shape=(1, 1), stride=(0, 0))
    write_products(writer, replace(operation, name="mm", operands=(row, column), targets=(target,)))


def write_outer(writer: Writer, operation: Operation) -> None:
    """addr: start + left ⊗ right."""
    start, left, right = operation.operands
    column = replace(left, shape=(*left.shape, 1), stride=(*left.stride, 0))
    row = replace(right, shape=(1, *right.shape), stride=(0, *right.stride))
    write_products(writer, replace(operation, name="addmm", operands=(start, column, row)))


def _as_column(window: Window) -> Window:
    return replace(window, shape=(*window.shape, 1), stride=(*window.stride, 0))
