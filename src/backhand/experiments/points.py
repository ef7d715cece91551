"""Points in the unit square, classified by a network of fully connected layers, over seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from backhand.data import Data, disc, xor
from backhand.layer import Layer
from backhand.layers import FullyConnected, KaimingUniform, ReLU, Sigmoid, Tanh, XavierUniform
from backhand.losses import MSELoss
from backhand.networks import Sequential
from backhand.program.engines.native import counted_compilation
from backhand.training import Epoch, History, accuracy, cosine, evaluate, fit

ACTIVATIONS = {
    "relu": (ReLU, KaimingUniform()),
    "sigmoid": (Sigmoid, XavierUniform(gain=12.0)),
    "tanh": (Tanh, XavierUniform(gain=5.0)),
}
"""Activations by name, each with the initializer that suits it here."""

OnEpoch: TypeAlias = Callable[[Epoch], object] | None

HELD_OUT, FEWEST = 0.2, 5
"""The share of somebody's own points to test on, and how many points there must be."""

FRESH = 100_000
"""Points that a trained network is measured on beside its test points."""


@dataclass(frozen=True)
class Settings:
    """What can be chosen.

    Chosen so as to do well on held-out points of other training sets, never on test points.

    Attributes:
        hidden: neurons of each hidden layer.
        activation: of the hidden layers; a name in ACTIVATIONS. The output is a sigmoid.
        epochs: passes over the training points.
        batch_size: points in a batch.
        learning_rate: at the beginning; it falls to 0 along a cosine.
        points: how many are drawn to train on.

    Raises:
        ValueError: a value is out of range.
    """

    hidden: tuple[int, ...] = (25, 25)
    activation: str = "tanh"
    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 2.0
    points: int = 1000

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden: expected at least 1 neuron a layer, got {self.hidden}")
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation: expected one of {known}, got {self.activation!r}")
        for name in ("epochs", "batch_size", "points"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"learning rate: expected a finite number above 0, got {self.learning_rate}"
            )

    def network(self) -> Sequential:
        """A network of these sizes, drawn from torch's generator."""
        activation, initializer = ACTIVATIONS[self.activation]
        sizes = [2, *self.hidden]
        layers: list[Layer] = []
        for inputs, outputs in pairwise(sizes):
            layers += [FullyConnected(inputs, outputs, initializer=initializer), activation()]
        return Sequential([*layers, FullyConnected(sizes[-1], 1), Sigmoid()])

    def describe(self) -> str:
        """ "2-25-25-1, tanh"."""
        sizes = "-".join(map(str, (2, *self.hidden, 1)))
        return f"{sizes}, {self.activation}"


@dataclass(frozen=True)
class Task:
    """Where the points come from: for a seed, those to train on, to test on, and fresh ones.

    Attributes:
        name: "disc" or "xor".
        train, test, fresh: make the points from a seed.
        points: what to call them in a table, by "train", "test" and "fresh"; one that is not
            there is the same as another and needs no row.
        source: where somebody's own points come from, and how many are used for what; empty for
            the tasks of the report.
    """

    name: str
    train: Callable[[Settings, int], Data]
    test: Callable[[int], Data]
    fresh: Callable[[int], Data]
    points: dict[str, str]
    source: str = ""


DISC = Task(
    "disc",
    train=lambda settings, seed: disc(settings.points, seed=3 * seed),
    test=lambda seed: disc(1000, seed=3 * seed + 1),
    fresh=lambda seed: disc(FRESH, seed=3 * seed + 2),
    points={"train": "training points", "test": "1000 test points", "fresh": "100,000 fresh"},
)
XOR = Task(
    "xor",
    train=lambda settings, seed: xor(),
    test=lambda seed: xor(),
    fresh=lambda seed: xor(),
    points={"train": "the four points"},
)


def own_points(name: str, data: Data) -> Task:
    """Somebody's own points: at every seed others of them are held out, and tested on.

    Args:
        name: of their file.
        data: a fifth of each class is held out.

    Raises:
        ValueError: there are too few to hold some out.
    """
    points = len(data.inputs)
    if points < FEWEST:
        raise ValueError(f"{name}: expected at least {FEWEST} points, got {points}")

    def part(seed: int, held_out: bool) -> Data:
        rows = _held_out(data, seed) if held_out else ~_held_out(data, seed)
        return Data(data.inputs[rows], data.targets[rows])

    held = int(_held_out(data, 0).sum())
    return Task(
        f"points of {name}",
        train=lambda settings, seed: part(seed, held_out=False),
        test=lambda seed: part(seed, held_out=True),
        fresh=lambda seed: part(seed, held_out=True),
        points={"train": f"{points - held:,} training points", "test": f"{held:,} held out"},
        source=f"{points:,} of {name}: {points - held:,} to train on, {held:,} held out",
    )


def _held_out(data: Data, seed: int) -> Tensor:
    """A fifth of the points of each class, but one at least, as a mask (points,)."""
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(data.inputs), dtype=torch.bool)
    classes = [(data.targets[:, 0] == label).nonzero()[:, 0] for label in (0, 1)]
    for rows in classes:
        order = torch.randperm(len(rows), generator=generator)
        held[rows[order[: round(HELD_OUT * len(rows))]]] = True
    if not held.any():
        held[max(classes, key=len)[0]] = True
    return held


def xor_settings(settings: Settings) -> Settings:
    """The same network on XOR: its four points one by one, at a rate that suits them."""
    return replace(settings, batch_size=1, learning_rate=0.5, points=4)


@dataclass(frozen=True)
class Run:
    """One seed's training, measured.

    Attributes:
        seed: of the points, the first weights and the shuffling.
        network: trained.
        history: with train and test loss and accuracy, epoch by epoch.
        train, test, fresh: {"loss", "accuracy"} at the end.
        baseline: the accuracy on the test points of always the larger class.
        converged: the epoch of convergence; None where the network does no better than that.
        seconds: that training took, with what was measured after every epoch.
        compiling: seconds of compilation, where the step was in no cache; counted apart.
    """

    seed: int
    network: Layer
    history: History
    train: dict[str, float]
    test: dict[str, float]
    fresh: dict[str, float] = field(repr=False)
    baseline: float
    converged: int | None
    seconds: float
    compiling: float = 0.0


def train_seed(task: Task, settings: Settings, seed: int, on_epoch: OnEpoch = None) -> Run:
    """Train a network from one seed by stochastic gradient descent on the mean squared error."""
    torch.manual_seed(seed)
    network = settings.network()
    loss, metrics = MSELoss(), {"accuracy": accuracy()}
    train, test = task.train(settings, seed), task.test(seed)
    began = time.perf_counter()
    with counted_compilation() as compilation:
        history = fit(
            network,
            loss,
            train,
            test=test,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=cosine(settings.learning_rate),
            metrics=metrics,
            evaluate_train=True,
            on_epoch=on_epoch,
            progress=False,
            seed=seed,
        )
    seconds = time.perf_counter() - began - compilation.seconds

    def measured(data: Data) -> dict[str, float]:
        return evaluate(network, loss, data, metrics)

    ones = test.targets.mean().item()
    baseline, tested = max(ones, 1 - ones), measured(test)
    by_chance = math.sqrt(baseline * (1 - baseline) / len(test.inputs))
    learnt = tested["accuracy"] >= baseline + 2 * by_chance
    return Run(
        seed=seed,
        network=network,
        history=history,
        train=measured(train),
        test=tested,
        fresh=measured(task.fresh(seed)),
        baseline=baseline,
        converged=convergence(history) if learnt else None,
        seconds=seconds,
        compiling=compilation.seconds,
    )


def convergence(history: History, tolerance: float = 0.05) -> int:
    """The first epoch from which the test loss stays within 5 % of its final value."""
    losses = history.column("test_loss")
    final = losses[-1]
    outside = [i for i, loss in enumerate(losses) if abs(loss - final) > tolerance * final]
    return outside[-1] + 2 if outside else 1


def median_run(runs: Sequence[Run]) -> Run:
    """The run in the middle by its accuracy on fresh points."""
    ordered = sorted(runs, key=lambda run: run.fresh["accuracy"])
    return ordered[(len(ordered) - 1) // 2]
