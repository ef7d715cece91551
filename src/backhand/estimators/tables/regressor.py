"""TableRegressor: a table as it is, to numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import _check_y, check_consistent_length
from torch import Tensor

from backhand.arguments import finite
from backhand.estimators.tables.base import TableBase
from backhand.estimators.tables.columns import name_of
from backhand.estimators.tables.held_out import HoldingOut
from backhand.estimators.tables.members import mean_of_members
from backhand.losses import Loss, MSELoss
from backhand.training import Epoch


class TableRegressor(RegressorMixin, TableBase):  # type: ignore[misc]
    """Predicts a number from the rows of a table as it is; see TableClassifier.

    The target is standardised. Mish instead of SELU; the mean squared error.

    Args:
        learning_rate: at the cosines' tops; default 0.07.
        hidden, epochs, batch_size, members, validation_fraction, random_state, on_epoch: as for
            TableClassifier; the score is the mean squared error of the standardised target.

    Raises:
        ValueError: an argument is out of range; X or y cannot be used, and why.
    """

    _classifies = False

    def __init__(
        self,
        hidden: Sequence[int] = (256, 256, 256),
        *,
        epochs: int | None = None,
        batch_size: int = 256,
        learning_rate: float = 0.07,
        members: int = 1,
        validation_fraction: float = 0.2,
        random_state: Any = None,
        on_epoch: Callable[[Epoch], Any] | None = None,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.members = members
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.on_epoch = on_epoch

    def fit(self, X: Any, y: Any, *, groups: Any = None, order: Any = None) -> Self:
        """Learn from a table (rows, columns) and its numbers (rows,).

        Args:
            groups, order: of the rows (rows,); see TableClassifier.
        """
        self._check_arguments()
        columns = self._columns(X, reset=True)
        self.target_name_ = name_of(y)
        values = _check_y(y, y_numeric=True, estimator=self).astype(np.float64)
        check_consistent_length(X, values)
        holding_out = HoldingOut.by(X, groups, order)
        self.mean_ = float(values.mean())
        self.deviation_ = float(values.std()) or 1.0
        targets = ((values - self.mean_) / self.deviation_).astype(np.float32)
        self._train(columns, targets[:, None], 1, holding_out)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The number of each row (rows,), the mean of the members'."""
        found: np.ndarray = mean_of_members(self._raw(X))[:, 0] * self.deviation_ + self.mean_
        return found

    def _learnt(self) -> dict[str, Any]:
        return {"mean": self.mean_, "deviation": self.deviation_}

    def _take_up(self, learnt: dict[str, Any]) -> None:
        self.mean_ = finite("TableRegressor", "mean", learnt.get("mean"))
        self.deviation_ = finite("TableRegressor", "deviation", learnt.get("deviation"))
        if self.deviation_ <= 0:
            raise ValueError(f"deviation: expected a number above 0, got {self.deviation_}")

    def _outputs(self) -> int:
        return 1

    def _loss(self) -> Loss:
        return MSELoss()

    def _measure(self, targets: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda raw: (raw[..., 0] - targets).double().square().mean(0)
