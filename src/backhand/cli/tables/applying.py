"""A trained model on another table: predictions, or how good they are."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from backhand.cli.output import check_writable, written_or_printed
from backhand.cli.tables.importance import importances
from backhand.cli.tables.measures import Predictions
from backhand.cli.tables.outcome import TableOutcome
from backhand.cli.tables.peers import knowing_nothing
from backhand.cli.tables.reading import nearest, read_table
from backhand.cli.tables.report import prediction_rows, results_table, write_files
from backhand.cli.tables.target import CLASSIFICATION, REGRESSION, Target, as_text, target_column
from backhand.estimators.tables import TableClassifier, TableRegressor, load_table_model


def predict_table(model_path: Path, table_path: Path, out: Path | None) -> None:
    """Print a prediction for every row as CSV, or write them to a file.

    Raises:
        ValueError: a file or a column cannot be used.
        OSError: a file cannot be read or written.
    """
    model = load_table_model(model_path)
    table = _features(model, _read(model, table_path), table_path, model_path)
    predicted = _predictions(model, table, table_path)
    rows = prediction_rows(predicted, {"row": list(range(1, len(table) + 1))})
    with written_or_printed(out) as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def evaluate_table(
    model_path: Path,
    table_path: Path,
    target_name: str | None,
    out: Path | None,
    importance: bool = True,
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
    table = _read(model, table_path)
    values, given = _truth(model, target_column(table_path, table, name), table_path)
    features = _features(model, table.filter(given), table_path, model_path)
    if out is not None:
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
    )
    outcome.baseline = knowing_nothing(task, values, len(values))
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


def _read(model: TableClassifier | TableRegressor, path: Path) -> Any:
    """The table, its columns read as in training, whatever they look like here."""
    meant = {code.name: code.meaning for code in model.encoding_.codes}
    table = read_table(path, meant=meant).frame
    if not len(table):
        raise ValueError(f"{path}: expected at least one row")
    return table


def _features(
    model: TableClassifier | TableRegressor, table: Any, path: Path, model_path: Path
) -> Any:
    """The columns that the model learnt from, in its order.

    Raises:
        ValueError: one is missing, or there is one more that is not the target.
    """
    expected = [code.name for code in model.encoding_.codes]
    others = [name for name in table.columns if name not in (*expected, "", model.target_name_)]
    for name in expected:
        if name not in table.columns:
            raise ValueError(
                f"{path}: there is no column {name!r}, which {model_path.name} learnt from"
                f"{nearest(name, others)}"
            )
    if others:
        raise ValueError(f"{path}: {model_path.name} has learnt from no column {others[0]!r}")
    return table.select(expected)


def _predictions(model: TableClassifier | TableRegressor, table: Any, path: Path) -> Predictions:
    try:
        return Predictions.of(model, table)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


def _truth(
    model: TableClassifier | TableRegressor, column: Any, path: Path
) -> tuple[np.ndarray, Any]:
    """The true values in the rows that have one, and which those are.

    Raises:
        ValueError: no row has one, or they are not what the model predicts.
    """
    given = column.is_not_null()
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
            f"{', '.join(map(str, classes[:10]))}, got {values[strange][0]}"
        )
    return values, given
