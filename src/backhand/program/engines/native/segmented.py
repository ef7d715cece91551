"""A plan in segments of C, and between them the islands, which torch does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from backhand.program.engines.native.compiled import Compiled
from backhand.program.engines.native.emit import Code
from backhand.program.engines.replay import BoundSource
from backhand.program.engines.stepwise import Stepwise
from backhand.program.plan import Plan
from backhand.program.source import write_source


class Segmented(Stepwise):
    """A plan bound to memory, its C compiled, its islands written as Replay does; see Bound."""

    def __init__(self, plan: Plan, outside: Mapping[int, Tensor], code: Code) -> None:
        super().__init__(plan)
        self._compiled = Compiled(plan, outside, code)
        self.text, self.scalar_names = code.text, code.scalar_names
        self.namespace: dict[str, Any] = {}
        self._segments = list(pairwise((0, *(each.at for each in code.islands))))
        self._last = code.islands[-1].at, len(code.schedule)
        self._islands = [
            BoundSource(
                write_source(replace(plan, operations=list(each.operations), results={}), "island"),
                self._compiled.plan_memory,
            )
            for each in code.islands
        ]
        self._batch = len(plan.arguments)
        self._found = tuple(
            torch.empty(view.shape, dtype=view.dtype) for view in plan.results.values()
        )

    def _step(self, values: Sequence[Any]) -> Any:
        """See Stepwise."""
        batch, numbers = values[: self._batch], values[self._batch :]
        named = dict(zip(self.scalar_names, numbers, strict=True))
        self._compiled.receive(values, self._found)
        for (begin, end), island in zip(self._segments, self._islands, strict=True):
            if begin != end:
                self._compiled.take_calls(begin, end)
            island.run((*batch, *(named[name] for name in island.scalar_names)))
        self._compiled.take_calls(*self._last)
        return self._found if len(self._found) != 1 else self._found[0]
