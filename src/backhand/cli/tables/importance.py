"""Permutation importance of columns of any kind, by scikit-learn, in bounded time."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance

from backhand.cli.tables.measures import Predictions, error_of
from backhand.estimators.tables.encoding import EncodedTable

MOST_ROWS, REPEATS = 1000, 3

SECONDS = 10.0
"""That all of it may take, roughly."""

PARTS = 8
"""Into which a group that matters is split."""


@dataclass(frozen=True)
class Importances:
    """What shuffling columns did.

    Attributes:
        found: columns, or groups of them that were shuffled together, and how far the measure
            fell; the greatest fall first.
        measure: its name.
        note: what a reader must know; empty where each column was measured by itself.
    """

    found: list[tuple[str, float]]
    measure: str
    note: str = ""


def importances(
    model: Any,
    table: Any,
    truth: np.ndarray,
    seed: int,
    measure: str | None = None,
    seconds: float = SECONDS,
    on_progress: Callable[[str], None] = lambda said: None,
) -> Importances:
    """How much worse the model is with a column shuffled, over at most 1,000 rows.

    The mean of three shuffles, of one where there are many columns. Where that would still take
    longer than half the seconds, adjacent columns are shuffled together; the other half goes to
    splitting the groups that matter most.

    Args:
        measure: one of Predictions.measures; default the main one.
        on_progress: is told how far it has come.
    """
    rows = np.arange(len(table))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    shuffled = _Shuffled(model, model.encode(table[rows]), truth[rows], measure, seed)
    many, each = table.width, shuffled.seconds()
    repeats = REPEATS if REPEATS * many * each <= seconds / 2 else 1
    groups = min(many, max(int(seconds / 2 / each), 2))
    ends = [round(at * many / groups) for at in range(groups + 1)]
    queue = [_Group(start, end) for start, end in pairwise(ends)]
    measured = _measured(shuffled, queue, repeats, seconds, on_progress)
    found = [(group.name(table.columns), fall) for group, fall in measured.items()]
    joined = sum(group.size > 1 for group in measured)
    note = f"{joined:,} groups of adjacent columns were shuffled together, to save time."
    found.sort(key=lambda pair: -pair[1])
    return Importances(found, shuffled.measure, note if joined else "")


@dataclass(frozen=True)
class _Group:
    """Adjacent columns of a table."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    def name(self, columns: list[str]) -> str:
        if self.size == 1:
            return columns[self.start]
        return f"{columns[self.start]} … {columns[self.end - 1]} ({self.size:,} columns)"

    def split(self) -> list[_Group]:
        parts = min(self.size, PARTS)
        ends = [self.start + round(at * self.size / parts) for at in range(parts + 1)]
        return [_Group(start, end) for start, end in pairwise(ends)]


def _measured(
    shuffled: _Shuffled,
    groups: list[_Group],
    repeats: int,
    seconds: float,
    on_progress: Callable[[str], None],
) -> dict[_Group, float]:
    """The fall for each group, those that fell furthest split while there is time."""
    begun, total, done = time.perf_counter(), sum(group.size for group in groups), count(1)

    def fall(group: _Group) -> float:
        on_progress(f"columns shuffled: {next(done):,}, of {total:,} columns …")
        return shuffled.fall(group.start, group.end, repeats)

    measured = {group: fall(group) for group in groups}
    waiting = [(-value, group.start, group) for group, value in measured.items() if group.size > 1]
    heapq.heapify(waiting)
    while waiting and time.perf_counter() - begun < seconds:
        _, _, group = heapq.heappop(waiting)
        del measured[group]
        for part in group.split():
            measured[part] = fall(part)
            if part.size > 1:
                heapq.heappush(waiting, (-measured[part], part.start, part))
    return measured


class _Shuffled(BaseEstimator):  # type: ignore[misc]
    """A model, as one of the numbers of a table's rows: what scikit-learn shuffles.

    The table is encoded once; to shuffle its columns is to shuffle the numbers they became.
    """

    def __init__(
        self, model: Any, table: EncodedTable, truth: np.ndarray, measure: str | None, seed: int
    ) -> None:
        self.model, self.table, self.truth, self.seed = model, table, truth, seed
        self.rows = np.arange(len(truth))[:, None]
        widths = [code.width for code in model.encoding_.codes]
        self.ends = np.cumsum([0, *widths])
        whole = Predictions.of(model, table).measures(truth)
        self.measure = next(iter(whole)) if measure is None else measure
        self.before = -error_of(self.measure, whole[self.measure])
        self.features = slice(0, 0)

    def seconds(self) -> float:
        """That one shuffle takes."""
        begun = time.perf_counter()
        self._score(self.table)
        return time.perf_counter() - begun

    def fall(self, start: int, end: int, repeats: int) -> float:
        """How far the measure falls with these columns shuffled, in the mean."""
        self.features = slice(self.ends[start], self.ends[end])
        found = permutation_importance(
            self, self.rows, self.truth, n_repeats=repeats, random_state=self.seed
        )
        return float(found.importances_mean[0])

    def fit(self, X: Any, y: Any) -> _Shuffled:
        """Nothing: the model is fitted."""
        return self

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        """The measure, with the rows of the features that are shuffled in this order."""
        if (self.rows == X).all():
            return self.before
        matrix = self.table.matrix.copy()
        matrix[:, self.features] = matrix[X[:, 0], self.features]
        return self._score(EncodedTable(matrix))

    def _score(self, table: EncodedTable) -> float:
        found = Predictions.of(self.model, table).measures(self.truth)
        return -error_of(self.measure, found[self.measure])
