"""The engines beside each other: by size, for one row, and for the disc job from nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from floor import bare_residual_products
from pages import grid, table
from peers import ours, pytorch
from problem import SMALL, Problem
from timing import interleaved

import backhand as bh
from backhand.program import Inductor, Native, choose

HERE = Path(__file__).parent


def sizes(rounds: int, seconds: float) -> str:
    """Wider networks by each engine, and which of them is chosen."""
    rows = []
    for shape, batch in (
        ((64, 64, 64, 10), 32),
        ((128, 128, 128, 10), 128),
        ((256, 256, 256, 10), 128),
        ((512, 512, 512, 10), 128),
        ((784, 1024, 1024, 10), 256),
    ):
        problem = Problem(shape, batch, classes=True, rate=0.001)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            steps = {"Native": _step(problem, Native()), "Replay": _step(problem, bh.Replay())}
            steps |= pytorch.steps(problem)
            times = interleaved(steps, min(rounds, 7), seconds)
            eager = min(value for name, value in times.items() if name.startswith("PyTorch"))
            chosen = choose(_recorded(problem, bh.Replay()).latest.plan)
            figures = [times["Native"], times["Replay"], eager]
            row = [f"{'-'.join(map(str, shape))}, batch {batch}", str(threads)]
            row += [f"{each * 1e6:.0f}" for each in figures]
            row += [f"{times['Replay'] / times['Native']:.2f}"]
            row += [f"{eager / min(figures[:2]):.2f}", repr(chosen)]
            rows.append(row)
    torch.set_num_threads(1)
    head = ["SGD, cross-entropy", "threads", "Native µs", "Replay µs", "PyTorch eager's best µs"]
    head += ["Replay / Native", "PyTorch / the faster", "chosen"]
    return grid("(f) Wider networks, by each engine", head, rows)


def _recorded(problem: Problem, engine: bh.program.Engine) -> bh.TrainingStep:
    step = bh.TrainingStep(ours.network(problem), ours.loss(problem), engine, losses=False)
    return step.record(*map(torch.from_numpy, problem.data()))


def _step(problem: Problem, engine: bh.program.Engine):
    step = _recorded(problem, engine)
    input, target = map(torch.from_numpy, problem.data())
    return lambda: step(input, target, problem.rate)


def one_row(rounds: int, seconds: float) -> str:
    """A prediction for one row, from a NumPy array to a number."""
    network = ours.network(Problem(SMALL, 1))
    array = np.random.default_rng(0).random((1, 2), np.float32)
    placed = bh.Prediction(network).in_place(torch.zeros(1, 2))
    row, output = placed.input.numpy(), placed.output.numpy()
    call = bh.Prediction(network)

    def in_place() -> float:
        row[:] = array
        placed()
        return output.item()

    calls = {
        "Backhand, Prediction.in_place": in_place,
        "Backhand, Prediction": lambda: call(torch.from_numpy(array)).item(),
        "Backhand, network.predict": lambda: network.predict(torch.from_numpy(array)).item(),
        **pytorch.predictions(array),
    }
    times = interleaved(calls, rounds, seconds)
    title = "(g) A prediction of 2-25-25-1 for one row, from a NumPy array to a number"
    return table(title, times, 1e6, "µs", "PyTorch eager")


def fresh_job() -> str:
    """The disc job through fit in a process of its own, with an empty cache, then a full one."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"BACKHAND_CACHE": folder}
        command = [sys.executable, str(HERE / "fresh_job.py")]
        for title, count in (("compiled now", 1), ("from the cache, median of 7", 7)):
            times = []
            for _ in range(count):
                done = subprocess.run(command, env=environment, capture_output=True, check=True)
                times.append(float(done.stdout))
            rows.append([title, f"{statistics.median(times):.0f}"])
    title = "(h) The disc job in a fresh process, from fit to the trained network"
    return grid(title, ["", "ms"], rows)


def residual(rounds: int, seconds: float) -> str:
    """A residual network of six layers, 256 wide, at batch 256, on two threads."""
    torch.set_num_threads(2)
    input, target = torch.randn(256, 256) * 0.1, torch.randint(10, (256,))
    tables = []
    for adam in (False, True):
        calls = {"its bare matrix products": bare_residual_products()}
        for engine in (bh.Replay(), Native(), Inductor()):
            step = bh.TrainingStep(_residual(adam), bh.CrossEntropyLoss(), engine, losses=False)
            step.record(input, target)
            calls[f"Backhand, {type(engine).__name__}"] = _stepping(step, input, target)
        calls |= pytorch.residual_steps(adam, input, target)
        title = "(i) One step of a residual network of 6 layers 256 wide, batch 256, 2 threads"
        times = interleaved(calls, rounds, seconds)
        rule = "Adam" if adam else "SGD"
        tables.append(table(f"{title}, {rule}", times, 1e3, "ms", "PyTorch"))
    torch.set_num_threads(1)
    return "\n\n".join(tables)


def _residual(adam: bool) -> bh.Sequential:
    block = [bh.Residual(bh.Sequential([bh.FullyConnected(256, 256), bh.ReLU()])) for _ in range(6)]
    network = bh.Sequential([*block, bh.FullyConnected(256, 10)])
    return network.learn_with(bh.Adam() if adam else bh.SGD())


def _stepping(step: bh.TrainingStep, input: torch.Tensor, target: torch.Tensor):
    return lambda: step(input, target, 1e-4)
