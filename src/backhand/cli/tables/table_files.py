"""Table files as they stand: CSV, Parquet, JSON, Excel, read by polars; what cannot be used is one
sentence."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

CSV, PARQUET = (".csv", ".tsv", ".txt"), (".parquet", ".pq")
LINES, JSON, EXCEL = (".jsonl", ".ndjson"), (".json",), (".xlsx", ".xls")
GZIP = ".gz"
SEPARATORS = ",;\t|"
ALL = CSV + PARQUET + LINES + JSON + EXCEL

BEFORE_EXCEL = date(1899, 12, 30), date(1899, 12, 31)
"""The days that times of day are on, by Excel and by the reader's own count."""

_QUOTED = re.compile(r'"[^"]*"')
_SINGLE_QUOTED = re.compile(r"\s*'([^']|'')*'\s*")


@dataclass(frozen=True)
class RawTable:
    """A file's table.

    Attributes:
        path: of the file.
        frame: a polars DataFrame; of a CSV file, all text.
        numbers: of the rows in the file (rows,).
        unit: what these count: lines or rows.
        decimal_comma: whether a comma in a number is that of decimals, as it separates no columns.
        notes: what a reader must know, a sentence each.
    """

    path: Path
    frame: Any
    numbers: np.ndarray
    unit: str = "row"
    decimal_comma: bool = False
    notes: tuple[str, ...] = ()


def is_text(path: Path) -> bool:
    """Whether a file is one of text, by its ending."""
    return _ending(path) in CSV + LINES + JSON


def _ending(path: Path) -> str:
    packed = path.suffix.lower() == GZIP
    return (path.with_suffix("") if packed else path).suffix.lower()


def read_file(path: Path, encoding: str | None = None) -> RawTable:
    """The table of a CSV file (any separator of `,;|` and tab), a Parquet, JSON or Excel file.

    Args:
        path: says by its ending which it is; `.gz` may follow.
        encoding: of text; default UTF-8.

    Raises:
        ValueError: polars is not installed, or the file cannot be used: says which line.
        OSError: the file cannot be read.
    """
    try:
        import polars
    except ModuleNotFoundError:
        raise ValueError("tables need polars: pip install 'backhand[cli,tables]'") from None
    ending = _ending(path)
    if ending not in ALL:
        raise ValueError(
            f"{path}: expected a file that ends in one of {', '.join(ALL)}, or these and {GZIP}"
        )
    if encoding is not None and not is_text(path):
        raise ValueError(f"{path}: no file of text, so --encoding says nothing of it")
    content = _unpacked(path) if path.suffix.lower() == GZIP else path.read_bytes()
    if (content[:4] == b"PAR1") != (ending in PARQUET):
        found = "not a" if ending in PARQUET else "a"
        raise ValueError(f"{path}: ends in {ending}, but is {found} Parquet file")
    try:
        if ending in CSV:
            return _csv(path, _text(path, content, encoding or "utf-8"))
        frame = _frame(path, ending, content, encoding or "utf-8")
    except polars.exceptions.PolarsError as problem:
        raise ValueError(f"{path}: {str(problem).splitlines()[0]}") from None
    notes = _sheets(content) if ending in EXCEL else ()
    return RawTable(path, frame, np.arange(1, len(frame) + 1), notes=notes)


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(f"{path}: not a gzip file, or cut short ({problem})") from None


def _frame(path: Path, ending: str, content: bytes, encoding: str) -> Any:
    """The table of a file that brings its columns' types."""
    import polars

    if ending in PARQUET:
        return polars.read_parquet(io.BytesIO(content))
    if ending in EXCEL:
        return _excel(path, content)
    text = _text(path, content, encoding).encode()
    if ending in LINES:
        _check_lines(path, text)
        return polars.read_ndjson(text, infer_schema_length=None)
    return polars.read_json(text, infer_schema_length=None)


def _check_lines(path: Path, text: bytes) -> None:
    """Say which line of JSON lines is none: polars knows only how far into it."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found = json.loads(line)
            except ValueError as problem:
                raise ValueError(f"{path}, line {number}: not JSON ({problem})") from None
            if not isinstance(found, dict):
                raise ValueError(f"{path}, line {number}: expected a JSON object, got {found!r}")


def _sheets(content: bytes) -> tuple[str, ...]:
    """A sentence on sheets that are not read."""
    import fastexcel

    first, *others = fastexcel.read_excel(content).sheet_names
    return (f"Read from the first sheet, {first}; there are {len(others)} more.",) if others else ()


def _excel(path: Path, content: bytes) -> Any:
    import polars

    try:
        return _with_times(polars.read_excel(io.BytesIO(content), infer_schema_length=None))
    except ModuleNotFoundError:
        raise ValueError(
            f"{path}: Excel files need fastexcel: pip install 'backhand[excel]'"
        ) from None
    except Exception as problem:  # fastexcel has errors of its own, which share no base
        reason = str(problem).splitlines()[0]
        raise ValueError(f"{path}: not an Excel file that can be read ({reason})") from None


def _with_times(frame: Any) -> Any:
    """Times of day as such: a sheet has them as moments of the day before its calendar begins."""
    import polars

    for column in frame.select(polars.selectors.datetime()).iter_columns():
        days = column.dt.date().drop_nulls().unique().to_list()
        if len(days) == 1 and days[0] in BEFORE_EXCEL:
            frame = frame.with_columns(column.dt.time())
    return frame


def _text(path: Path, content: bytes, encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding).name
    except LookupError:
        raise ValueError(f"encoding: expected one that Python knows, got {encoding!r}") from None
    if codec == "utf-8" and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = encoding = "utf-16"
    try:
        return content.decode("utf-8-sig" if codec == "utf-8" else codec)
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        hint = "" if codec != "utf-8" else "; --encoding latin-1 reads most others"
        raise ValueError(f"{path}, line {line}: not {encoding.upper()}{hint}") from None


def _csv(path: Path, text: str) -> RawTable:
    """The table of CSV text: columns as text, rows by the lines they begin at.

    Raises:
        ValueError: no rows, two columns of one name, or a line of another length.
    """
    import polars

    if "\r" in text and "\n" not in text:  # as on old Macs
        text = text.replace("\r", "\n")
    skipped, text = _without_comments(text)
    first = text.split("\n", 1)[0].rstrip("\r")
    if not first and not text.strip():
        raise ValueError(f"{path}: the file is empty")
    bare = _QUOTED.sub("", first)
    separator = max(SEPARATORS, key=bare.count)
    quote = "'" if all(map(_SINGLE_QUOTED.fullmatch, first.split(separator))) else '"'
    spaced = f"{separator} " in bare
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quotechar=quote,
        skipinitialspace=spaced, strict=True,
    )  # fmt: skip
    rows = _rows(path, reader, skipped)
    names = [name.strip() for name in next(rows)[1]]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path}: expected one column named {name!r}, got two")
    # polars takes spaces after a separator for part of a word, and blank lines for rows
    if spaced or "\n\n" in text or "\n\r\n" in text:
        kept = list(rows)
        numbers = [number for number, _ in kept]
        again = io.StringIO()
        writer = csv.writer(again, delimiter=separator, lineterminator="\n")
        writer.writerows([names, *(row for _, row in kept)])
        text, quote = again.getvalue(), '"'
    else:
        numbers = [number for number, _ in rows]
    frame = polars.read_csv(
        text.encode(), separator=separator, quote_char=quote, infer_schema=False
    )
    frame.columns = names
    if len(frame) != len(numbers):
        raise ValueError(f"{path}: expected {len(numbers):,} rows, found {len(frame):,}")
    notes = (f"Lines of comments passed over before the header: {skipped}.",) if skipped else ()
    return RawTable(path, frame, np.array(numbers, int), "line", separator != ",", notes)


def _rows(path: Path, reader: Any, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows that are not blank, each with the line it begins at."""
    width = None
    end = 0
    try:
        for row in reader:
            begin, end = end + 1, reader.line_num
            width = width or len(row)
            if not row:
                continue
            if len(row) != width:
                raise ValueError(
                    f"{path}, line {begin + skipped}: expected {width} columns "
                    f"as in the first line, got {len(row)}"
                )
            yield begin + skipped, row
    except csv.Error as problem:
        raise ValueError(f"{path}, line {reader.line_num + skipped}: {problem}") from None


def _without_comments(text: str) -> tuple[int, str]:
    """How many lines stand before the header that begin with `#`, and the text without them.

    A header that begins so has as many separators as the line after it.
    """
    skipped = 0
    while text.startswith("#"):
        line, _, rest = text.partition("\n")
        below = rest.split("\n", 1)[0]
        if any(line.count(each) and line.count(each) == below.count(each) for each in SEPARATORS):
            break
        skipped, text = skipped + 1, rest
    return skipped, text
