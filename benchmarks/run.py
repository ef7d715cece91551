"""Backhand beside its peers, in one interleaved run; writes RESULTS.md.

Usage: python benchmarks/run.py [--quick] [--keras] [--out FILE]
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch
from floor import bare_products
from peers import available, ours, pytorch
from problem import SMALL, Problem
from timing import interleaved

HERE = Path(__file__).parent
LARGE = (784, 512, 512, 10)


def main() -> None:
    """Run every piece of work and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--keras", action="store_true", help="Keras on JAX, too")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    peers, missing = available(options.keras)
    rounds, seconds = (3, 0.01) if options.quick else (9, 0.03)
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
                table(f"(a) One step of 2-25-25-1, batch {batch}, {rule}", times, 1e6, "µs")
            )
    calls = {name: call for peer in peers for name, call in peer.jobs().items()}
    times = interleaved(calls, 1 if options.quick else 3, 0)
    pages.append(table("(b) The disc job: 60 epochs, batch 8, 7500 steps", times, 1e3, "ms"))
    for threads in (1, 2):
        torch.set_num_threads(threads)
        problem = Problem(LARGE, 128, classes=True)
        calls = {"its bare matrix products": bare_products(problem)}
        calls |= ours.steps(problem) | pytorch.steps(problem)
        times = per_step(interleaved(calls, rounds, seconds))
        title = f"(c) One step of 784-512-512-10, batch 128, SGD, {threads} thread(s)"
        pages.append(table(title, times, 1e3, "ms"))
    torch.set_num_threads(1)
    pages.append(memory())
    pages.append(recording())
    text = "\n\n".join(pages) + "\n"
    options.out.write_text(text)
    print(text)


def heading(missing: list[str]) -> str:
    """What ran, on what."""
    names = ("torch", "numpy", "jax", "numba", "scikit-learn", "thinc", "keras")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    absent = f" Not installed: {', '.join(missing)}." if missing else ""
    return (
        "# Results\n\n"
        "Made by `make bench`. Each figure is a median over interleaved rounds of one run; "
        "compare within a table, not between runs. `×` is how many times as long as the first "
        f"row.\n\n{datetime.date.today()}; {cpu()}; Python {platform.python_version()}; "
        f"{', '.join(versions)}.{absent} One thread unless said."
    )


def cpu() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor() or "unknown processor"


def per_step(times: dict[str, float]) -> dict[str, float]:
    """Times of one step, where a call takes several."""
    return {name: value / ours.PER_CALL.get(name, 1) for name, value in times.items()}


def table(title: str, times: dict[str, float], scale: float, unit: str) -> str:
    """A table, PyTorch's best kept in view as the thing to be faster than."""
    eager = [value for name, value in times.items() if name.startswith("PyTorch eager")]
    best = min(eager)
    lines = [f"## {title}", "", f"| | {unit} | PyTorch eager's best is |", "|---|---:|---:|"]
    for name, value in sorted(times.items(), key=lambda item: item[1]):
        ratio = "the same" if value == best else f"{best / value:.2f} times as long"
        lines.append(f"| {name} | {value * scale:.2f} | {ratio} |")
    return "\n".join(lines)


def memory() -> str:
    """Peak resident memory of training, a process each."""
    weights = sum(w.nbytes + b.nbytes for w, b in Problem((784, 4096, 4096, 10), 128).weights())
    rows = []
    for kind in ("pytorch", "plain", "replay"):
        command = [sys.executable, str(HERE / "memory.py"), kind]
        rows.append((kind, int(subprocess.run(command, capture_output=True, check=True).stdout)))
    lines = [
        "## (d) Peak memory of training 784-4096-4096-10, batch 128, SGD",
        "",
        "Resident set above the idle process, which holds the weights "
        f"({weights / 2**20:.0f} MiB).",
        "With the weights, as a share of PyTorch's:",
        "",
        "| | MiB above idle | with the weights | share |",
        "|---|---:|---:|---:|",
    ]
    names = {"pytorch": "PyTorch eager", "plain": "Backhand, plain", "replay": "Backhand, Replay"}
    whole = rows[0][1] + weights
    for kind, size in rows:
        lines.append(
            f"| {names[kind]} | {size / 2**20:.0f} | {(size + weights) / 2**20:.0f} "
            f"| {(size + weights) / whole:.2f} |"
        )
    return "\n".join(lines)


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
