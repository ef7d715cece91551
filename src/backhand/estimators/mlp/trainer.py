"""Trainers: a network and its recorded step, kept for the next fit of the same kind.

Recording takes longer than many a training; a search over hundreds of fits records once.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backhand.estimators.predictor import numpy_dtype_of
from backhand.layer import Layer
from backhand.learning.parameter import Parameter
from backhand.learning.rules import UpdateRule
from backhand.losses import Loss, Weighted
from backhand.networks import Sequential
from backhand.program import Prediction, TrainingStep, TrainingStepInPlace

KEPT = 8
"""How many trainers are kept in a process."""

LARGEST = 1_000_000
"""Weights of a network up to which its trainer is kept."""


class Trainer:
    """Trains a network, many steps a call.

    Args:
        network: trained in place.
        loss: of its rows; weights are put around it.
        rule: of every parameter. A network that learns by it already goes on where it is.
    """

    def __init__(self, network: Layer, loss: Loss, rule: UpdateRule) -> None:
        self.network = network
        self.loss = loss
        self.parameters = list(network.parameters().values())
        self.dtype = numpy_dtype_of(network)
        self._step = TrainingStep(network, Weighted(loss))
        self._prediction = Prediction(network)
        self._copies = 0
        self.learn_with(rule)

    def learn_with(self, rule: UpdateRule) -> bool:
        """Set the rule, with fresh memory; False, and nothing changed, where it is the same."""
        if all(each.rule == rule for each in self.parameters):
            return False
        self.network.learn_with(rule)
        return True

    def forget(self) -> None:
        """Begin anew what the rules remember."""
        for parameter in self.parameters:
            parameter.forget()

    def copy(self) -> tuple[Sequential, Prediction]:
        """A copy of a perceptron, and its prediction: from the second on it is recorded here."""
        assert isinstance(self.network, Sequential)
        twin = copied(self.network)
        self._copies += 1
        if self._copies > 1:
            features = self.parameters[0].value.shape[1]
            self._prediction.record(torch.from_numpy(np.zeros((1, features), self.dtype)))
        return twin, self._prediction.of_copy(twin)

    def steps(
        self, inputs: Tensor, target: Any, order: Tensor, rates: Sequence[float], size: int
    ) -> Tensor:
        """A step for each rate, on batches of `size` rows in that order; returns their losses.

        The target is what `Weighted` takes: a pair (targets, weights).
        """
        losses = self._step.run(inputs, target, order, rates, size)
        assert losses is not None
        return losses

    def in_place(self, inputs: Tensor, target: Any) -> TrainingStepInPlace:
        """A step on this batch, again and again, at the least cost."""
        return self._step.in_place(inputs, target)


def as_numbers(values: np.ndarray, dtype: np.dtype[Any], name: str = "X") -> np.ndarray:
    """Finite numbers in a network's dtype, row by row in memory.

    Raises:
        ValueError: one is too large for it.
    """
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(values, dtype=dtype)
    if dtype != values.dtype and not np.isfinite(found).all():
        largest = np.finfo(dtype).max
        raise ValueError(f"{name}: expected numbers that {dtype} can hold, up to {largest:.3g}")
    return found


def copied(network: Sequential) -> Sequential:
    """A copy of a perceptron, with what its rules remember; several times as fast as deepcopy."""
    layers = [copy.copy(layer) for layer in network.layers]
    for layer in layers:
        for name, parameter in layer.own_parameters().items():
            twin = Parameter(parameter.value.clone())
            twin.rule = parameter.rule
            twin.state = {key: tensor.clone() for key, tensor in parameter.state.items()}
            twin.updates = parameter.updates
            setattr(layer, name, twin)
    return Sequential(layers)


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
        weights = sum(each.value.numel() for each in trainer.parameters)
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
