"""The step of 2-25-25-1 written by hand in C: the floor under the native engine."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from problem import BATCH, EPOCHS, MANY, POINTS, SMALL, Problem, disc_job, orders

from backhand.program.engines.native.compile import FLAGS, find_compiler

SOURCE = Path(__file__).parent / "c_by_hand.c"


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """Many steps in one call; of this one network only."""
    if problem.sizes != SMALL:
        return {}
    inputs, targets = problem.data()
    order = np.tile(np.arange(problem.batch), MANY)
    run = _compiled(problem.batch, problem.adam)
    weights, state = _packed(problem)
    rates = np.full(MANY, problem.rate)
    return {
        f"C by hand, {MANY} steps in one call": lambda: run(
            weights, state, inputs, targets, order, rates
        )
    }


def jobs() -> dict[str, Callable[[], object]]:
    """The disc job, an epoch a call."""
    problem = disc_job()
    inputs, targets = problem.data(POINTS)
    run, shuffled = _compiled(BATCH, adam=False), orders()
    rates = np.full(POINTS // BATCH, problem.rate)

    def job() -> None:
        weights, state = _packed(problem)
        for epoch in range(EPOCHS):
            run(weights, state, inputs, targets, shuffled[epoch], rates)

    return {"C by hand (compiled before)": job}


def weights_after(problem: Problem, count: int) -> list[np.ndarray]:
    """The weights after some steps, for comparing peers."""
    inputs, targets = problem.data()
    weights, state = _packed(problem)
    order = np.tile(np.arange(problem.batch), count)
    rates = np.full(count, problem.rate)
    _compiled(problem.batch, problem.adam)(weights, state, inputs, targets, order, rates)
    found, at = [], 0
    for pair in problem.weights():
        for each in pair:
            found.append(weights[at : at + each.size].reshape(each.shape))
            at += each.size
    return found


def _packed(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The weights one after another, and zeros for Adam's two means."""
    parts = [part.ravel() for pair in problem.weights() for part in pair]
    weights = np.concatenate(parts)
    return weights, np.zeros((2, weights.size), np.float32)


def _compiled(batch: int, adam: bool) -> Callable[..., object]:
    """The function for a batch size, compiled as the engine compiles."""
    library = Path(tempfile.mkdtemp(), "by_hand.so")
    defined = [f"-DBATCH={batch}", *(["-DADAM"] if adam else [])]
    command = [*find_compiler().command, *FLAGS, *defined, "-o", str(library), str(SOURCE), "-lm"]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(str(library)).by_hand

    def run(*arrays: np.ndarray) -> None:
        steps = len(arrays[-1])
        losses = np.empty(steps, np.float32)
        pointers = [ctypes.c_void_p(each.ctypes.data) for each in (*arrays, losses)]
        function(*pointers, ctypes.c_int64(steps))

    return run
