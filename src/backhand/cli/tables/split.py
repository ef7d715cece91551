"""The rows to train on and the rows to test with: by chance, by time, by group, in folds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from backhand.cli.tables.target import CLASSIFICATION, FEWEST_ROWS, Target

Split = tuple[np.ndarray, np.ndarray]
"""The numbers of the rows for training and for the test, each in order."""


@dataclass(frozen=True)
class Splitting:
    """How a user wants the rows split.

    Attributes:
        share: of the rows, for the test; None for a fifth.
        order: a column of numbers or dates by which the last rows are the test, and of the others
            the last ones those that the epoch is chosen by.
        group: a column whose rows of one value stay together, in both.
        folds: of cross-validation; 1 is none.
        file: with the test rows; an order or a group then only chooses those for the epoch.
    """

    share: float | None = None
    order: str | None = None
    group: str | None = None
    folds: int = 1
    file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: an option is out of range, or two contradict each other.
        """
        for name, given in (("test", self.file), ("folds", self.folds != 1)):
            if self.share is not None and given:
                raise ValueError(f"test share and {name}: expected one of them, got both")
        if self.share is not None and not 0 < self.share < 1:
            raise ValueError(f"test share: expected a number between 0 and 1, got {self.share}")
        if self.folds < 1:
            raise ValueError(f"folds: expected 2 or more, or 1 for none, got {self.folds}")
        if self.order and self.group:
            raise ValueError("order and group: expected one of them, got both")
        if self.file and self.folds > 1:
            raise ValueError("test and folds: a file of test rows leaves nothing to split")

    @property
    def test_share(self) -> float:
        """The share, or a fifth where nothing was said."""
        return 0.2 if self.share is None else self.share


def split_rows(
    target: Target,
    how: Splitting,
    seed: int,
    order: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> list[Split]:
    """The split, or one for each fold.

    By chance, each class has its share of both, where it has rows enough. By order, rows of one
    moment are on one side; of folds, each is trained on all that was before. A row whose class is
    nowhere else is trained on.

    Args:
        target: of all rows.
        how: a user wants it.
        seed: of what is random.
        order: the values to order by (rows,).
        groups: of the rows (rows,).

    Raises:
        ValueError: there are too few rows or groups.
    """
    check_rows(target, len(target.values))
    if order is not None:
        found = _by_order(order, how)
    elif how.folds > 1:
        found = _folds(target, how, seed, groups)
    elif groups is not None:
        _enough_groups(groups, 2, how.group)
        splitter = GroupShuffleSplit(1, test_size=how.test_share, random_state=seed)
        found = list(splitter.split(groups, groups=groups))
    else:
        found = [_by_chance(target, how.test_share, seed)]
    return [_sorted(target, train, test) for train, test in found]


def check_rows(target: Target, rows: int) -> None:
    """Refuse so few rows with a target that there is nothing to learn.

    Raises:
        ValueError: they are.
    """
    if rows < FEWEST_ROWS:
        raise ValueError(
            f"column {target.name!r}: expected values in at least {FEWEST_ROWS} rows, got {rows}"
        )


def _by_chance(target: Target, share: float, seed: int) -> Split:
    rows = np.arange(len(target.values))
    options = {"test_size": max(round(share * len(rows)), 2), "random_state": seed}
    if target.task != CLASSIFICATION:
        train, test = train_test_split(rows, **options)
        return train, test
    _, labels, counts = np.unique(target.values, return_inverse=True, return_counts=True)
    single = counts[labels] == 1
    common = rows[~single]
    if len(common) <= options["test_size"]:
        raise ValueError(
            f"column {target.name!r}: {len(common)} rows are of classes of more than one, too few "
            f"for {options['test_size']} test rows"
        )
    try:
        train, test = train_test_split(common, stratify=labels[common], **options)
    except ValueError:  # fewer test rows than classes, or fewer rows than that in any class
        train, test = train_test_split(common, **options)
    return np.concatenate([train, rows[single]]), test


def _by_order(order: np.ndarray, how: Splitting) -> Iterable[Split]:
    """The last rows for the test; rows that are equal in order are not parted."""
    rows = np.argsort(order, kind="stable")
    if how.folds > 1:
        if how.folds >= len(np.unique(order)):
            raise ValueError(f"folds: {how.folds} are too many for column {how.order!r}")
        pairs = [(rows[a], rows[b]) for a, b in TimeSeriesSplit(how.folds).split(rows)]
    else:
        cut = len(rows) - max(round(how.test_share * len(rows)), 2)
        pairs = [(rows[:cut], rows[cut:])]
    parted = []
    for train, test in pairs:
        before = order[train] < order[test].min()
        if not before.any():
            raise ValueError(
                f"column {how.order!r}: all rows before the test are of its first moment"
            )
        parted.append((train[before], np.concatenate([train[~before], test])))
    return parted


def _folds(target: Target, how: Splitting, seed: int, groups: np.ndarray | None) -> Iterable[Split]:
    folds, classes = how.folds, target.task == CLASSIFICATION
    if folds > len(target.values):
        raise ValueError(f"folds: expected at most one a row, {len(target.values)}, got {folds}")
    if classes:
        counts = np.unique(target.values, return_counts=True)[1]
        classes = bool(counts.max() >= folds)
    if groups is not None:
        _enough_groups(groups, folds, how.group)
        splitter: Any = StratifiedGroupKFold(folds) if classes else GroupKFold(folds)
    elif classes:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        splitter = KFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class of fewer rows than folds is in some of them
        warnings.filterwarnings("ignore", "The least populated class")
        return list(splitter.split(target.values, target.values, groups))


def _enough_groups(groups: np.ndarray, least: int, name: str | None) -> None:
    found = len(np.unique(groups))
    if found < least:
        raise ValueError(f"column {name!r}: expected at least {least} groups, got {found}")


def _sorted(target: Target, train: np.ndarray, test: np.ndarray) -> Split:
    """Both in order; a row of a class that is in no training row is trained on."""
    if target.task == CLASSIFICATION:
        lost = ~np.isin(target.values[test], target.values[train])
        train, test = np.concatenate([train, test[lost]]), test[~lost]
    if not len(test):
        raise ValueError(
            f"column {target.name!r}: the test rows are all of classes that no training row has"
        )
    return np.sort(train), np.sort(test)
