"""Replay: the plan as one flat Python function of `out=` and in-place calls.

Bit for bit the plain step. Every view is made once; the function does nothing but tensor calls.
"""

from __future__ import annotations

import linecache
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from backhand.program.plan import ALIGNMENT, ARGUMENT, CONSTANT, OUTSIDE, Operation, Plan
from backhand.program.record import Scalar, View, map_nested
from backhand.program.source import Source, write_source


class Replay:
    """The engine that is always there."""

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], function: str) -> Replayed:
        """Make a plan ready to run on the tensors that were there before the step.

        Args:
            plan: what to run.
            outside: by storage number, a tensor on that storage.
            function: a name for the written function.
        """
        return Replayed(plan, outside, function)

    def __repr__(self) -> str:
        return "Replay()"


class Replayed:
    """A plan bound to memory, ready to run.

    Attributes:
        arguments: the buffers to copy each step's tensors into, by name.
        run: the function; takes the live scalars in the order of `source.parameters`, returns
            the results, fresh.
        source: what runs, as text.
        namespace: what the text's names stand for.
    """

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor], function: str) -> None:
        memory = _Memory(plan, outside)
        for operation in plan.preparations:
            _prepare(operation, memory)
        self.source: Source = write_source(plan, function)
        self.namespace: dict[str, Any] = dict(self.source.objects)
        self.namespace |= {name: memory.tensor(view) for name, view in self.source.views.items()}
        for name, (number, dtype) in self.source.numbers.items():
            self.namespace[name] = torch.tensor(number, dtype=dtype)
        self.arguments = {name: memory.tensor(view) for name, view in plan.arguments.items()}
        self.run = _compiled(self.source, dict(self.namespace))


class _Memory:
    """Tensors for the views of a plan."""

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor]) -> None:
        self._plan = plan
        self._outside = outside
        self._arena = aligned_bytes(plan.arena)
        self._blocks = {
            number: aligned_bytes(storage.size)
            for number, storage in plan.storages.items()
            if storage.kind in (ARGUMENT, CONSTANT)
        }

    def tensor(self, view: View) -> Tensor:
        storage = self._plan.storages[view.storage]
        if storage.kind == OUTSIDE:
            seen = self._outside[view.storage]
            if seen.dtype is not view.dtype:
                seen = seen.view(view.dtype)
            return seen.as_strided(view.shape, view.stride, view.offset)
        block = self._blocks.get(view.storage)
        if block is None:
            block = self._arena[storage.place : storage.place + storage.size]
        typed = block.view(view.dtype)
        return typed.as_strided(view.shape, view.stride, typed.storage_offset() + view.offset)


def aligned_bytes(size: int) -> Tensor:
    """A block of memory that begins at a multiple of ALIGNMENT."""
    block = torch.zeros(size + ALIGNMENT, dtype=torch.uint8)
    begin = -block.data_ptr() % ALIGNMENT
    return block[begin : begin + size]


def _prepare(operation: Operation, memory: _Memory) -> None:
    """Make a constant."""

    def real(value: Any) -> Any:
        if isinstance(value, View):
            return memory.tensor(value)
        assert not isinstance(value, Scalar)
        return value

    operands = map_nested(real, operation.operands)
    target = memory.tensor(operation.target)
    if operation.how == "fill":
        target.fill_(operands[0])
    elif operation.how == "copy":
        target.copy_(operands[0])
    elif operation.how == "out":
        getattr(torch, operation.name)(*operands, **map_nested(real, operation.keywords), out=target)
    else:
        results = operation.function(*operands, **map_nested(real, operation.keywords))
        for view, result in zip(operation.targets, _as_tuple(results), strict=True):
            memory.tensor(view).copy_(result)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _compiled(source: Source, namespace: dict[str, Any]) -> Any:
    """The text's function; a traceback through it shows its lines."""
    file = f"<{source.function} {id(namespace):x}>"
    linecache.cache[file] = (len(source.text), None, source.text.splitlines(keepends=True), file)
    exec(compile(source.text, file, "exec"), namespace)
    return namespace[source.function]
