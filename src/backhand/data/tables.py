"""Tables of points: CSV files with the columns x, y and, for training, label."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from torch import Tensor

from backhand.data.checked import Data


class TableError(ValueError):
    """A table cannot be used; the message names the file, and the line where one is at fault."""


def read_points(path: str | Path) -> Tensor:
    """The points of a CSV file with the columns x and y; other columns are passed over.

    Returns:
        points (rows, 2), float32.

    Raises:
        TableError: a column is missing, a value is not a finite number, or there are no rows.
        OSError: the file cannot be read.
    """
    return torch.tensor(_read(Path(path), ("x", "y")))


def read_labelled_points(path: str | Path) -> Data:
    """The points and labels of a CSV file with the columns x, y and label (0 or 1).

    Returns:
        inputs (rows, 2) and targets (rows, 1), float32.

    Raises:
        TableError: as for read_points, or a label is neither 0 nor 1.
        OSError: the file cannot be read.
    """
    path = Path(path)
    table = torch.tensor(_read(path, ("x", "y", "label")))
    return Data(table[:, :2].contiguous(), table[:, 2:].contiguous())


def _read(path: Path, columns: tuple[str, ...]) -> list[list[float]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            for column in columns:
                if column not in header:
                    found = ", ".join(header) or "none"
                    raise TableError(f"{path}: expected a column {column}; it has {found}")
            rows = [
                [_number(path, reader.line_num, column, row[column]) for column in columns]
                for row in reader
            ]
    except UnicodeDecodeError as problem:
        raise TableError(f"{path}: not a text file in UTF-8 ({problem.reason})") from None
    except csv.Error as problem:
        raise TableError(f"{path}: not a CSV file ({problem})") from None
    if not rows:
        raise TableError(f"{path}: expected at least one row below the header, got none")
    return rows


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    place = f"{path}, line {line}"
    if text is None or not text.strip():
        raise TableError(f"{place}: expected a number in column {column}, got nothing")
    try:
        number = float(text)
    except ValueError:
        raise TableError(f"{place}: expected a number in column {column}, got {text!r}") from None
    if not abs(number) <= torch.finfo(torch.float32).max:
        raise TableError(f"{place}: expected a finite number in column {column}, got {text!r}")
    if column == "label" and number not in (0.0, 1.0):
        raise TableError(f"{place}: expected label 0 or 1, got {text!r}")
    return number
