"""Backhand: plain steps, and recorded ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from problem import BATCH, EPOCHS, MANY, POINTS, SMALL, Problem, disc_job

import backhand as bh
from backhand.program import Engine, Native


def network(problem: Problem) -> bh.Sequential:
    """The problem's network, with its weights."""
    layers: list[bh.Layer] = []
    for i, (weight, bias) in enumerate(problem.weights()):
        layer = bh.FullyConnected(weight.shape[1], weight.shape[0])
        layer.weight.value.copy_(torch.from_numpy(weight))
        assert layer.bias is not None
        layer.bias.value.copy_(torch.from_numpy(bias))
        last = i == len(problem.sizes) - 2
        layers += (
            [layer] if last and problem.classes else [layer, bh.Sigmoid() if last else bh.ReLU()]
        )
    return bh.Sequential(layers).learn_with(bh.Adam() if problem.adam else bh.SGD())


def loss(problem: Problem) -> bh.Loss:
    """The problem's loss."""
    return bh.CrossEntropyLoss() if problem.classes else bh.MSELoss()


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """A plain step, and recorded ones without and with the loss's value."""
    input, target = map(torch.from_numpy, problem.data())
    plain, error = network(problem), loss(problem)

    def plain_step() -> None:
        prediction = plain(input)
        plain.backward(error.backward(prediction, target), problem.rate)

    def recorded(engine: Engine, losses: bool = False) -> bh.TrainingStep:
        return bh.TrainingStep(network(problem), error, engine, losses)

    def in_one_run(engine: Engine, many: int) -> Callable[[], object]:
        step, order = recorded(engine), torch.arange(problem.batch).repeat(many)
        rates = [problem.rate] * many
        return lambda: step.run(input, target, order, rates, problem.batch)

    quiet, loud = recorded(bh.Replay()), recorded(bh.Replay(), losses=True)
    calls = {
        "Backhand, plain": plain_step,
        "Backhand, Replay": lambda: quiet(input, target, problem.rate),
        "Backhand, Replay, loss returned": lambda: loud(input, target, problem.rate),
        "Backhand, Replay, 50 steps in one run": in_one_run(bh.Replay(), 50),
    }
    native = recorded(Native())
    calls["Backhand, Native"] = lambda: native(input, target, problem.rate)
    if problem.sizes == SMALL:
        placed = recorded(Native()).in_place(input, target)
        calls |= {
            "Backhand, Native, in place": lambda: placed(problem.rate),
            f"Backhand, Native, {MANY} steps in one run": in_one_run(Native(), MANY),
        }
    return calls


def jobs() -> dict[str, Callable[[], object]]:
    """The whole disc job through fit."""
    problem = disc_job()
    inputs, targets = map(torch.from_numpy, problem.data(POINTS))

    def job(record: bool, engine: Engine | None = None) -> None:
        bh.fit(
            network(problem),
            loss(problem),
            (inputs, targets),
            epochs=EPOCHS,
            batch_size=BATCH,
            learning_rate=problem.rate,
            record=record,
            engine=engine,
        )

    return {
        "Backhand, fit (compiled before)": lambda: job(True),
        "Backhand, fit, Replay": lambda: job(True, bh.Replay()),
        "Backhand, fit, unrecorded": lambda: job(False),
    }


def weights_after(problem: Problem, count: int) -> list[np.ndarray]:
    """The first layer's weight and so on after some steps, for comparing peers."""
    made = network(problem)
    step = bh.TrainingStep(made, loss(problem))
    input, target = map(torch.from_numpy, problem.data())
    for _ in range(count):
        step(input, target, problem.rate)
    return [each.value.numpy() for each in made.parameters().values()]
