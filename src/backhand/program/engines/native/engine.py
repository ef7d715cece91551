"""Native: the plan as one C function, compiled once; an epoch is one call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.program.engines.native.compile import load, vector_bytes
from backhand.program.engines.native.emit import Code, write_c
from backhand.program.engines.plan_memory import PlanMemory, aligned_bytes
from backhand.program.plan import ARGUMENT, CONSTANT, Plan


class Native:
    """The engine for small networks, which drown in the overhead of calls.

    Agrees with the plain step to rounding, and with itself bit for bit. Random numbers come
    from a counter-based generator whose key is drawn from torch's at every call.
    """

    packs = True
    predicts = True

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> Compiled:
        """See Engine.

        Raises:
            NotNative: the plan has an operation that cannot be written as C.
            CannotCompile: there is no C compiler, or it failed.
        """
        return Compiled(plan, outside, write_c(plan, name, vector_bytes()))

    def __repr__(self) -> str:
        return "Native()"


class Compiled:
    """A plan bound to memory, and its C compiled; see Bound."""

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor], code: Code) -> None:
        self._library = load(code.text)
        self.text = code.text
        self.scalar_names = code.scalar_names
        self.namespace: dict[str, Any] = {}
        self.done = 0
        self._plan = plan
        self._random = code.random
        self._views = list(plan.arguments.values())
        self._results = list(plan.results.values())
        self._bind_memory(code.storages, code.scratch, outside)

    def _bind_memory(
        self, storages: tuple[int, ...], scratch: int, outside: Mapping[int, Tensor]
    ) -> None:
        plan = self._plan
        memory = PlanMemory(plan, outside)
        memory.make_constants()
        spare = aligned_bytes(scratch)
        addresses = [memory.arena.data_ptr(), spare.data_ptr()]
        self._kept = [spare, memory, *outside.values()]
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
        self._memory = (ctypes.c_void_p * len(addresses))(*addresses)
        self._places = [
            storages.index(view.storage) + 2 if view.storage in storages else None
            for view in self._views
        ]
        self._numbers = (ctypes.c_double * max(len(self.scalar_names), 1))()
        self._pointers = (ctypes.c_void_p * max(len(self._results), 1))()
        self._fault = ctypes.c_int64()
        self._fault_pointer = ctypes.byref(self._fault)
        self._one = ctypes.c_int64(1)

    def run(self, *values: Any) -> Any:
        """See Bound."""
        count = len(self._views)
        for place, tensor in zip(self._places, values[:count], strict=True):
            if place is not None:
                self._memory[place] = tensor.data_ptr()
        self._numbers[: len(self.scalar_names)] = list(values[count:])
        results = [torch.empty(view.shape, dtype=view.dtype) for view in self._results]
        for at, result in enumerate(results):
            self._pointers[at] = result.data_ptr()
        self._call(self._memory, self._one, self._numbers, None, None, self._pointers)
        if len(results) > 1:
            return tuple(results)
        return results[0] if results else None

    def in_place(self, batch: Sequence[Tensor]) -> tuple[Callable[..., None], list[Tensor]]:
        """See Bound."""
        memory = type(self._memory)(*self._memory)
        for place, tensor in zip(self._places, batch, strict=True):
            if place is not None:
                memory[place] = tensor.data_ptr()
        results = [torch.empty(view.shape, dtype=view.dtype) for view in self._results]
        pointers = (ctypes.c_void_p * max(len(results), 1))(*[each.data_ptr() for each in results])
        numbers = (ctypes.c_double * max(len(self.scalar_names), 1))()

        def run(*values: float) -> None:
            for at, value in enumerate(values):
                numbers[at] = value
            self._call(memory, self._one, numbers, None, None, pointers)

        return run, results

    def run_many(
        self, data: Sequence[Tensor], order: Tensor, values: Sequence[tuple[float, ...]]
    ) -> Tensor | None:
        """See Bound. One call, whatever the number of steps."""
        self.done = 0
        steps = len(values)
        data = [
            each.to(view.dtype).contiguous() for each, view in zip(data, self._views, strict=True)
        ]
        order = _checked(order, data)
        for place, view in zip(self._places, self._views, strict=True):
            if place is not None:
                self._memory[place] = self._buffers[view.storage].data_ptr()
        numbers = torch.tensor(values, dtype=torch.float64)
        results = [torch.empty((steps, *view.shape), dtype=view.dtype) for view in self._results]
        for at, result in enumerate(results):
            self._pointers[at] = result.data_ptr()
        sources = (ctypes.c_void_p * max(len(data), 1))(*[each.data_ptr() for each in data])
        pointer, rows = ctypes.c_void_p(numbers.data_ptr()), ctypes.c_void_p(order.data_ptr())
        count = ctypes.c_int64(steps)
        self._call(self._memory, count, pointer, rows, sources, self._pointers)
        return results[0] if results else None

    def _call(
        self, memory: Any, steps: Any, numbers: Any, order: Any, data: Any, results: Any
    ) -> None:
        key = int(torch.randint(-(1 << 63), (1 << 63) - 1, ())) if self._random else 0
        done: int = self._library.function(
            memory, steps, numbers, order, data, results, ctypes.c_uint64(key & _ALL),
            self._fault_pointer,
        )  # fmt: skip
        self.done = done
        if done != steps.value:
            operation = self._plan.operations[self._fault.value - 1]
            raise IndexError(
                f"{operation.name} in {operation.place_in_network()}: an index is out of range"
            )


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
