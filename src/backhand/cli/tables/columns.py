"""What was found in the columns before training: one table, with warnings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from rich.table import Table as Printed
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from backhand.cli.tables.column_reading import ColumnFound
from backhand.cli.tables.reading import Table
from backhand.cli.tables.target import CLASSIFICATION, Target
from backhand.data.column_kinds import CATEGORY, NUMBER
from backhand.estimators.tables.columns import Column, read_columns
from backhand.estimators.tables.encoding import MOST_CATEGORIES

MOST_SHOWN = 40
"""Columns of a wide table that are shown though there is nothing to warn of."""

MOST_ROWS = 4000
"""Rows by which columns are compared with the target; of a wide table fewer, so that it takes no
more than some seconds."""

MOST_VALUES = 1_000_000
"""Values by which they are compared, of all columns together."""

COPY = 0.98
"""Share of the rows, or of the variance, that a near-copy of the target tells alone."""

GAPS = 0.8
"""The same, told by the gaps of a column."""

LEAK = "--drop it if it is known only afterwards"

RAREST = 0.01
"""Share of the rows under which a class is a rare one."""

_IDENTIFIER = re.compile(r"(^|[^a-z])(id|ids|index|key|nr|no|number|uuid|guid)$|[a-z]I[dD]$")


def column_notes(table: Table, target: Target) -> dict[str, list[str]]:
    """What a reader should know of each column, a few words each; empty where nothing."""
    notes = {}
    copies = _copies(table.frame, target)
    for name in table.frame.columns:
        found = table.found[name]
        notes[name] = [*found.notes]
        if found.different == 0:
            notes[name].append("empty")
        elif found.different == 1 and not found.gaps:
            notes[name].append("constant: there is nothing to learn from it")
        elif found.different == 1:
            notes[name].append("one value and gaps")
        elif _is_identifier(table.frame[name], found.meaning.kind, found.different):
            notes[name].append("another value in every row, an identifier? --drop it")
        elif found.meaning.kind == CATEGORY and found.different > MOST_CATEGORIES:
            notes[name].append(f"only the {MOST_CATEGORIES} most frequent are told apart")
        if name in copies:
            notes[name].append(copies[name])
    return notes


def target_notes(target: Target) -> list[str]:
    """Sentences on the target: classes that are rare."""
    if target.task != CLASSIFICATION:
        return []
    classes, counts = np.unique(target.values, return_counts=True)
    rare = counts / counts.sum() <= RAREST
    if not rare.any():
        return []
    order = np.argsort(counts)[: min(int(rare.sum()), 3)]
    some = ", ".join(f"{classes[at]} ({counts[at]:,})" for at in order)
    more = f" and {int(rare.sum()) - 3} more" if rare.sum() > 3 else ""
    return [
        f"Rare classes of {target.name}: {some}{more} among {counts.sum():,} rows; accuracy says "
        f"little of them."
    ]


def columns_table(table: Table, notes: dict[str, list[str]]) -> Printed:
    """Kind, gaps, different values and warnings, as the command prints them."""
    printed = Printed(title_justify="left", box=None, pad_edge=False)
    for name, justify in (("column", "left"), ("kind", "left"), ("gaps", "right")):
        printed.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    printed.add_column("different", justify="right")
    printed.add_column("", overflow="fold")
    rows, shown = max(len(table.frame), 1), 0
    for name in table.frame.columns:
        found = table.found[name]
        shown += 1
        if shown > MOST_SHOWN and not notes[name]:
            continue
        gaps = f"{found.gaps:,} ({found.gaps / rows:.0%})" if found.gaps else ""
        form = found.meaning.date_format or found.meaning.unit
        kind = f"{found.meaning.kind} {form}" if form else found.meaning.kind
        words = [*notes[name], *written_gaps(found)]
        printed.add_row(
            _bare(name), _bare(kind), gaps, f"{found.different:,}", _bare("; ".join(words))
        )
    hidden = sum(not notes[name] for name in table.frame.columns[MOST_SHOWN:])
    if hidden:
        printed.add_row(f"… and {hidden} more", "", "", "", "")
    return printed


def written_gaps(found: ColumnFound) -> list[str]:
    """How gaps were written, in a few words; none where they were empty."""
    return [f"gaps written {', '.join(found.written[:4])}"] if found.written else []


def _bare(text: str) -> Any:
    """The text as it is: rich would take brackets for a style."""
    from rich.text import Text

    return Text(text)


def _is_identifier(column: Any, kind: str, different: int) -> bool:
    """Whether the column numbers or names the rows, and says nothing else."""
    given = len(column) - column.null_count()
    if given < 20 or different < 0.95 * given:
        return False
    if kind == CATEGORY:
        return True
    if kind != NUMBER or not column.dtype.is_integer() or different < given:
        return False
    counter = column.min() in (0, 1) and column.max() < 1.2 * given and column.is_sorted()
    named = _IDENTIFIER.search(column.name) or _IDENTIFIER.search(column.name.lower())
    return bool(counter or named)


def _copies(frame: Any, target: Target) -> dict[str, str]:
    """Columns that tell the target nearly alone, and what is to be said of them."""
    rows = np.arange(len(target.values))
    most = min(MOST_ROWS, max(MOST_VALUES // frame.width, 100))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    truth = target.values[rows]
    if target.task == CLASSIFICATION:
        truth = np.unique(truth, return_inverse=True)[1]
    found = {}
    for column in read_columns(frame[rows]):
        classes = target.task == CLASSIFICATION
        if _told(column, truth, classes) >= COPY:
            found[column.name] = f"tells {target.name} nearly alone, a copy of it? {LEAK}"
        elif column.missing.any() and _told(_gaps(column), truth, classes) >= GAPS:
            found[column.name] = f"whether it is given tells {target.name} nearly alone; {LEAK}"
    return found


def _gaps(column: Column) -> Column:
    """Where the column has none, and nothing else of it."""
    return replace(column, kind=NUMBER, values=np.zeros(len(column.values)))


def _told(column: Column, truth: np.ndarray, classes: bool) -> float:
    """How well a small tree tells every second row from the others by this column alone.

    Of classes the share told of what the most frequent class leaves; of numbers R².
    """
    values = column.values
    if column.kind == CATEGORY:
        _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
        if len(counts) > len(values) / 2:
            values = np.zeros(len(values))  # names: only where there is one may tell
        else:
            values = codes.astype(np.float64)
    elif classes:  # only the order counts
        values = np.unique(values, return_inverse=True)[1].astype(np.float64)
    else:  # trees count in float32, where 1e300 is none
        values = values / max(np.abs(values).max(initial=0.0), 1.0)
    known = np.stack([np.where(column.missing, 0.0, values), column.missing], axis=1)
    leaves = max(2 * len(np.unique(truth)), 8) if classes else 256
    model = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(
        max_leaf_nodes=leaves, random_state=0
    )
    learn, test = np.arange(0, len(truth), 2), np.arange(1, len(truth), 2)
    wrong = _wrong_without(truth[test], truth[learn], classes)
    if wrong == 0:
        return 0.0
    predicted = model.fit(known[learn], truth[learn]).predict(known[test])
    off = (
        (predicted != truth[test]).mean() if classes else np.square(predicted - truth[test]).mean()
    )
    return float(1 - off / wrong)


def _wrong_without(test: np.ndarray, learn: np.ndarray, classes: bool) -> float:
    """The error of who knows only the most frequent class, or the mean."""
    if classes:
        return float((test != np.bincount(learn).argmax()).mean())
    return float(np.square(test - learn.mean()).mean())
