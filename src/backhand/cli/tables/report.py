"""The files that train and evaluate write, each whole or not at all."""

from __future__ import annotations

import csv
import textwrap
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Group
from rich.table import Table
from sklearn.calibration import calibration_curve

from backhand import drawing, plots
from backhand.cli.pages import page
from backhand.cli.tables.details import (
    MOST_CLASSES,
    MOST_PAIRS,
    bars,
    class_counts,
    class_rows,
    confused_pairs,
    confusion_counts,
    confusion_rows,
    curves,
    fold_rows,
    worst_mistakes,
)
from backhand.cli.tables.measures import figure
from backhand.cli.tables.outcome import COMPILATION, TableOutcome
from backhand.cli.tables.verdict import NOTHING, OURS
from backhand.files import written_whole
from backhand.networks import summary

MODEL = "model.safetensors"
LISTINGS = tuple(
    f"{name}.csv" for name in "predictions history classes confusion importance".split()
)
"""Files of rows that may be written."""

CLASS_LABELS = "class", "test rows", "precision", "recall", "F1"
PAIR_LABELS = "true", "taken for", "rows", "of the class"

WIDEST = 14
"""Letters of a model's name in one line: four columns of it, and the metrics', fit a screen."""

FEWEST_IN_PART = 20
"""Test rows of a point of the calibration."""

AS_TEXT = "confusion.png", "importance.png"
"""Pictures that the page shows as tables, for their names; that of a target of classes too."""


def write_files(outcome: TableOutcome, out: Path) -> None:
    """Write everything, and list it in `outcome.files`.

    Raises:
        OSError: the folder cannot be written.
    """
    began = time.perf_counter()
    found = _details(outcome)
    figures = _figures(outcome, found)
    for name, drawn_one in figures.items():
        drawing.write(drawn_one, out / name)
    tables = {"predictions.csv": _predictions(outcome)} | _listings(outcome, found)
    if outcome.trained:
        outcome.model.save(out / MODEL)
        tables["history.csv"] = _history(outcome.model)
        outcome.files.append(MODEL)
    for name, rows in tables.items():
        _write_rows(out / name, rows)
    as_text = (*AS_TEXT, "target.png") if found.classes else AS_TEXT
    drawn = {name: figure for name, figure in figures.items() if name not in as_text}
    outcome.seconds["plots"] = time.perf_counter() - began
    with written_whole(out / "report.html") as file:
        file.write(_page(outcome, found, drawn))
    outcome.files += [*tables, *figures, "report.html"]


def _page(outcome: TableOutcome, found: _Details, figures: dict[str, Figure]) -> str:
    ours, shown = outcome.ours, MOST_CLASSES
    importances = outcome.importances.found if outcome.importances else []
    numbers = outcome.target.values.dtype.kind == "f"
    several = len(found.classes) > 2
    matrix = found.counts is not None and len(found.classes) <= shown
    return page(
        "table.html.j2",
        figures,
        outcome=outcome,
        title=f"{outcome.target.name} of {Path(outcome.source).name}",
        results=outcome.results(),
        verdict=outcome.verdict(),
        ours=OURS,
        nothing=NOTHING,
        figure=figure,
        fitted=_fitted(outcome),
        compilation=outcome.seconds.get(COMPILATION, 0.0),
        classes=class_rows(ours, outcome.truth)[:shown] if found.classes else [],
        classes_left=len(found.classes) if len(found.classes) > shown else 0,
        confusion=confusion_rows(found.classes, found.counts) if matrix else [],
        class_labels=CLASS_LABELS,
        folds=fold_rows(outcome.folds),
        fold_labels=("fold", *(outcome.folds[0] if outcome.folds else ())),
        pairs=confused_pairs(found.classes, found.counts)[:MOST_PAIRS] if several else [],
        pair_labels=PAIR_LABELS,
        curves_of=found.curves_of,
        mistakes=worst_mistakes(outcome),
        importances=bars(importances[: plots.MOST_LABELS], "{:.4f}"),
        importances_left=max(len(importances) - plots.MOST_LABELS, 0),
        target_bars=[] if numbers else bars(class_counts(outcome.target.values)[:shown], "{:,}"),
        columns=outcome.columns(),
        summary=str(summary(outcome.model.network_, (len(outcome.model.encoding_.centres),))),
    )


def _fitted(outcome: TableOutcome) -> dict[str, float]:
    """The seconds each model took to fit; none where none was fitted just now."""
    seconds = {peer.name: peer.seconds for peer in outcome.peers}
    return {OURS: outcome.seconds["training"]} | seconds if outcome.trained else seconds


def results_table(outcome: TableOutcome) -> Group:
    """The metrics, as the command prints them: a line each, so that a screen of 80 is wide enough
    for four models."""
    results, verdict, seconds = outcome.results(), outcome.verdict(), _fitted(outcome)
    title = f"{len(outcome.test):,} test rows"
    if outcome.seconds.get(COMPILATION):
        title += f"; {COMPILATION}, in no fit: {outcome.seconds[COMPILATION]:.1f} s"
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for who in results:
        head = textwrap.fill(who, WIDEST, break_long_words=False, break_on_hyphens=False)
        table.add_column(head, justify="right", overflow="fold")

    def line(name: str, values: Iterable[str]) -> None:
        table.add_row(name, *values)

    for name in results[OURS]:
        line(name, (figure(each[name]) if name in each else "" for each in results.values()))
        if name == outcome.main:
            ends = [verdict.ends(who) for who in results]
            line("95 % of draws, from", (figure(low) for low, _ in ends))
            line("to", (figure(high) for _, high in ends))
    if seconds:
        line("fit, s", (f"{seconds[who]:.1f}" if who in seconds else "" for who in results))
    return Group(title, table)


def prediction_rows(predicted: Any, first: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Predictions as rows of a CSV file, after columns that are given."""
    columns: dict[str, Any] = {**first, "prediction": _plain(predicted.values)}
    if predicted.classes is not None:
        for at, name in enumerate(predicted.classes):
            columns[f"probability of {name}"] = [f"{p:.6f}" for p in predicted.probabilities[:, at]]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _predictions(outcome: TableOutcome) -> list[dict[str, Any]]:
    first = outcome.first_columns() | {outcome.target.name: _plain(outcome.truth)}
    return prediction_rows(outcome.ours, first)


def _plain(values: np.ndarray) -> list[Any]:
    return [f"{each:.7g}" for each in values] if values.dtype.kind == "f" else values.tolist()


def _history(model: Any) -> list[dict[str, Any]]:
    """The training loss of each epoch, and what the epoch was chosen by, member by member."""
    members = len(model.validation_scores_[0]) if model.validation_scores_ else 0
    of = [f" of member {i + 1}" if members > 1 else "" for i in range(members)]
    score = f"held-out {_score(model)}"
    return [
        {"epoch": number, "training loss": loss}
        | {f"{score}{which}": value for which, value in zip(of, scores, strict=True)}
        for number, (loss, scores) in enumerate(
            zip(model.loss_curve_, model.validation_scores_, strict=False), 1
        )
    ]


def _score(model: Any) -> str:
    """What the epoch is chosen by."""
    return "Brier score" if hasattr(model, "classes_") else "squared error, standardised"


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with written_whole(path) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@dataclass(frozen=True)
class _Details:
    """What both the page and the files tell of classes; empty for numbers."""

    classes: list[str] = field(default_factory=list)
    counts: Any = None
    roc: dict[str, Any] = field(default_factory=dict)
    precision_recall: dict[str, Any] = field(default_factory=dict)
    curves_of: str = ""


def _details(outcome: TableOutcome) -> _Details:
    ours, truth = outcome.ours, outcome.truth
    if ours.classes is None:
        return _Details()
    classes = [str(each) for each in ours.classes]
    return _Details(classes, confusion_counts(ours, truth), *curves(ours, truth))


def _listings(outcome: TableOutcome, found: _Details) -> dict[str, list[dict[str, Any]]]:
    """Files of what the page shows the beginning of."""
    files = {}
    if found.classes:
        listed = class_rows(outcome.ours, outcome.truth)
        files["classes.csv"] = [dict(zip(CLASS_LABELS, each, strict=True)) for each in listed]
        pairs = confused_pairs(found.classes, found.counts)
        if pairs:
            files["confusion.csv"] = [dict(zip(PAIR_LABELS, each, strict=True)) for each in pairs]
    if outcome.importances:
        fall = f"fall of {outcome.importances.measure}"
        files["importance.csv"] = [
            {"column": name, fall: f"{value:.6g}"} for name, value in outcome.importances.found
        ]
    return files


def _figures(outcome: TableOutcome, found: _Details) -> dict[str, Figure]:
    model, truth, predicted = outcome.model, outcome.truth, outcome.ours
    figures = {"target.png": plots.distribution(outcome.target.values, outcome.target.name)}
    if outcome.trained:
        scores = [float(np.mean(each)) for each in model.validation_scores_]
        figures["training.png"] = plots.training(model.loss_curve_, scores, _score(model))
    if predicted.probabilities is None:
        figures["predicted.png"] = plots.predicted_and_true(predicted.values, truth)
        figures["residuals.png"] = plots.residuals(predicted.values - truth, predicted.values)
    else:
        if len(found.classes) <= MOST_CLASSES:
            figures["confusion.png"] = plots.confusion(found.counts, found.classes)
        if found.roc:
            figures["roc.png"] = plots.roc(found.roc)
            figures["precision-recall.png"] = plots.precision_recall(found.precision_recall)
        sure, right = predicted.probabilities.max(1), predicted.values == truth
        parts = int(np.clip(len(truth) // FEWEST_IN_PART, 2, 10))
        shares, claimed = calibration_curve(right, sure, n_bins=parts, strategy="quantile")
        figures["calibration.png"] = plots.calibration(claimed, shares)
    if outcome.importances:
        importances = outcome.importances
        figures["importance.png"] = plots.importance(importances.found, importances.measure)
    return figures
