"""All that is decided before training: which columns and rows, the target, the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from backhand.cli.tables.columns import column_notes, columns_table, target_notes
from backhand.cli.tables.reading import HowToRead, Table, read_table
from backhand.cli.tables.split import Split, Splitting, split_rows
from backhand.cli.tables.target import Target, split_target
from backhand.data.column_kinds import Meaning


@dataclass
class Prepared:
    """A table ready for training.

    Attributes:
        table: the features.
        target: what is to be predicted, in the same rows.
        splits: the rows to train on and to test with; of cross-validation, each fold's.
        left_out: names of the file's columns that are not learnt from.
        notes: what a reader must know, a sentence each.
        warnings: of each column, a few words each.
    """

    table: Table
    target: Target
    splits: list[Split]
    left_out: list[str]
    notes: list[str]
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def show(self, console: Console) -> None:
        """Print what was decided."""
        frame = self.table.frame
        console.print(
            f"{self.table.path}: {len(frame):,} rows, {frame.width} columns", soft_wrap=True
        )
        console.print(f"{self.target.name}: {self.target.task}, {self.target.why}", soft_wrap=True)
        console.print(columns_table(self.table, self.warnings))
        for note in self.notes:
            console.print(note, soft_wrap=True)

    def all_notes(self) -> list[str]:
        """The notes, and those on columns, as sentences."""
        columns = self.warnings.items()
        return [*self.notes, *(f"{name}: {'; '.join(words)}." for name, words in columns if words)]

    def remembered(self) -> tuple[dict[str, Meaning], list[str]]:
        """How the columns are read, and which were left out: for the model to keep."""
        names = self.table.frame.columns
        return {name: self.table.found[name].meaning for name in names}, self.left_out


def prepare(
    path: Path,
    target_name: str,
    task: str | None,
    drop: Sequence[str],
    how: HowToRead,
    splitting: Splitting,
    seed: int,
) -> Prepared:
    """Read a table, take the target out, split the rows.

    Raises:
        ValueError: the file, a column or an option cannot be used.
        OSError: a file cannot be read.
    """
    if target_name in drop:
        raise ValueError(f"drop: {target_name!r} is the target")
    table = read_table(path, how, without=drop)
    features, target, given = split_target(path, table.frame, target_name, task)
    whole = table
    table = _of_features(table, features, given)
    notes = [*table.notes, *_target_notes(whole, target, given)]
    splits = split_rows(target, splitting, seed)
    prepared = Prepared(table, target, splits, list(drop), notes)
    prepared.warnings = column_notes(table, target)
    return prepared


def _of_features(table: Table, features: Any, given: np.ndarray) -> Table:
    """The rows that have a target, the columns without it; the gaps and values counted anew."""
    found = {
        name: replace(
            table.found[name],
            gaps=features[name].null_count(),
            different=features[name].drop_nulls().n_unique(),
        )
        for name in features.columns
    }
    return replace(table.filtered(given), frame=features, found=found)


def _target_notes(table: Table, target: Target, given: np.ndarray) -> list[str]:
    notes = [f"{target.name}: {words}." for words in table.found[target.name].notes]
    if not given.all():
        gone = int((~given).sum())
        rows = "1 row has" if gone == 1 else f"{gone:,} rows have"
        left = "was" if gone == 1 else "were"
        notes.append(f"{rows} no value in {target.name} and {left} left out.")
    return notes + target_notes(target)
