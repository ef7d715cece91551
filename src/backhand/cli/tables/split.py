"""The rows to train on and the rows to test with."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import train_test_split

from backhand.cli.tables.target import CLASSIFICATION, Target

FEWEST_ROWS = 10


def split_rows(target: Target, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the rows for training and for the test, in order.

    Each class has its share of both, where it has rows enough; a class of one row is trained on.

    Raises:
        ValueError: the share is out of range, or there are too few rows.
    """
    if not 0 < share < 1:
        raise ValueError(f"test share: expected a number between 0 and 1, got {share}")
    rows = np.arange(len(target.values))
    if len(rows) < FEWEST_ROWS:
        raise ValueError(
            f"column {target.name!r}: expected values in at least {FEWEST_ROWS} rows, "
            f"got {len(rows)}"
        )
    options = {"test_size": max(round(share * len(rows)), 2), "random_state": seed}
    if target.task != CLASSIFICATION:
        train, test = train_test_split(rows, **options)
        return np.sort(train), np.sort(test)
    _, labels, counts = np.unique(target.values, return_inverse=True, return_counts=True)
    single = counts[labels] == 1
    common = rows[~single]
    try:
        train, test = train_test_split(common, stratify=labels[common], **options)
    except ValueError:  # fewer test rows than classes, or fewer rows than that in any class
        train, test = train_test_split(common, **options)
    lost = ~np.isin(labels[test], labels[train])
    train = np.concatenate([train, test[lost], rows[single]])
    if not (~lost).any():
        raise ValueError(
            f"column {target.name!r}: too few rows of each class to keep some for the test"
        )
    return np.sort(train), np.sort(test[~lost])
