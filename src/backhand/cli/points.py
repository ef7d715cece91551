"""`backhand disc` and `backhand xor`: train over seeds with a live display, then report."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.table import Table

from backhand.cli.claims import claims, compared, not_learnt
from backhand.cli.interruption import INTERRUPTED, Interruption
from backhand.cli.output import check_writable
from backhand.cli.progress import progress
from backhand.cli.report import PointsOutcome, write_report
from backhand.data import read_labelled_points
from backhand.experiments import XOR, Settings, Task, compare, own_points, train_seed, xor_settings
from backhand.losses import MSELoss
from backhand.program import Replay, TrainingStep, choose
from backhand.training import Epoch, History


def run(
    task: Task, settings: Settings, seeds: int, out: Path, points: Path | None, show_step: bool
) -> None:
    """Train, measure, write the report into the folder, print the table.

    Raises:
        ValueError: an option is out of range, or the points cannot be used.
        OSError: the folder cannot be written, or the points not read.
        SystemExit: Ctrl-C; what was measured so far is saved.
    """
    if seeds < 1:
        raise ValueError(f"seeds: expected 1 or more, got {seeds}")
    if points is not None:
        task = own_points(points.name, read_labelled_points(points))
        settings = replace(settings, points=len(task.train(settings, 0).inputs))
    if show_step:
        _show_step(task, settings)
        return
    check_writable(out)
    gc.freeze()  # a collection would look at all of torch, and take longer than an epoch
    console = Console()
    outcome = _train(task, settings, seeds, console, PointsOutcome(task, settings))
    if outcome.runs or outcome.unfinished is not None:
        write_report(outcome, out)
        console.print(_table(outcome))
        console.print(f"Written to {out}/: {', '.join(sorted(outcome.files))}", soft_wrap=True)
    if outcome.interrupted:
        console.print(f"Stopped by Ctrl-C after {len(outcome.runs)} of {seeds} seeds.")
        raise SystemExit(INTERRUPTED)


def _train(
    task: Task, settings: Settings, seeds: int, console: Console, outcome: PointsOutcome
) -> PointsOutcome:
    """Train every seed; on Ctrl-C keep what there is."""
    epochs: list[Epoch] = []
    with progress(console) as display, Interruption() as interruption:
        bar = display.add_task(f"{task.name}, epochs", total=seeds * settings.epochs, shown="")

        def on_epoch(epoch: Epoch) -> None:
            epochs.append(epoch)
            test = epoch.measures["test"]
            shown = f"test accuracy {test['accuracy']:.1%}, loss {test['loss']:.4f}"
            display.update(bar, advance=1, shown=shown)
            interruption.check()

        try:
            for seed in range(seeds):
                epochs.clear()
                outcome.runs.append(train_seed(task, settings, seed, on_epoch))
            display.update(bar, shown="beside a perceptron")
            outcome.comparisons.append(compare(task, settings, outcome.runs, interruption.check))
            if task.name != XOR.name and not task.source:
                easier = xor_settings(settings)
                on_xor = [
                    train_seed(XOR, easier, seed, interruption.check) for seed in range(seeds)
                ]
                outcome.comparisons.append(compare(XOR, easier, on_xor, interruption.check))
        except KeyboardInterrupt:
            outcome.interrupted = True
            if len(outcome.runs) < seeds and epochs:
                outcome.unfinished = (len(outcome.runs), History(list(epochs)))
    return outcome


def _table(outcome: PointsOutcome) -> Table:
    title = f"{outcome.task.name}: {outcome.settings.describe()}, {outcome.timing()}"
    table = Table(title=title, title_justify="left")
    claimed = [] if outcome.task.source else ["claimed"]
    for column in ("", *claimed, "median", "worst", "best"):
        side: Literal["left", "right"] = "right" if column else "left"
        table.add_column(column, justify=side, overflow="fold")
    for rows in (claims(outcome.task, outcome.runs), compared(outcome.comparisons)):
        for row in rows:
            said = [row.claimed] if claimed else []
            table.add_row(row.what, *said, row.median, row.worst, row.best)
        table.add_section()
    notes = [not_learnt(outcome.runs)]
    if claimed:
        notes.insert(0, "Claimed: by the report that Backhand grew from.")
    table.caption, table.caption_justify = " ".join(filter(None, notes)), "left"
    return table


def _show_step(task: Task, settings: Settings) -> None:
    """Print the recorded step and the memory it needs."""
    torch.manual_seed(0)
    data = task.train(settings, 0)
    batch = data.inputs[: settings.batch_size], data.targets[: settings.batch_size]
    step = TrainingStep(settings.network(), MSELoss(), Replay()).record(*batch)
    chosen = choose(step.latest.plan)
    print(step)
    print(step.memory)
    print(f"\nWithout --show-step, {chosen!r} runs it.")
