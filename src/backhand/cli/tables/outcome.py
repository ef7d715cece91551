"""What came of training or evaluating a model of a table: all that the report tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

import numpy as np

from backhand.cli.pages import command
from backhand.cli.tables.importance import Importances
from backhand.cli.tables.measures import Predictions
from backhand.cli.tables.peers import Peer
from backhand.cli.tables.target import Target
from backhand.cli.tables.verdict import NOTHING, OURS, Verdict

COMPILATION = "compilation, once"
"""Under `seconds`: what is compiled is kept, and no part of a fit."""


def beside_predictions(carried: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns of a table, of names that the predictions' own columns do not have."""
    own = ("row", "prediction")
    return {
        f"{name} of the table" if name in own or name.startswith("probability of ") else name: each
        for name, each in carried.items()
    }


@dataclass
class TableOutcome:
    """A model, the rows it was tested on, and what was found.

    Attributes:
        source: the table's file.
        target: of all rows.
        table: the features of all rows.
        test: the numbers of the test rows.
        model: a TableClassifier or TableRegressor.
        ours: its predictions of the test rows.
        peers: other models on the same split; empty where none were asked for.
        baseline: what one would say of the test rows who knows nothing but the target's values.
        importances: of columns; None where they were not measured.
        seconds: what took how long, in order.
        notes: what a reader must know, a sentence each.
        trained: whether the model was trained just now, on the other rows.
        numbers: of all rows in their file; from 1 where nothing is said.
        carried: columns of the table, not learnt from, that go with the predictions: their values
            in all rows.
        folds: of cross-validation, each fold's metrics; empty where there was one split.
    """

    source: str
    target: Target
    table: Any
    test: np.ndarray
    model: Any
    ours: Predictions
    peers: list[Peer] = field(default_factory=list)
    baseline: Predictions | None = None
    importances: Importances | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    trained: bool = True
    command: str = field(default_factory=command)
    files: list[str] = field(default_factory=list)
    numbers: np.ndarray | None = None
    carried: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    folds: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Number the rows where nothing is said of it."""
        if self.numbers is None:
            self.numbers = np.arange(1, len(self.table) + 1)

    def first_columns(self) -> dict[str, list[Any]]:
        """What stands before each test row's prediction: its number, and what is carried."""
        assert self.numbers is not None
        carried = {name: [values[at] for at in self.test] for name, values in self.carried.items()}
        return {"row": self.numbers[self.test].tolist()} | beside_predictions(carried)

    @property
    def truth(self) -> np.ndarray:
        """The target of the test rows."""
        found: np.ndarray = self.target.values[self.test]
        return found

    @property
    def main(self) -> str:
        """The metric that the verdict goes by."""
        return next(iter(self.ours.measures(self.truth)))

    def predictions(self) -> dict[str, Predictions]:
        """Of our model, of each peer, and of who knows nothing."""
        found = {OURS: self.ours} | {peer.name: peer.predictions for peer in self.peers}
        return found if self.baseline is None else found | {NOTHING: self.baseline}

    def results(self) -> dict[str, dict[str, float]]:
        """The metrics of our model, of each peer, and of who knows nothing."""
        return {who: each.measures(self.truth) for who, each in self.predictions().items()}

    def verdict(self) -> Verdict:
        """Who did best by the main metric, and how far the test rows can tell."""
        main = self.main
        values = {who: measured[main] for who, measured in self.results().items()}
        predicted = {who: each.values for who, each in self.predictions().items()}
        return Verdict.of(main, values, predicted, self.truth)

    def leading_columns(self, most: int) -> list[str]:
        """The columns that matter most, where that was measured, or the first ones."""
        names = list(self.table.columns)
        found = [] if self.importances is None else [name for name, _ in self.importances.found]
        leading = [name for name in found if name in names]
        return (leading + [name for name in names if name not in leading])[:most]

    def columns(self) -> list[list[str]]:
        """Each column: its name, kind, missing values, how many are different, some of them."""
        found = []
        for code in self.model.encoding_.codes:
            column = self.table[code.name]
            given = column.drop_nulls()
            some = [short(each) for each in given.unique(maintain_order=True).head(4).to_list()]
            different = given.n_unique()
            shown = ", ".join(some) + (" …" if different > 4 else "")
            missing = f"{column.null_count():,}"
            found.append([code.name, code.kind, missing, f"{different:,}", shown])
        return found


def short(value: Any) -> str:
    """A value of a table as text: six digits, whole numbers whole, days without an hour."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e12 else f"{value:.6g}"
    if isinstance(value, datetime) and value.time() == time():
        return str(value.date())
    return str(value)
