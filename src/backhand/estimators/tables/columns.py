"""Columns: a table of any kind, read as named columns of numbers, categories, booleans, dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NUMBER, CATEGORY, BOOLEAN, DATE = "number", "category", "boolean", "date"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the column; of an array's, "x0", "x1" …
        kind: "number", "category", "boolean" or "date".
        values: numbers and booleans as float64, categories as text, dates as seconds since 1970
            (float64); whatever stands where a value is missing.
        missing: where none is given (rows,).
    """

    name: str
    kind: str
    values: np.ndarray
    missing: np.ndarray


def read_columns(table: Any, kinds: Sequence[str] | None = None) -> list[Column]:
    """The columns of a DataFrame (pandas or polars) or of a two-dimensional array.

    Args:
        table: the DataFrame or array.
        kinds: of the columns in training, which says how Python objects are meant: some rows of a
            column may look like another kind than all of them.

    Raises:
        ValueError: a number is infinite (the column and its first such row are named), or a
            column is of a type that is none of the four kinds.
    """
    if isinstance(table, np.ndarray):
        named = [(f"x{i}", table[:, i]) for i in range(table.shape[1])]
    elif type(table).__module__.startswith("polars"):
        named = [(name, _from_polars(table[name])) for name in table.columns]
    else:
        named = [(str(name), _from_pandas(table.iloc[:, i])) for i, name in enumerate(table)]
    meant = [None] * len(named) if kinds is None else kinds
    return [_column(*each, kind) for each, kind in zip(named, meant, strict=True)]


def _from_polars(series: Any) -> np.ndarray:
    """A polars column as NumPy has it: dates as datetime64, what is missing as None or NaN."""
    import polars

    if series.dtype in (polars.Categorical, polars.Enum):
        series = series.cast(polars.String)
    if series.dtype.is_decimal():
        series = series.cast(polars.Float64)
    if series.dtype == polars.Boolean:
        return np.array(series.to_list(), dtype=object)
    found: np.ndarray = series.to_numpy()
    return found


def _from_pandas(series: Any) -> np.ndarray:
    """A pandas column as NumPy has it; what is missing is None, NaN, NaT or NA."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in "iuf" and not isinstance(series.dtype, np.dtype):
        found: np.ndarray = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return found
    if kind == "M":
        naive = series if series.dt.tz is None else series.dt.tz_convert(None)
        return np.asarray(naive, dtype="datetime64[us]")
    plain = isinstance(series.dtype, np.dtype)
    return np.asarray(series.to_numpy() if plain else series.to_numpy(object))


def _column(name: str, values: np.ndarray, meant: str | None) -> Column:
    kind = values.dtype.kind
    if kind == "b":
        return Column(name, BOOLEAN, values.astype(np.float64), np.zeros(len(values), bool))
    if kind in "iuf":
        return _numbers(name, values.astype(np.float64), np.isnan(values.astype(np.float64)))
    if kind == "M":
        return _dates(name, values)
    if kind in "US":
        return Column(name, CATEGORY, values.astype(str), np.zeros(len(values), bool))
    if kind == "O":
        return _objects(name, values, meant)
    raise ValueError(
        f"column {name!r}: expected numbers, text, booleans or dates, got {values.dtype}"
    )


def _objects(name: str, values: np.ndarray, meant: str | None) -> Column:
    """Python objects: of the kind meant where they may be, else of that which all given are."""
    missing = np.array([_is_missing(each) for each in values], dtype=bool)
    possible = _possible_kinds({type(each) for each in values[~missing]})
    kind = meant if meant in possible else possible[0]
    if kind == BOOLEAN:
        filled = np.where(missing, False, values).astype(np.float64)
        return Column(name, BOOLEAN, filled, missing)
    if kind == NUMBER:
        return _numbers(name, np.where(missing, np.nan, values).astype(np.float64), missing)
    if kind == DATE:
        return _dates(name, _filled(values, missing).astype("datetime64[us]"))
    text = np.array(["" if gone else str(each) for each, gone in zip(values, missing, strict=True)])
    return Column(name, CATEGORY, text, missing)


def _possible_kinds(types: set[type]) -> list[str]:
    """What a column of objects of these types may be read as, the likeliest first; text always."""
    found = []
    if types and types <= {bool, np.bool_}:
        found.append(BOOLEAN)
    if types and all(issubclass(each, int | float | np.number | np.bool_) for each in types):
        found.append(NUMBER)
    if types and all(hasattr(each, "isoformat") and hasattr(each, "year") for each in types):
        found.append(DATE)
    return [*found, CATEGORY]


def _filled(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The objects, None where one is missing."""
    found = values.copy()
    found[missing] = None
    return found


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT and NA: what is not equal to itself, or cannot say."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True


def _numbers(name: str, values: np.ndarray, missing: np.ndarray) -> Column:
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(f"column {name!r}: row {row} holds an infinity (inf)")
    return Column(name, NUMBER, values, missing)


def _dates(name: str, values: np.ndarray) -> Column:
    missing = np.isnat(values)
    seconds = values.astype("datetime64[us]").astype(np.int64) / 1e6
    return Column(name, DATE, np.where(missing, 0.0, seconds), missing)
