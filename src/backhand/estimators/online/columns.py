"""Columns: which feature of a stream stands in which column of a row."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

Row = np.ndarray[Any, np.dtype[np.float64]]


class Columns:
    """Which feature stands in which column; a missing value is NaN there.

    Attributes:
        places: the column of each feature, by name, in the order of the columns.
    """

    def __init__(self, names: Sequence[Hashable] = ()) -> None:
        self.places: dict[Hashable, int] = {}
        self.put(names, range(len(names)))

    def put(self, names: Iterable[Hashable], places: Iterable[int]) -> None:
        """Give features columns: new ones at the end, or those of others, which lose them."""
        order = list(self.places)
        for name, place in zip(names, places, strict=True):
            order[place : place + 1] = [name]
        self.places = {name: place for place, name in enumerate(order)}
        self._prepare()

    def _prepare(self) -> None:
        """A row with all the features and nothing else is read in three calls into C."""
        names = list(self.places)
        self._count = len(names)
        # itemgetter makes a tuple only of two or more.
        self._values: Callable[..., tuple[Any, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda x: tuple(x[name] for name in names)
        )
        self._pack: Callable[..., None] = struct.Struct(f"={len(names)}d").pack_into

    def new_in(self, names: Iterable[Hashable]) -> list[Hashable]:
        """Those of the names that have no column, in an order that does not depend on theirs."""
        new = [name for name in names if name not in self.places]
        return sorted(new, key=lambda name: (type(name).__name__, str(name)))

    def read_whole(self, x: Mapping[Hashable, Any], row: Row) -> bool:
        """Write x into the row, if it has just the known features, all finite numbers."""
        # Another kind of dict may make up what it does not have.
        if type(x) is not dict or len(x) != self._count:
            return False
        try:
            values = self._values(x)
            total = sum(values)
            if total - total == 0:
                self._pack(row, 0, *values)
                return True
        except (KeyError, TypeError, OverflowError, struct.error):
            pass  # the long way finds out what is wrong, if anything is
        return False

    def read(self, values: Mapping[Hashable, float], row: Row) -> None:
        """Write into the row what is known of the values."""
        row.fill(math.nan)
        places = self.places
        for name, value in values.items():
            place = places.get(name)
            if place is not None:
                row[place] = value


def numbers(x: Mapping[Hashable, Any]) -> dict[Hashable, float]:
    """The features' values as floats; None is NaN, a missing value.

    Raises:
        TypeError: x is no dict, or a value no number.
        ValueError: a value is infinite.
    """
    if not isinstance(x, Mapping):
        raise TypeError(f"expected a dict of features, got {type(x).__name__}")
    return {name: number(name, value) for name, value in x.items()}


def number(name: Hashable, value: Any) -> float:
    """A feature's value as a float; see numbers."""
    if value is None:
        return math.nan
    try:
        found = float(value) if not isinstance(value, str) else None
    except (TypeError, ValueError):
        found = None
    except OverflowError:
        found = math.inf
    if found is None:
        raise TypeError(
            f"feature {name!r}: expected a number, got {value!r}; encode it first, "
            "for example with river's OneHotEncoder"
        )
    if math.isinf(found):
        raise ValueError(f"feature {name!r}: expected a finite number or NaN, got {value}")
    return found
