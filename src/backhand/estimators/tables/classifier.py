"""TableClassifier: a table as it is, to classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_y, check_consistent_length
from torch import Tensor

from backhand.arguments import shown
from backhand.estimators.tables.base import TableBase
from backhand.estimators.tables.columns import name_of
from backhand.estimators.tables.held_out import HoldingOut
from backhand.estimators.tables.members import mean_of_members
from backhand.losses import CrossEntropyLoss, Loss
from backhand.tensor_file import Malformed, expect
from backhand.training import Epoch

LARGEST_CLASSES = 1 << 26
"""Bytes of the array of all classes that a file may ask for."""


class TableClassifier(ClassifierMixin, TableBase):  # type: ignore[misc]
    """Classifies the rows of a table as it is: numbers, categories, dates, booleans, gaps.

    RealMLP-TD-S (Holzmüller, Grinsztajn, Steinwart, "Better by Default", NeurIPS 2024): robust
    scaling with smooth clipping, categories one beside the other, a learned scale for each input,
    the neural tangent parametrisation, SELU, smoothed labels, Adam on four cosines; the epoch
    with the least Brier score on rows held out is the one kept.

    Args:
        hidden: units of the hidden layers; default (256, 256, 256).
        epochs: passes over the rows; default 128, for large tables fewer: as many as make 8,192
            steps, at least 16.
        batch_size: rows in a batch; default 256.
        learning_rate: at the cosines' tops; default 0.04.
        members: networks trained side by side, whose probabilities are averaged; default 1.
        validation_fraction: of the rows, held out to choose the epoch; see fit; default 0.2.
        label_smoothing: see CrossEntropyLoss; default 0.1.
        random_state: of everything random; default none.
        on_epoch: called with a `backhand.training.Epoch` after every epoch; its measures are
            those of the rows held out, {"validation": {"score": the members' mean Brier score,
            "member_1": …}}.

    Attributes:
        classes_: in order.
        network_: the members, a Stack.
        encoding_: how columns become numbers.
        loss_curve_: of each epoch. validation_scores_: of each epoch, of each member.
        best_epochs_: of each member, from 1.
        target_name_: of y, where it is a column with a name; else None.

    Raises:
        ValueError: an argument is out of range; X or y cannot be used, and why.
    """

    _classifies = True

    def __init__(
        self,
        hidden: Sequence[int] = (256, 256, 256),
        *,
        epochs: int | None = None,
        batch_size: int = 256,
        learning_rate: float = 0.04,
        members: int = 1,
        validation_fraction: float = 0.2,
        label_smoothing: float = 0.1,
        random_state: Any = None,
        on_epoch: Callable[[Epoch], Any] | None = None,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.members = members
        self.validation_fraction = validation_fraction
        self.label_smoothing = label_smoothing
        self.random_state = random_state
        self.on_epoch = on_epoch

    def fit(self, X: Any, y: Any, *, groups: Any = None, order: Any = None) -> Self:
        """Learn from a table (rows, columns) and its labels (rows,).

        Args:
            groups: whose rows stay together (rows,): whole ones are held out to choose the epoch
                by, where rows of one are alike, as those of a patient.
            order: numbers or dates (rows,), by which the latest rows are held out instead, where
                what is to come is predicted from what was. Default: rows drawn by chance.
        """
        self._check_arguments()
        columns = self._columns(X, reset=True)
        self.target_name_ = name_of(y)
        labels = _check_y(y, estimator=self)
        check_consistent_length(X, labels)
        holding_out = HoldingOut.by(X, groups, order)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected at least two classes, got one class, {self.classes_[0]}")
        self._train(columns, targets.astype(np.int64), len(self.classes_), holding_out)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the classes (rows, classes), the mean of the members'."""
        raw = self._raw(X)
        powers = np.exp(raw - raw.max(-1, keepdims=True))
        return mean_of_members(powers / powers.sum(-1, keepdims=True))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        likeliest = self.predict_proba(X).argmax(1)
        found: np.ndarray = self.classes_[likeliest]
        return found

    def _learnt(self) -> dict[str, Any]:
        return {"classes": self.classes_.tolist(), "dtype": self.classes_.dtype.str}

    def _take_up(self, learnt: dict[str, Any]) -> None:
        classes = expect("classes", learnt.get("classes"), list)
        dtype = np.dtype(expect("dtype", learnt.get("dtype"), str))
        if dtype.kind not in "biufUO" or dtype.itemsize * len(classes) > LARGEST_CLASSES:
            raise Malformed(f"dtype: {dtype} is none of {len(classes)} classes")
        self.classes_ = np.array(classes, dtype=dtype)
        distinct = len(np.unique(self.classes_)) == len(classes) >= 2
        if not distinct or self.classes_.tolist() != classes:
            raise Malformed(f"classes: expected two or more of {dtype}, got {shown(classes)}")

    def _outputs(self) -> int:
        return len(self.classes_)

    def _loss(self) -> Loss:
        return CrossEntropyLoss(self.label_smoothing)

    def _measure(self, targets: Tensor) -> Callable[[Tensor], Tensor]:
        """The Brier score: Σ (probability - 1 or 0)², the mean over the rows.

        The recipe takes the share of errors, which a few hundred rows tell less well. What label
        smoothing did to the probabilities is taken back first: it would outweigh the errors
        where these are few.
        """
        classes, smoothing = len(self.classes_), self.label_smoothing
        truth = torch.eye(classes, dtype=torch.float64)[targets].unsqueeze(1)

        def brier(raw: Tensor) -> Tensor:
            smoothed = torch.softmax(raw.double(), dim=-1)
            probability = ((smoothed - smoothing / classes) / (1 - smoothing)).clamp(0, 1)
            return (probability - truth).square().sum(-1).mean(0)

        return brier
