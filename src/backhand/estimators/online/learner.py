"""Learner: a network that learns from one row after another, and grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from backhand.estimators.online.columns import Row
from backhand.estimators.rows import RowPredictor
from backhand.layer import Layer
from backhand.layers.standardized import Standardized
from backhand.learning.rules import UpdateRule
from backhand.losses import Loss
from backhand.program import TrainingStep, TrainingStepInPlace
from backhand.training import NonFiniteLoss

Build = Callable[[int, int], Layer]


class Learner:
    """A network and its recorded step for single rows.

    Args:
        build: makes the network for so many inputs and outputs.
        loss: what it learns by.
        rule: how its parameters learn.
        target: a target for one row; its values do not matter.
        seed: of the weights' first values.
        inputs, outputs: how many there is room for.
    """

    def __init__(
        self,
        build: Build,
        loss: Loss,
        rule: UpdateRule,
        target: Tensor,
        seed: int,
        inputs: int,
        outputs: int,
    ) -> None:
        self._build, self._loss, self._rule = build, loss, rule
        self._target, self._seed = target, seed
        self._make(inputs, outputs)

    def _make(self, inputs: int, outputs: int) -> None:
        self.inputs, self.outputs = inputs, outputs
        with torch.random.fork_rng(devices=[]):
            # The weights of inputs that come later shall not be those of the first ones again.
            torch.manual_seed(self._seed + inputs)
            self.network = self._build(inputs, outputs).learn_with(self._rule)
        self._step = TrainingStep(self.network, self._loss)
        self._rows = RowPredictor(self.network)
        for name in ("_learning", "row", "question", "target", "_input_axes"):
            vars(self).pop(name, None)

    @cached_property
    def _learning(self) -> TrainingStepInPlace:
        return self._step.in_place(self.missing(), self._target)

    @cached_property
    def row(self) -> Row:
        """Where the input stands that `learn` learns from."""
        row: Row = self._learning.input.numpy()[0]
        return row

    @cached_property
    def target(self) -> Any:
        """Where its target stands."""
        return self._learning.target.numpy()

    @cached_property
    def question(self) -> Row:
        """Where the input stands that `predict` predicts for."""
        place = self._rows.place_for(self.missing())
        assert place is not None
        row: Row = place.numpy()[0]
        return row

    def learn(self, learning_rate: float) -> None:
        """One step on `row` and `target`.

        Raises:
            NonFiniteLoss: the loss is infinite or NaN.
        """
        loss = self._learning(learning_rate).item()
        if loss - loss != 0:
            expect_finite(loss)

    def predict(self) -> list[float]:
        """The outputs for `question`."""
        outputs: list[float] = self._rows.one()[0].tolist()
        return outputs

    def missing(self, rows: int = 1) -> Tensor:
        """Rows in which every value is missing."""
        return torch.full((rows, self.inputs), math.nan, dtype=torch.float64)

    def grow(self, inputs: int, outputs: int) -> None:
        """Make room for more: what was learnt stays where it is, the rest begins afresh."""
        before, updates = self.tensors(), self.updates
        self._make(inputs, outputs)
        for name, tensor in self.tensors().items():
            old = before[name]
            tensor[tuple(slice(0, length) for length in old.shape)] = old
        self.updates = updates

    def forget_inputs(self, places: Sequence[int]) -> None:
        """Begin afresh with some inputs, which other features shall have."""
        fresh = self._fresh(self.inputs, self._seed + int(sum(self.updates)))
        index = torch.tensor(places)
        for name, tensor in self.tensors().items():
            for axis in self._input_axes[name]:
                tensor.index_copy_(axis, index, fresh[name].index_select(axis, index))

    @cached_property
    def _input_axes(self) -> dict[str, list[int]]:
        """The axes of each tensor that have an element for each input: they grow with them."""
        wider = self._fresh(self.inputs + 1, 0)
        return {
            name: [axis for axis, n in enumerate(each.shape) if n != wider[name].shape[axis]]
            for name, each in self.tensors().items()
        }

    def _fresh(self, inputs: int, seed: int) -> dict[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._build(inputs, self.outputs).learn_with(self._rule).lasting_tensors()

    def learn_rows(self, inputs: Tensor, targets: Tensor, rates: Sequence[float]) -> None:
        """Learn from rows one by one, each at its rate: as `learn` does from each."""
        steps = len(inputs)
        if steps:
            losses = self._step.run(inputs, targets, torch.arange(steps), rates, batch_size=1)
            assert losses is not None
            expect_finite(float(losses.sum()))

    def predict_rows(self, inputs: Tensor) -> Tensor:
        """The outputs for rows: the same bits as `predict` for each."""
        return self._rows.many(inputs)

    @property
    def updates(self) -> list[float]:
        """How many updates each parameter has had."""
        return [parameter.updates for parameter in self.network.parameters().values()]

    @updates.setter
    def updates(self, counts: Sequence[float]) -> None:
        for parameter, count in zip(self.network.parameters().values(), counts, strict=True):
            parameter.updates = count

    @property
    def statistics(self) -> Standardized:
        """The layer that standardizes the inputs."""
        layers = (layer for _, layer in self.network.layers_by_path())
        return next(layer for layer in layers if isinstance(layer, Standardized))

    def tensors(self) -> dict[str, Tensor]:
        """All that is learnt, by path: weights, what rules remember, statistics."""
        return self.network.lasting_tensors()


def expect_finite(loss: Any) -> None:
    """Refuse to go on where the loss has become infinite or NaN."""
    if not math.isfinite(loss):
        raise NonFiniteLoss(
            f"the loss of this row is {float(loss)}: the weights have run away; begin again from "
            "a saved model with a smaller learning_rate"
        )
