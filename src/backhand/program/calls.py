"""Calls: what a recording consists of, and windows on numbered storages."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor


class NotRecordable(RuntimeError):
    """A step does something that a recording cannot hold; names the call and the layer."""


@dataclass(frozen=True)
class View:
    """A typed, strided window on a numbered storage; strides and offset count elements."""

    storage: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    @cached_property
    def count(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return self.count * self.dtype.itemsize

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether the elements stand one after the other in the order of the shape."""
        steps = zip(self.shape, self.stride, contiguous_strides(self.shape), strict=True)
        return all(step == wanted or length == 1 for length, step, wanted in steps)

    @cached_property
    def is_in_order(self) -> bool:
        """The same, with a contiguous tensor's strides also along axes of one element."""
        return self.stride == contiguous_strides(self.shape)

    @cached_property
    def is_turned(self) -> bool:
        """Whether they are those of a matrix in order, transposed."""
        return len(self.shape) == 2 and self.turned.is_in_order

    @property
    def turned(self) -> View:
        """The same elements with the axes in reverse order."""
        return replace(self, shape=self.shape[::-1], stride=self.stride[::-1])

    @cached_property
    def span(self) -> tuple[int, int]:
        """The bytes of its storage that it lies between: first, and one past the last."""
        begin = self.offset * self.dtype.itemsize
        if not self.count:
            return begin, begin
        steps = zip(self.shape, self.stride, strict=True)
        last = sum((length - 1) * step for length, step in steps)
        return begin, begin + (last + 1) * self.dtype.itemsize

    @cached_property
    def origin(self) -> tuple[int, int]:
        """Its storage, and the bytes of that before its first element."""
        return self.storage, self.offset * self.dtype.itemsize

    def fills(self, size: int) -> bool:
        """Whether it is all of a storage of this many bytes, each element once."""
        count = 1
        for length, step in sorted(
            zip(self.shape, self.stride, strict=True), key=lambda axis: axis[1]
        ):
            if length != 1 and step != count:
                return False
            count *= length
        return self.offset == 0 and count * self.dtype.itemsize == size

    def on(self, storage: int, shift: int = 0) -> View:
        """The same window on another storage, so many elements further on."""
        return replace(self, storage=storage, offset=self.offset + shift)

    def lies_as(self, other: View) -> bool:
        """Whether it is the same window, be it on another storage."""
        return self.on(other.storage) == other

    def reshaped(self, shape: tuple[int, ...]) -> View | None:
        """The same elements under another shape, where it is contiguous; else None."""
        if shape == self.shape:
            return self
        if not self.is_contiguous:
            return None
        return replace(self, shape=shape, stride=contiguous_strides(shape))

    def indexed(self, index: tuple[Any, ...]) -> View | None:
        """The view that numbers, slices, None and ... choose; None for another index."""
        if not all(type(each) in (int, slice, type(None), type(...)) for each in index):
            return None
        taken = sum(each is not None and each is not ... for each in index)
        if ... not in index:
            index = (*index, ...)
        at = index.index(...)
        free = (slice(None),) * (len(self.shape) - taken)
        shape, stride, offset, axis = [], [], self.offset, 0
        for each in (*index[:at], *free, *index[at + 1 :]):
            if each is None:
                shape.append(1)
                stride.append(0)
                continue
            length, step = self.shape[axis], self.stride[axis]
            axis += 1
            if isinstance(each, int):
                offset += (each % length) * step
                continue
            begin, end, by = each.indices(length)
            shape.append(len(range(begin, end, by)))
            stride.append(step * by)
            offset += begin * step
        return replace(self, shape=tuple(shape), stride=tuple(stride), offset=offset)


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a contiguous tensor of this shape."""
    strides, count = [], 1
    for length in reversed(shape):
        strides.append(count)
        count *= max(length, 1)
    return tuple(reversed(strides))


@dataclass(frozen=True)
class Scalar:
    """A live scalar among a call's arguments."""

    tree: Any


Argument: TypeAlias = Any
"""A View, a Scalar, a constant, or a list, tuple or dict of such."""


@dataclass
class Call:
    """One tensor call of the step, and what it was seen to do."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    keywords: dict[str, Argument]
    outputs: tuple[View, ...]
    writes: tuple[View, ...]
    makes: tuple[int, ...]
    """Storages that did not exist before the call."""
    random: bool
    phase: str
    """"forward", "loss", "backward" or "update"."""
    path: str
    layer: str
    parameter: str
    """The path of the parameter that is learning, where one is."""

    def essence(self) -> tuple[Any, ...]:
        """What must be the same in two recordings of one step."""
        return (
            self.name,
            self.arguments,
            sorted(self.keywords.items()),
            self.outputs,
            self.writes,
            self.makes,
            self.phase,
            self.path,
        )

    def where(self) -> str:
        """The call and its layer, for messages."""
        return f"{self.name} in {describe_place(self.phase, self.path, self.layer)}"


def describe_place(phase: str, path: str, layer: str) -> str:
    """ "the backward of 2.branch.0: FullyConnected(64, 10)"."""
    if not layer:
        return f"the {phase}"
    return f"the {phase} of {path}: {layer}" if path else f"the {phase} of {layer}"


@dataclass
class Recording:
    """The straight line of calls, and the storages it works on.

    Attributes:
        calls: in order.
        sizes: bytes of each storage.
        outside: tensors that were there before the step, one a storage.
        named: names for some storages ("input", "weight_0" …).
        results: views of what the caller receives.
    """

    calls: list[Call] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    outside: dict[int, Tensor] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)
    results: dict[str, View] = field(default_factory=dict)


def geometry(tensor: Tensor, storage: int) -> View:
    """The window that a tensor is on its storage."""
    offset = int(tensor.storage_offset())
    return View(storage, tensor.dtype, tuple(tensor.shape), tensor.stride(), offset)


def map_nested(change: Callable[[Any], Any], value: Any) -> Any:
    """The same lists, tuples and dicts with every leaf changed."""
    if isinstance(value, tuple) and not isinstance(value, torch.Size):
        return tuple(map_nested(change, each) for each in value)
    if isinstance(value, list):
        return [map_nested(change, each) for each in value]
    if isinstance(value, dict):
        return {key: map_nested(change, each) for key, each in value.items()}
    return change(value)


def meaning(value: Any) -> Hashable:
    """A key that is equal for arguments that mean the same to a call.

    Numbers count as equal where type and bits are (0.0 is not -0.0, 1 is not True); what cannot
    be hashed, where it is the same object.
    """
    if isinstance(value, View):
        return value
    if isinstance(value, Scalar):
        return Scalar, meaning(value.tree)
    if isinstance(value, list | tuple):
        return (type(value), *map(meaning, value))
    if isinstance(value, dict):
        return (dict, *((name, meaning(value[name])) for name in sorted(value)))
    if isinstance(value, float):
        return float, value.hex()
    try:
        hash(value)
    except TypeError:
        return type(value), id(value)
    return type(value), value


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    found: list[Tensor] = []

    def collect(each: Any) -> None:
        if isinstance(each, Tensor):
            found.append(each)

    map_nested(collect, value)
    return found
