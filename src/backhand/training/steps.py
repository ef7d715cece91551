"""Steps: an epoch of training steps, recorded where the network allows it, else plain."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from backhand.data import Data
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.program import Engine, FrozenScalar, NotRecordable, TrainingStep


@runtime_checkable
class Steps(Protocol):
    """Takes the steps of an epoch."""

    def run(
        self,
        inputs: Tensor,
        targets: Tensor,
        order: Tensor,
        learning_rates: Sequence[float],
        batch_size: int,
    ) -> Tensor | None:
        """One step for each rate on the next batch of rows in `order`; their losses (steps,)."""
        ...


class PlainSteps:
    """Each step as a reader of the report would write it."""

    def __init__(self, network: Layer, loss: Loss) -> None:
        self._network = network
        self._loss = loss

    def run(
        self,
        inputs: Tensor,
        targets: Tensor,
        order: Tensor,
        learning_rates: Sequence[float],
        batch_size: int,
    ) -> Tensor:
        """See Steps."""
        losses = []
        for rows, rate in zip(torch.split(order, batch_size), learning_rates, strict=True):
            prediction = self._network(inputs[rows])
            losses.append(self._loss(prediction, targets[rows]))
            self._network.backward(self._loss.backward(prediction, targets[rows]), rate)
        return torch.stack(losses)


def steps_for(
    network: Layer, loss: Loss, train: Data, batch_size: int, record: bool, engine: Engine | None
) -> Steps:
    """Recorded steps; plain ones where they are asked for, or the network cannot be recorded.

    Warns:
        UserWarning: the network cannot be recorded, and why.
    """
    if record:
        step = TrainingStep(network, loss, engine)
        try:
            return step.record(train.inputs[:batch_size], train.targets[:batch_size])
        except (NotRecordable, FrozenScalar) as problem:
            warnings.warn(f"training runs plainly, unrecorded: {problem}", stacklevel=4)
    return PlainSteps(network, loss)
