"""Errors as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sentence(problem: Exception) -> str:
    """One line; of an error of the file system, the file and the reason."""
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    return " ".join(str(problem).split())


@contextmanager
def named(path: Path) -> Iterator[None]:
    """What is wrong with a table's column names the file too."""
    try:
        yield
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
