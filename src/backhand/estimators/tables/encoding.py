"""Encoding: columns as the numbers a network takes, in the manner of RealMLP.

Holzmüller, Grinsztajn, Steinwart, "Better by Default" (NeurIPS 2024), section 3: categories one
beside the other, two of them as one column of -1 and 1; then each column robustly scaled, and
clipped smoothly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from backhand.arguments import finite, shown, truth
from backhand.data.column_kinds import BOOLEAN, CATEGORY, DATE, NUMBER, PLURALS, TIME, Meaning
from backhand.data.written_dates import is_format
from backhand.estimators.tables.columns import Column
from backhand.tensor_file import Malformed, expect

DAY = 86_400.0

LATEST = 2.0**63 / 1e6
"""Seconds since 1970 beyond which microseconds are none that NumPy can count."""

MOST_CATEGORIES = 128
"""Of a column; of more than these, the most frequent that occur twice: a column of names that are
all different tells nothing about a new row, and would make the matrix as wide as it is long."""


@dataclass(frozen=True)
class ColumnCode:
    """How one column becomes numbers.

    Attributes:
        name, kind: of the column.
        categories: of a category, in order; one not among them counts as missing.
        median: of a number, date or time; stands where one is missing.
        shows_missing: whether a column of its own says where a value was missing.
        missing: words, and numbers such as 9999, that count as missing.
        date_format: of dates that were text in training; unit: of numbers that were; see Meaning.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    median: float = 0.0
    shows_missing: bool = False
    missing: tuple[str, ...] = ()
    date_format: str = ""
    unit: str = ""

    @classmethod
    def from_json(cls, place: str, found: dict[str, Any]) -> ColumnCode:
        """The code that a file holds; the place is for messages.

        Raises:
            TypeError, ValueError: it is none.
        """
        names = {each.name for each in fields(cls)}
        found = {
            "missing": [],
            "date_format": "",
            "unit": "",
            **found,
        }  # which older files do not have
        if found.keys() != names:
            raise Malformed(f"{place}: expected {', '.join(sorted(names))}, got {shown(found)}")
        kind = expect(f"{place}: kind", found["kind"], str)
        categories = expect(f"{place}: categories", found["categories"], list, of=str)
        code = cls(
            expect(f"{place}: name", found["name"], str),
            kind,
            tuple(categories),
            finite(place, "median", found["median"]),
            truth(place, "shows_missing", found["shows_missing"]),
            tuple(expect(f"{place}: missing", found["missing"], list, of=str)),
            expect(f"{place}: date_format", found["date_format"], str),
            expect(f"{place}: unit", found["unit"], str),
        )
        fits = kind in PLURALS and len(set(categories)) == len(categories)
        fits = fits and (kind == CATEGORY or not categories)
        fits = fits and (kind in (NUMBER, DATE, TIME) or not code.shows_missing)
        fits = fits and (kind != DATE or abs(code.median) < LATEST)
        form = code.date_format
        fits = fits and (not form or (kind == DATE and is_format(form)))
        fits = fits and (not code.unit or kind == NUMBER)
        if not fits:
            raise Malformed(f"{place}: does not fit together: {shown(found)}")
        return code

    @property
    def meaning(self) -> Meaning:
        """How the column is read."""
        return Meaning(self.kind, self.missing, self.date_format, self.unit)

    @property
    def width(self) -> int:
        """How many columns of numbers `numbers` makes."""
        if self.kind == CATEGORY:
            return 1 if len(self.categories) == 2 else len(self.categories)
        return {DATE: 4, TIME: 3}.get(self.kind, 1) + self.shows_missing

    @classmethod
    def of(cls, column: Column) -> ColumnCode:
        """The code that suits a column of the training table."""
        given = column.values[~column.missing]
        shows = bool(column.missing.any()) and column.kind in (NUMBER, DATE, TIME)
        if column.kind == CATEGORY:
            return cls(column.name, CATEGORY, _categories_of(given))
        median = float(np.median(given)) if len(given) and column.kind != BOOLEAN else 0.0
        return cls(
            column.name,
            column.kind,
            median=median,
            shows_missing=shows,
            missing=column.codes,
            date_format=column.date_format,
            unit=column.unit,
        )

    def numbers(self, column: Column) -> list[np.ndarray]:
        """The column as columns of float64.

        Raises:
            ValueError: the column is of another kind than in training.
        """
        if column.kind != self.kind and not column.missing.all():
            raise ValueError(
                f"column {self.name!r}: expected {PLURALS[self.kind]} as in training, "
                f"got {PLURALS[column.kind]}"
            )
        if self.kind == CATEGORY:
            return self._categories(column)
        if self.kind == BOOLEAN:
            return [np.where(column.missing, 0.0, _as_float(column) * 2 - 1)]
        values = np.where(column.missing, self.median, _as_float(column))
        parts = {DATE: _parts_of_dates, TIME: _parts_of_times}.get(self.kind)
        found = [values] if parts is None else parts(values)
        return [*found, column.missing.astype(np.float64)] if self.shows_missing else found

    def _categories(self, column: Column) -> list[np.ndarray]:
        text = column.values.astype(object)
        text[column.missing] = None
        columns = [(text == each).astype(np.float64) for each in self.categories]
        return [columns[0] - columns[1]] if len(columns) == 2 else columns


def _categories_of(given: np.ndarray) -> tuple[str, ...]:
    counted = Counter(given.tolist())
    if len(counted) > MOST_CATEGORIES:
        often = (name for name, count in counted.most_common(MOST_CATEGORIES) if count > 1)
        return tuple(sorted(often))
    return tuple(sorted(counted))


def _as_float(column: Column) -> np.ndarray:
    """The values; zeros where all are missing and the column is of no kind of numbers."""
    if column.kind == CATEGORY:
        return np.zeros(len(column.values))
    return column.values


def _parts_of_dates(seconds: np.ndarray) -> list[np.ndarray]:
    """The date in days, the month, the day of the week, and the hour."""
    moments = (seconds * 1e6).astype("datetime64[us]")
    months = moments.astype("datetime64[M]").astype(np.int64) % 12
    days = moments.astype("datetime64[D]").astype(np.int64)
    hours = (seconds / 3600) % 24
    return [seconds / DAY, months.astype(np.float64), ((days + 3) % 7).astype(np.float64), hours]


def _parts_of_times(seconds: np.ndarray) -> list[np.ndarray]:
    """The hour, and where it stands on the face of a clock, so that midnight is no cliff."""
    angle = seconds * (2 * np.pi / DAY)
    return [seconds / 3600, np.sin(angle), np.cos(angle)]


@dataclass(frozen=True)
class Encoding:
    """How a table becomes a matrix.

    Attributes:
        codes: for each column, in order.
        centres, factors: (features,); x is scaled to f · (x - c), then to x / √(1 + (x / 3)²).
    """

    codes: tuple[ColumnCode, ...]
    centres: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Encoding:
        """The encoding that suits a training table.

        A factor is 1 / (the distance of the quartiles), or 2 / (the range) where that is 0, or 0
        where the column is constant.
        """
        codes = tuple(ColumnCode.of(column) for column in columns)
        matrix = _matrix(codes, columns)
        if matrix.shape[1] == 0:
            raise ValueError("X: no column has a value to learn from")
        low, centres, high = np.quantile(matrix, (0.25, 0.5, 0.75), axis=0)
        spread = high - low
        extent = (matrix.max(0) - matrix.min(0)) / 2
        spread = np.where(spread == 0, extent, spread)
        factors = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        return cls(codes, centres, factors)

    def matrix(self, columns: Sequence[Column]) -> np.ndarray:
        """The table as float32 (rows, features)."""
        scaled = (_matrix(self.codes, columns) - self.centres) * self.factors
        clipped: np.ndarray = scaled / np.sqrt(1 + (scaled / 3) ** 2)
        return clipped.astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes it again from."""
        return {
            "codes": [asdict(code) for code in self.codes],
            "centres": self.centres.tolist(),
            "factors": self.factors.tolist(),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Encoding:
        """The encoding that `to_json` wrote.

        Raises:
            TypeError, ValueError: it is none, or its parts do not fit.
        """
        written = expect("codes", found.get("codes"), list, of=dict)
        codes = tuple(ColumnCode.from_json(f"column {i}", each) for i, each in enumerate(written))
        width = sum(code.width for code in codes)
        scales = {}
        for name in ("centres", "factors"):
            values = expect(name, found.get(name), list)
            if len(values) != width or width == 0:
                raise Malformed(f"{name}: {len(values)} numbers for {width} columns of the matrix")
            scales[name] = np.array([finite("encoding", name, value) for value in values])
        return cls(codes, **scales)


@dataclass(frozen=True)
class EncodedTable:
    """A table encoded already: models predict from it too, without reading columns again.

    Attributes:
        matrix: (rows, features), as Encoding.matrix gives it.
    """

    matrix: np.ndarray


def _matrix(codes: Sequence[ColumnCode], columns: Sequence[Column]) -> np.ndarray:
    parts = [
        each for code, column in zip(codes, columns, strict=True) for each in code.numbers(column)
    ]
    rows = len(columns[0].values)
    return np.stack(parts, axis=1) if parts else np.zeros((rows, 0))
