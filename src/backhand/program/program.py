"""Program: one recording for one shape, planned, bound to an engine, ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.learning.parameter import Parameter
from backhand.program.engines import Engine
from backhand.program.engines.choice import bind
from backhand.program.line import Line
from backhand.program.memory import Memory, memory_of
from backhand.program.plan import Plan
from backhand.program.planning import plan_line
from backhand.values import aligned


class Program:
    """One recording for one shape: its plan, and the function an engine made of it.

    Attributes:
        plan: what is done.
        memory: the bytes it needs.
        engine: what runs it.
        bound: the plan made ready to run.
        learning: the parameters it updates, once a run.
    """

    def __init__(
        self, network: Layer, line: Line, results: Sequence[str], engine: Engine | None, name: str
    ) -> None:
        self.plan: Plan = plan_line(line, results, packed=engine is None or engine.packs)
        self.memory: Memory = memory_of(network, self.plan)
        self.engine, self.bound = bind(engine, self.plan, line.recording.outside, name)
        self.learning: list[Parameter] = line.learning
        gates = (each.gate for each in network.parameters().values())
        self.gates = {gate for gate in gates if gate is not None and gate.accumulates}
        self._groups = [line.counters.get(scalar) for scalar in self.bound.scalar_names]
        self._counted = [group for group in self._groups if group]
        self._copied = any(self.plan.writes_to(view) for view in self.plan.arguments.values())
        self._inference = torch.inference_mode()

    def counts_agree(self) -> bool:
        """Whether the parameters that share a step number still do."""
        for group in self._counted:
            first = group[0].updates
            for each in group:
                if each.updates != first:
                    return False
        return True

    def scalar_values(self, learning_rate: float) -> tuple[float, ...]:
        """The live scalars' values, for the next step."""
        return tuple(
            learning_rate if group is None else group[0].updates + 1 for group in self._groups
        )

    def run(self, batch: Sequence[Tensor], learning_rate: float) -> Any:
        """One run on one batch."""
        if self._copied:
            batch = [each.clone() for each in batch]
        with self._inference:
            results = self.bound.run(*map(aligned, batch), *self.scalar_values(learning_rate))
        self.count(1)
        return results

    def scalar_values_ahead(self, learning_rates: Sequence[float]) -> list[tuple[float, ...]]:
        """The live scalars' values for a step with each of these rates, one after another."""
        columns: list[Sequence[float]] = []
        for group in self._groups:
            first = 0 if group is None else int(group[0].updates) + 1
            steps = range(first, first + len(learning_rates))
            columns.append(learning_rates if group is None else steps)
        return list(zip(*columns, strict=True)) if columns else [()] * len(learning_rates)

    def run_many(
        self, data: Sequence[Tensor], order: Tensor, learning_rates: Sequence[float]
    ) -> Tensor | None:
        """One run for each rate, each on the next batch of rows in `order`; their losses."""
        values = self.scalar_values_ahead(learning_rates)
        try:
            with self._inference:
                return self.bound.run_many(data, order, values)
        finally:
            self.count(self.bound.done)

    def count(self, steps: int) -> None:
        """Count the updates that the runs made."""
        for parameter in self.learning:
            parameter.updates += steps
        for gate in self.gates:
            gate.advance()
