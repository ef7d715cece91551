"""`backhand train`: a model from a table file, and a report."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from backhand.cli.errors import named
from backhand.cli.interruption import INTERRUPTED, Interruption
from backhand.cli.output import check_folder, check_writable
from backhand.cli.tables.fitting import Fitted, fit_peers, fit_splits, folds_sentence, timed
from backhand.cli.tables.importance import importances
from backhand.cli.tables.measures import Predictions
from backhand.cli.tables.outcome import TableOutcome
from backhand.cli.tables.preparing import Prepared, prepare
from backhand.cli.tables.reading import HowToRead
from backhand.cli.tables.report import LISTINGS, results_table, write_files
from backhand.cli.tables.split import Splitting
from backhand.cli.tables.training import Options


@dataclass(frozen=True)
class Wanted:
    """What a user wants done with a table.

    Attributes:
        target, task: what is to be predicted, and how; None for what it looks like.
        drop, ids: columns that are not learnt from; the latter go with the predictions.
        compare: whether other models are fitted too.
        importance: whether the importance of columns is measured.
        force: whether files are written over the table itself.
    """

    target: str
    task: str | None = None
    drop: Sequence[str] = ()
    ids: Sequence[str] = ()
    compare: bool = True
    importance: bool = True
    force: bool = False


def train_table(
    path: Path, out: Path, wanted: Wanted, options: Options, how: HowToRead, splitting: Splitting
) -> None:
    """Read, split, train, test, compare, write the report, print the figures.

    Raises:
        ValueError: the file, a column or an option cannot be used.
        OSError: a file cannot be read, or the folder not written.
        SystemExit: Ctrl-C; what was trained so far is saved.
    """
    console = Console()
    seconds: dict[str, float] = {}
    inputs = [path] if splitting.file is None else [path, splitting.file]
    with timed(seconds, "reading"):
        prepared = prepare(
            path, wanted.target, wanted.task, wanted.drop, how, splitting, options.seed, wanted.ids
        )
    check_folder(out, LISTINGS, inputs, wanted.force)
    check_writable(out)
    prepared.show(console)
    gc.freeze()  # a collection would look at all of torch
    with named(path):
        fitted = fit_splits(console, prepared, options, seconds)
    outcome = _outcome(path, prepared, fitted, seconds)
    if fitted.interrupted:
        outcome.notes.append("Stopped by Ctrl-C: the model is that of the best epoch so far.")
    else:
        _look_further(console, outcome, prepared, fitted, options.seed, wanted)
    write_files(outcome, out)
    _tell(console, outcome, len(prepared.all_notes()), out)
    if fitted.interrupted:
        raise SystemExit(INTERRUPTED)


def _outcome(
    path: Path, prepared: Prepared, fitted: Fitted, seconds: dict[str, float]
) -> TableOutcome:
    notes = prepared.all_notes()
    if fitted.folds:
        notes.append(folds_sentence(fitted.folds))
    return TableOutcome(
        str(path),
        prepared.target,
        prepared.table.frame,
        fitted.test,
        fitted.model,
        fitted.ours,
        baseline=fitted.baseline,
        seconds=seconds,
        notes=notes,
        numbers=prepared.table.rows,
        carried=prepared.carried,
        folds=fitted.folds,
    )


def _look_further(
    console: Console,
    outcome: TableOutcome,
    prepared: Prepared,
    fitted: Fitted,
    seed: int,
    wanted: Wanted,
) -> None:
    """The importance of columns, and other models on the same split; Ctrl-C leaves the rest out."""
    with Interruption() as interruption, console.status("…") as status:

        def tell(said: str) -> None:
            interruption.check()
            status.update(said)

        try:
            if wanted.importance:
                with timed(outcome.seconds, "importance"):
                    model, rows = fitted.judged
                    table, truth = outcome.table[rows], outcome.target.values[rows]
                    measures = Predictions.of(model, table).measures(truth)
                    main = outcome.main if outcome.main in measures else next(iter(measures))
                    outcome.importances = importances(
                        model, table, truth, seed, main, on_progress=tell
                    )
            if not wanted.compare:
                return
            with timed(outcome.seconds, "comparison"):
                tell("scikit-learn's models fitted …")
                for peer in fit_peers(prepared, seed, interruption.check):
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
