"""Errors as a person reads them."""

from __future__ import annotations


def sentence(problem: Exception) -> str:
    """One line; of an error of the file system, the file and the reason."""
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    return " ".join(str(problem).split())
