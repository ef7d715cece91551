"""A plan whose C is compiled, bound to memory: a step is one call, and so is an epoch."""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from backhand.learning.tally import Tally
from backhand.program.engines.native.compile import STEADY, load_library
from backhand.program.engines.native.emit import Code
from backhand.program.engines.native.writer import NotNative
from backhand.program.engines.plan_memory import PlanMemory, aligned_bytes
from backhand.program.plan import ARGUMENT, CONSTANT, Plan

PATIENCE = 0.01
"""Seconds for which Ctrl-C has to wait, about; a call of C that takes longer is cut in several."""

_ZERO, _ONE = ctypes.c_int64(0), ctypes.c_int64(1)


class Compiled:
    """A plan bound to memory, and its C compiled; see Bound.

    Attributes:
        plan_memory: what its temporaries and constants lie in.
    """

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor], code: Code) -> None:
        self._library = load_library(code.text, STEADY if code.steady else ())
        self.text = code.text
        self.scalar_names = code.scalar_names
        self.namespace: dict[str, Any] = {}
        self.tally = Tally()
        self._plan = plan
        self._code = code
        self._random = code.random
        self._schedule = torch.tensor(code.schedule, dtype=torch.int64)
        self._views = list(plan.arguments.values())
        self._results = list(plan.results.values())
        self._bind_memory(code.storages, code.scratch, outside)

    def bound_to(self, outside: Mapping[int, Tensor]) -> Compiled:
        """The same code on other weights."""
        twin = copy.copy(self)
        twin.tally = Tally()
        twin._bind_memory(self._code.storages, self._code.scratch, outside)
        return twin

    def _bind_memory(
        self, storages: tuple[int, ...], scratch: int, outside: Mapping[int, Tensor]
    ) -> None:
        if any(each.is_neg() for each in outside.values()):
            raise NotNative("a weight or state is the negative of what its memory holds")
        plan = self._plan
        self.plan_memory = memory = PlanMemory(plan, outside)
        memory.make_constants()
        spare = aligned_bytes(scratch)
        addresses = [memory.arena.data_ptr(), spare.data_ptr()]
        self._kept = [spare, *outside.values()]
        self._buffers: dict[int, Tensor] = {}
        for number in storages:
            storage = plan.storages[number]
            if storage.kind == ARGUMENT:
                self._buffers[number] = aligned_bytes(storage.size)
                addresses.append(self._buffers[number].data_ptr())
            elif storage.kind == CONSTANT:
                addresses.append(memory.blocks[number].data_ptr())
            else:
                addresses.append(outside[number].untyped_storage().data_ptr())
        addresses += [self._schedule.data_ptr(), self._schedule.data_ptr() + self._schedule.nbytes]
        self._memory = (ctypes.c_void_p * len(addresses))(*addresses)
        self._places = [
            storages.index(view.storage) + 2 if view.storage in storages else None
            for view in self._views
        ]
        self._numbers = (ctypes.c_double * max(len(self.scalar_names), 1))()
        self._pointers = (ctypes.c_void_p * max(len(self._results), 1))()
        self._fault = ctypes.c_int64()
        self._key = ctypes.c_uint64()
        self._at_once = 1
        self._once = self._steps(self._memory, self._numbers, self._pointers)

    def run(self, *values: Any) -> Any:
        """See Bound."""
        results = [torch.empty(view.shape, dtype=view.dtype) for view in self._results]
        self.receive(values, results)
        self._take(self._once)
        if len(results) > 1:
            return tuple(results)
        return results[0] if results else None

    def receive(self, values: Sequence[Any], results: Sequence[Tensor]) -> None:
        """Take over what a step runs on, as `run` does, and where it leaves its results."""
        count = len(self._views)
        for place, tensor in zip(self._places, values[:count], strict=True):
            if place is not None:
                self._memory[place] = tensor.data_ptr()
        self._numbers[: len(self.scalar_names)] = list(values[count:])
        for at, result in enumerate(results):
            self._pointers[at] = result.data_ptr()
        if self._random:
            self._draw_key()

    def take_calls(self, begin: int, end: int) -> None:
        """Of the step that was received, the calls from one number of its schedule to another."""
        schedule, size = self._schedule.data_ptr(), self._schedule.itemsize
        self._memory[-2:] = [schedule + begin * size, schedule + end * size]
        self._take(self._once)

    def in_place(self, batch: Sequence[Tensor]) -> tuple[Callable[..., None], list[Tensor]]:
        """See Bound."""
        memory = type(self._memory)(*self._memory)
        for place, tensor in zip(self._places, batch, strict=True):
            if place is not None:
                memory[place] = tensor.data_ptr()
        results = [torch.empty(view.shape, dtype=view.dtype) for view in self._results]
        pointers = (ctypes.c_void_p * max(len(results), 1))(*[each.data_ptr() for each in results])
        numbers = (ctypes.c_double * max(len(self.scalar_names), 1))()
        once = self._steps(memory, numbers, pointers)

        def run(*values: float) -> None:
            for at, value in enumerate(values):
                numbers[at] = value
            if self._random:
                self._draw_key()
            self._take(once)

        return run, results

    def run_many(self, data: Sequence[Tensor], order: Tensor, values: Tensor) -> Tensor | None:
        """See Bound. As few calls as Ctrl-C has to wait PATIENCE for at most."""
        steps = len(values)
        data = [
            each.to(view.dtype).contiguous() for each, view in zip(data, self._views, strict=True)
        ]
        order = _checked(order, data)
        for place, view in zip(self._places, self._views, strict=True):
            if place is not None:
                self._memory[place] = self._buffers[view.storage].data_ptr()
        numbers = values.contiguous()
        results = [torch.empty((steps, *view.shape), dtype=view.dtype) for view in self._results]
        for at, result in enumerate(results):
            self._pointers[at] = result.data_ptr()
        sources = (ctypes.c_void_p * max(len(data), 1))(*[each.data_ptr() for each in data])
        pointer, rows = ctypes.c_void_p(numbers.data_ptr()), ctypes.c_void_p(order.data_ptr())
        first, last = ctypes.c_int64(), ctypes.c_int64()
        calls = self._steps(self._memory, pointer, self._pointers, first, last, rows, sources)
        if self._random:
            self._draw_key()
        while last.value < steps:
            first.value, last.value = last.value, min(last.value + self._at_once, steps)
            begun = perf_counter()
            self._take(calls, last.value - first.value)
            self._mind(last.value - first.value, perf_counter() - begun)
        return results[0] if results else None

    def _mind(self, steps: int, seconds: float) -> None:
        """Learn from how long some steps took how many to take at once."""
        if seconds > PATIENCE:
            self._at_once = max(1, int(steps * PATIENCE / seconds))
        elif steps == self._at_once and seconds < PATIENCE / 10:
            self._at_once *= 8

    def _steps(
        self,
        memory: Any,
        numbers: Any,
        results: Any,
        first: ctypes.c_int64 = _ZERO,
        last: ctypes.c_int64 = _ONE,
        order: Any = None,
        data: Any = None,
    ) -> Iterator[int]:
        """An iterator that takes these steps, each time anew, and says how many it finished."""
        function = self._library.function
        return iter(
            partial(
                function, memory, first, last, numbers, order, data, results, self._key,
                ctypes.byref(self._fault),
            ),
            None,
        )  # fmt: skip

    def _take(self, calls: Iterator[int], steps: int = 1) -> None:
        """Take steps, and count those that were finished, whatever interrupts.

        The turn of a loop stores what C returned with no bytecode between in which Python could
        hand on Ctrl-C, and the sum calls nothing.
        """
        done = 0
        try:
            for done in calls:  # noqa: B007, it is read when the loop has been left
                break
        finally:
            self.tally.count += done
        if done != steps:
            operation = self._plan.operations[self._fault.value - 1]
            raise IndexError(
                f"{operation.name} in {operation.place_in_network()}: an index is out of range"
            )

    def _draw_key(self) -> None:
        self._key.value = int(torch.randint(-(1 << 63), (1 << 63) - 1, ())) & _ALL


_ALL = (1 << 64) - 1


def _checked(order: Tensor, data: Sequence[Tensor]) -> Tensor:
    """The order as whole row numbers of every data set.

    Raises:
        IndexError: a row that is not there.
    """
    rows = min(len(each) for each in data)
    low, high = (int(each) for each in torch.aminmax(order))
    if low < -rows or high >= rows:
        wrong = low if low < -rows else high
        raise IndexError(f"order: row {wrong} is out of range for {rows} rows")
    order = order.to(torch.int64).contiguous()
    return torch.where(order < 0, order + rows, order) if low < 0 else order
