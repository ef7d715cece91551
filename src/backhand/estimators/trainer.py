"""Trainers: a network and its recorded step, kept for the next fit of the same kind.

Recording takes longer than many a training; a search over hundreds of fits records once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from backhand.estimators.batches import Batches
from backhand.estimators.penalty import Penalized
from backhand.layer import Layer
from backhand.losses import Loss, Weighted
from backhand.parameter import lay_side_by_side
from backhand.program import TrainingStep
from backhand.rules import UpdateRule
from backhand.training.threads import running_on, threads_for

KEPT = 8
"""How many trainers are kept in a process."""

LARGEST = 1_000_000
"""Weights of a network up to which its trainer is kept."""


class Trainer:
    """Trains a network, an epoch a call.

    Args:
        network: trained in place.
        loss: of its rows; weights are put around it.
        rule: of every parameter, penalized. A network that learns by it already goes on where it
            is.
    """

    def __init__(self, network: Layer, loss: Loss, rule: UpdateRule) -> None:
        self.network = network
        self.loss = loss
        self._step = TrainingStep(network, Weighted(loss))
        if not self.learn_with(rule):
            lay_side_by_side(network.parameters().values())

    def learn_with(self, rule: UpdateRule) -> bool:
        """Set the rule, with fresh memory; False, and nothing changed, where it is the same."""
        penalized = Penalized(rule)
        if all(each.rule == penalized for each in self.network.parameters().values()):
            return False
        self.network.learn_with(penalized)
        return True

    def forget(self) -> None:
        """Begin anew what the rules remember."""
        for parameter in self.network.parameters().values():
            parameter.updates = 0
            for name, fresh in parameter.rule.state(parameter.value).items():
                parameter.state[name].copy_(fresh)

    def epoch(self, batches: Batches, order: Tensor, rates: Sequence[float]) -> Tensor:
        """One pass over the data in one call; returns the loss of each step."""
        with running_on(threads_for(self.network, batches.size)):
            losses = self._step.run(batches.inputs, batches.target(), order, rates, batches.size)
        assert losses is not None
        return losses

    def weights(self) -> list[Tensor]:
        """A copy of the weights as they are."""
        return [each.value.clone() for each in self.network.parameters().values()]

    def restore(self, weights: list[Tensor]) -> None:
        """Set weights that were copied, in place."""
        for parameter, value in zip(self.network.parameters().values(), weights, strict=True):
            parameter.value.copy_(value)

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        sums = [each.value.sum() for each in self.network.parameters().values()]
        return bool(torch.isfinite(torch.stack(sums)).all())


class Shelf:
    """The trainers that nobody uses just now, by kind; the oldest goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trainers: OrderedDict[Hashable, list[Trainer]] = OrderedDict()

    def take(self, kind: Hashable) -> Trainer | None:
        """A trainer of this kind, if there is one; nobody else has it then."""
        with self._lock:
            found = self._trainers.pop(kind, [])
            if len(found) > 1:
                self._trainers[kind] = found[:-1]
            return found[-1] if found else None

    def put(self, kind: Hashable, trainer: Trainer) -> None:
        """Leave a trainer whose network nobody holds."""
        weights = sum(each.value.numel() for each in trainer.network.parameters().values())
        if weights > LARGEST:
            return
        with self._lock:
            self._trainers[kind] = [*self._trainers.pop(kind, []), trainer]
            while sum(map(len, self._trainers.values())) > KEPT:
                oldest = next(iter(self._trainers))
                self._trainers[oldest].pop(0)
                if not self._trainers[oldest]:
                    del self._trainers[oldest]


shelf = Shelf()
