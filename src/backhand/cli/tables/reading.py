"""Table files: CSV and Parquet, read by polars; what cannot be used is one sentence."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

CSV, PARQUET = (".csv", ".tsv", ".txt"), (".parquet", ".pq")
SEPARATORS = ",;\t|"
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]
"""What stands for a missing value in a CSV file."""


NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity)\s*", re.IGNORECASE)


def read_table(path: Path, text: Collection[str] = ()) -> Any:
    """The polars DataFrame of a CSV file (any separator of `,;|` and tab) or a Parquet file.

    Args:
        path: says by its ending which it is.
        text: columns to read as text, even where they look like something else.

    Raises:
        ValueError: polars is not installed, or the file cannot be used: says which line.
        OSError: the file cannot be read.
    """
    try:
        import polars
    except ModuleNotFoundError:
        raise ValueError("tables need polars: pip install 'backhand[cli,tables]'") from None
    ending = path.suffix.lower()
    if ending not in CSV + PARQUET:
        endings = ", ".join(CSV + PARQUET)
        raise ValueError(f"{path}: expected a file that ends in one of {endings}")
    content = path.read_bytes()
    if (content[:4] == b"PAR1") != (ending in PARQUET):
        found = "not a" if ending in PARQUET else "a"
        raise ValueError(f"{path}: ends in {ending}, but is {found} Parquet file")
    try:
        if ending in PARQUET:
            table = polars.read_parquet(io.BytesIO(content))
            casts = [name for name in table.columns if name in text]
            return table.with_columns(polars.col(casts).cast(polars.String)) if casts else table
        cleaned, separator, names = _checked(path, content)
        table = polars.read_csv(
            cleaned.encode(),
            separator=separator,
            infer_schema_length=None,
            try_parse_dates=True,
            null_values=MISSING,
            schema_overrides={name: polars.String for name in names if name in text},
        )
        numbers = [_numbers(table[name], separator) for name in names if name not in text]
        return table.with_columns(numbers)
    except polars.exceptions.PolarsError as problem:
        raise ValueError(f"{path}: {str(problem).splitlines()[0]}") from None


def _numbers(column: Any, separator: str) -> Any:
    """A column of text as numbers, where all of it is: "inf", which polars takes for a word, and
    "3,14" where commas do not separate columns.
    """
    import polars

    if column.dtype != polars.String or column.null_count() == len(column):
        return column
    words = column.drop_nulls().unique().to_list()
    if separator != ",":
        words = [word.replace(",", ".") for word in words]
    if not all(NUMBER.fullmatch(word) for word in words):
        return column
    values = [None if each is None else float(each.replace(",", ".")) for each in column]
    return polars.Series(column.name, values, dtype=polars.Float64)


def _checked(path: Path, content: bytes) -> tuple[str, str, list[str]]:
    """The text, its separator and the columns' names.

    Raises:
        ValueError: not UTF-8, no rows, two columns of one name, or a line of another length.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line}: not UTF-8; save the file as UTF-8, or convert it with iconv"
        ) from None
    lines = text.splitlines()
    if not lines:
        raise ValueError(f"{path}: the file is empty")
    separator = max(SEPARATORS, key=lines[0].count)
    spaced = f"{separator} " in lines[0]
    try:
        rows = csv.reader(
            io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=spaced, strict=True
        )
        names = [name.strip() for name in next(rows)]
        kept = []
        for row in rows:
            if row and len(row) != len(names):
                raise ValueError(
                    f"{path}, line {rows.line_num}: expected {len(names)} columns "
                    f"as in the first line, got {len(row)}"
                )
            if spaced and row:
                kept.append([each.strip() for each in row])
    except csv.Error as problem:
        raise ValueError(f"{path}, line {rows.line_num}: {problem}") from None
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path}: expected one column named {name!r}, got two")
    if not spaced:
        return text, separator, names
    again = io.StringIO()
    csv.writer(again, delimiter=separator, lineterminator="\n").writerows([names, *kept])
    return again.getvalue(), separator, names


def nearest(name: str, names: Iterable[str]) -> str:
    """A question to add where a column is not there: what may have been meant."""
    found = difflib.get_close_matches(name, list(names), 1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""
