"""Backhand: plain steps, and recorded ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from problem import BATCH, EPOCHS, Problem, disc_job

import backhand as bh


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

    quiet = bh.TrainingStep(network(problem), error, bh.Replay(), losses=False)
    loud = bh.TrainingStep(network(problem), error, bh.Replay())
    run = bh.TrainingStep(network(problem), error, bh.Replay(), losses=False)
    many = 50
    order = torch.arange(problem.batch).repeat(many)
    rates = [problem.rate] * many
    return {
        "Backhand, plain": plain_step,
        "Backhand, Replay": lambda: quiet(input, target, problem.rate),
        "Backhand, Replay, loss returned": lambda: loud(input, target, problem.rate),
        f"Backhand, Replay, {many} steps in one run": lambda: run.run(
            input, target, order, rates, problem.batch
        ),
    }


PER_CALL = {"Backhand, Replay, 50 steps in one run": 50}
"""How many steps one call takes, where it is more than one."""


def jobs() -> dict[str, Callable[[], object]]:
    """The whole disc job through fit."""
    problem = disc_job()
    inputs, targets = map(torch.from_numpy, problem.data(1000))

    def job(record: bool) -> None:
        bh.fit(
            network(problem),
            loss(problem),
            (inputs, targets),
            epochs=EPOCHS,
            batch_size=BATCH,
            learning_rate=problem.rate,
            record=record,
        )

    return {"Backhand, fit": lambda: job(True), "Backhand, fit, unrecorded": lambda: job(False)}


def weights_after(problem: Problem, count: int) -> list[np.ndarray]:
    """The first layer's weight and so on after some steps, for comparing peers."""
    made = network(problem)
    step = bh.TrainingStep(made, loss(problem))
    input, target = map(torch.from_numpy, problem.data())
    for _ in range(count):
        step(input, target, problem.rate)
    return [each.value.numpy() for each in made.parameters().values()]
