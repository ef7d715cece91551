"""Columns: a table of any kind, read as named columns of numbers, categories, dates and so on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backhand.data.column_kinds import (
    BOOLEAN,
    CATEGORY,
    DATE,
    NINES,
    NUMBER,
    Meaning,
    missing_codes,
    read_words,
)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the column; of an array's, "x0", "x1" …
        kind: "number", "category", "boolean", "date" or "time" (of day).
        values: numbers and booleans as float64, categories as text, dates as seconds since 1970
            and times since midnight (float64); whatever stands where a value is missing.
        missing: where none is given (rows,).
        codes: numbers, or words, that were found to stand for a missing one.
        date_format: of dates that were text; unit: of numbers that were.
        strays: words that are no numbers or dates, in a column that is of these.
    """

    name: str
    kind: str
    values: np.ndarray
    missing: np.ndarray
    codes: tuple[str, ...] = ()
    date_format: str = ""
    unit: str = ""
    strays: tuple[str, ...] = ()


def read_columns(table: Any, meant: Sequence[Meaning] | None = None) -> list[Column]:
    """The columns of a DataFrame (pandas or polars) or of a two-dimensional array.

    Text is what its words mean: numbers, dates and times of day, with gaps written `?` or `-`, are
    read as such (`backhand.data.column_kinds`), but few different whole numbers, and a column that
    is declared categorical, stay categories. Numbers such as 9999, far from all others, count as
    missing.

    Args:
        table: the DataFrame or array.
        meant: what the columns were in training, which says how Python objects and words are
            meant: some rows of a column may look like another kind than all of them.

    Raises:
        ValueError: a number is infinite (the column and its first such row are named), or a
            column is of a type that is none of these kinds.
    """
    if isinstance(table, np.ndarray):
        named = [(f"x{i}", table[:, i], False) for i in range(table.shape[1])]
    elif type(table).__module__.startswith("polars"):
        named = [(name, *_from_polars(table[name])) for name in table.columns]
    else:
        named = [(str(name), *_from_pandas(table.iloc[:, i])) for i, name in enumerate(table)]
    means = [None] * len(named) if meant is None else meant
    return [_column(*each, mean) for each, mean in zip(named, means, strict=True)]


def read_series(name: str, values: Any, meant: Meaning | None = None) -> Column:
    """One column: a series of pandas or polars, an array or a list (rows,).

    Raises:
        ValueError: see read_columns; or there is more than one axis.
    """
    if type(values).__module__.startswith("polars"):
        read, declared = _from_polars(values)
    else:
        read, declared = (
            _from_pandas(values) if hasattr(values, "iloc") else (np.asarray(values), False)
        )
    if read.ndim != 1:
        raise ValueError(f"{name}: expected one value a row, got an array of shape {read.shape}")
    return _column(name, read, declared, meant)


def _from_polars(series: Any) -> tuple[np.ndarray, bool]:
    """A polars column as NumPy has it, and whether it is declared categorical.

    Dates are datetime64; what is missing is None or NaN.
    """
    import polars

    declared = series.dtype in (polars.Categorical, polars.Enum)
    if declared:
        series = series.cast(polars.String)
    if series.dtype == polars.Time:
        series = series.cast(polars.String)
    if series.dtype.is_decimal():
        series = series.cast(polars.Float64)
    if series.dtype == polars.Boolean:
        return np.array(series.to_list(), dtype=object), declared
    return series.to_numpy(), declared


def _from_pandas(series: Any) -> tuple[np.ndarray, bool]:
    """As _from_polars, of a pandas column; what is missing is None, NaN, NaT or NA."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in "iuf" and not isinstance(series.dtype, np.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan), False
    if kind == "M":
        naive = series if series.dt.tz is None else series.dt.tz_convert(None)
        return np.asarray(naive, dtype="datetime64[us]"), False
    plain = isinstance(series.dtype, np.dtype)
    declared = getattr(series.dtype, "name", "") == "category"
    return np.asarray(series.to_numpy() if plain else series.to_numpy(object)), declared


def _column(name: str, values: np.ndarray, declared: bool, meant: Meaning | None) -> Column:
    kind = values.dtype.kind
    if kind == "b":
        return Column(name, BOOLEAN, values.astype(np.float64), np.zeros(len(values), bool))
    if kind in "iuf":
        found = values.astype(np.float64)
        return _numbers(name, found, np.isnan(found), meant)
    if kind == "M":
        return _dates(name, values)
    if kind in "US":
        return _objects(name, values.astype(str).astype(object), declared, meant)
    if kind == "O":
        return _objects(name, values, declared, meant)
    raise ValueError(
        f"column {name!r}: expected numbers, text, booleans or dates, got {values.dtype}"
    )


def _objects(name: str, values: np.ndarray, declared: bool, meant: Meaning | None) -> Column:
    """Python objects: of the kind meant where they may be, else of that which all given are."""
    missing = np.array([_is_missing(each) for each in values], dtype=bool)
    possible = _possible_kinds({type(each) for each in values[~missing]})
    kind = meant.kind if meant and meant.kind in possible else possible[0]
    if kind == BOOLEAN:
        filled = np.where(missing, False, values).astype(np.float64)
        return Column(name, BOOLEAN, filled, missing)
    if kind == NUMBER:
        numbers = np.where(missing, np.nan, values).astype(np.float64)
        return _numbers(name, numbers, missing, meant)
    if kind == DATE:
        return _dates(name, _filled(values, missing).astype("datetime64[us]"))
    text = np.array(["" if gone else str(each) for each, gone in zip(values, missing, strict=True)])
    as_text = Column(name, CATEGORY, text, missing)
    if declared or missing.all() or (meant is not None and meant.kind == CATEGORY):
        return as_text
    return _words(as_text, meant)


def _words(column: Column, meant: Meaning | None) -> Column:
    """A column of text, as what its words mean."""
    words = read_words(Counter(column.values[~column.missing].tolist()), meant, plain=False)
    meaning = words.meaning
    if meaning.kind == CATEGORY or (meaning.kind == BOOLEAN and meant is None):
        return column
    read = [words.values.get(word) for word in column.values.tolist()]
    missing = column.missing | np.array([each is None for each in read])
    values = np.array([0.0 if each is None else each for each in read], dtype=np.float64)
    if meaning.kind == NUMBER:
        numbers = _numbers(column.name, np.where(missing, np.nan, values), missing, meant)
        return replace(numbers, unit=meaning.unit, strays=words.strays)
    found = Column(column.name, meaning.kind, values, missing)
    return replace(found, date_format=meaning.date_format, strays=words.strays)


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


def _numbers(name: str, values: np.ndarray, missing: np.ndarray, meant: Meaning | None) -> Column:
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(f"column {name!r}: row {row} holds an infinity (inf)")
    codes = _codes(values) if meant is None else _as_numbers(meant.missing)
    if codes:
        gone = np.isin(values, codes)
        values, missing = np.where(gone, np.nan, values), missing | gone
    return Column(name, NUMBER, values, missing, tuple(f"{each:g}" for each in codes))


def _codes(values: np.ndarray) -> list[float]:
    """The numbers that stand for missing ones."""
    if not np.isin(values, NINES).any():
        return []
    different = np.unique(values[~np.isnan(values)]).tolist()
    return missing_codes(different, lambda each: int((values == each).sum()))


def _as_numbers(words: Sequence[str]) -> list[float]:
    """Those of the words that are numbers."""
    read = read_words(dict.fromkeys(words, 1), Meaning(NUMBER)).values.values()
    return [each for each in read if isinstance(each, float)]


def _dates(name: str, values: np.ndarray) -> Column:
    missing = np.isnat(values)
    seconds = values.astype("datetime64[us]").astype(np.int64) / 1e6
    return Column(name, DATE, np.where(missing, 0.0, seconds), missing)


def name_of(target: Any) -> str | None:
    """The name of a column of pandas or polars; None where it has none."""
    name = getattr(target, "name", None)
    return name if isinstance(name, str) else None
