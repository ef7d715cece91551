"""What came of training or evaluating a model of a table: all that the report tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backhand.cli.pages import command
from backhand.cli.tables.measures import Predictions, error_of
from backhand.cli.tables.peers import Peer
from backhand.cli.tables.target import Target

OURS = "Backhand"


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
        importances: of columns, the greatest first.
        seconds: what took how long, in order.
        notes: what a reader must know, a sentence each.
        trained: whether the model was trained just now, on the other rows.
    """

    source: str
    target: Target
    table: Any
    test: np.ndarray
    model: Any
    ours: Predictions
    peers: list[Peer] = field(default_factory=list)
    importances: list[tuple[str, float]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    trained: bool = True
    command: str = field(default_factory=command)
    files: list[str] = field(default_factory=list)

    @property
    def truth(self) -> np.ndarray:
        """The target of the test rows."""
        found: np.ndarray = self.target.values[self.test]
        return found

    def results(self) -> dict[str, dict[str, float]]:
        """The metrics of our model, and of each peer."""
        found = {OURS: self.ours.measures(self.truth)}
        return found | {peer.name: peer.predictions.measures(self.truth) for peer in self.peers}

    def verdict(self) -> str:
        """Who did best by the main metric, in one plain sentence; none without peers."""
        if not self.peers:
            return ""
        results = self.results()
        main = next(iter(results[OURS]))
        errors = {name: error_of(main, each[main]) for name, each in results.items()}
        best = min(errors, key=lambda name: errors[name])
        others = {name: error for name, error in errors.items() if name != best}
        second = min(others, key=lambda name: others[name])
        values = f"{results[best][main]:.4f}, {second} {results[second][main]:.4f}"
        if errors[best] == others[second]:
            return f"{best} and {second} are level by {main}: {values}."
        if best != OURS:
            ours = results[OURS][main]
            return (
                f"{best} did better than Backhand here, by {main}: "
                f"{results[best][main]:.4f} against {ours:.4f}."
            )
        return f"Backhand did best here, by {main}: {values}."

    def columns(self) -> list[dict[str, Any]]:
        """Each column: its name, kind, missing values, and what is in it."""
        found = []
        for code in self.model.encoding_.codes:
            column = self.table[code.name]
            given = column.drop_nulls()
            some = [str(each) for each in given.unique(maintain_order=True).head(4).to_list()]
            different = given.n_unique()
            found.append(
                {
                    "name": code.name,
                    "kind": code.kind,
                    "missing": f"{column.null_count():,}",
                    "different": f"{different:,}",
                    "some": ", ".join(some) + (" …" if different > 4 else ""),
                }
            )
        return found
