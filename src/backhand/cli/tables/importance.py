"""Permutation importance of columns of any kind, by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance

MOST_ROWS, REPEATS = 1000, 3


def importances(model: Any, table: Any, truth: np.ndarray, seed: int) -> list[tuple[str, float]]:
    """How much worse the model's score is with a column shuffled, the worst first.

    The mean of three shuffles, over at most 1,000 rows. scikit-learn shuffles numbers of rows,
    column by column, since a table's own columns are of many kinds.
    """
    rows = np.arange(len(table))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    matrix = np.repeat(rows[:, None], table.width, axis=1)
    found = permutation_importance(
        _ByRows(model, table), matrix, truth[rows], n_repeats=REPEATS, random_state=seed
    )
    pairs = zip(table.columns, found.importances_mean.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])


class _ByRows(BaseEstimator):  # type: ignore[misc]
    """A model of a table, as one of the numbers of its rows, a number for each column."""

    def __init__(self, model: Any, table: Any) -> None:
        self.model = model
        self.table = table

    def fit(self, X: Any, y: Any) -> _ByRows:
        """Nothing: the model is fitted."""
        return self

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        """The model's score on the table put together from these rows."""
        columns = [self.table[:, at][X[:, at]] for at in range(self.table.width)]
        return float(self.model.score(type(self.table)(columns), y))
