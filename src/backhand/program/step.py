"""TrainingStep and Prediction: what a user calls; recorded at the first call, run ever after."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from backhand.layer import Layer, Value, aligned, check_learning_rate
from backhand.losses import Loss
from backhand.parameter import Parameter
from backhand.program.engines import Engine, Replay
from backhand.program.line import Line, record_prediction, record_training
from backhand.program.memory import Memory, memory_of
from backhand.program.plan import Plan
from backhand.program.planning import plan_line
from backhand.program.structure import Structure

KEPT = 16
"""How many recordings (for different shapes and dtypes) a step keeps; the oldest goes first."""


class Program:
    """One recording for one shape: its plan, and the function an engine made of it.

    Attributes:
        plan: what is done.
        memory: the bytes it needs.
        bound: the plan made ready to run.
        learning: the parameters it updates, once a run.
    """

    def __init__(
        self, network: Layer, line: Line, results: Sequence[str], engine: Engine, name: str
    ) -> None:
        self.plan: Plan = plan_line(line, results)
        self.memory: Memory = memory_of(network, self.plan)
        self.bound = engine.bind(self.plan, line.recording.outside, name)
        self.learning: list[Parameter] = line.learning
        gates = (each.gate for each in network.parameters().values())
        self.gates = {gate for gate in gates if gate is not None and gate.accumulates}
        self._groups = [line.counters.get(scalar) for scalar in self.bound.scalars]
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

    def scalars(self, learning_rate: float, ahead: int = 0) -> tuple[float, ...]:
        """The live scalars' values, for the step that comes after `ahead` others."""
        return tuple(
            learning_rate if group is None else group[0].updates + 1 + ahead
            for group in self._groups
        )

    def run(self, batch: Sequence[Tensor], learning_rate: float) -> Any:
        """One run on one batch."""
        if self._copied:
            batch = [each.clone() for each in batch]
        with self._inference:
            results = self.bound.run(*map(aligned, batch), *self.scalars(learning_rate))
        self.count(1)
        return results

    def run_many(
        self, data: Sequence[Tensor], order: Tensor, learning_rates: Sequence[float]
    ) -> Tensor | None:
        """One run for each rate, each on the next batch of rows in `order`; their losses."""
        scalars = [self.scalars(rate, ahead) for ahead, rate in enumerate(learning_rates)]
        try:
            with self._inference:
                return self.bound.run_many(data, order, scalars)
        finally:
            self.count(self.bound.done)

    def count(self, steps: int) -> None:
        """Count the updates that the runs made."""
        for parameter in self.learning:
            parameter.updates += steps
        for gate in self.gates:
            gate.advance()


class _Recorded:
    """What TrainingStep and Prediction share: one program for each shape, while they hold."""

    def __init__(self, network: Layer, loss: Loss | None, engine: Engine | None) -> None:
        self.network = network
        self.loss = loss
        self.engine: Engine = engine or Replay()
        self._forget()

    def _forget(self) -> None:
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        self._structure: Structure | None = None
        self._latest: Program | None = None

    def _program(self, batch: Sequence[Tensor]) -> Program:
        """The program for batches of these shapes and dtypes; recorded where there is none."""
        structure = self._structure
        if structure is None or not structure.still_holds():
            self._forget()
            structure = self._structure = Structure(self.network, self.loss)
        key = (*[(each.shape, each.dtype) for each in batch], *structure.phases())
        program = self._programs.get(key)
        if program is None or not program.counts_agree():
            for each in batch:
                if each.device.type != "cpu":
                    raise ValueError(f"{self!r} runs on the CPU, got a batch on {each.device}")
            program = self._programs[key] = self._record([_own(each) for each in batch])
            if len(self._programs) > KEPT:
                self._programs.popitem(last=False)
        self._latest = program
        return program

    def _record(self, batch: list[Tensor]) -> Program:
        raise NotImplementedError

    @property
    def latest(self) -> Program:
        """The program that was recorded or run last.

        Raises:
            RuntimeError: nothing has been recorded yet.
        """
        if self._latest is None:
            raise RuntimeError(f"{self!r} has recorded nothing yet: call it or its record() first")
        return self._latest

    @property
    def memory(self) -> Memory:
        """The bytes that the program recorded last needs."""
        return self.latest.memory

    @property
    def namespace(self) -> dict[str, Any]:
        """What the names in the printed text stand for: exec(str(step), step.namespace)."""
        return dict(self.latest.bound.namespace)

    def __str__(self) -> str:
        return self.latest.bound.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.network!r}, engine={self.engine!r})"

    def __getstate__(self) -> dict[str, Any]:
        """A copy or pickle holds no recording; it makes its own."""
        kept = dict(vars(self))
        for name in ("_programs", "_structure", "_latest"):
            del kept[name]
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


class TrainingStep(_Recorded):
    """A training step of a network, recorded at the first call for a shape and run ever after.

    The same weights, bit for bit, as `network(input)`, `loss.backward(…)` and
    `network.backward(…)`. A weight edited in place is used as it is; whatever else changes in
    the network (a layer, a weight replaced, a rule, a gate, a freeze) makes it record again.
    Not for two threads at once. `print(step)` shows what runs; `step.memory` what it needs.

    Args:
        network: any Layer whose step is a straight line of tensor calls.
        loss: a Loss.
        engine: what runs the plan; default Replay().
        losses: whether calls and runs return the loss's value, which costs its computation;
            default True.

    Raises:
        NotRecordable, FrozenScalar: (at the first call for a shape) the step is not a straight
            line; says which call of which layer. Nothing has changed then.
        LayerError, ValueError, TypeError: the batch does not fit, or the rate is not finite.
    """

    def __init__(
        self, network: Layer, loss: Loss, engine: Engine | None = None, losses: bool = True
    ) -> None:
        super().__init__(network, loss, engine)
        self.losses = losses

    def __call__(
        self, input: Value, target: Shaped[Tensor, "..."], learning_rate: float
    ) -> Float[Tensor, ""] | None:
        """One step on one batch; returns the loss before it, where losses are asked for."""
        check_learning_rate(learning_rate)
        batch = [*_tensors(input), target]
        loss: Tensor | None = self._program(batch).run(batch, learning_rate)
        return loss

    def run(
        self,
        inputs: Value,
        targets: Shaped[Tensor, "rows ..."],
        order: Int64[Tensor, " used"],
        learning_rates: Sequence[float],
        batch_size: int | None = None,
    ) -> Float[Tensor, " steps"] | None:
        """Many steps in one call.

        Args:
            inputs, targets: a data set, row by row.
            order: the rows to use, in order; cut into one batch a step.
            learning_rates: one for each step.
            batch_size: rows in a batch, the last one possibly with fewer; default the rows
                divided by the steps, rounded up.

        Returns:
            The losses before each step, where losses are asked for.

        Raises:
            ValueError: the order does not make as many batches as there are rates; a rate is
                negative, infinite or not a number.
        """
        size = _batch_size(len(order), len(learning_rates), batch_size)
        for rate in learning_rates:
            check_learning_rate(rate)
        data = [*_tensors(inputs), targets]
        whole = len(order) // size
        losses: list[Tensor | None] = []
        if whole and not self._accumulates():
            rows = order[: whole * size]
            program = self._program([each[rows[:size]] for each in data])
            losses.append(program.run_many(data, rows, learning_rates[:whole]))
        else:
            whole = 0
        for at in range(whole, len(learning_rates)):
            rows, rate = order[at * size : (at + 1) * size], learning_rates[at]
            batch = [each[rows] for each in data]
            loss = self._program(batch).run(batch, rate)
            losses.append(None if loss is None else loss.reshape(1))
        return torch.cat([each for each in losses if each is not None]) if self.losses else None

    def record(self, input: Value, target: Shaped[Tensor, "..."]) -> TrainingStep:
        """Record for batches of this shape, where that has not been done; runs nothing."""
        self._program([*_tensors(input), target])
        return self

    def _record(self, batch: list[Tensor]) -> Program:
        assert self.loss is not None
        line = record_training(self.network, self.loss, batch[:-1], batch[-1])
        results = ["loss"] if self.losses else []
        return Program(self.network, line, results, self.engine, "training_step")

    def _accumulates(self) -> bool:
        gates = (each.gate for each in self.network.parameters().values())
        return any(gate is not None and gate.accumulates for gate in gates)


class Prediction(_Recorded):
    """`network.predict`, recorded at the first call for a shape and run ever after.

    Bit for bit the plain prediction; see TrainingStep for what makes it record again.

    Args:
        network: any Layer whose forward is a straight line of tensor calls.
        engine: what runs the plan; default Replay().
    """

    def __init__(self, network: Layer, engine: Engine | None = None) -> None:
        super().__init__(network, None, engine)

    def __call__(self, input: Value) -> Any:
        """The network's prediction for one batch, in a tensor of its own."""
        batch = _tensors(input)
        return self._program(batch).run(batch, math.nan)

    def record(self, input: Value) -> Prediction:
        """Record for batches of this shape, where that has not been done; runs nothing."""
        self._program(_tensors(input))
        return self

    def _record(self, batch: list[Tensor]) -> Program:
        line = record_prediction(self.network, batch)
        return Program(self.network, line, list(line.recording.results), self.engine, "prediction")


def _tensors(value: Value) -> list[Tensor]:
    return list(value) if isinstance(value, tuple) else [value]


def _own(tensor: Tensor) -> Tensor:
    """A copy that fills a storage of its own."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _batch_size(rows: int, steps: int, given: int | None) -> int:
    size = given if given is not None else -(-rows // max(steps, 1))
    if rows == 0 or steps == 0 or size < 1 or -(-rows // size) != steps:
        raise ValueError(
            f"run: {rows} rows in batches of {size} make {-(-rows // max(size, 1))} steps, "
            f"got {steps} learning rates"
        )
    return size
