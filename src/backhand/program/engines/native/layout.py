"""Layout: how the elements of views lie in memory, as loops over C arrays need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from backhand.program.calls import View
from backhand.program.plan import TEMPORARY, Plan

C_TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "int64_t",
    torch.int32: "int32_t",
    torch.int16: "int16_t",
    torch.int8: "int8_t",
    torch.uint8: "uint8_t",
    torch.bool: "bool",
}
"""The element types that C code is written for."""

REAL = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Window:
    """A strided array in C: element (i, j …) is base[offset + i·stride₀ + j·stride₁ …].

    Attributes:
        base: C text of a pointer.
        shape, stride, offset: in elements.
        dtype: of the elements.
        number: C text of every element's value, where all are one number.
    """

    base: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype
    number: str | None = None

    def at(self, *indices: str) -> str:
        """C text of an element."""
        if self.number is not None:
            return self.number
        return f"{self.base}[{self.index(*indices)}]"

    def index(self, *indices: str) -> str:
        """C text of an element's index."""
        return written_sum(self.offset, zip(indices, self.stride, strict=True))

    def broadcast(self, shape: Sequence[int]) -> Window:
        """The same under a larger shape, as torch broadcasts."""
        missing = len(shape) - len(self.shape)
        stride = [0] * missing + [
            0 if have == 1 and want != 1 else step
            for have, want, step in zip(self.shape, shape[missing:], self.stride, strict=True)
        ]
        return replace(self, shape=tuple(shape), stride=tuple(stride))

    def turned(self) -> Window:
        """A matrix with its axes exchanged."""
        return replace(self, shape=self.shape[::-1], stride=self.stride[::-1])

    def without_axis(self, axis: int, index: str = "") -> Window:
        """The same at one index of an axis; C text, or "" for index 0."""
        shape = self.shape[:axis] + self.shape[axis + 1 :]
        stride = self.stride[:axis] + self.stride[axis + 1 :]
        base = self.base
        if index and self.stride[axis]:
            base = f"({base} + {written_sum(0, [(index, self.stride[axis])])})"
        return replace(self, base=base, shape=shape, stride=stride)


def written_sum(offset: int, terms: object) -> str:
    """C text of offset + Σ index · stride, without what is nothing."""
    words = [str(offset)] if offset else []
    for index, stride in terms:  # type: ignore[attr-defined]
        if stride and index != "0":
            plain = index.isidentifier() or index.isdigit()
            index = index if plain else f"({index})"
            words.append(index if stride == 1 else f"{index} * {stride}")
    return " + ".join(words) or "0"


def coalesce(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """Fewer, longer axes over which several arrays are walked together."""
    kept = [axis for axis, length in enumerate(shape) if length != 1]
    lengths = [shape[axis] for axis in kept]
    steps = [[stride[axis] for axis in kept] for stride in strides]
    axis = len(lengths) - 2
    while axis >= 0:
        if all(step[axis] == step[axis + 1] * lengths[axis + 1] for step in steps):
            lengths[axis] *= lengths.pop(axis + 1)
            for step in steps:
                step[axis] = step.pop(axis + 1)
        axis -= 1
    return lengths, steps


@dataclass(frozen=True)
class Bytes:
    """The bytes of memory that a view lies between; temporaries all lie in one space."""

    space: int
    begin: int
    end: int

    def meets(self, other: Bytes) -> bool:
        """Whether some byte may be in both."""
        return self.space == other.space and self.begin < other.end and other.begin < self.end


ARENA = -1


def bytes_of(plan: Plan, view: View) -> Bytes:
    """Where a view lies."""
    storage = plan.storages[view.storage]
    space, start = (ARENA, storage.place) if storage.kind == TEMPORARY else (view.storage, 0)
    begin, end = view.span
    return Bytes(space, start + begin, start + end)
