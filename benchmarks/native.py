"""The engines beside hand-written C and PyTorch, in one interleaved run; prints tables.

Usage: python benchmarks/native.py [--quick]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import torch
from timing import interleaved

import backhand as bh
from backhand.program.engines import Replay
from backhand.program.engines.native import Native
from backhand.program.engines.native.compile import FLAGS, find_compiler

HERE = Path(__file__).parent
STEPS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds, seconds = (3, 0.02) if options.quick else (15, 0.1)
    small(rounds, seconds)
    sizes(rounds, seconds)
    job()


def small(rounds: int, seconds: float) -> None:
    print("2-25-25-1, one step, µs; ratio to C\n")
    print("| batch | rule | C | Native | Replay | PyTorch eager | Native / C | PyTorch / Native |")
    print("|---|---|---|---|---|---|---|---|")
    for adam in (False, True):
        for batch in (1, 8, 32):
            calls = {
                "C": floor(batch, adam),
                "Native": recorded(Native(), (2, 25, 25, 1), batch, adam),
                "Replay": recorded(Replay(), (2, 25, 25, 1), batch, adam),
                "PyTorch": eager((2, 25, 25, 1), batch, adam),
            }
            times = micros(interleaved(calls, rounds, seconds))
            row = [f"{times[name]:.2f}" for name in calls]
            row += [
                f"{times['Native'] / times['C']:.2f}",
                f"{times['PyTorch'] / times['Native']:.0f}",
            ]
            print(f"| {batch} | {'Adam' if adam else 'SGD'} | {' | '.join(row)} |", flush=True)


def sizes(rounds: int, seconds: float) -> None:
    print("\nWider networks, SGD, cross-entropy, one step, µs\n")
    print("| network | batch | threads | Native | Replay | PyTorch eager | Replay / Native |")
    print("|---|---|---|---|---|---|---|")
    shapes = [
        ((64, 64, 64, 10), 32),
        ((128, 128, 128, 10), 128),
        ((256, 256, 256, 10), 128),
        ((512, 512, 512, 10), 128),
        ((784, 1024, 1024, 10), 256),
    ]
    for shape, batch in shapes:
        for threads in sorted({1, os.cpu_count() or 1}):
            torch.set_num_threads(threads)
            calls = {
                "Native": recorded(Native(), shape, batch, False, steps=2),
                "Replay": recorded(Replay(), shape, batch, False, steps=2),
                "PyTorch": eager(shape, batch, False, steps=2),
            }
            times = micros(interleaved(calls, min(rounds, 7), seconds), steps=2)
            row = [f"{times[name]:.0f}" for name in calls]
            row.append(f"{times['Replay'] / times['Native']:.2f}")
            name = "-".join(map(str, shape))
            print(f"| {name} | {batch} | {threads} | {' | '.join(row)} |", flush=True)
    torch.set_num_threads(1)


def job() -> None:
    """60 epochs of the disc, from the network to the trained one, in a fresh process each."""
    print("\nThe disc job, 60 epochs of 125 steps of 8, ms, from TrainingStep to trained network\n")
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"BACKHAND_CACHE": folder}
        for title in ("compiled now", "from the cache", "from the cache, again"):
            done = subprocess.run(
                [sys.executable, __file__.replace("native.py", "native_job.py")],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            print(f"{title}: {done.stdout.strip()}", flush=True)


def micros(times: dict[str, float], steps: int = STEPS) -> dict[str, float]:
    return {name: 1e6 * each / steps for name, each in times.items()}


def data(shape, batch: int, steps: int):
    inputs = torch.rand(batch * steps, shape[0])
    classes = shape[-1] > 1
    targets = (
        torch.randint(shape[-1], (batch * steps,)) if classes else torch.rand(batch * steps, 1)
    )
    return inputs, targets, torch.randperm(batch * steps)


def recorded(engine, shape, batch: int, adam: bool, steps: int = STEPS):
    layers = []
    for inputs, outputs in pairwise(shape):
        layers += [bh.FullyConnected(inputs, outputs), bh.ReLU()]
    layers[-1:] = [] if shape[-1] > 1 else [bh.Sigmoid()]
    network = bh.Sequential(layers).learn_with(bh.Adam() if adam else bh.SGD())
    loss = bh.CrossEntropyLoss() if shape[-1] > 1 else bh.MSELoss()
    step = bh.TrainingStep(network, loss, engine)
    inputs, targets, order = data(shape, batch, steps)
    rates = [0.001] * steps
    return lambda: step.run(inputs, targets, order, rates, batch)


def eager(shape, batch: int, adam: bool, steps: int = STEPS):
    from torch import nn

    layers = []
    for inputs, outputs in pairwise(shape):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    layers[-1:] = [] if shape[-1] > 1 else [nn.Sigmoid()]
    network = nn.Sequential(*layers)
    loss = nn.CrossEntropyLoss() if shape[-1] > 1 else nn.MSELoss()
    kind = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = kind(network.parameters(), lr=0.001, fused=True)
    inputs, targets, order = data(shape, batch, steps)

    def run():
        for rows in order.split(batch):
            optimizer.zero_grad()
            loss(network(inputs[rows]), targets[rows]).backward()
            optimizer.step()

    return run


def floor(batch: int, adam: bool):
    """The hand-written C, compiled as the engine compiles."""
    library = Path(tempfile.mkdtemp(), "floor.so")
    defined = [f"-DBATCH={batch}", *(["-DADAM"] if adam else [])]
    source = str(HERE / "native_floor.c")
    subprocess.run(
        [*find_compiler().command, *FLAGS, *defined, "-o", str(library), source, "-lm"], check=True
    )
    function = ctypes.CDLL(str(library)).floor_run
    weights, state = torch.rand(751) * 0.2 - 0.1, torch.zeros(2, 751)
    inputs, targets, order = data((2, 25, 25, 1), batch, STEPS)
    rates, losses = torch.full((STEPS,), 0.001, dtype=torch.float64), torch.empty(STEPS)
    kept = [weights, state, inputs, targets, order, rates, losses]
    pointers = [ctypes.c_void_p(each.data_ptr()) for each in kept]

    def run():
        assert kept
        function(*pointers, ctypes.c_int64(STEPS))

    run()
    assert torch.isfinite(losses).all()
    assert torch.isfinite(weights).all()
    return run


if __name__ == "__main__":
    main()
