"""Passes: where the loop gets its epochs of steps from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from backhand.data import Data
from backhand.training.steps import Steps


@runtime_checkable
class Passes(Protocol):
    """Passes over the training data.

    Attributes:
        steps: training steps of one pass.
    """

    steps: int

    def take(self, epochs: int, learning_rates: Sequence[float]) -> list[float]:
        """So many passes in one call, a step for each rate; returns the mean loss of each."""
        ...


class DataPasses:
    """Passes over a data set in memory, each in an order of its own.

    Args:
        steps: takes them.
        data: what the order's rows are of.
        batch_size: rows of a step, the last one of an epoch possibly with fewer.
        order: called for each pass; the numbers of its rows, in order, always as many.
        rows: how many these are.
    """

    def __init__(
        self, steps: Steps, data: Data, batch_size: int, order: Callable[[], Tensor], rows: int
    ) -> None:
        self.steps = -(-rows // batch_size)
        self._steps = steps
        self._data = data
        self._batch_size = batch_size
        self._order = order

    def take(self, epochs: int, learning_rates: Sequence[float]) -> list[float]:
        """See Passes."""
        means = []
        for epoch in range(epochs):
            rates = learning_rates[epoch * self.steps : (epoch + 1) * self.steps]
            losses = self._steps.run(*self._data, self._order(), rates, self._batch_size)
            assert losses is not None
            means.append(float(losses.double().mean()))
        return means
