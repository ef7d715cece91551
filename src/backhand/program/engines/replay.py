"""Replay: the plan as one flat Python function of `out=` and in-place calls.

Bit for bit the plain step. Every view is made once; the function does nothing but tensor calls.
"""

from __future__ import annotations

import linecache
import traceback
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.program.engines.plan_memory import PlanMemory
from backhand.program.engines.stepwise import Stepwise
from backhand.program.plan import Plan
from backhand.program.source import Source, write_source


class Replay:
    """The engine that is always there."""

    packs = True
    predicts = False  # its calls cost as much as the network's own

    def bind(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> Replayed:
        """See Engine."""
        return Replayed(plan, outside, name)

    def __repr__(self) -> str:
        return "Replay()"


class Replayed(Stepwise):
    """A plan bound to one arena, and its text compiled; see Bound."""

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor], name: str) -> None:
        super().__init__(plan)
        memory = PlanMemory(plan, outside)
        memory.make_constants()
        self._source = BoundSource(write_source(plan, name), memory)
        self.namespace = self._source.namespace
        self.scalar_names = self._source.scalar_names
        self.text = self._source.text

    def _step(self, values: Sequence[Any]) -> Any:
        """See Stepwise."""
        return self._source.run(values)


class BoundSource:
    """A source compiled, what its names stand for in a plan's memory.

    Attributes:
        namespace, scalar_names, text: see Bound.
    """

    def __init__(self, source: Source, memory: PlanMemory) -> None:
        self.namespace: dict[str, Any] = dict(source.objects)
        self.namespace |= {name: memory.tensor(view) for name, view in source.views.items()}
        for number, (value, dtype) in source.numbers.items():
            self.namespace[number] = torch.tensor(value, dtype=dtype)
        self.scalar_names = source.scalar_names
        self.text = source.text
        self._places = source.places
        self._file = f"<{source.function} {id(self):x}>"
        self._function = _compiled(source, self._file, dict(self.namespace))
        weakref.finalize(self, linecache.cache.pop, self._file, None)

    def run(self, values: Sequence[Any]) -> Any:
        """Call it on arguments and live scalars."""
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


def _compiled(source: Source, file: str, namespace: dict[str, Any]) -> Any:
    """The text's function; a traceback through it shows its lines."""
    linecache.cache[file] = (len(source.text), None, source.text.splitlines(keepends=True), file)
    exec(compile(source.text, file, "exec"), namespace)
    return namespace[source.function]
