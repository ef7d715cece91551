"""The loop: epochs of steps, measured, guarded against bad numbers, the best weights kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from backhand.data import Data
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.training.history import Epoch, History
from backhand.training.metrics import Metric, evaluate
from backhand.training.schedules import Schedule
from backhand.training.steps import Steps
from backhand.training.weights import Weights
from backhand.values import row_count


class NonFiniteLoss(ArithmeticError):
    """Training met a NaN or an infinity; the network has the weights of the last good epoch."""


@dataclass(frozen=True)
class Sets:
    """The data sets of one training."""

    train: Data
    validation: Data | None
    test: Data | None

    def named(self) -> dict[str, Data]:
        """Those there are, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: data for name, data in found.items() if data is not None}


class Training:
    """One call of fit under way."""

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        sets: Sets,
        schedule: Schedule,
        batch_size: int,
        epochs: int,
        generator: torch.Generator,
        steps: Steps,
    ) -> None:
        self.network = network
        self.loss = loss
        self.sets = sets
        self.schedule = schedule
        self.batch_size = batch_size
        self.generator = generator
        self.epochs = epochs
        self.steps = steps
        self.steps_per_epoch = math.ceil(row_count(sets.train.inputs) / batch_size)
        self.good = Weights(network)
        self.best = Weights(network) if sets.validation is not None else None
        self.best_loss = math.inf

    def run(
        self,
        metrics: Mapping[str, Metric],
        evaluate_train: bool,
        patience: int | None,
        on_epoch: Callable[[Epoch], object] | None,
    ) -> History:
        history = History()
        begun = time.perf_counter()
        for number in range(1, self.epochs + 1):
            mean_loss, rate = self._epoch(number)
            epoch = Epoch(
                number,
                number * self.steps_per_epoch,
                rate,
                time.perf_counter() - begun,
                mean_loss,
                self._measures(metrics, evaluate_train),
            )
            history.epochs.append(epoch)
            self._remember_best(epoch, history)
            if on_epoch is not None:
                on_epoch(epoch)
            if patience and number - (history.best_epoch or 0) >= patience:
                break
        if self.best is not None:
            self.best.restore()
        history.engine = self.steps.engine
        return history

    def _epoch(self, number: int) -> tuple[float, float]:
        """One pass over the data; returns the mean of the steps' losses, and the last rate."""
        rates = self._rates(number)
        order = torch.randperm(row_count(self.sets.train.inputs), generator=self.generator)
        losses = self.steps.run(*self.sets.train, order, rates, self.batch_size)
        assert losses is not None
        mean = float(losses.double().mean())
        if not (math.isfinite(mean) and self.good.all_finite()):
            self.good.restore()
            raise NonFiniteLoss(
                f"epoch {number}: the loss, a weight or a rule's state is no longer a finite "
                f"number (the learning rate was {rates[0]:g}); the weights are those of epoch "
                f"{number - 1}"
            )
        self.good.keep()
        return mean, rates[-1]

    def _rates(self, number: int) -> list[float]:
        total = self.epochs * self.steps_per_epoch
        first = (number - 1) * self.steps_per_epoch
        rates = [float(self.schedule(first + i, total)) for i in range(self.steps_per_epoch)]
        if not all(0 <= rate < math.inf for rate in rates):
            at, rate = next((i, r) for i, r in enumerate(rates) if not 0 <= r < math.inf)
            raise ValueError(
                f"learning rate: the schedule gave {rate} at step {first + at}; "
                "expected a finite number of 0 or more"
            )
        return rates

    def _measures(
        self, metrics: Mapping[str, Metric], evaluate_train: bool
    ) -> dict[str, dict[str, float]]:
        sets = self.sets.named()
        if not evaluate_train:
            del sets["train"]
        return {
            name: evaluate(self.network, self.loss, data, metrics, self.steps.predict)
            for name, data in sets.items()
        }

    def _remember_best(self, epoch: Epoch, history: History) -> None:
        if self.best is None:
            return
        loss = epoch.measures["validation"]["loss"]
        if not math.isfinite(loss):
            self.best.restore()
            raise NonFiniteLoss(
                f"epoch {epoch.number}: the validation loss is not a finite number; "
                f"the weights are those of epoch {history.best_epoch or 0}"
            )
        if loss < self.best_loss:
            self.best_loss = loss
            self.best.keep()
            history.best_epoch = epoch.number
