"""One column of a file as what its words mean, and what was found in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backhand.cli.tables.table_files import RawTable
from backhand.data.column_kinds import (
    BOOLEAN,
    CATEGORY,
    DATE,
    NUMBER,
    PLURALS,
    TIME,
    Meaning,
    Words,
    is_whole,
    missing_codes,
    read_words,
)

NONE = {
    NUMBER: "no number", DATE: "no date", TIME: "no time of day",
    BOOLEAN: "neither true nor false",
}  # fmt: skip
"""What is said of a word that is nothing of the kind."""


@dataclass(frozen=True)
class ColumnFound:
    """What was decided of a column.

    Attributes:
        meaning: how it is read.
        gaps: how many values are missing.
        different: how many different values are given.
        notes: what a reader should know, a few words each.
        written: words that stand for gaps, quoted.
    """

    meaning: Meaning
    gaps: int
    different: int
    notes: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


def read_column(
    raw: RawTable, column: Any, meant: Meaning | None, missing: Sequence[str], insisted: bool
) -> tuple[Any, ColumnFound]:
    """A column of the kind that it is meant, or looks like, and what was decided."""
    import polars

    column = _plain(raw, column, meant)
    if column.dtype != polars.String:
        return _finished(raw, column, meant, _words_of(meant, missing), meant is None, [])
    plain = None if meant is not None or missing else _as_plain_numbers(column)
    if plain is not None:
        return _finished(raw, plain, None, (), True, [])
    counts = _counted(column)
    words = read_words(counts, meant, missing=missing, decimal_comma=raw.decimal_comma)
    if meant is not None and meant.kind != CATEGORY and words.meaning.kind == CATEGORY:
        _refuse(raw, column, meant, insisted)
    typed = _typed(column, words)
    notes = [words.doubt] if words.doubt else []
    if words.strays:
        notes.append(_strays_note(raw, column, words))
    meaning = replace(words.meaning, missing=_words_of(meant, missing))
    typed, found = _finished(raw, typed, meaning, meaning.missing, meant is None, notes)
    return typed, replace(found, written=tuple(repr(word) for word in words.gaps if word.strip()))


def _counted(column: Any) -> dict[Any, int]:
    """Each value that is given, in order, and in how many rows it stands."""
    given = column.drop_nulls().rename("value").to_frame()
    return dict(given.group_by("value", maintain_order=True).len().iter_rows())


def _words_of(meant: Meaning | None, missing: Sequence[str]) -> tuple[str, ...]:
    """The words that stand for no value, those that are known and those that were said."""
    return tuple(dict.fromkeys([*(meant.missing if meant else ()), *missing]))


def _plain(raw: RawTable, column: Any, meant: Meaning | None) -> Any:
    """A column of a file that brings types, of those that we know; text where it is meant so.

    Raises:
        ValueError: it is of another type: lists, structures, durations.
    """
    import polars

    kind = column.dtype
    if kind.is_decimal():
        return column.cast(polars.Float64)
    if kind in (polars.Categorical, polars.Enum, polars.Null, polars.Time):
        return column.cast(polars.String)
    known = kind.is_numeric() or kind in (
        polars.Boolean, polars.Date, polars.Datetime, polars.String,
    )  # fmt: skip
    if not known:
        raise ValueError(
            f"{raw.path}: column {column.name!r}: expected numbers, text, booleans or dates, "
            f"got {kind}"
        )
    wanted = None if meant is None else meant.kind
    same = (kind.is_numeric() and wanted == NUMBER) or (
        kind == polars.Boolean and wanted == BOOLEAN
    )
    same = same or (kind in (polars.Date, polars.Datetime) and wanted == DATE)
    return column if wanted is None or same else column.cast(polars.String)


def _as_plain_numbers(column: Any) -> Any:
    """A column of text as numbers, where nothing is to be decided; else None.

    Numbers padded with zeros are codes, and some whole numbers are dates.
    """
    import polars

    bare = column.str.strip_chars()
    numbers = bare.cast(polars.Float64, strict=False)
    if numbers.null_count() != column.null_count() or column.null_count() == len(column):
        return None
    if numbers.is_nan().any() or bare.str.contains(r"^[+-]?0\d").any():
        return None
    if not bare.str.contains(r"^[+-]?\d{1,18}$").all():
        return numbers
    whole = bare.cast(polars.Int64)
    return None if bare.str.contains(r"^(19|20)\d{6}$").all() else whole


def _typed(column: Any, words: Words) -> Any:
    """A column of text, its words replaced by their values."""
    import polars

    kind = words.meaning.kind
    if kind == CATEGORY:
        mapping = {word: value for word, value in words.values.items() if value is not None}
        typed = column.replace_strict(mapping, default=None, return_dtype=polars.String)
        return typed.cast(polars.Categorical)
    mapping = {word: value for word, value in words.values.items() if value is not None}
    if kind == NUMBER and all(is_whole(word) and len(word.strip()) < 19 for word in mapping):
        whole = {word: int(word) for word in mapping}
        return column.replace_strict(whole, default=None, return_dtype=polars.Int64)
    numbers = column.replace_strict(mapping, default=None, return_dtype=polars.Float64)
    if kind == BOOLEAN:
        return numbers.cast(polars.Boolean)
    if kind == DATE:
        return (numbers * 1e6).round().cast(polars.Int64).cast(polars.Datetime("us"))
    if kind == TIME:
        return (numbers * 1e9).round().cast(polars.Int64).cast(polars.Time)
    return numbers


def _finished(
    raw: RawTable,
    column: Any,
    meant: Meaning | None,
    missing: Sequence[str],
    undecided: bool,
    notes: list[str],
) -> tuple[Any, ColumnFound]:
    """A typed column without the numbers that stand for gaps, and what was decided of it.

    Raises:
        ValueError: it holds an infinity.
    """

    import polars

    if column.dtype.is_float():
        column = column.fill_nan(None)
        infinite = column.is_infinite().fill_null(False)
        if infinite.any():
            row = infinite.arg_max()
            raise ValueError(
                f"{raw.path}: column {column.name!r}: {raw.unit} {raw.numbers[row]} "
                f"holds an infinity ({raw.frame[column.name][row]}); expected a finite number"
            )
    kind = _kind(column.dtype)
    if column.dtype.is_numeric():
        words = read_words(dict.fromkeys(missing, 1), Meaning(NUMBER)).values.values()
        codes = [each for each in words if isinstance(each, float)]
        if undecided:
            counted = _counted(column)
            found = missing_codes(counted, counted.__getitem__)
            if found:
                shown = ", ".join(f"{code:g} ({counted[code]:,} rows)" for code in found)
                notes.append(f"{shown} taken as missing; --types {column.name}=number keeps it")
            codes += found
            missing = (*missing, *(f"{code:g}" for code in found))
        if codes:
            gone = column.cast(polars.Float64).is_in(codes).fill_null(False)
            column = column.set(gone, None)
    form = meant.date_format if meant is not None and kind == DATE else ""
    unit = meant.unit if meant is not None and kind == NUMBER else ""
    meaning = Meaning(kind, tuple(missing), form, unit)
    given = column.drop_nulls()
    return column, ColumnFound(meaning, column.null_count(), given.n_unique(), tuple(notes))


def _kind(dtype: Any) -> str:
    import polars

    if dtype == polars.Boolean:
        return BOOLEAN
    if dtype.is_numeric():
        return NUMBER
    if dtype == polars.Time:
        return TIME
    return DATE if dtype in (polars.Date, polars.Datetime) else CATEGORY


def _rows_of(raw: RawTable, column: Any, words: Collection[str]) -> list[str]:
    """Where the first of these words stands, each as `'oops' in line 3`."""
    found = []
    for word in words:
        row = (column == word).fill_null(False).arg_max()
        found.append(f"{word!r} in {raw.unit} {raw.numbers[row]}")
    return found


def _strays_note(raw: RawTable, column: Any, words: Words) -> str:
    bare = column.str.strip_chars()
    some = ", ".join(_rows_of(raw, bare, words.strays[:3]))
    rows = int(bare.is_in(list(words.strays)).sum())
    more = f" …: {rows:,} rows" if rows > len(words.strays[:3]) else ""
    return f"{some}{more}: {NONE[words.meaning.kind]}, taken as missing"


def _refuse(raw: RawTable, column: Any, meant: Meaning, insisted: bool) -> None:
    """Say which word is not what the column is meant to hold."""
    counts = dict.fromkeys(column.drop_nulls().unique(maintain_order=True).to_list(), 1)
    for word in counts:
        if read_words({word: 1}, meant, decimal_comma=raw.decimal_comma).meaning.kind == CATEGORY:
            where = _rows_of(raw, column, [word])[0]
            as_said = "as --types says" if insisted else "as in training"
            raise ValueError(
                f"{raw.path}: column {column.name!r}: expected {PLURALS[meant.kind]} {as_said}, "
                f"got {where}"
            )
