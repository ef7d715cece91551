"""The rows that are held out to choose the epoch by: by chance, whole groups, or the latest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_consistent_length, column_or_1d

from backhand.data.column_kinds import BOOLEAN, DATE, NUMBER, Meaning
from backhand.estimators.tables.columns import read_series


@dataclass(frozen=True)
class HoldingOut:
    """How the rows to hold out are chosen.

    Attributes:
        groups: numbers of the groups whose rows stay together (rows,).
        order: seconds or numbers by which the latest rows are held out (rows,).
    """

    groups: np.ndarray | None = None
    order: np.ndarray | None = None

    @classmethod
    def by(cls, X: Any, groups: Any, order: Any) -> Self:
        """By what a user gave of the rows of X, or by chance.

        Raises:
            ValueError: both are given, one is of other rows, or the order has gaps or no order.
        """
        if groups is not None and order is not None:
            raise ValueError("groups and order: expected one of them, got both")
        if groups is not None:
            names = column_or_1d(np.asarray(groups)).astype(str)
            check_consistent_length(X, names)
            return cls(groups=np.unique(names, return_inverse=True)[1])
        if order is not None:
            check_consistent_length(X, order)
            return cls(order=_moments(order))
        return cls()

    def split(
        self, targets: np.ndarray, share: float, random: np.random.RandomState, stratified: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows to train on, and those held out; all for both where these would be none.

        By chance, where there is one group or one moment only. No class is held out whole.

        Args:
            targets: of all rows (rows,).
            share: of the rows, held out; of groups no more, but for one that is larger.
            random: draws.
            stratified: whether the targets are classes, and each has its share of both.
        """
        rows = np.arange(len(targets))
        if len(rows) < 2 or round(len(rows) * share) == 0:
            return rows, rows
        held_out = np.zeros(len(rows), bool)
        if self.order is not None:
            held_out = _latest(self.order, share)
        elif self.groups is not None:
            held_out = _whole_groups(self.groups, share, random)
        if stratified:
            lost = held_out & ~np.isin(targets, targets[~held_out])
            held_out &= ~(lost if self.groups is None else np.isin(self.groups, self.groups[lost]))
        if held_out.any():
            return rows[~held_out], rows[held_out]
        return _by_chance(rows, share, random, targets if stratified else None)


def _moments(order: Any) -> np.ndarray:
    """Numbers or dates as numbers (rows,).

    Raises:
        ValueError: they are none, or some are missing.
    """
    found = read_series("order", order, Meaning(NUMBER))
    if found.kind not in (NUMBER, DATE):
        what = "booleans" if found.kind == BOOLEAN else "text"
        raise ValueError(f"order: expected numbers or dates, got {what}")
    if found.missing.any():
        raise ValueError(f"order: row {int(found.missing.argmax())} has no value to order by")
    return found.values


def _latest(order: np.ndarray, share: float) -> np.ndarray:
    """The last rows; those of one moment are not parted."""
    first = np.sort(order)[-round(len(order) * share)]
    held_out: np.ndarray = order >= first if first > order.min() else order > first
    return held_out


def _whole_groups(groups: np.ndarray, share: float, random: np.random.RandomState) -> np.ndarray:
    """Groups drawn by chance, as many as fit into the share; the smallest where none does."""
    sizes = np.bincount(groups)
    most = max(round(len(groups) * share), sizes.min())
    drawn = random.permutation(len(sizes))
    drawn = drawn[sizes[drawn] <= most]
    held_out = np.isin(groups, drawn[np.cumsum(sizes[drawn]) <= most])
    return held_out & (len(sizes) > 1)


def _by_chance(
    rows: np.ndarray, share: float, random: np.random.RandomState, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    options = {"test_size": share, "random_state": random}
    try:
        training, held_out = train_test_split(rows, stratify=classes, **options)
    except ValueError:  # a class of one row, or fewer held-out rows than classes
        training, held_out = train_test_split(rows, **options)
    return training, held_out
