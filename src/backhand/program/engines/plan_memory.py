"""Memory: tensors for the views of a plan, shared by the engines."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from backhand.program.calls import Scalar, View, map_nested
from backhand.program.plan import ALIGNMENT, CONSTANT, OUTSIDE, Operation, Plan

LARGE = 32 << 20
"""Bytes of an arena beside which it matters what the C library kept of a recording's tensors: it
keeps those that are smaller than this, in pieces into which the arena does not fit."""


class PlanMemory:
    """The memory that a plan is bound to: an arena, and a block for each constant.

    Attributes:
        arena: all temporaries.
        blocks: the constants, by storage.
    """

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor]) -> None:
        self._plan = plan
        self._outside = outside
        if plan.arena >= LARGE:
            _give_back_freed_memory()
        self.arena = aligned_bytes(plan.arena)
        self.blocks = {
            number: aligned_bytes(storage.size)
            for number, storage in plan.storages.items()
            if storage.kind == CONSTANT
        }

    def tensor(self, view: View) -> Tensor:
        """The tensor that a view stands for."""
        storage = self._plan.storages[view.storage]
        if storage.kind == OUTSIDE:
            seen = self._outside[view.storage]
            if seen.dtype is not view.dtype:
                seen = seen.view(view.dtype)
            return seen.as_strided(view.shape, view.stride, view.offset)
        block = self.blocks.get(view.storage)
        if block is None:
            block = self.arena[storage.place : storage.place + storage.size]
        typed = block.view(view.dtype)
        return typed.as_strided(view.shape, view.stride, typed.storage_offset() + view.offset)

    def make_constants(self) -> None:
        """Run the plan's preparations."""
        for operation in self._plan.preparations:
            self._prepare(operation)

    def _prepare(self, operation: Operation) -> None:
        def real(value: Any) -> Any:
            if isinstance(value, View):
                return self.tensor(value)
            assert not isinstance(value, Scalar)
            return value

        operands = map_nested(real, operation.operands)
        keywords = map_nested(real, operation.keywords)
        target = self.tensor(operation.target)
        if operation.how == "fill":
            target.fill_(operands[0])
        elif operation.how == "copy":
            target.copy_(operands[0])
        elif operation.how == "out":
            getattr(torch, operation.name)(*operands, **keywords, out=target)
        else:
            results = operation.function(*operands, **keywords)
            for view, result in zip(operation.targets, _as_tuple(results), strict=True):
                self.tensor(view).copy_(result)


def _give_back_freed_memory() -> None:
    """Return memory that was freed to the system, where the C library is one that can be asked."""
    if os.name == "posix":
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def aligned_bytes(size: int) -> Tensor:
    """A block of memory that begins at a multiple of ALIGNMENT."""
    block = torch.zeros(size + ALIGNMENT, dtype=torch.uint8)
    begin = -block.data_ptr() % ALIGNMENT
    return block[begin : begin + size]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)
