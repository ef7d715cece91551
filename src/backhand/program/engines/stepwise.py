"""Stepwise: what is the same for all engines that run one step a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.program.plan import ALIGNMENT, Plan
from backhand.values import tensors

GATHERED_AT_ONCE = 4 << 20
"""Bytes of shuffled rows that an epoch keeps ready."""


class Stepwise:
    """A bound plan whose many steps are as many calls of `run`; see Bound."""

    def __init__(self, plan: Plan) -> None:
        self.done = 0
        self._results = list(plan.results.values())
        self._aligned = [plan.needs_alignment(view) for view in plan.arguments.values()]

    def run(self, *values: Any) -> Any:
        """See Bound."""
        raise NotImplementedError

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
        return torch.stack(results) if self._results else None


def _batches(rows: Tensor, size: int, aligned: bool) -> Sequence[Tensor]:
    """Rows cut into batches, each at an aligned address where that matters."""
    batches = torch.split(rows, size)
    if aligned and rows[:size].nbytes % ALIGNMENT:
        return [each.clone() for each in batches]
    return batches
