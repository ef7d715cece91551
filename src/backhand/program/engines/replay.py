"""Replay: the plan as one flat Python function of `out=` and in-place calls.

Bit for bit the plain step. Every view is made once; the function does nothing but tensor calls.
"""

from __future__ import annotations

import linecache
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.program.engines.plan_memory import PlanMemory
from backhand.program.plan import ALIGNMENT, Plan
from backhand.program.source import Source, write_source
from backhand.values import tensors

GATHERED_AT_ONCE = 4 << 20
"""Bytes of shuffled rows that an epoch keeps ready."""


class Replay:
    """The engine that is always there."""

    packs = True
    predicts = False  # its calls cost as much as the network's own

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> Replayed:
        """See Engine."""
        return Replayed(plan, outside, name)

    def __repr__(self) -> str:
        return "Replay()"


class Replayed:
    """A plan bound to one arena, and its text compiled; see Bound."""

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> None:
        memory = PlanMemory(plan, outside)
        memory.make_constants()
        source = write_source(plan, name)
        self.namespace: dict[str, Any] = dict(source.objects)
        self.namespace |= {name: memory.tensor(view) for name, view in source.views.items()}
        for number, (value, dtype) in source.numbers.items():
            self.namespace[number] = torch.tensor(value, dtype=dtype)
        self.scalar_names = source.scalar_names
        self.text = source.text
        self.done = 0
        self._aligned = [plan.needs_alignment(view) for view in plan.arguments.values()]
        self._places = source.places
        self._results = list(plan.results.values())
        self._file = f"<{name} {id(self):x}>"
        self._function = _compiled(source, self._file, dict(self.namespace))
        weakref.finalize(self, linecache.cache.pop, self._file, None)

    def run(self, *values: Any) -> Any:
        """See Bound."""
        try:
            return self._function(*values)
        except Exception as problem:
            self._note_place(problem)
            raise

    def _note_place(self, problem: Exception) -> None:
        """Say on an exception where in the network the line that raised it comes from."""
        for frame in traceback.extract_tb(problem.__traceback__):
            if frame.filename == self._file and self._places.get(frame.lineno or 0):
                problem.add_note(f"in {self._places[frame.lineno or 0]}")

    def in_place(self, batch: Sequence[Tensor]) -> tuple[Callable[..., None], list[Tensor]]:
        """See Bound."""
        results = [torch.empty(view.shape, dtype=view.dtype) for view in self._results]

        def run(*values: float) -> None:
            with torch.inference_mode():
                found = self.run(*batch, *values)
                for result, each in zip(results, tensors(found) if results else [], strict=True):
                    result.copy_(each)

        return run, results

    def run_many(
        self, data: Sequence[Tensor], order: Tensor, values: Sequence[tuple[float, ...]]
    ) -> Tensor | None:
        """See Bound. Rows are gathered some megabytes at a time."""
        self.done = 0
        size = len(order) // len(values)
        step_bytes = max(1, sum(each[:1].nbytes * size for each in data))
        steps = max(1, GATHERED_AT_ONCE // step_bytes)
        results: list[Tensor] = []
        for first in range(0, len(values), steps):
            rows = order[first * size : (first + steps) * size]
            batches = [
                _batches(each[rows], size, aligned)
                for each, aligned in zip(data, self._aligned, strict=True)
            ]
            now = values[first : first + steps]
            for *batch, live in zip(*batches, now, strict=True):
                results.append(self.run(*batch, *live))
                self.done += 1
        return None if results[0] is None else torch.stack(results)


def _batches(rows: Tensor, size: int, aligned: bool) -> Sequence[Tensor]:
    """Rows cut into batches, each at an aligned address where that matters."""
    batches = torch.split(rows, size)
    if aligned and rows[:size].nbytes % ALIGNMENT:
        return [each.clone() for each in batches]
    return batches


def _compiled(source: Source, file: str, namespace: dict[str, Any]) -> Any:
    """The text's function; a traceback through it shows its lines."""
    linecache.cache[file] = (len(source.text), None, source.text.splitlines(keepends=True), file)
    exec(compile(source.text, file, "exec"), namespace)
    return namespace[source.function]
