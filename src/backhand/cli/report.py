"""The report: plots, history, network, and one HTML page that holds all of it."""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from backhand import drawing, plots
from backhand.cli.claims import claims, compared, not_learnt
from backhand.cli.pages import command, page
from backhand.experiments import Comparison, Run, Settings, Task, median_run
from backhand.files import written_whole
from backhand.networks import save, summary
from backhand.training import History


@dataclass
class PointsOutcome:
    """What came of a command: whole runs, and on Ctrl-C the one that was under way."""

    task: Task
    settings: Settings
    runs: list[Run] = field(default_factory=list)
    unfinished: tuple[int, History] | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    plotting: float = 0.0
    interrupted: bool = False
    command: str = field(default_factory=command)
    files: list[str] = field(default_factory=list)

    def timing(self) -> str:
        """How long training took, by what, and the plots."""
        seconds = sum(run.seconds for run in self.runs)
        engines = {repr(history.engine or "plain steps") for history in self.histories().values()}
        drawn = f"; plots drawn in {self.plotting:.1f} s" if self.plotting else ""
        by = " and ".join(sorted(engines))
        compiling = sum(run.compiling for run in self.runs)
        apart = f", after {compiling:.1f} s of compilation" if compiling else ""
        seeds = "1 seed" if len(self.runs) == 1 else f"{len(self.runs)} seeds"
        return f"{seeds} trained in {seconds:.2f} s by {by}{apart}{drawn}"

    def histories(self) -> dict[int, History]:
        """The history of every seed, the unfinished one's too."""
        found = {run.seed: run.history for run in self.runs}
        if self.unfinished is not None:
            found[self.unfinished[0]] = self.unfinished[1]
        return found


def write_report(outcome: PointsOutcome, out: Path) -> None:
    """Write all files, each whole or not at all, and list them in `outcome.files`."""
    _write_history(outcome, out / "history.csv")
    outcome.files.append("history.csv")
    began = time.perf_counter()
    histories = [run.history for run in outcome.runs] or list(outcome.histories().values())
    figures = {
        "losses.png": plots.curves(histories, "loss", "Mean squared error", log=True),
        "accuracies.png": plots.curves(histories, "accuracy", "Accuracy"),
    }
    if outcome.runs:
        middle = median_run(outcome.runs)
        data = outcome.task.train(outcome.settings, middle.seed)
        circle = outcome.task.name == "disc"
        figures["boundary.png"] = plots.boundary(middle.network, data, circle=circle)
        save(middle.network, out / "network.safetensors")
        outcome.files.append("network.safetensors")
    for name, figure in figures.items():
        drawing.write(figure, out / name)
        outcome.files.append(name)
    outcome.plotting = time.perf_counter() - began
    with written_whole(out / "report.html") as file:
        file.write(_page(outcome, figures))
    outcome.files.append("report.html")


def _write_history(outcome: PointsOutcome, path: Path) -> None:
    """Every epoch of every seed, a line each."""
    rows = [
        {"seed": seed, **epoch.row()}
        for seed, history in outcome.histories().items()
        for epoch in history
    ]
    with written_whole(path) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _page(outcome: PointsOutcome, figures: dict[str, Figure]) -> str:
    source = outcome.task.source
    return page(
        "points.html.j2",
        figures,
        outcome=outcome,
        title=f"{outcome.task.name}: {outcome.settings.describe()}",
        claims=claims(outcome.task, outcome.runs),
        comparisons=compared(outcome.comparisons),
        not_learnt=not_learnt(outcome.runs),
        settings=asdict(outcome.settings) | ({"points": source} if source else {}),
        command=outcome.command,
        summary=str(summary(outcome.runs[0].network, (2,))) if outcome.runs else "",
    )
