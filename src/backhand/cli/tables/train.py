"""`backhand train`: a model from a table file, and a report."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from backhand.cli.interruption import INTERRUPTED, Interruption
from backhand.cli.output import check_writable
from backhand.cli.tables.importance import importances
from backhand.cli.tables.measures import Predictions
from backhand.cli.tables.outcome import COMPILATION, TableOutcome
from backhand.cli.tables.peers import knowing_nothing, peers
from backhand.cli.tables.preparing import prepare
from backhand.cli.tables.reading import HowToRead
from backhand.cli.tables.report import results_table, write_files
from backhand.cli.tables.split import Splitting
from backhand.cli.tables.training import Options, train_model
from backhand.program.engines.native import counted_compilation


def train_table(
    path: Path,
    target_name: str,
    out: Path,
    task: str | None,
    drop: Sequence[str],
    compare: bool,
    importance: bool,
    options: Options,
    how: HowToRead,
    splitting: Splitting,
) -> None:
    """Read, split, train, test, compare, write the report, print the figures.

    Raises:
        ValueError: the file, a column or an option cannot be used.
        OSError: a file cannot be read, or the folder not written.
        SystemExit: Ctrl-C; what was trained so far is saved.
    """
    console = Console()
    seconds: dict[str, float] = {}
    notes: list[str] = []
    with _timed(seconds, "reading"):
        prepared = prepare(path, target_name, task, drop, how, splitting, options.seed)
    check_writable(out)
    table, target, (train, test) = prepared.table.frame, prepared.target, prepared.splits[0]
    notes += prepared.all_notes()
    prepared.show(console)
    gc.freeze()  # a collection would look at all of torch
    with _named(path), _timed(seconds, "training"):
        trained = train_model(console, target, table[train], target.values[train], options)
    trained.model.remember(*prepared.remembered())
    with _timed(seconds, "predictions"):
        ours = Predictions.of(trained.model, table[test])
    outcome = TableOutcome(
        str(path), target, table, test, trained.model, ours, seconds=seconds, notes=notes
    )
    outcome.baseline = knowing_nothing(target.task, target.values[train], len(test))
    if trained.interrupted:
        notes.append("Stopped by Ctrl-C: the model is that of the best epoch so far.")
    else:
        _look_further(console, outcome, train, options, compare, importance)
    write_files(outcome, out)
    _tell(console, outcome, len(prepared.all_notes()), out)
    if trained.interrupted:
        raise SystemExit(INTERRUPTED)


def _look_further(
    console: Console,
    outcome: TableOutcome,
    train: Any,
    options: Options,
    compare: bool,
    importance: bool,
) -> None:
    """The importance of columns, and other models on the same split; Ctrl-C leaves the rest out."""
    with Interruption() as interruption, console.status("…") as status:

        def tell(said: str) -> None:
            interruption.check()
            status.update(said)

        try:
            if importance:
                with _timed(outcome.seconds, "importance"):
                    outcome.importances = importances(
                        outcome.model,
                        outcome.table[outcome.test],
                        outcome.truth,
                        options.seed,
                        outcome.main,
                        on_progress=tell,
                    )
            if not compare:
                return
            with _timed(outcome.seconds, "comparison"):
                tell("scikit-learn's models fitted …")
                known, test = outcome.target.values[train], outcome.table[outcome.test]
                task, table = outcome.target.task, outcome.table[train]
                for peer in peers(task, table, known, test, options.seed, interruption.check):
                    outcome.peers.append(peer)
        except KeyboardInterrupt:
            outcome.notes.append("Stopped by Ctrl-C before all was compared.")


def _tell(console: Console, outcome: TableOutcome, told: int, out: Path) -> None:
    for note in outcome.notes[told:]:
        console.print(note, soft_wrap=True)
    console.print(results_table(outcome))
    for sentence in outcome.verdict().sentences():
        console.print(sentence, soft_wrap=True)
    console.print(f"Written to {out}/: {', '.join(sorted(outcome.files))}", soft_wrap=True)


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    """What it took goes under its name; the compilation in it, which the cache saves next time,
    apart from it."""
    began = time.perf_counter()
    with counted_compilation() as compilation:
        try:
            yield
        finally:
            seconds[what] = time.perf_counter() - began - compilation.seconds
            if compilation.seconds:
                seconds[COMPILATION] = seconds.get(COMPILATION, 0.0) + compilation.seconds


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What is wrong with a column names the file too."""
    try:
        yield
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
