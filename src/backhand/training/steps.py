"""Steps: an epoch of training steps, recorded where the network allows it, else plain."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from backhand.data import Data
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.program import (
    Engine,
    FrozenScalar,
    NotRecordable,
    Prediction,
    TrainingStep,
)
from backhand.program.ending import say_what_the_loss_takes
from backhand.values import Value, rows_of


@runtime_checkable
class Steps(Protocol):
    """Takes the steps of an epoch."""

    @property
    def engine(self) -> Engine | None:
        """What runs recorded steps; None for plain ones."""

    def run(
        self,
        inputs: Value,
        targets: Value,
        order: Tensor,
        learning_rates: Sequence[float],
        batch_size: int,
    ) -> Tensor | None:
        """One step for each rate on the next batch of rows in `order`; their losses (steps,)."""
        ...

    def predict(self, inputs: Value) -> Any:
        """What the network predicts for a data set, row by row."""
        ...


class PlainSteps:
    """Each step as a reader of the report would write it."""

    engine = None

    def __init__(self, network: Layer, loss: Loss) -> None:
        self._network = network
        self._loss = loss

    def run(
        self,
        inputs: Value,
        targets: Value,
        order: Tensor,
        learning_rates: Sequence[float],
        batch_size: int,
    ) -> Tensor:
        """See Steps."""
        losses = []
        for rows, rate in zip(torch.split(order, batch_size), learning_rates, strict=True):
            prediction, target = self._network(rows_of(inputs, rows)), rows_of(targets, rows)
            losses.append(self._loss(prediction, target))
            self._network.backward(self._loss.backward(prediction, target), rate)
        return torch.stack(losses)

    def predict(self, inputs: Value) -> Any:
        """See Steps."""
        return self._network.predict(inputs)


class RecordedSteps:
    """Steps recorded once, and predictions by the same engine."""

    def __init__(self, step: TrainingStep) -> None:
        self._step = step
        self._prediction: Prediction | None = None
        if step.engine is not None and step.engine.predicts:
            self._prediction = Prediction(step.network, step.engine)

    @property
    def engine(self) -> Engine | None:
        """See Steps."""
        return self._step.engine

    def run(
        self,
        inputs: Value,
        targets: Value,
        order: Tensor,
        learning_rates: Sequence[float],
        batch_size: int,
    ) -> Tensor | None:
        """See Steps."""
        return self._step.run(inputs, targets, order, learning_rates, batch_size)

    def predict(self, inputs: Value) -> Any:
        """See Steps."""
        if self._prediction is not None:
            try:
                return self._prediction.run(inputs)
            except NotRecordable:  # its forward does other things when not training
                self._prediction = None
        return self._step.network.predict(inputs)


def steps_for(
    network: Layer, loss: Loss, train: Data, batch_size: int, record: bool, engine: Engine | None
) -> Steps:
    """Recorded steps; plain ones where they are asked for, or the network cannot be recorded.

    Warns:
        UserWarning: the network cannot be recorded, and why; or the loss takes what it does not
            give.
    """
    if record:
        step, batch = TrainingStep(network, loss, engine), slice(batch_size)
        try:
            step.record(rows_of(train.inputs, batch), rows_of(train.targets, batch))
            return RecordedSteps(step)
        except (NotRecordable, FrozenScalar) as problem:
            warnings.warn(f"training runs plainly, unrecorded: {problem}", stacklevel=4)
    else:
        say_what_the_loss_takes(network, loss)
    return PlainSteps(network, loss)
