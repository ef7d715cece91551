"""Predictions, and how good they are, by scikit-learn's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

LOW_IS_GOOD = ("log loss", "Brier score", "RMSE", "MAE")

IMBALANCED = 3
"""Times as many rows of the most frequent class as of the rarest: from there on accuracy tells
little of the rare ones, and the recalls' mean, balanced accuracy, is the main metric."""

DRAWS, LEVEL = 400, 0.95
"""Of the bootstrap, and the share of them that an interval holds."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of some rows.

    Attributes:
        values: (rows,), classes or numbers.
        classes: in the order of the probabilities; None for numbers.
        probabilities: (rows, classes); None for numbers.
    """

    values: np.ndarray
    classes: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    @classmethod
    def of(cls, model: Any, inputs: Any) -> Predictions:
        """Those of a model with scikit-learn's interface."""
        if not hasattr(model, "classes_"):
            return cls(model.predict(inputs))
        probabilities = model.predict_proba(inputs)
        return cls(model.classes_[probabilities.argmax(1)], model.classes_, probabilities)

    def measures(self, truth: np.ndarray) -> dict[str, float]:
        """The metrics over rows whose true values are given; the main one first."""
        if self.classes is None or self.probabilities is None:
            # R² compares with the spread of the true values, and one has none.
            spread = {"R²": float(metrics.r2_score(truth, self.values))} if len(truth) > 1 else {}
            return spread | {
                "RMSE": float(metrics.root_mean_squared_error(truth, self.values)),
                "MAE": float(metrics.mean_absolute_error(truth, self.values)),
            }
        accuracy = {"accuracy": float(metrics.accuracy_score(truth, self.values))}
        options = {"labels": np.unique(truth), "average": "macro", "zero_division": 0}
        balanced = {"balanced accuracy": float(metrics.recall_score(truth, self.values, **options))}
        labels = {"labels": self.classes}
        found = balanced | accuracy if is_imbalanced(truth) else accuracy | balanced
        found |= {
            "log loss": float(metrics.log_loss(truth, self.probabilities, **labels)),
            "Brier score": _brier(truth, self.probabilities, self.classes),
        }
        if len(self.classes) == len(np.unique(truth)) == 2:
            found["ROC AUC"] = float(
                metrics.roc_auc_score(truth == self.classes[1], self.probabilities[:, 1])
            )
        return found


def is_imbalanced(truth: np.ndarray) -> bool:
    """Whether the rarest class has far fewer rows than the most frequent one."""
    _, counts = np.unique(truth, return_counts=True)
    return bool(counts.max() > IMBALANCED * counts.min())


def bootstrap(
    predicted: Mapping[str, np.ndarray], truth: np.ndarray, measure: str
) -> dict[str, np.ndarray]:
    """The main metric of each model on test rows drawn with replacement (draws,).

    Every model has the same draws, so that they can be compared draw by draw. Efron and
    Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    score = QUICK[measure]
    if truth.dtype.kind != "f":
        names, truth = np.unique(truth, return_inverse=True)
        # A class that is none of the true ones is wrong, whichever it is.
        predicted = {
            who: np.where(np.isin(each, names), np.searchsorted(names, each), len(names))
            for who, each in predicted.items()
        }
    random = np.random.default_rng(0)
    draws = [random.integers(len(truth), size=len(truth)) for _ in range(DRAWS)]
    return {
        name: np.array([score(truth[rows], values[rows]) for rows in draws])
        for name, values in predicted.items()
    }


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Where LEVEL of the draws lie."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _recall(truth: np.ndarray, values: np.ndarray) -> float:
    """The mean of the recalls of the classes that occur."""
    right, rows = np.bincount(truth, truth == values), np.bincount(truth)
    return float((right[rows > 0] / rows[rows > 0]).mean())


def _explained(truth: np.ndarray, values: np.ndarray) -> float:
    """R²; of rows of one value, 0, or 1 where all are met."""
    spread, left = ((truth - truth.mean()) ** 2).sum(), ((truth - values) ** 2).sum()
    return float(1 - left / spread) if spread > 0 else float(left == 0)


def _squared(truth: np.ndarray, values: np.ndarray) -> float:
    return float(np.sqrt(((truth - values) ** 2).mean()))


def _right(truth: np.ndarray, values: np.ndarray) -> float:
    return float((truth == values).mean())


QUICK = {
    "accuracy": _right,
    "balanced accuracy": _recall,
    "R²": _explained,
    "RMSE": _squared,
}
"""The main metrics without the checks of scikit-learn's, which a thousand draws would wait for."""


def _brier(truth: np.ndarray, probabilities: np.ndarray, classes: np.ndarray) -> float:
    """Of two classes (p - 1 or 0)², of more the sum over them; the mean over the rows."""
    if len(classes) == 2:
        return float(metrics.brier_score_loss(truth == classes[1], probabilities[:, 1]))
    return float(metrics.brier_score_loss(truth, probabilities, labels=classes))


def figure(value: Any) -> str:
    """A metric as text: four decimals, of large ones six digits, so that any fits a column."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.6g}"


def error_of(name: str, value: float) -> float:
    """A metric as something of which less is better."""
    return value if name in LOW_IS_GOOD else 1 - value
