"""TrainingStep and Prediction: what a user calls; recorded at the first call, run ever after."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import LARGEST_RATE, checked_rate, instance, truth
from backhand.given import Given, NotNumbers, from_numbers
from backhand.layer import Layer
from backhand.learning.parameter import lay_side_by_side
from backhand.losses import Loss
from backhand.program.ending import say_what_the_loss_takes
from backhand.program.engines import Engine
from backhand.program.in_place import PredictionInPlace, TrainingStepInPlace
from backhand.program.line import record_prediction, record_training
from backhand.program.program import Program
from backhand.program.recorded import Asked, Recorded
from backhand.program.structure import Structure
from backhand.values import together

if TYPE_CHECKING:
    from backhand.program.export.c_files import CFiles


class TrainingStep(Recorded):
    """A training step of a network, recorded at the first call for a shape and run ever after.

    The same weights as `network(input)`, `loss.backward(…)` and `network.backward(…)`: bit for
    bit with Replay(), to rounding with Native(). A weight edited in place is used as it is;
    whatever else changes in the network (a layer, a weight replaced, a rule, a gate, a freeze)
    makes it record again. What the rules remember is laid side by side, which is faster, where it
    is not (it is not in a copy). Not for two threads at once. `print(step)` shows what runs;
    `step.memory` what it needs.

    Args:
        network: any Layer whose step is a straight line of tensor calls.
        loss: a Loss.
        engine: what runs the plan; default the one that suits its size (see `choose`).
        losses: whether calls and runs return the loss's value, which costs its computation;
            default True.

    Raises:
        NotRecordable, FrozenScalar: (at the first call for a shape) the step is not a straight
            line; says which call of which layer. Nothing has changed then.
        LayerError, ValueError, TypeError: the batch does not fit, or the rate is not finite.
    """

    losses: Asked[bool] = Asked()

    def __init__(
        self, network: Layer, loss: Loss, engine: Engine | None = None, losses: bool = True
    ) -> None:
        instance("TrainingStep", "loss", loss, Loss)
        super().__init__(network, loss, engine)
        self.losses = truth("TrainingStep", "losses", losses)
        say_what_the_loss_takes(self.network, loss)
        lay_side_by_side(network.parameters().values())

    def __call__(
        self, input: Given, target: Given, learning_rate: float
    ) -> Float[Tensor, ""] | None:
        """One step on one batch; returns the loss before it, where losses are asked for."""
        learning_rate = checked_rate(learning_rate)
        inputs = self._inputs(input)
        targets = self._targets(target, inputs)
        program = self._program(inputs, targets)
        self._check_targets(targets, program)
        loss: Tensor | None = program.run([*inputs, *targets], learning_rate)
        return loss

    def run(
        self,
        inputs: Given,
        targets: Given,
        order: Given,
        learning_rates: Given,
        batch_size: int | None = None,
    ) -> Float[Tensor, " steps"] | None:
        """Many steps in one call.

        Args:
            inputs, targets: a data set, row by row.
            order: the rows to use (used,), in order, of int64; cut into one batch a step.
            learning_rates: one for each step; a tensor or an array of float64 costs nothing.
            batch_size: rows in a batch, the last one possibly with fewer; default the rows
                divided by the steps, rounded up.

        Returns:
            The losses before each step, where losses are asked for.

        Raises:
            TypeError: the order is not of int64; the rates are no numbers in a row.
            ValueError: the order does not make as many batches as there are rates; a rate is
                negative, infinite or not a number.
        """
        rates = _rates(learning_rates)
        size = _batch_size(len(order), len(rates), batch_size)
        order = _order(order)
        input = self._inputs(inputs)
        target = self._targets(targets, input)
        data = [*input, *target]
        whole = len(order) // size
        losses: list[Tensor | None] = []
        if whole and not self._structure_now().gates:
            rows = order[: whole * size]
            program = self._program(input, target, size)
            self._check_targets(target, program)
            losses.append(program.run_many(data, rows, rates[:whole]))
        else:
            whole = 0
        for at in range(whole, len(rates)):
            rows, rate = order[at * size : (at + 1) * size], float(rates[at])
            batch, of_batch = (together([x[rows] for x in each]) for each in (input, target))
            loss = self(batch, of_batch, rate)
            losses.append(None if loss is None else loss.reshape(1))
        return torch.cat([each for each in losses if each is not None]) if self.losses else None

    def record(self, input: Given, target: Given) -> TrainingStep:
        """Record for batches of this shape, where that has not been done; runs nothing."""
        inputs = self._inputs(input)
        self._program(inputs, self._targets(target, inputs))
        return self

    def in_place(self, input: Given, target: Given) -> TrainingStepInPlace:
        """A step on tensors that stay where they are, for this shape: see there.

        Raises:
            ValueError: a gate accumulates micro-batches.
        """
        inputs = self._inputs(input)
        targets = self._targets(target, inputs)
        self._check_memory([*inputs, *targets])
        self._check_targets(targets, self._program(inputs, targets))
        return TrainingStepInPlace(self._program_and_structure, inputs, targets)

    def to_c(self, name: str = "network", ram: int | None = None) -> CFiles:
        """The network as C99: a function that predicts one row, and one that takes this step.

        Of the batch size recorded last. See Prediction.to_c.
        """
        return self._to_c(name, ram)

    def _check_targets(self, targets: list[Tensor], program: Program) -> None:
        """Refuse targets out of the loss's range: whole numbers are read once a call, floats
        never."""
        for each in targets:
            if not each.is_floating_point():
                assert self.loss is not None
                self.loss.check_values(together(targets), program.outputs)
                return

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        lay_side_by_side(self.network.parameters().values())

    def _record(self, input: list[Tensor], target: list[Tensor]) -> Program:
        assert self.loss is not None
        line = record_training(self.network, self.loss, input, target)
        results = ["loss"] if self.losses else []
        return Program(self.network, line, results, self._asked_for, "training_step")


class Prediction(Recorded):
    """`network.predict`, recorded at the first call for a shape and run ever after.

    The plain prediction, bit for bit with Replay(), to rounding with Native(); see TrainingStep
    for what makes it record again.

    Args:
        network: any Layer whose forward is a straight line of tensor calls.
        engine: what runs the plan; default the one that suits its size (see `choose`).
    """

    def __init__(self, network: Layer, engine: Engine | None = None) -> None:
        super().__init__(network, None, engine)

    def __call__(self, input: Given) -> Any:
        """The network's prediction for one batch, in a tensor of its own."""
        batch = self._inputs(input)
        return self._program(batch, []).run(batch, math.nan)

    def run(self, inputs: Given, batch_size: int = 256) -> Any:
        """The prediction for every row of a data set, batch by batch in one call.

        One program serves data sets of any size: the last batch is filled up with the last row.

        Args:
            inputs: at least one row.
            batch_size: rows predicted together; default 256, or all where there are fewer.

        Raises:
            ValueError: no rows, or the network predicts more than one tensor.
        """
        data = self._inputs(inputs)
        rows = len(data[0])
        if rows == 0 or batch_size < 1:
            raise ValueError(f"run: expected rows and a batch size, got {rows} and {batch_size}")
        size = min(rows, batch_size)
        steps = -(-rows // size)
        order = torch.arange(steps * size).clamp_(max=rows - 1)
        program = self._program(data, [], size)
        if len(program.plan.results) != 1:
            raise ValueError(f"run: expected one prediction, got {list(program.plan.results)}")
        found = program.run_many(data, order, torch.full((steps,), math.nan, dtype=torch.float64))
        assert found is not None
        return found.flatten(0, 1)[:rows]

    def record(self, input: Given) -> Prediction:
        """Record for batches of this shape, where that has not been done; runs nothing."""
        self._program(self._inputs(input), [])
        return self

    def of_copy(self, network: Layer) -> Prediction:
        """The prediction of a copy of the network, which is not recorded again where Native runs.

        Args:
            network: the same layers with the same attributes, and tensors of its own.
        """
        twin = Prediction(network, self._asked_for)
        if self._structure is None or not self._structure.holds_to_the_last():
            return twin
        theirs = network.lasting_tensors()
        pairs = {
            mine.untyped_storage().data_ptr(): (mine, theirs[path])
            for path, mine in self.network.lasting_tensors().items()
        }
        twin._structure = Structure(network, None)
        for key, program in self._programs.items():
            bound = program.bound_to(pairs)
            if bound is not None:
                bound.counts_hold(twin._structure)
                twin._programs[key] = twin._latest = bound
        return twin

    def in_place(self, input: Given) -> PredictionInPlace:
        """A prediction on tensors that stay where they are, for this shape: see there."""
        inputs = self._inputs(input)
        self._check_memory(inputs)
        return PredictionInPlace(self._program_and_structure, inputs, [])

    def to_c(self, name: str = "network", ram: int | None = None) -> CFiles:
        """The network, with the weights it has, as C99: a function that predicts one row.

        One file and its header, no allocation, no library but math.h: `.write(folder)`.

        Args:
            name: what every name in C begins with.
            ram: bytes of static memory allowed; default any.

        Raises:
            RuntimeError: nothing has been recorded yet; call it or its record() first.
            NotNative: an operation cannot be written as C; says which, of which layer.
            ValueError: the name is none in C, or more memory is needed; says how much.
        """
        return self._to_c(name, ram)

    def _record(self, input: list[Tensor], target: list[Tensor]) -> Program:
        line = record_prediction(self.network, input)
        results = list(line.recording.results)
        return Program(self.network, line, results, self._asked_for, "prediction")


def _order(given: Given) -> Tensor:
    order: Tensor = from_numbers(given)
    if order.dtype is not torch.int64:
        raise TypeError(f"run: expected an order of int64 rows, got {order.dtype}")
    return order


def _rates(given: Given) -> Tensor:
    """Learning rates in a row, in float64; in a list they may be tensors of one number, too."""
    try:
        given = list(map(float, given)) if isinstance(given, list | tuple) else given
        rates: Tensor = from_numbers(given)
        if rates.dim() != 1 or rates.is_complex():
            raise NotNumbers(f"{rates.dtype} of shape {tuple(rates.shape)}")
    except (TypeError, ValueError, RuntimeError) as problem:
        raise TypeError(f"run: expected a learning rate for each step, got {problem}") from None
    rates = rates.to("cpu", torch.float64)
    bad = ~((rates >= 0) & (rates <= LARGEST_RATE))
    if bad.any():
        checked_rate(float(rates[bad][0]))
    return rates


def _batch_size(rows: int, steps: int, given: int | None) -> int:
    size = given if given is not None else -(-rows // max(steps, 1))
    if rows == 0 or steps == 0 or size < 1 or -(-rows // size) != steps:
        raise ValueError(
            f"run: {rows} rows in batches of {size} make {-(-rows // max(size, 1))} steps, "
            f"got {steps} learning rates"
        )
    return size
