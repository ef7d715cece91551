"""fit: the training loop for everyone who does not want to write it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from backhand.data import Data, check_data
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.training.history import Epoch, History
from backhand.training.metrics import Metric, all_finite, evaluate
from backhand.training.schedules import Schedule, constant


class NonFiniteLoss(ArithmeticError):
    """Training met a NaN or an infinity; the network has the weights of the last good epoch."""


def fit(
    network: Layer,
    loss: Loss,
    train: tuple[Tensor, Tensor],
    *,
    test: tuple[Tensor, Tensor] | None = None,
    epochs: int = 60,
    batch_size: int = 8,
    learning_rate: float | Schedule = 0.1,
    validation: float = 0.0,
    patience: int | None = None,
    metrics: Mapping[str, Metric] | None = None,
    evaluate_train: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
    seed: int = 0,
) -> History:
    """Train a network, in place, and return what was measured.

    Each epoch shuffles the rows once and takes one step a batch: call, loss.backward,
    network.backward. Evaluation never touches the training.

    Args:
        network: any Layer; its parameters learn by their own rules.
        loss: a Loss.
        train: (inputs (rows, …), targets (rows, …)).
        test: evaluated after every epoch, never used to choose anything.
        epochs: passes over the data; default 60.
        batch_size: rows in a batch; default 8; the last batch may have fewer.
        learning_rate: a number, or a schedule (step, steps) -> rate; default 0.1.
        validation: the share of `train`, in [0, 1), held out and evaluated after each epoch
            (the best epoch's weights are then restored at the end); default 0.
        patience: stop after this many epochs without a better validation loss; default never.
        metrics: named functions (prediction, target) -> 0-dim tensor, beside the loss.
        evaluate_train: also evaluate the training rows after every epoch; default False.
        on_epoch: called after every epoch with what was measured.
        seed: of the shuffling and of the validation share; default 0.

    Raises:
        ValueError, TypeError: an argument or a value in the data is out of range.
        LayerError: the data do not fit the network; the layer is named.
        NonFiniteLoss: a NaN or infinity came up; the last good epoch's weights are restored.
    """
    _check_arguments(epochs, batch_size, learning_rate, validation, patience)
    train = check_data(train, "train")
    sets = _Sets(train, None, None if test is None else check_data(test, "test"))
    generator = torch.Generator().manual_seed(seed)
    if validation:
        sets = _hold_out(sets, validation, generator)
    for name, data in sets.named().items():
        _check_targets(network, loss, data, name)
    schedule = learning_rate if callable(learning_rate) else constant(learning_rate)
    return _Training(network, loss, sets, schedule, batch_size, epochs, generator).run(
        metrics or {}, evaluate_train, patience, on_epoch
    )


@dataclass(frozen=True)
class _Sets:
    train: Data
    validation: Data | None
    test: Data | None

    def named(self) -> dict[str, Data]:
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: data for name, data in found.items() if data is not None}


class _Training:
    """One call of fit under way."""

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        sets: _Sets,
        schedule: Schedule,
        batch_size: int,
        epochs: int,
        generator: torch.Generator,
    ) -> None:
        self.network = network
        self.loss = loss
        self.sets = sets
        self.schedule = schedule
        self.batch_size = batch_size
        self.generator = generator
        self.epochs = epochs
        self.steps_per_epoch = math.ceil(len(sets.train.inputs) / batch_size)
        self.good = _Weights(network)
        self.best = _Weights(network) if sets.validation is not None else None
        self.best_loss = math.inf

    def run(
        self,
        metrics: Mapping[str, Metric],
        evaluate_train: bool,
        patience: int | None,
        on_epoch: Callable[[Epoch], None] | None,
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
        return history

    def _epoch(self, number: int) -> tuple[float, float]:
        """One pass over the data; returns the mean of the steps' losses, and the last rate."""
        rates = self._rates(number)
        order = torch.randperm(len(self.sets.train.inputs), generator=self.generator)
        total = torch.zeros((), dtype=torch.float64)
        for rows, rate in zip(torch.split(order, self.batch_size), rates, strict=True):
            input, target = self.sets.train.inputs[rows], self.sets.train.targets[rows]
            prediction = self.network(input)
            total += self.loss(prediction, target)
            self.network.backward(self.loss.backward(prediction, target), rate)
        mean = float(total) / len(rates)
        if not (math.isfinite(mean) and all_finite(self.network)):
            self.good.restore()
            raise NonFiniteLoss(
                f"epoch {number}: the loss or a weight is no longer a finite number (the "
                f"learning rate was {rates[0]:g}); the weights are those of epoch {number - 1}"
            )
        self.good.keep()
        return mean, rates[-1]

    def _rates(self, number: int) -> list[float]:
        total = self.epochs * self.steps_per_epoch
        first = (number - 1) * self.steps_per_epoch
        rates = [float(self.schedule(first + i, total)) for i in range(self.steps_per_epoch)]
        for i, rate in enumerate(rates):
            if not 0 <= rate < math.inf:
                raise ValueError(
                    f"learning rate: the schedule gave {rate} at step {first + i}; "
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
            name: evaluate(self.network, self.loss, data, metrics) for name, data in sets.items()
        }

    def _remember_best(self, epoch: Epoch, history: History) -> None:
        if self.best is not None and epoch.measures["validation"]["loss"] < self.best_loss:
            self.best_loss = epoch.measures["validation"]["loss"]
            self.best.keep()
            history.best_epoch = epoch.number


class _Weights:
    """A copy of a network's weights and rule states, to go back to."""

    def __init__(self, network: Layer) -> None:
        self.parameters = list(network.parameters().values())
        self.keep()

    def keep(self) -> None:
        self.values = [p.value.clone() for p in self.parameters]
        self.states = [{k: v.clone() for k, v in p.state.items()} for p in self.parameters]
        self.updates = [p.updates for p in self.parameters]

    def restore(self) -> None:
        kept = zip(self.parameters, self.values, self.states, self.updates, strict=True)
        for parameter, value, state, updates in kept:
            parameter.value.copy_(value)
            parameter.updates = updates
            for name, tensor in state.items():
                parameter.state[name].copy_(tensor)


def _check_arguments(
    epochs: int,
    batch_size: int,
    learning_rate: float | Schedule,
    validation: float,
    patience: int | None,
) -> None:
    if epochs < 1:
        raise ValueError(f"epochs: expected 1 or more, got {epochs}")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 row or more, got {batch_size}")
    if not callable(learning_rate) and not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate: expected a finite number above 0, got {learning_rate}")
    if not 0 <= validation < 1:
        raise ValueError(f"validation: expected a share in [0, 1), got {validation}")
    if patience is not None and patience < 1:
        raise ValueError(f"patience: expected 1 epoch or more, got {patience}")
    if patience is not None and not validation:
        raise ValueError("patience: early stopping needs a validation share; give validation=0.1")


def _hold_out(sets: _Sets, share: float, generator: torch.Generator) -> _Sets:
    rows = len(sets.train.inputs)
    held = round(share * rows)
    if not 0 < held < rows:
        raise ValueError(
            f"validation: a share of {share} of {rows} rows leaves {rows - held} to train on "
            f"and {held} to validate on; expected at least one of each"
        )
    order = torch.randperm(rows, generator=generator)
    inputs, targets = sets.train
    return _Sets(
        Data(inputs[order[held:]], targets[order[held:]]),
        Data(inputs[order[:held]], targets[order[:held]]),
        sets.test,
    )


def _check_targets(network: Layer, loss: Loss, data: Data, name: str) -> None:
    """Predict one row: a shape that does not fit is refused before anything is learnt."""
    prediction = network.predict(data.inputs[:1])
    try:
        loss.forward(prediction, data.targets[:1])
        loss.check_values(data.targets, prediction.shape[-1])
    except (ValueError, TypeError) as problem:
        raise type(problem)(f"{name} targets: {problem}") from None
