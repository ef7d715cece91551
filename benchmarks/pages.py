"""Pages: what ran, on what, and tables of times."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import torch


def heading(missing: list[str]) -> str:
    """What ran, on what."""
    names = ("torch", "numpy", "jax", "numba", "scikit-learn", "thinc", "keras")
    absent = f" Not installed: {', '.join(missing)}." if missing else ""
    return (
        "# Results\n\n"
        "Made by `make bench`. Each figure is a median over interleaved rounds of one run; "
        "compare within a table, not between runs.\n\n"
        f"{where(names)}.{absent} One thread unless said."
    )


def where(names: Sequence[str]) -> str:
    """The day, the processor, its vectors as torch knows them, and versions of what is there."""
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    python = platform.python_version()
    vectors = torch.backends.cpu.get_cpu_capability()
    return f"{datetime.date.today()}; {cpu()}, {vectors}; Python {python}; {', '.join(versions)}"


def cpu() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor() or "unknown processor"


def per_step(times: dict[str, float]) -> dict[str, float]:
    """Times of one step, where a row's name says that a call takes several."""

    def steps(name: str) -> int:
        found = re.search(r"(\d+) steps in one", name)
        return int(found[1]) if found else 1

    return {name: value / steps(name) for name, value in times.items()}


def table(title: str, times: dict[str, float], scale: float, unit: str, beside: str) -> str:
    """A table, fastest first, with the best of the rows whose names begin with `beside` in view."""
    best = min(value for name, value in times.items() if name.startswith(beside))
    lines = [f"## {title}", "", f"| | {unit} | {beside}'s best is |", "|---|---:|---:|"]
    for name, value in sorted(times.items(), key=lambda item: item[1]):
        ratio = "the same" if value == best else f"{best / value:.2f} times as long"
        lines.append(f"| {name} | {value * scale:.2f} | {ratio} |")
    return "\n".join(lines)


def grid(title: str, head: list[str], rows: list[list[str]], remark: str = "") -> str:
    """A table of words: the first column names, the others are figures."""
    lines = [f"## {title}", "", *([remark, ""] if remark else [])]
    lines += [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
