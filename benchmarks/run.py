"""Backhand beside its peers, in one interleaved run; writes RESULTS.md.

Usage: python benchmarks/run.py [--quick] [--keras] [--out FILE]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch
from engines import fresh_job, one_row, residual, sizes
from floor import bare_products
from pages import grid, heading, per_step, table
from peers import available, ours, pytorch
from problem import SMALL, Problem
from timing import interleaved

HERE = Path(__file__).parent
LARGE = (784, 512, 512, 10)
EAGER = "PyTorch eager"


def main() -> None:
    """Run every piece of work and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--keras", action="store_true", help="Keras on JAX, too")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    peers, missing = available(options.keras)
    rounds, seconds = (3, 0.01) if options.quick else (15, 0.03)
    pages = [heading(missing)]
    for batch in (1, 8, 32, 256):
        for adam in (False, True):
            problem = Problem(SMALL, batch, adam=adam)
            calls = {name: call for peer in peers for name, call in peer.steps(problem).items()}
            if batch == 32 and not options.quick:
                calls |= pytorch.compiled_steps(problem)
            rule = "Adam" if adam else "SGD"
            times = per_step(interleaved(calls, rounds, seconds))
            pages.append(
                table(f"(a) One step of 2-25-25-1, batch {batch}, {rule}", times, 1e6, "µs", EAGER)
            )
    calls = {name: call for peer in peers for name, call in peer.jobs().items()}
    times = interleaved(calls, 1 if options.quick else 3, 0)
    pages.append(table("(b) The disc job: 60 epochs, batch 8, 7500 steps", times, 1e3, "ms", EAGER))
    for threads in (1, 2):
        torch.set_num_threads(threads)
        problem = Problem(LARGE, 128, classes=True)
        calls = {"its bare matrix products": bare_products(problem)}
        calls |= ours.steps(problem) | pytorch.steps(problem)
        times = per_step(interleaved(calls, rounds, seconds))
        title = f"(c) One step of 784-512-512-10, batch 128, SGD, {threads} thread(s)"
        pages.append(table(title, times, 1e3, "ms", EAGER))
    torch.set_num_threads(1)
    pages.append(memory())
    pages.append(recording())
    pages.append(sizes(rounds, seconds))
    pages.append(one_row(rounds, seconds))
    pages.append(fresh_job())
    pages.append(residual(rounds, seconds))
    text = "\n\n".join(pages) + "\n"
    options.out.write_text(text)
    print(text)


def memory() -> str:
    """Peak resident memory of training, a process each."""
    weights = sum(w.nbytes + b.nbytes for w, b in Problem((784, 4096, 4096, 10), 128).weights())
    rows = []
    for kind in ("pytorch", "plain", "replay"):
        command = [sys.executable, str(HERE / "memory.py"), kind]
        rows.append((kind, int(subprocess.run(command, capture_output=True, check=True).stdout)))
    names = {"pytorch": "PyTorch eager", "plain": "Backhand, plain", "replay": "Backhand, Replay"}
    whole = rows[0][1] + weights
    figures = [
        [
            names[kind],
            f"{size / 2**20:.0f}",
            f"{(size + weights) / 2**20:.0f}",
            f"{(size + weights) / whole:.2f}",
        ]
        for kind, size in rows
    ]
    return grid(
        "(d) Peak memory of training 784-4096-4096-10, batch 128, SGD",
        ["", "MiB above idle", "with the weights", "share of PyTorch's"],
        figures,
        "Resident set above the idle process, which holds the weights "
        f"({weights / 2**20:.0f} MiB).",
    )


def recording() -> str:
    """How long it takes to record and plan the disc network's step."""
    import backhand as bh

    problem = Problem(SMALL, 8)
    input, target = map(torch.from_numpy, problem.data())
    times = []
    for _ in range(11):
        made = ours.network(problem)
        begun = time.perf_counter()
        bh.TrainingStep(made, bh.MSELoss(), bh.Replay()).record(input, target)
        times.append(time.perf_counter() - begun)
    times.sort()
    return (
        "## (e) Recording the disc network\n\n"
        f"Recorded, planned and compiled in {times[5] * 1e3:.1f} ms (median of 11)."
    )


if __name__ == "__main__":
    main()
