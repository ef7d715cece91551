"""Tables: a file's columns as what their words mean, and what was found in each."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from backhand.cli.tables.column_reading import ColumnFound, read_column
from backhand.cli.tables.table_files import read_file
from backhand.data.column_kinds import DATE, KINDS, Meaning
from backhand.data.written_dates import is_format


@dataclass(frozen=True)
class HowToRead:
    """What a user may say of a file.

    Attributes:
        encoding: of text; default UTF-8.
        missing: words that stand for no value, each perhaps as COLUMN=WORD.
        types: of columns, each as COLUMN=KIND, or COLUMN=FORMAT of dates.
    """

    encoding: str | None = None
    missing: Sequence[str] = ()
    types: Sequence[str] = ()

    def meanings(self, path: Path, names: Collection[str]) -> dict[str, Meaning]:
        """What was said of columns.

        Raises:
            ValueError: there is no such column or kind.
        """
        found = {}
        for word in self.types:
            name, equals, kind = word.rpartition("=")
            if not equals:
                raise ValueError(f"types: expected COLUMN=KIND, got {word!r}")
            if name not in names:
                raise ValueError(
                    f"{path}: types: there is no column {name!r}{nearest(name, names)}"
                )
            if kind not in KINDS and not is_format(kind):
                raise ValueError(
                    f"types: expected {', '.join(KINDS)}, or a format of dates such as %d/%m/%Y, "
                    f"got {kind!r}"
                )
            found[name] = Meaning(kind) if kind in KINDS else Meaning(DATE, (), kind)
        return found

    def check_missing(self, path: Path, names: Collection[str]) -> None:
        """Refuse words for a column that is not there.

        Raises:
            ValueError: it is not.
        """
        for word in self.missing:
            name, equals, own = word.partition("=")
            if equals and name and own and name not in names:
                raise ValueError(
                    f"{path}: missing: there is no column {name!r}{nearest(name, names)}"
                )

    def absent(self, column: str, names: Collection[str]) -> list[str]:
        """The words that stand for no value in a column."""
        found = []
        for word in self.missing:
            name, equals, own = word.partition("=")
            if not equals or name not in names:
                found.append(word)
            elif name == column:
                found.append(own)
        return found


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        path: of its file.
        frame: a polars DataFrame: numbers, categories (Categorical), booleans, dates (Datetime).
        rows: their numbers, from 1. lines: where they stand in the file (rows,).
        unit: what these count: lines or rows.
        found: for each column, what was decided.
        notes: what a reader must know, a sentence each.
        raw: the columns as they stand in the file.
    """

    path: Path
    frame: Any
    rows: np.ndarray
    lines: np.ndarray
    unit: str
    found: Mapping[str, ColumnFound] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    raw: Any = None

    def filtered(self, keep: np.ndarray) -> Table:
        """The rows of a mask."""
        frame, raw = self.frame.filter(keep), self.raw.filter(keep)
        rows, lines = self.rows[keep], self.lines[keep]
        return replace(self, frame=frame, raw=raw, rows=rows, lines=lines)

    def place(self, row: int) -> str:
        """Where a row stands in the file."""
        return f"{self.unit} {self.lines[row]}"


def read_table(
    path: Path,
    how: HowToRead | None = None,
    meant: Mapping[str, Meaning] | None = None,
    without: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> Table:
    """The table of a file, each column as what its words mean (`backhand.data.column_kinds`).

    Args:
        path: of the file; see `read_file`.
        how: what a user said of it.
        meant: columns whose meaning is known; what is said in `how` goes before it.
        without: columns to leave out. only: those to read, if not all; the others stay raw.

    Raises:
        ValueError: the file, a column or an option cannot be used.
        OSError: the file cannot be read.
    """
    how = how or HowToRead()
    raw = read_file(path, how.encoding)
    names = raw.frame.columns
    for name in without:
        if name not in names:
            raise ValueError(f"{path}: there is no column {name!r}{nearest(name, names)}")
    notes = list(raw.notes)
    if "" in names and only is None:
        notes.append("A column without a name was left out.")
        without = [*without, ""]
    said = how.meanings(path, names)
    how.check_missing(path, names)
    series, found = [], {}
    for name in names:
        if name in without or (only is not None and name not in only):
            continue
        missing = how.absent(name, names)
        mean = said.get(name) or (meant or {}).get(name)
        column, found[name] = read_column(raw, raw.frame[name], mean, missing, name in said)
        series.append(column)
    frame = type(raw.frame)(series)
    rows = np.arange(1, len(raw.frame) + 1)
    return Table(path, frame, rows, raw.numbers, raw.unit, found, tuple(notes), raw.frame)


def nearest(name: str, names: Iterable[str]) -> str:
    """A question to add where a column is not there: what may have been meant."""
    found = difflib.get_close_matches(name, list(names), 1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""
