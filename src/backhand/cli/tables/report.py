"""The files that train and evaluate write, each whole or not at all."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from backhand import plots
from backhand.cli.pages import page
from backhand.cli.tables.outcome import OURS, TableOutcome
from backhand.files import written_whole
from backhand.networks import summary

MODEL = "model.safetensors"


def write_files(outcome: TableOutcome, out: Path) -> None:
    """Write everything, and list it in `outcome.files`.

    Raises:
        OSError: the folder cannot be written.
    """
    began = time.perf_counter()
    figures = _figures(outcome)
    for name, figure in figures.items():
        plots.write(figure, out / name)
    outcome.seconds["plots"] = time.perf_counter() - began
    if outcome.trained:
        outcome.model.save(out / MODEL)
        _write_rows(out / "history.csv", _history(outcome.model))
        outcome.files += [MODEL, "history.csv"]
    _write_rows(out / "predictions.csv", _predictions(outcome))
    text = page(
        "table.html.j2",
        {name: out / name for name in figures},
        outcome=outcome,
        title=f"{outcome.target.name} of {Path(outcome.source).name}",
        results=outcome.results(),
        ours=OURS,
        columns=outcome.columns(),
        summary=str(summary(outcome.model.network_, (len(outcome.model.encoding_.centres),))),
    )
    with written_whole(out / "report.html") as file:
        file.write(text)
    outcome.files += ["predictions.csv", *figures, "report.html"]


def results_table(outcome: TableOutcome) -> Table:
    """The metrics, as the command prints them."""
    results = outcome.results()
    seconds = {peer.name: peer.seconds for peer in outcome.peers}
    if outcome.trained:
        seconds[OURS] = outcome.seconds["training"]
    table = Table(title=f"{len(outcome.test):,} test rows", title_justify="left")
    table.add_column("", min_width=14)
    for name in results[OURS]:
        table.add_column(name, justify="right")
    if seconds:
        table.add_column("fit, s", justify="right")
    for who, measured in results.items():
        row = [who, *(f"{value:.4f}" for value in measured.values())]
        table.add_row(*row, *([f"{seconds[who]:.1f}"] if seconds else []))
    return table


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
    first = {"row": (outcome.test + 1).tolist(), outcome.target.name: _plain(outcome.truth)}
    return prediction_rows(outcome.ours, first)


def _plain(values: np.ndarray) -> list[Any]:
    return [f"{each:.7g}" for each in values] if values.dtype.kind == "f" else values.tolist()


def _history(model: Any) -> list[dict[str, Any]]:
    return [
        {"epoch": number, "loss": loss, **{f"held out {i + 1}": s for i, s in enumerate(scores)}}
        for number, (loss, scores) in enumerate(
            zip(model.loss_curve_, model.validation_scores_, strict=False), 1
        )
    ]


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with written_whole(path) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _figures(outcome: TableOutcome) -> dict[str, Figure]:
    model, truth, predicted = outcome.model, outcome.truth, outcome.ours
    figures = {"target.png": plots.distribution(outcome.target.values, outcome.target.name)}
    if outcome.trained:
        what = "Brier score" if predicted.classes is not None else "squared error"
        scores = [float(np.mean(each)) for each in model.validation_scores_]
        figures["training.png"] = plots.training(model.loss_curve_, scores, what)
    if predicted.classes is None or predicted.probabilities is None:
        figures["predicted.png"] = plots.predicted_and_true(predicted.values, truth)
        figures["residuals.png"] = plots.residuals(predicted.values - truth)
    else:
        counts = confusion_matrix(truth, predicted.values, labels=predicted.classes)
        figures["confusion.png"] = plots.confusion(counts, [str(c) for c in predicted.classes])
        sure, right = predicted.probabilities.max(1), predicted.values == truth
        shares, claimed = calibration_curve(right, sure, n_bins=10, strategy="quantile")
        figures["calibration.png"] = plots.calibration(claimed, shares)
    if outcome.importances:
        figures["importance.png"] = plots.importance(outcome.importances)
    return figures
