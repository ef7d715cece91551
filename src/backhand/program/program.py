"""Program: one recording for one shape, planned, bound to an engine, ready to run."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.learning.gates import Gate
from backhand.learning.interrupts import uninterrupted
from backhand.learning.parameter import ALIGNMENT, Parameter
from backhand.learning.tally import counted_together
from backhand.program.engines import Engine
from backhand.program.engines.choice import bind
from backhand.program.line import Line
from backhand.program.memory import Memory, memory_of
from backhand.program.plan import Plan
from backhand.program.planning import plan_line
from backhand.program.structure import Structure
from backhand.values import aligned


class Program:
    """One recording for one shape: its plan, and the function an engine made of it.

    Attributes:
        plan: what is done.
        memory: the bytes it needs.
        engine: what runs it.
        bound: the plan made ready to run.
        learning: the parameters it updates, once a run.
        outputs: the length of the last axis of what a training step predicts.
        gates: those it advances, once a run, and who contributes to them; they accumulate.
    """

    def __init__(
        self, network: Layer, line: Line, results: Sequence[str], engine: Engine | None, name: str
    ) -> None:
        self.plan: Plan = plan_line(line, results, packed=engine is None or engine.packs)
        self.memory: Memory = memory_of(network, self.plan)
        self.engine, self.bound = bind(engine, self.plan, line.recording.outside, name)
        self.learning: list[Parameter] = line.learning
        self.outputs: int = line.outputs
        self.gates: dict[Gate, list[Parameter]] = line.accumulating
        self._groups = [line.counters.get(scalar) for scalar in self.bound.scalar_names]
        self._copied = any(self.plan.writes_to(view) for view in self.plan.arguments.values())
        self._written = self._written_outside(line.recording.outside)
        self._outside = line.recording.outside
        self._turn = -1
        self._tally = self.bound.tally
        self._first: list[float | None] = []
        """For each live scalar the first step number of its parameters; None for a rate."""

    def bound_to(self, pairs: Mapping[int, tuple[Tensor, Tensor]]) -> Program | None:
        """The same program of a copy of the network, where it changes nothing.

        Args:
            pairs: a tensor here and the copy's in its place, by the address of its memory here.

        Returns:
            None where its engine must bind anew, or a tensor of the copy lies another way.
        """
        if self._written:
            return None
        outside = {}
        for number in self.plan.storages.keys() & self._outside.keys():
            pair = pairs.get(self._outside[number].untyped_storage().data_ptr())
            if pair is None or not _lie_alike(*pair):
                return None
            outside[number] = pair[1]
        bound = self.bound.bound_to(outside)
        if bound is None:
            return None
        twin = copy.copy(self)
        twin._outside, twin.bound, twin._turn = outside, bound, -1
        return twin

    def _written_outside(self, outside: Mapping[int, Tensor]) -> list[int]:
        """Where what a run writes to of weights and state begins and ends, in order."""
        targets = {target.storage for each in self.plan.operations for target in each.targets}
        storages = [outside[number].untyped_storage() for number in targets & outside.keys()]
        return sorted(
            address
            for each in storages
            for address in (each.data_ptr(), each.data_ptr() + each.nbytes())
        )

    def _readable(self, given: Tensor) -> Tensor:
        """A batch as engines read it: `aligned`, and apart from the memory that a run writes to."""
        if given.data_ptr() % ALIGNMENT or not given.is_contiguous() or given.is_neg():
            return aligned(given)
        return given.clone() if self._written and self._lies_in_written(given) else given

    def _lies_in_written(self, given: Tensor) -> bool:
        return bisect_right(self._written, given.data_ptr()) % 2 == 1

    def counts_hold(self, structure: Structure) -> bool:
        """Whether the parameters that share a step number still do; they are counted as one then.

        That is looked into when the structure says that something has passed on.
        """
        if structure.turn == self._turn:
            return True
        for group in self._groups:
            if group and any(each.updates != group[0].updates for each in group):
                return False
        self.bound.tally = self._tally = counted_together(self.learning)
        self._first = [
            None if group is None else group[0].updates + 1 - self._tally.count
            for group in self._groups
        ]
        self._turn = structure.turn
        return True

    def scalar_values(self, learning_rate: float) -> list[float]:
        """The live scalars' values, for the next step."""
        count = self._tally.count
        return [learning_rate if first is None else first + count for first in self._first]

    def run(self, batch: Sequence[Tensor], learning_rate: float) -> Any:
        """One run on one batch."""
        if self._copied:
            batch = [each.clone() for each in batch]
        values = (*map(self._readable, batch), *self.scalar_values(learning_rate))
        if self.gates:
            return uninterrupted(self._run_and_advance, values, learning_rate)
        return self.bound.run(*values)

    def _run_and_advance(self, values: tuple[Any, ...], learning_rate: float) -> Any:
        results = self.bound.run(*values)
        for gate, contributors in self.gates.items():
            gate.take_over(contributors, learning_rate)
        return results

    def scalar_values_ahead(self, learning_rates: Tensor) -> Tensor:
        """The live scalars' values, a row for a step with each of these rates, in float64."""
        ahead = torch.arange(len(learning_rates), dtype=torch.float64)
        columns = [
            learning_rates if group is None else ahead + (int(group[0].updates) + 1)
            for group in self._groups
        ]
        return torch.stack(columns, 1) if columns else ahead.new_empty(len(ahead), 0)

    def run_many(
        self, data: Sequence[Tensor], order: Tensor, learning_rates: Tensor
    ) -> Tensor | None:
        """One run for each rate, each on the next batch of rows in `order`; their losses."""
        data = [
            each.clone() if self._lies_in_written(each) else each.resolve_neg() for each in data
        ]
        return self.bound.run_many(data, order, self.scalar_values_ahead(learning_rates))


def _lie_alike(one: Tensor, other: Tensor) -> bool:
    """Whether each fills a storage of its own in the same way."""
    return (
        one.dtype is other.dtype
        and one.shape == other.shape
        and one.stride() == other.stride()
        and one.storage_offset() == other.storage_offset()
        and one.untyped_storage().nbytes() == other.untyped_storage().nbytes()
    )
