"""Thinc: layers with callbacks, gradients kept, then an optimizer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from problem import BATCH, Problem, disc_job, orders
from thinc.api import SGD, Adam, Linear, Relu, Sigmoid, chain


def _network(problem: Problem):
    layers = [
        Relu(outputs, inputs)
        for inputs, outputs in zip(problem.sizes[:-2], problem.sizes[1:-1], strict=True)
    ]
    last = Linear if problem.classes else Sigmoid
    made = chain(*layers, last(problem.sizes[-1], problem.sizes[-2]))
    made.initialize()
    rule = Adam(problem.rate) if problem.adam else SGD(problem.rate, L2=0.0, grad_clip=0.0)
    return made, rule


def _step(made, rule, x, t) -> None:
    prediction, backprop = made.begin_update(x)
    backprop((prediction - t) * np.float32(2 / t.size))
    made.finish_update(rule)


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """One step; with the mean squared error only."""
    if problem.classes:
        return {}
    made, rule = _network(problem)
    x, t = problem.data()
    return {"Thinc": lambda: _step(made, rule, x, t)}


def jobs() -> dict[str, Callable[[], object]]:
    """The whole disc job."""
    problem = disc_job()
    inputs, targets = problem.data(1000)
    shuffled = orders()

    def job() -> None:
        made, rule = _network(problem)
        for order in shuffled:
            x, t = inputs[order], targets[order]
            for i in range(0, len(x), BATCH):
                _step(made, rule, x[i : i + BATCH], t[i : i + BATCH])

    return {"Thinc": job}
