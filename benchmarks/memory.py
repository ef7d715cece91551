"""Peak memory of training 784-4096-4096-10, batch 128, in a process of its own: prints bytes.

Usage: python benchmarks/memory.py pytorch|plain|replay|idle. The process is idle once its
libraries are imported and the network with its weights and a batch are made; the figure is the
highest resident set of ten steps above that.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch
from problem import Problem

PROBLEM = Problem((784, 4096, 4096, 10), 128, classes=True, rate=1e-3)
STEPS = 10


def resident() -> int:
    """Bytes of the resident set now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def highest() -> int:
    """Bytes of the highest resident set since the last reset."""
    text = Path("/proc/self/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main(kind: str) -> None:
    """Train and print the peak above the idle process, and the weights' size."""
    torch.set_num_threads(1)
    if kind == "pytorch":
        from peers import pytorch

        step_on = pytorch._step(PROBLEM, foreach=False)
        input, target = map(torch.from_numpy, PROBLEM.data())

        def step() -> None:
            step_on(input, target)
    else:
        from peers import ours

        import backhand as bh

        made, loss = ours.network(PROBLEM), ours.loss(PROBLEM)
        input, target = map(torch.from_numpy, PROBLEM.data())
        recorded = bh.TrainingStep(made, loss, bh.Replay(), losses=False)

        def step() -> None:
            if kind == "replay":
                recorded(input, target, PROBLEM.rate)
            else:
                made.backward(loss.backward(made(input), target), PROBLEM.rate)

    Path("/proc/self/clear_refs").write_text("5")  # forget the highest resident set
    idle = resident()
    for _ in range(STEPS):
        step()
    print(highest() - idle)


if __name__ == "__main__":
    main(sys.argv[1])
