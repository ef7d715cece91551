"""All that is decided before training: which columns and rows, the target, the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from backhand.cli.errors import named
from backhand.cli.tables.columns import column_notes, columns_table, target_notes
from backhand.cli.tables.reading import HowToRead, Table, nearest, read_table
from backhand.cli.tables.split import Split, Splitting, check_rows, split_rows
from backhand.cli.tables.table_files import is_text
from backhand.cli.tables.target import CLASSIFICATION, Target, split_target
from backhand.data.column_kinds import DATE, NUMBER, Meaning


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
        carried: the columns that name the rows, for the predictions.
        told: the groups or the order of all rows, where the user named a column of it.
        tests: the user's own file of test rows, which are below the others.
    """

    table: Table
    target: Target
    splits: list[Split]
    left_out: list[str]
    notes: list[str]
    warnings: dict[str, list[str]] = field(default_factory=dict)
    carried: dict[str, list[Any]] = field(default_factory=dict)
    told: dict[str, np.ndarray] = field(default_factory=dict)
    tests: Path | None = None

    def show(self, console: Console) -> None:
        """Print what was decided."""
        frame = self.table.frame
        rows = f"{len(frame):,} rows" + (f" with those of {self.tests}" if self.tests else "")
        console.print(f"{self.table.path}: {rows}, {frame.width} columns", soft_wrap=True)
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
    ids: Sequence[str] = (),
) -> Prepared:
    """Read a table, take the target out, split the rows.

    Args:
        path: of the table.
        target_name, task: what is to be predicted, and how; None for what it looks like.
        drop, ids: columns that are not learnt from; the latter go with the predictions.
        how: to read the files.
        splitting: of the rows.
        seed: of what is random.

    Raises:
        ValueError: the file, a column or an option cannot be used.
        OSError: a file cannot be read.
    """
    group = [splitting.group] if splitting.group else []
    left_out = list(dict.fromkeys([*drop, *ids, *group]))
    for option, names in (("drop", drop), ("id", ids), ("group", group)):
        if target_name in names:
            raise ValueError(f"{option}: {target_name!r} is the target")
    whole = read_table(path, how, without=[name for name in left_out if name != splitting.order])
    own = np.zeros(len(whole.frame), bool)
    if splitting.file is not None:
        whole, own = _with_tests(whole, splitting.file, how, target_name, left_out, ids)
    learnt = whole.frame.drop(left_out, strict=False)
    features, target, given = split_target(path, learnt, target_name, task)
    table, own = _of_features(whole, features, given), own[given]
    told = _told(whole.filtered(given), target, splitting, own)
    if splitting.file is not None:
        splits = [_own_split(path, target, own, splitting.file)]
    else:
        with named(path):
            splits = split_rows(target, splitting, seed, **told)
    notes = [*table.notes, *_target_notes(whole, target, given), *_split_notes(splitting)]
    carried = {name: table.raw[name].to_list() for name in ids}
    prepared = Prepared(table, target, splits, left_out, notes, carried=carried, told=told)
    prepared.tests = splitting.file
    prepared.warnings = column_notes(table, target)
    return prepared


def _with_tests(
    table: Table,
    path: Path,
    how: HowToRead,
    target: str,
    left_out: Sequence[str],
    ids: Sequence[str],
) -> tuple[Table, np.ndarray]:
    """The table with the rows of another file below, read alike, and which those are.

    What is not learnt from may be missing there, but for the columns that go with the predictions.

    Raises:
        ValueError: a column is not there, or holds something else.
    """
    import polars

    meant = {name: found.meaning for name, found in table.found.items()}
    tests = read_table(
        path, HowToRead(how.encoding if is_text(path) else None), meant, only=table.frame.columns
    )
    for name in dict.fromkeys([*table.frame.columns, *ids]):
        if name not in tests.raw.columns and (name in ids or name not in left_out):
            what = "the target" if name == target else f"which {table.path} has"
            asked = nearest(name, tests.raw.columns)
            raise ValueError(f"{path}: there is no column {name!r}, {what}{asked}")
    kept = [target, *left_out]
    frames = table.frame, _with_gaps(tests.frame, table.frame.columns)
    raws = [_with_gaps(each.raw, kept) for each in (table, tests)]
    joined = replace(
        table,
        frame=polars.concat(frames, how="vertical_relaxed"),
        raw=polars.concat(raws, how="vertical_relaxed"),
        rows=np.concatenate([table.rows, tests.rows]),
        lines=np.concatenate([table.lines, tests.lines]),
    )
    return joined, np.arange(len(joined.frame)) >= len(table.frame)


def _with_gaps(frame: Any, names: Sequence[str]) -> Any:
    """These columns of a frame; of one that is not there, gaps."""
    import polars

    gone = [polars.lit(None).alias(name) for name in names if name not in frame.columns]
    return frame.with_columns(gone).select(names)


def _told(table: Table, target: Target, how: Splitting, own: np.ndarray) -> dict[str, np.ndarray]:
    """The order or the groups of the rows, where a column of it was named.

    Args:
        own: which are the user's own test rows: their order does not matter (rows,).
    """
    if how.order is not None:
        return {"order": _order(table, target, how.order, own)}
    if how.group is not None:
        return {"groups": np.array([str(each) for each in table.raw[how.group].to_list()])}
    return {}


def _own_split(table: Path, target: Target, own: np.ndarray, path: Path | None) -> Split:
    """The rows of the user's own test file for the test.

    Raises:
        ValueError: one of the files has too few rows with a target, or a class is in the test only.
    """
    train, test = np.flatnonzero(~own), np.flatnonzero(own)
    with named(table):
        check_rows(target, len(train))
    if not len(test):
        raise ValueError(f"{path}: no row has a value in the column {target.name!r}")
    strange = ~np.isin(target.values[test], target.values[train])
    if target.task == CLASSIFICATION and strange.any():
        raise ValueError(
            f"{path}, column {target.name!r}: expected the classes of the table, "
            f"got {str(target.values[test][strange][0])!r}"
        )
    return train, test


def _order(table: Table, target: Target, name: str, own: np.ndarray) -> np.ndarray:
    """The values to order rows by.

    Raises:
        ValueError: there is no such column, it has gaps, or is of categories.
    """
    if name == target.name or name not in table.frame.columns:
        what = "is the target" if name == target.name else "is not there"
        raise ValueError(
            f"{table.path}: order: the column {name!r} {what}{nearest(name, table.frame.columns)}"
        )
    kind, column = table.found[name].meaning.kind, table.frame[name]
    if kind not in (NUMBER, DATE):
        raise ValueError(f"{table.path}: order: expected numbers or dates in {name!r}, got {kind}")
    gaps = column.is_null().to_numpy() & ~own
    if gaps.any():
        row = int(gaps.argmax())
        raise ValueError(
            f"{table.path}, {table.place(row)}: column {name!r} has no value to order by"
        )
    found: np.ndarray = column.to_physical().to_numpy()
    return found


def _split_notes(how: Splitting) -> list[str]:
    """How the rows were split, where not by chance."""
    notes = []
    if how.file is not None:
        notes.append(f"The test rows are those of {how.file}.")
    elif how.order is not None:
        notes.append(f"The test rows are the last ones by {how.order}.")
    elif how.group is not None:
        notes.append(f"No {how.group} has rows in training and in the test.")
    if how.order is not None:
        notes.append(f"The epoch is chosen by the last training rows by {how.order}.")
    if how.group is not None:
        notes.append(
            f"The epoch is chosen by rows of whole {how.group} held out; it is not learnt from."
        )
    return notes


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
