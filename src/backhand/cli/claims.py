"""The report's claims beside what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from backhand.experiments import Comparison, Run, Task


@dataclass(frozen=True)
class Claim:
    """One row: what is measured, what the report claims, and the median, worst and best seed."""

    what: str
    claimed: str
    median: str
    worst: str
    best: str


def claims(task: Task, runs: Sequence[Run]) -> list[Claim]:
    """Accuracy, loss and epoch of convergence over the runs; none where there are no runs."""
    if not runs:
        return []
    rows = []
    for name, points in task.points.items():
        values = [getattr(run, name)["accuracy"] for run in runs]
        rows.append(_row(f"accuracy, {points}", "up to 90 %", values, "{:.2%}", high_is_good=True))
    for name, points in task.points.items():
        values = [getattr(run, name)["loss"] for run in runs]
        rows.append(_row(f"loss, {points}", "under 0.1", values, "{:.4f}", high_is_good=False))
    values = [float(run.converged) for run in runs]
    rows.append(_row("epoch of convergence", "60", values, "{:.0f}", high_is_good=False))
    return rows


def compared(comparisons: Sequence[Comparison]) -> list[Claim]:
    """Accuracy on fresh points of the network and of the best perceptron, task by task."""
    rows = []
    for each in comparisons:
        for who, values in (("network", each.network), ("perceptron", each.perceptron.accuracies)):
            what = f"{who} on {each.task}, accuracy"
            rows.append(_row(what, "", list(values), "{:.2%}", high_is_good=True))
    return rows


def _row(what: str, claimed: str, values: list[float], form: str, high_is_good: bool) -> Claim:
    worst, best = (min(values), max(values)) if high_is_good else (max(values), min(values))
    middle = statistics.median(values)
    return Claim(what, claimed, form.format(middle), form.format(worst), form.format(best))
