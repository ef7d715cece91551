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


NOT_LEARNT = (
    "A network that classifies no better than always the larger class has no epoch of convergence: "
    "its loss stays where it is for want of learning."
)


def claims(task: Task, runs: Sequence[Run]) -> list[Claim]:
    """Accuracy, loss and epoch of convergence over the runs; none where there are no runs."""
    if not runs:
        return []
    accuracy, loss, epoch = ("", "", "") if task.source else ("up to 90 %", "under 0.1", "60")
    rows = []
    for name, points in task.points.items():
        values = [getattr(run, name)["accuracy"] for run in runs]
        rows.append(_row(f"accuracy, {points}", accuracy, values, "{:.2%}", high_is_good=True))
    if task.source:
        values = [run.baseline for run in runs]
        what = "accuracy of always the larger class"
        rows.append(_row(what, "", values, "{:.2%}", high_is_good=True))
    for name, points in task.points.items():
        values = [getattr(run, name)["loss"] for run in runs]
        rows.append(_row(f"loss, {points}", loss, values, "{:.4f}", high_is_good=False))
    return [*rows, _convergence(runs, epoch)]


def not_learnt(runs: Sequence[Run]) -> str:
    """What to say of the epoch of convergence where it means nothing; empty where it does."""
    return NOT_LEARNT if any(run.converged is None for run in runs) else ""


def _convergence(runs: Sequence[Run], claimed: str) -> Claim:
    what = "epoch of convergence"
    values = [float(run.converged) for run in runs if run.converged is not None]
    if not values:
        return Claim(what, claimed, "means nothing", "–", "–")
    if len(values) < len(runs):
        what += f", of the {len(values)} of {len(runs)} seeds that learnt"
    return _row(what, claimed, values, "{:.0f}", high_is_good=False)


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
