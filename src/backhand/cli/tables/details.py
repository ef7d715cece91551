"""What the report says beyond the metrics: class by class, what is confused, the worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn import metrics

from backhand.cli.tables.measures import Predictions, figure
from backhand.cli.tables.outcome import TableOutcome, short

MOST_CLASSES = 20
"""Named in a table, or along a matrix."""

MOST_PAIRS, MOST_MISTAKES, MOST_FEATURES, MOST_CURVES = 15, 10, 5, 6


@dataclass(frozen=True)
class Mistakes:
    """The worst of them, as rows of the table."""

    title: str
    labels: tuple[str, ...] = ()
    rows: list[list[str]] = field(default_factory=list)


def class_rows(predicted: Predictions, truth: np.ndarray) -> list[list[str]]:
    """Each class's test rows, precision, recall and F1, the lowest F1 first.

    Where a class never occurs or is never said, a dash stands for what cannot be told.
    """
    assert predicted.classes is not None
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(
        truth, predicted.values, labels=predicted.classes, zero_division=np.nan
    )
    order = np.argsort(np.where(np.isnan(f1), 2, f1), kind="stable")
    return [
        [
            str(predicted.classes[at]),
            f"{rows[at]:,}",
            *map(_share, (precision[at], recall[at], f1[at])),
        ]
        for at in order
    ]


def confusion_counts(predicted: Predictions, truth: np.ndarray) -> np.ndarray:
    """Test rows by true class (down) and predicted class (across)."""
    counts: np.ndarray = metrics.confusion_matrix(truth, predicted.values, labels=predicted.classes)
    return counts


def confusion_rows(
    classes: Sequence[str], counts: np.ndarray
) -> list[tuple[str, list[tuple[int, float]]]]:
    """The matrix by class: each count, and its share of the row."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return [
        (name, list(zip(counts[at].tolist(), shares[at].tolist(), strict=True)))
        for at, name in enumerate(classes)
    ]


def confused_pairs(classes: Sequence[str], counts: np.ndarray) -> list[list[str]]:
    """Which class is taken for which, how often, and for what share of its rows."""
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    pairs = [divmod(int(at), len(counts)) for at in order]
    return [
        [
            classes[true],
            classes[said],
            f"{wrong[true, said]:,}",
            f"{wrong[true, said] / counts[true].sum():.0%}",
        ]
        for true, said in pairs
    ]


def worst_mistakes(outcome: TableOutcome) -> Mistakes:
    """The surest of the wrong, or the farthest off, with the columns that matter most."""
    truth, ours = outcome.truth, outcome.ours
    if ours.probabilities is None:
        title, how = "The predictions that are farthest off", "off by"
        off, wrong = np.abs(ours.values - truth), ours.values != truth
    else:
        title, how = "The mistakes it was surest of", "how sure"
        off, wrong = ours.probabilities.max(1), ours.values != truth
    order = np.argsort(-off, kind="stable")
    features = outcome.leading_columns(MOST_FEATURES)
    rows, numbers = [], outcome.first_columns()["row"]
    for at in order[wrong[order]][:MOST_MISTAKES].tolist():
        row = int(outcome.test[at])
        cells = truth[at], ours.values[at], *(outcome.table[name][row] for name in features)
        true, predicted, *given = map(_cell, cells)
        measured = f"{off[at]:.1%}" if how == "how sure" else _cell(ours.values[at] - truth[at])
        rows.append([f"{numbers[at]:,}", true, predicted, measured, *given])
    return Mistakes(title, ("row", outcome.target.name, "predicted", how, *features), rows)


def curves(predicted: Predictions, truth: np.ndarray) -> tuple[dict[str, Any], dict[str, Any], str]:
    """ROC and precision-recall lines by class, and in words which classes these are.

    Of two classes the second is found or not; of more each against the rest, those few that are
    told apart worst.
    """
    assert predicted.classes is not None
    assert predicted.probabilities is not None
    both = [0 < (truth == each).mean() < 1 for each in predicted.classes]
    occurring = [at for at, occurs in enumerate(both) if occurs]
    if len(predicted.classes) == 2:
        occurring = occurring[1:]
    found = []
    for at in occurring:
        one, score = truth == predicted.classes[at], predicted.probabilities[:, at]
        false, true, _ = metrics.roc_curve(one, score)
        precision, recall, _ = metrics.precision_recall_curve(one, score)
        area, average = metrics.auc(false, true), metrics.average_precision_score(one, score)
        name = str(predicted.classes[at])
        found.append((average, name, (false, true, area), (recall, precision, average)))
    found.sort(key=lambda each: each[0])
    shown = found[:MOST_CURVES]
    words = ""
    if len(predicted.classes) > 2 and shown:
        words = "each class against the rest"
        if len(found) > len(shown):
            words += f", the {len(shown)} that are told apart worst of {len(found)}"
    return {each[1]: each[2] for each in shown}, {each[1]: each[3] for each in shown}, words


def fold_rows(folds: Sequence[Mapping[str, float]]) -> list[list[str]]:
    """Each fold's metrics, their mean and their deviation; a dash for one that a fold lacks."""
    if not folds:
        return []
    names = list(folds[0])
    listed = [
        [str(number), *(figure(fold[name]) if name in fold else "–" for name in names)]
        for number, fold in enumerate(folds, 1)
    ]
    values = [[fold[name] for fold in folds if name in fold] for name in names]
    mean, deviation = map(np.mean, values), map(np.std, values)
    return [*listed, ["mean", *map(figure, mean)], ["±", *map(figure, deviation)]]


def bars(rows: Sequence[tuple[str, float]], form: str) -> list[tuple[str, str, float]]:
    """Names and values with the value's share of the greatest, for drawing."""
    most = max((abs(value) for _, value in rows), default=0) or 1
    return [(name, form.format(value), value / most) for name, value in rows]


def class_counts(values: np.ndarray) -> list[tuple[str, float]]:
    """How often each class occurs, the most frequent first."""
    classes, counts = np.unique(values.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(str(classes[at]), int(counts[at])) for at in order]


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = short(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
