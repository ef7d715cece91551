"""A trained model on another table: predictions, or how good they are."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from backhand.cli.output import check_folder, check_writable, written_or_printed
from backhand.cli.tables.importance import importances
from backhand.cli.tables.measures import Predictions
from backhand.cli.tables.outcome import TableOutcome, beside_predictions
from backhand.cli.tables.peers import knowing_nothing
from backhand.cli.tables.reading import HowToRead, Table, nearest, read_table
from backhand.cli.tables.report import LISTINGS, prediction_rows, results_table, write_files
from backhand.cli.tables.target import CLASSIFICATION, REGRESSION, Target, as_text, target_column
from backhand.data.column_kinds import CATEGORY
from backhand.estimators.tables import TableClassifier, TableRegressor, load_table_model
from backhand.estimators.tables.encoding import MOST_CATEGORIES, ColumnCode


@dataclass(frozen=True)
class Applying:
    """What a user wants of predictions.

    Attributes:
        encoding: of a text file.
        ids: columns to put before the predictions. keep: whether all are.
        force: whether files are written over those that are read.
    """

    encoding: str | None = None
    ids: Sequence[str] = ()
    keep: bool = False
    force: bool = False

    def carried(self, table: Table) -> dict[str, list[Any]]:
        """The columns to put before the predictions, as they stand in the file.

        Raises:
            ValueError: there is no such column.
        """
        names = [name for name in table.raw.columns if name] if self.keep else []
        for name in self.ids:
            if name not in table.raw.columns:
                asked = nearest(name, table.raw.columns)
                raise ValueError(f"{table.path}: id: there is no column {name!r}{asked}")
        return {name: table.raw[name].to_list() for name in dict.fromkeys([*self.ids, *names])}


def predict_table(model_path: Path, table_path: Path, out: Path | None, wanted: Applying) -> None:
    """Print a prediction for every row as CSV, or write them to a file; notes to standard error.

    Raises:
        ValueError: a file or a column cannot be used.
        OSError: a file cannot be read or written.
    """
    console = Console(stderr=True)
    model = load_table_model(model_path)
    table = _read(model, table_path, model_path, wanted.encoding)
    carried = beside_predictions(wanted.carried(table))
    for note in _notes(model, table, model_path, [*wanted.ids, *carried]):
        console.print(note, soft_wrap=True, markup=False, highlight=False)
    predicted = _predictions(model, _features(model, table), table_path)
    rows = prediction_rows(predicted, {"row": table.rows.tolist()} | carried)
    with written_or_printed(out) as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def evaluate_table(
    model_path: Path,
    table_path: Path,
    target_name: str | None,
    out: Path | None,
    importance: bool,
    wanted: Applying,
) -> None:
    """Print how good the predictions are; with `out`, write a report too.

    Raises:
        ValueError: a file or a column cannot be used.
        OSError: a file cannot be read, or the folder not written.
    """
    console = Console()
    model = load_table_model(model_path)
    name = target_name or model.target_name_
    if name is None:
        raise ValueError(f"{model_path}: does not say what its target was called; give --target")
    table = _read(model, table_path, model_path, wanted.encoding, name)
    values, given = _truth(model, table, target_column(table_path, table.frame, name))
    carried = wanted.carried(table)
    notes = _notes(model, table, model_path, [name, *carried])
    features = _features(model, table).filter(given)
    if out is not None:
        check_folder(out, LISTINGS, [table_path, model_path], wanted.force)
        check_writable(out)
    began = time.perf_counter()
    ours = _predictions(model, features, table_path)
    task = CLASSIFICATION if isinstance(model, TableClassifier) else REGRESSION
    why = f"evaluated by {model_path.name}"
    outcome = TableOutcome(
        source=str(table_path),
        target=Target(name, task, why, values),
        table=features,
        test=np.arange(len(values)),
        model=model,
        ours=ours,
        trained=False,
        notes=notes,
        numbers=table.rows[given],
        carried={each: list(np.array(rows, object)[given]) for each, rows in carried.items()},
    )
    outcome.baseline = knowing_nothing(values, len(values), ours.classes)
    outcome.seconds["predictions"] = time.perf_counter() - began
    if not given.all():
        outcome.notes.append(f"{(~given).sum():,} rows have no value in {name} and were left out.")
    for note in outcome.notes:
        console.print(note, soft_wrap=True)
    if out is not None:
        if importance:
            with console.status("…") as status:
                outcome.importances = importances(
                    model, features, values, 0, outcome.main, on_progress=status.update
                )
        write_files(outcome, out)
    console.print(results_table(outcome))
    for sentence in outcome.verdict().sentences():
        console.print(sentence, soft_wrap=True)
    if out is not None:
        console.print(f"Written to {out}/: {', '.join(sorted(outcome.files))}", soft_wrap=True)


def _read(
    model: TableClassifier | TableRegressor,
    path: Path,
    model_path: Path,
    encoding: str | None,
    target: str | None = None,
) -> Table:
    """The table, its columns read as in training, whatever they look like here.

    Raises:
        ValueError: it has no row, or lacks a column that the model learnt from.
    """
    expected = [code.name for code in model.encoding_.codes]
    meant = {code.name: code.meaning for code in model.encoding_.codes}
    if target in meant:
        raise ValueError(f"{path}: {model_path.name} learnt from the column {target!r} itself")
    wanted = expected if target is None else [*expected, target]
    table = read_table(path, HowToRead(encoding), meant, only=wanted)
    if not len(table.frame):
        raise ValueError(f"{path}: expected at least one row")
    others = [name for name in table.raw.columns if name not in (*expected, "", target)]
    for name in expected:
        if name not in table.frame.columns:
            raise ValueError(
                f"{path}: there is no column {name!r}, which {model_path.name} learnt from"
                f"{nearest(name, others)}"
            )
    return table


def _features(model: TableClassifier | TableRegressor, table: Table) -> Any:
    """The columns that the model learnt from, in its order."""
    return table.frame.select([code.name for code in model.encoding_.codes])


def _notes(
    model: TableClassifier | TableRegressor, table: Table, model_path: Path, used: Sequence[str]
) -> list[str]:
    """Which columns were not looked at, and which values count as missing."""
    learnt = {code.name for code in model.encoding_.codes}
    known = {*learnt, *model.left_out_, *used, model.target_name_, ""}
    others = [name for name in table.raw.columns if name not in known]
    notes = [*table.notes]
    if others:
        some = ", ".join(others[:5]) + (" …" if len(others) > 5 else "")
        notes.append(f"Not looked at, since {model_path.name} has not learnt from it: {some}.")
    for code in model.encoding_.codes:
        notes += [f"{code.name}: {words}." for words in table.found[code.name].notes]
        notes += _unknown(code, table)
    return notes


def _unknown(code: ColumnCode, table: Table) -> list[str]:
    """A sentence where a column holds categories that training did not have.

    Of a column with more of them than are told apart, that is no news.
    """
    if code.kind != CATEGORY or not 0 < len(code.categories) < MOST_CATEGORIES:
        return []
    text = table.frame[code.name].cast(str)
    unknown = text.filter(~text.is_in(list(code.categories)))
    if not len(unknown):
        return []
    different = unknown.unique(maintain_order=True)
    some = ", ".join(map(repr, different[:3])) + (" …" if len(different) > 3 else "")
    rows = f"{len(unknown):,} {'row' if len(unknown) == 1 else 'rows'}"
    return [f"{code.name}: {some} in {rows}: not known from training, taken as missing."]


def _predictions(model: TableClassifier | TableRegressor, table: Any, path: Path) -> Predictions:
    try:
        return Predictions.of(model, table)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


def _truth(
    model: TableClassifier | TableRegressor, table: Table, column: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The true values in the rows that have one, and which those are.

    Raises:
        ValueError: no row has one, or they are not what the model predicts.
    """
    path, given = table.path, column.is_not_null().to_numpy()
    column = column.filter(given)
    if not len(column):
        raise ValueError(f"{path}: no row has a value in the column {column.name!r}")
    numeric = column.dtype.is_numeric()
    if isinstance(model, TableRegressor):
        if not numeric:
            raise ValueError(
                f"{path}, column {column.name!r}: expected numbers as in training, "
                f"got {column.dtype}"
            )
        return column.to_numpy().astype(np.float64), given
    classes = model.classes_
    values = column.to_numpy() if numeric and classes.dtype.kind in "iu" else as_text(column)
    strange = ~np.isin(values, classes)
    if strange.any():
        raise ValueError(
            f"{path}, column {column.name!r}: expected one of the classes "
            f"{', '.join(map(str, classes[:10]))}, got {values[strange][0]} "
            f"in {table.place(np.flatnonzero(given)[strange][0])}"
        )
    return values, given
