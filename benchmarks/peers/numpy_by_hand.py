"""NumPy, written by hand for this very network (no framework at all)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from problem import BATCH, Problem, disc_job, orders


def train(w, x, t, rate, m, v, count, adam):
    """One step on the weights [W1, b1, W2, b2, W3, b3] of 2-25-25-1, in place."""
    w1, b1, w2, b2, w3, b3 = w
    h1 = np.maximum(x @ w1.T + b1, 0)
    h2 = np.maximum(h1 @ w2.T + b2, 0)
    p = 1 / (1 + np.exp(-(h2 @ w3.T + b3)))
    e3 = (p - t) * p * (1 - p) * np.float32(2 / len(x))
    e2 = (e3 @ w3) * (h2 > 0)
    e1 = (e2 @ w2) * (h1 > 0)
    gradients = (e1.T @ x, e1.sum(0), e2.T @ h1, e2.sum(0), e3.T @ h2, e3.sum(0))
    if not adam:
        for weight, gradient in zip(w, gradients, strict=True):
            weight -= rate * gradient
        return
    unbias = np.sqrt(1 - 0.999**count)
    step = np.float32(rate * unbias / (1 - 0.9**count))
    for weight, gradient, mean, square in zip(w, gradients, m, v, strict=True):
        mean += np.float32(0.1) * (gradient - mean)
        square *= np.float32(0.999)
        square += np.float32(0.001) * gradient * gradient
        weight -= step * mean / (np.sqrt(square) + np.float32(1e-8 * unbias))


def _state(problem: Problem):
    w = [array.copy() for pair in problem.weights() for array in pair]
    return w, [np.zeros_like(each) for each in w], [np.zeros_like(each) for each in w]


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """One step; of the small network only."""
    if len(problem.sizes) != 4 or problem.classes:
        return {}
    w, m, v = _state(problem)
    x, t = problem.data()
    rate, count = np.float32(problem.rate), [0]

    def step() -> None:
        count[0] += 1
        train(w, x, t, rate, m, v, count[0], problem.adam)

    return {"NumPy by hand": step}


def jobs() -> dict[str, Callable[[], object]]:
    """The whole disc job."""
    problem = disc_job()
    inputs, targets = problem.data(1000)
    shuffled = orders()

    def job() -> None:
        w, m, v = _state(problem)
        for order in shuffled:
            x, t = inputs[order], targets[order]
            for i in range(0, len(x), BATCH):
                train(w, x[i : i + BATCH], t[i : i + BATCH], np.float32(0.1), m, v, 1, False)

    return {"NumPy by hand": job}


def weights_after(problem: Problem, count: int) -> list[np.ndarray]:
    """The weights after some steps, for comparing peers."""
    w, m, v = _state(problem)
    x, t = problem.data()
    for i in range(count):
        train(w, x, t, np.float32(problem.rate), m, v, i + 1, problem.adam)
    return w
