"""Predictions, and how good they are, by scikit-learn's metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

LOW_IS_GOOD = ("log loss", "RMSE", "MAE")


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
            return {
                "R²": float(metrics.r2_score(truth, self.values)),
                "RMSE": float(metrics.root_mean_squared_error(truth, self.values)),
                "MAE": float(metrics.mean_absolute_error(truth, self.values)),
            }
        recalls = [(self.values == each)[truth == each].mean() for each in np.unique(truth)]
        found = {
            "accuracy": float((self.values == truth).mean()),
            "balanced accuracy": float(np.mean(recalls)),
            "log loss": float(metrics.log_loss(truth, self.probabilities, labels=self.classes)),
        }
        if len(self.classes) == len(recalls) == 2:
            found["ROC AUC"] = float(
                metrics.roc_auc_score(truth == self.classes[1], self.probabilities[:, 1])
            )
        return found


def error_of(name: str, value: float) -> float:
    """A metric as something of which less is better."""
    return value if name in LOW_IS_GOOD else 1 - value
