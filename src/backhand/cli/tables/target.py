"""The target column: whether it is for classes or for numbers, and its values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars

from backhand.cli.tables.reading import nearest

CLASSIFICATION, REGRESSION = "classification", "regression"
TASKS = (CLASSIFICATION, REGRESSION)

FEWEST_ROWS = 10
"""Rows with a target from which there is something to learn."""

MOST_WHOLE_NUMBERS = 20
"""Different whole numbers up to which they are taken for classes."""


@dataclass(frozen=True)
class Target:
    """What is to be predicted.

    Attributes:
        name: of the column.
        task: classification or regression.
        why: in words.
        values: (rows,), text, whole numbers or float64.
    """

    name: str
    task: str
    why: str
    values: np.ndarray


def split_target(path: Path, table: Any, name: str, task: str | None) -> tuple[Any, Target, Any]:
    """The features, the target, and in which rows there was one: the others are left out.

    Raises:
        ValueError: there is no such column, nothing else, no row left, or nothing to learn in it.
    """
    if task is not None and task not in TASKS:
        raise ValueError(f"task: expected {' or '.join(TASKS)}, got {task!r}")
    column = target_column(path, table, name)
    given = column.is_not_null()
    column, features = column.filter(given), table.drop(name).filter(given)
    if not len(column):
        raise ValueError(f"{path}: no row has a value in the column {name!r}")
    if not features.width:
        raise ValueError(f"{path}: no column beside the target {name!r} to learn from")
    try:
        target = _target(column, task)
    except ValueError as problem:
        raise ValueError(f"{path}, column {name!r}: {problem}") from None
    return features, target, given.to_numpy()


def target_column(path: Path, table: Any, name: str) -> Any:
    """The target's column, NaN as missing.

    Raises:
        ValueError: there is none of the name.
    """
    if name not in table.columns:
        raise ValueError(f"{path}: there is no column {name!r}{nearest(name, table.columns)}")
    column = table[name]
    return column.fill_nan(None) if column.dtype.is_float() else column


def as_text(column: Any) -> np.ndarray:
    """A column as text; true and false in small letters."""
    return np.array(column.cast(polars.String).to_list())


def _target(column: Any, task: str | None) -> Target:
    different = column.n_unique()
    if different == 1:
        raise ValueError(f"every row holds {column[0]!r}; there is nothing to learn")
    kind = column.dtype
    if not kind.is_numeric():
        if not (kind == polars.Boolean or _is_text(kind)):
            raise ValueError(f"expected text, booleans or numbers as the target, got {kind}")
        if task == REGRESSION:
            what = "booleans" if kind == polars.Boolean else f"text, such as {column[0]!r}"
            raise ValueError(f"expected numbers for regression, got {what}")
        _refuse_names(different, len(column), "texts")
        return Target(column.name, CLASSIFICATION, f"{different} classes", as_text(column))
    if column.is_infinite().any():
        raise ValueError("a row holds an infinity")
    whole = kind.is_integer()
    limit = MOST_WHOLE_NUMBERS if whole else 2
    by_count = CLASSIFICATION if different <= limit < len(column) else REGRESSION
    what = "whole numbers" if whole else "numbers"
    if (task or by_count) == CLASSIFICATION:
        _refuse_names(different, len(column), what)
        values = column.to_numpy() if whole else as_text(column)
        return Target(column.name, CLASSIFICATION, f"{different} different {what}", values)
    numbers = column.cast(polars.Float64).to_numpy()
    return Target(column.name, REGRESSION, f"{different:,} different {what}", numbers)


def _refuse_names(different: int, rows: int, what: str) -> None:
    """Say so where the rows are named, not classed."""
    if different > rows / 2 and rows >= FEWEST_ROWS:
        raise ValueError(
            f"{different:,} different {what} in {rows:,} rows; there are no classes to learn"
        )


def _is_text(kind: Any) -> bool:
    return kind == polars.String or kind == polars.Categorical or isinstance(kind, polars.Enum)
