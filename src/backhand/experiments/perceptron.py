"""The perceptron: one fully connected layer at its best, to measure the network against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch

from backhand.data import Data
from backhand.experiments.points import OnEpoch, Run, Settings, Task
from backhand.layer import Layer
from backhand.layers import FullyConnected, Sigmoid, Tanh
from backhand.losses import BinaryCrossEntropyLoss, Loss, MSELoss
from backhand.networks import Sequential
from backhand.training import accuracy, cosine, evaluate, fit

CHOICES: dict[str, tuple[type[Layer] | None, Loss, float]] = {
    "sigmoid, squared error": (Sigmoid, MSELoss(), 0.5),
    "tanh, squared error": (Tanh, MSELoss(), 0.5),
    "no activation, squared error": (None, MSELoss(), 0.5),
    "logit, cross-entropy": (None, BinaryCrossEntropyLoss(), 0.0),
}
"""By name: an activation, a loss, and the output above which a point is classified as 1."""

RATES = (0.03, 0.3, 3.0)
TUNED_ON = 3
"""How many seeds' training points choose among them."""


@dataclass(frozen=True)
class Perceptron:
    """The best perceptron found, and what it reaches.

    Attributes:
        choice: its activation and loss.
        learning_rate: at the beginning.
        accuracies: on fresh points, one a seed.
    """

    choice: str
    learning_rate: float
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """A network beside the best perceptron on one task.

    Attributes:
        task: its name.
        network: the network's accuracies on fresh points, one a seed.
        perceptron: the best one found.
    """

    task: str
    network: tuple[float, ...]
    perceptron: Perceptron


def compare(
    task: Task, settings: Settings, runs: Sequence[Run], on_epoch: OnEpoch = None
) -> Comparison:
    """Trained networks beside a perceptron tuned and trained for the same seeds."""
    accuracies = tuple(run.fresh["accuracy"] for run in runs)
    perceptron = tuned_perceptron(task, settings, [run.seed for run in runs], on_epoch)
    return Comparison(task.name, accuracies, perceptron)


def tuned_perceptron(
    task: Task, settings: Settings, seeds: Sequence[int], on_epoch: OnEpoch = None
) -> Perceptron:
    """Choose activation, loss and rate on held-out training points, then train for each seed.

    A fifth of the first seeds' training points is held out (all of them, where there are only
    the four of XOR). Epochs and batch size are the network's.
    """

    def train(choice: str, rate: float, points: Data, measured: Data, seed: int) -> float:
        return _train(choice, rate, points, measured, settings, seed, on_epoch)

    def score(choice: str, rate: float) -> float:
        held_out = ((seed, _hold_out(task.train(settings, seed))) for seed in seeds[:TUNED_ON])
        return sum(train(choice, rate, *points, seed) for seed, points in held_out)

    best_choice, best_rate = max(product(CHOICES, RATES), key=lambda pair: score(*pair))
    accuracies = tuple(
        train(best_choice, best_rate, task.train(settings, seed), task.fresh(seed), seed)
        for seed in seeds
    )
    return Perceptron(best_choice, best_rate, accuracies)


def _hold_out(data: Data) -> tuple[Data, Data]:
    """The points to train on, and the fifth of them that is held out."""
    held = len(data.inputs) // 5
    training = Data(data.inputs[held:], data.targets[held:])
    return training, Data(data.inputs[:held], data.targets[:held]) if held else data


def _train(
    choice: str,
    rate: float,
    train: Data,
    measured: Data,
    settings: Settings,
    seed: int,
    on_epoch: OnEpoch,
) -> float:
    """The accuracy after training; 0 where the rate was too high to learn at all."""
    activation, loss, threshold = CHOICES[choice]
    torch.manual_seed(seed)
    layers: list[Layer] = [FullyConnected(2, 1)]
    network = Sequential(layers if activation is None else [*layers, activation()])
    try:
        fit(
            network,
            loss,
            train,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=cosine(rate),
            on_epoch=on_epoch,
            progress=False,
            seed=seed,
        )
    except ArithmeticError:
        return 0.0
    return evaluate(network, loss, measured, {"accuracy": accuracy(threshold)})["accuracy"]
