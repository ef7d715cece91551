"""Stepwise: what is the same for all engines that run one step a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.learning.interrupts import InferenceMode, interrupted, uninterrupted
from backhand.learning.tally import Tally
from backhand.program.plan import ALIGNMENT, OUTSIDE, Plan
from backhand.values import tensors

GATHERED_AT_ONCE = 4 << 20
"""Bytes of shuffled rows that an epoch keeps ready."""


class Stepwise:
    """A bound plan whose many steps are as many calls; see Bound. An engine writes `_step`."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self._results = list(plan.results.values())
        self._aligned = [plan.needs_alignment(view) for view in plan.arguments.values()]
        self._trains = any(
            plan.storages[view.storage].kind == OUTSIDE
            for operation in plan.operations
            for view in operation.targets
        )

    def _step(self, values: Sequence[Any]) -> Any:
        """One step, called in inference mode; what it returns, the next may write over."""
        raise NotImplementedError

    def run(self, *values: Any) -> Any:
        """See Bound."""
        if self._trains:
            found = uninterrupted(self._in_inference, values)
        else:
            found = self._in_inference(values)
        if found is None or isinstance(found, Tensor):
            return None if found is None else found.clone()
        return tuple(each.clone() for each in found)

    def bound_to(self, outside: Mapping[int, Tensor]) -> None:
        """See Bound: its views are made as it is bound."""

    def _in_inference(self, values: Sequence[Any]) -> Any:
        with InferenceMode(True):
            found = self._step(values)
            self.tally.count += 1
            return found

    def in_place(self, batch: Sequence[Tensor]) -> tuple[Callable[..., None], list[Tensor]]:
        """See Bound."""
        results = [torch.empty(view.shape, dtype=view.dtype) for view in self._results]

        def run(*values: float) -> None:
            found = uninterrupted(self._in_inference, (*batch, *values))
            for result, each in zip(results, tensors(found) if results else [], strict=True):
                result.copy_(each)

        return run, results

    def run_many(self, data: Sequence[Tensor], order: Tensor, values: Tensor) -> Tensor | None:
        """See Bound. Rows are gathered some megabytes at a time."""
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
            ahead = zip(*batches, values[first : first + steps].tolist(), strict=True)
            while not uninterrupted(self._take, ahead, results):
                pass  # Ctrl-C was pressed, and whoever handles it lets the run go on
        return torch.stack(results) if self._results else None

    def _take(self, steps: Iterator[Any], results: list[Tensor]) -> bool:
        """Steps, until there are no more or Ctrl-C is pressed; whether there are no more."""
        with InferenceMode(True):
            for *batch, values in steps:
                found = self._step((*batch, *values))
                self.tally.count += 1
                if found is not None:
                    results.append(found.clone())
                if interrupted():
                    return False
        return True


def _batches(rows: Tensor, size: int, aligned: bool) -> Sequence[Tensor]:
    """Rows cut into batches, contiguous, each at an aligned address where that matters."""
    batches = torch.split(rows.contiguous(), size)
    if aligned and rows[:size].nbytes % ALIGNMENT:
        return [each.clone() for each in batches]
    return batches
