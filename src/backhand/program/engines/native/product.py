"""A matrix product to be written, and what its forms share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from backhand.program.engines.native.layout import C_TYPES, Window
from backhand.program.engines.native.writer import SHARED, SHARED_PRODUCTS, Writer

TILE = 24
"""Vectors of a result that are kept in registers at once (half as many without AVX-512)."""


def vectors_in_registers(writer: Writer) -> int:
    """How many vectors of a result may be kept in registers at once."""
    return TILE if writer.lanes and writer.lanes.get(torch.float32, 1) >= 16 else TILE // 2


@dataclass(frozen=True)
class MatrixProduct:
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

    def turned(self) -> MatrixProduct:
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


def times(one: str, other: str) -> str:
    """Their product as C text; times 1 is nothing."""
    if is_one(one):
        return other
    return one if is_one(other) else f"{one} * {other}"


def is_one(text: str) -> bool:
    """Whether C text is the number 1."""
    return text in ("1.0", "1.0f")


def added(writer: Writer, total: str, one: str, other: str, kind: str) -> str:
    """The C statement that adds a product, of elements or vectors of a kind, to a total."""
    if writer.steady and not (is_one(one) or is_one(other)):
        return f"{total} = fused_{kind}({one}, {other}, {total});"
    return f"{total} += {times(one, other)};"


def is_side_by_side(window: Window, axis: int) -> bool:
    """Whether elements along an axis stand one after another, so that a vector loads them."""
    return window.number is not None or window.stride[axis] == 1 or window.shape[axis] == 1


class counted:
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


def parts(length: int, step: int) -> list[tuple[int, int, int]]:
    """Begin, end and step of the loops that walk a length in steps, the last one shorter."""
    whole = length - length % step
    found = [(0, whole, step), (whole, length, length - whole)]
    return [each for each in found if each[0] < each[1]]


def shifted(index: str, by: int) -> str:
    """An index, plus a number."""
    if index.isdigit():
        return str(int(index) + by)
    return index if by == 0 else f"{index} + {by}"


def loaded(window: Window, row: str, column: str, width: int) -> str:
    """A vector of so many elements from there on, as C text; of one, the element."""
    text = window.at(row, column)
    if width == 1:
        return text
    kind = f"{C_TYPES[window.dtype]}_{width}"
    if window.number is not None or window.stride[1] == 0:
        return spread(text, kind, width)
    return f"BH_LOAD({kind}, &{text})"


def spread(text: str, kind: str, width: int) -> str:
    """A vector with one element in all its lanes, as C text."""
    return text if width == 1 else f"({kind}){{{', '.join([text] * width)}}}"
