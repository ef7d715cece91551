"""Labels: classes as targets for a loss, and outputs as classes again."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from backhand.losses import CrossEntropyLoss, Loss


class Labels:
    """The classes of a classifier, of one label for each row or of several.

    Args:
        y: labels (rows,), or an indicator matrix (rows, labels) of 0 and 1.
        classes: all there are, where y may lack some; default those of y.

    Raises:
        ValueError: y is neither: numbers that are not whole, say, or several outputs.
    """

    def __init__(self, y: np.ndarray, classes: Any = None) -> None:
        self.multilabel = _kind(y) == "multilabel-indicator"
        if self.multilabel:
            self.classes = np.arange(y.shape[1])
        else:
            self.classes = np.unique(y) if classes is None else unique_labels(classes)

    def outputs(self, loss: Loss) -> int:
        """How many numbers the network gives for a row."""
        count = len(self.classes)
        if self.multilabel or (count <= 2 and not isinstance(loss, CrossEntropyLoss)):
            return count if self.multilabel else 1
        return count

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Labels as numbers: of the class (rows,), or the indicators themselves.

        Raises:
            ValueError: a label that is not one of the classes.
        """
        if self.multilabel:
            if y.ndim != 2 or y.shape[1] != len(self.classes):
                raise ValueError(
                    f"y: expected an indicator of {len(self.classes)} labels a row, "
                    f"got shape {y.shape}"
                )
            return y.astype(np.float64)
        at = np.searchsorted(self.classes, y)
        at[at == len(self.classes)] = 0
        wrong = self.classes[at] != y
        if wrong.any():
            raise ValueError(
                f"`y` has classes not in `self.classes_`: expected some of {self.classes}, "
                f"got {np.unique(y[wrong])}"
            )
        return at

    def targets(self, encoded: np.ndarray, loss: Loss) -> np.ndarray:
        """What the loss takes: class numbers for the cross-entropy; else one 0 or 1 an output."""
        if self.multilabel:
            return encoded
        if isinstance(loss, CrossEntropyLoss):
            return encoded.astype(np.int64)
        if self.outputs(loss) == 1:
            return encoded[:, None].astype(np.float64)
        chosen: np.ndarray = encoded[:, None] == np.arange(len(self.classes))
        return chosen.astype(np.float64)

    def choose(self, raw: np.ndarray, threshold: float) -> np.ndarray:
        """The encoded labels that outputs (rows, outputs) stand for."""
        if self.multilabel:
            return (raw > threshold).astype(np.float64)
        if raw.shape[1] == 1:
            second = raw[:, 0] > threshold
            return second.astype(np.int64) if len(self.classes) > 1 else np.zeros(len(raw), int)
        chosen: np.ndarray = raw.argmax(1)
        return chosen

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Encoded labels as the user's own."""
        found: np.ndarray = encoded.astype(int) if self.multilabel else self.classes[encoded]
        return found


def _kind(y: np.ndarray) -> str:
    """As type_of_target has it; without its long way where there is nothing to find out."""
    if y.ndim == 1 and y.dtype.kind in "biuUS":
        return "multiclass"
    kind: str = type_of_target(y, input_name="y")
    if kind not in ("binary", "multiclass", "multilabel-indicator"):
        check_classification_targets(y)  # says what is wrong with them
        raise ValueError(
            "y: expected one label for each row, or an indicator matrix of 0 and 1; "
            f"got {kind} targets"
        )
    return kind
