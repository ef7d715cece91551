"""Elementwise operations: chains of them become one loop.

Operations join a loop while each element depends on no other element: whatever two of them
both touch, they touch at the same address in the same turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch

from backhand.program.calls import View, contiguous_strides
from backhand.program.engines.native.formulas import FORMULAS, expression
from backhand.program.engines.native.layout import (
    C_TYPES,
    Bytes,
    Window,
    bytes_of,
    coalesce,
)
from backhand.program.engines.native.writer import Writer
from backhand.program.plan import TEMPORARY, Operation


@dataclass(frozen=True)
class _Access:
    """A view as one loop walks it."""

    bytes: Bytes
    dtype: torch.dtype
    stride: tuple[int, ...]


@dataclass
class _Step:
    """An operation in a loop: what it reads and what it writes."""

    operation: Operation
    reads: list[tuple[View, _Access]]
    write: _Access
    flat: bool


def is_elementwise(operation: Operation) -> bool:
    """Whether the operation belongs into a loop of elements."""
    return len(operation.targets) == 1 and (
        operation.how in ("copy", "fill") or (operation.how == "out" and operation.name in FORMULAS)
    )


def together(writer: Writer, begin: int) -> int:
    """How many operations of the plan, from one on, make one loop."""
    operations = writer.plan.operations
    steps = [_step(writer, operations[begin])]
    for operation in islice(operations, begin + 1, None):
        if not is_elementwise(operation):
            break
        step = _step(writer, operation)
        if not _may_join(steps, step):
            break
        steps.append(step)
    return len(steps)


def kept(writer: Writer, begin: int, end: int) -> tuple[bool, ...]:
    """For each operation of a loop, from begin to end, whether what it writes reaches memory."""
    return tuple(_is_kept(writer, at, end) for at in range(begin, end))


def _is_kept(writer: Writer, at: int, end: int) -> bool:
    plan = writer.plan
    target = plan.operations[at].target
    if plan.storages[target.storage].kind != TEMPORARY:
        return all(each.target != target for each in plan.operations[at + 1 : end])
    return writer.last_read.get(target.storage, -1) >= end


def write_loop(writer: Writer, operations: Sequence[Operation], is_kept: Sequence[bool]) -> None:
    """Write operations that make one loop.

    Args:
        is_kept: for each, whether what it writes must reach memory.
    """
    _Loop(writer, [_step(writer, each) for each in operations], is_kept).write()


def _step(writer: Writer, operation: Operation) -> _Step:
    target = operation.target
    reads = [view for view in operation.reads() if view.storage not in writer.numbers]
    flat = target.is_contiguous and all(
        view.is_contiguous and view.count == target.count for view in reads
    )

    def access(view: View) -> _Access:
        stride = (
            (1,) if flat else Window("", view.shape, view.stride, 0, view.dtype)
            .broadcast(target.shape).stride
        )  # fmt: skip
        ends = bytes_of(writer.plan, view)
        return _Access(ends, view.dtype, _meaningful(stride, target.shape, flat))

    return _Step(operation, [(view, access(view)) for view in reads], access(target), flat)


def _meaningful(stride: Sequence[int], shape: Sequence[int], flat: bool) -> tuple[int, ...]:
    """Strides, 0 where an axis has one element, so that equal walks compare equal."""
    if flat:
        return tuple(stride)
    return tuple(step if length > 1 else 0 for step, length in zip(stride, shape, strict=True))


def _may_join(steps: list[_Step], step: _Step) -> bool:
    first = steps[0].operation.target
    target = step.operation.target
    if target.count == 0 or first.count == 0:
        return False
    same_walk = target.shape == first.shape and step.flat == steps[0].flat
    both_flat = step.flat and steps[0].flat and target.count == first.count
    if not (same_walk or both_flat):
        return False
    for other in steps:
        rivals = [other.write, *(access for _, access in other.reads)]
        if any(_collide(step.write, rival) for rival in rivals):
            return False
        if any(_collide(access, other.write) for _, access in step.reads):
            return False
    return True


def _collide(one: _Access, other: _Access) -> bool:
    """Whether two walks may touch the same memory in different turns."""
    return one != other and one.bytes.meets(other.bytes)


class _Loop:
    """One loop, or nest of loops, over the elements of several operations."""

    def __init__(self, writer: Writer, steps: list[_Step], kept: Sequence[bool]) -> None:
        self.writer = writer
        self.steps = steps
        self.kept = kept
        self.values: dict[_Access, str] = {}
        target = steps[0].operation.target
        flat = all(step.flat for step in steps)
        self.shape = (target.count,) if flat else target.shape
        self.flat = flat

    def write(self) -> None:
        windows = self._windows()
        lengths, strides = coalesce(self.shape, [w.stride for w in windows.values()])
        self.windows = {
            view: Window(w.base, tuple(lengths), tuple(stride), w.offset, w.dtype, w.number)
            for (view, w), stride in zip(windows.items(), strides, strict=True)
        }
        if 0 in lengths:
            return
        with self.writer.loops(lengths, independent=True) as self.indices:
            self._body()

    def _windows(self) -> dict[View, Window]:
        windows: dict[View, Window] = {}
        for step in self.steps:
            for view in (*step.operation.reads(), step.operation.target):
                window = self.writer.window(view)
                if self.flat:
                    stride = contiguous_strides(self.shape)
                    window = Window(
                        window.base, self.shape, stride, window.offset, window.dtype, window.number
                    )
                else:
                    window = window.broadcast(self.shape)
                windows[view] = window
        return windows

    def _body(self) -> None:
        for step, is_kept in zip(self.steps, self.kept, strict=True):
            self.writer.operation = step.operation
            reader = partial(self._value, dict(step.reads))
            text = expression(self.writer, step.operation, reader)
            target = step.operation.target
            name = self.writer.fresh("v")
            self.writer.line(f"const {C_TYPES[target.dtype]} {name} = {text};")
            self.values[step.write] = name
            if is_kept:
                self.writer.line(f"{self.windows[target].at(*self.indices)} = {name};")

    def _value(self, accesses: dict[View, _Access], view: View) -> str:
        """The C text of a view's element: a name, once it has been read or computed."""
        window = self.windows[view]
        if view not in accesses:
            return window.at(*self.indices)
        access = accesses[view]
        if access not in self.values:
            name = self.values[access] = self.writer.fresh("v")
            self.writer.line(f"const {C_TYPES[view.dtype]} {name} = {window.at(*self.indices)};")
        return self.values[access]
