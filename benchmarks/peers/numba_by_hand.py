"""The same by hand under Numba: loops compiled for this very network."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from problem import BATCH, Problem, disc_job, orders


@numba.njit(fastmath=False)
def train(w1, b1, w2, b2, w3, b3, x, t, rate):
    """One step of gradient descent on 2-25-25-1, in place."""
    h1 = np.maximum(np.dot(x, w1.T) + b1, np.float32(0))
    h2 = np.maximum(np.dot(h1, w2.T) + b2, np.float32(0))
    p = np.float32(1) / (np.float32(1) + np.exp(-(np.dot(h2, w3.T) + b3)))
    e3 = (p - t) * p * (np.float32(1) - p) * np.float32(2 / len(x))
    e2 = np.dot(e3, w3) * np.sign(h2)
    e1 = np.dot(e2, w2) * np.sign(h1)
    w3 -= rate * np.dot(e3.T, h2)
    b3 -= rate * e3.sum(0)
    w2 -= rate * np.dot(e2.T, h1)
    b2 -= rate * e2.sum(0)
    w1 -= rate * np.dot(e1.T, x)
    b1 -= rate * e1.sum(0)


@numba.njit
def epoch(w1, b1, w2, b2, w3, b3, x, t, rate, batch):
    """All batches of one pass."""
    for i in range(0, len(x), batch):
        train(w1, b1, w2, b2, w3, b3, x[i : i + batch], t[i : i + batch], rate)


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """One step; of the small network with plain gradient descent only."""
    if len(problem.sizes) != 4 or problem.classes or problem.adam:
        return {}
    w = [array.copy() for pair in problem.weights() for array in pair]
    x, t = problem.data()
    return {"Numba by hand": lambda: train(*w, x, t, np.float32(problem.rate))}


def jobs() -> dict[str, Callable[[], object]]:
    """The whole disc job, compiled before."""
    problem = disc_job()
    inputs, targets = problem.data(1000)
    shuffled = orders()

    def job() -> None:
        w = [array.copy() for pair in problem.weights() for array in pair]
        for order in shuffled:
            epoch(*w, inputs[order], targets[order], np.float32(0.1), BATCH)

    job()
    return {"Numba by hand (compiled before)": job}
