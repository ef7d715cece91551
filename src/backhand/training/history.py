"""History: what was measured, epoch by epoch."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backhand.files import written_whole
from backhand.program import Engine


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Attributes:
        number: from 1.
        steps: training steps taken since the beginning.
        learning_rate: at the epoch's last step.
        seconds: since the beginning of training.
        loss: the mean of the steps' losses, each before its update.
        measures: {"test": {"loss": …, "accuracy": …}, …} for the data sets evaluated.
    """

    number: int
    steps: int
    learning_rate: float
    seconds: float
    loss: float
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def row(self) -> dict[str, float]:
        """All of it flat: {"epoch": …, "test_loss": …}."""
        row = {
            "epoch": self.number,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            "loss": self.loss,
        }
        for data, measures in self.measures.items():
            row |= {f"{data}_{name}": value for name, value in measures.items()}
        return row


@dataclass
class History:
    """The epochs of one training, in order.

    Attributes:
        epochs: what was measured.
        best_epoch: the number of the epoch whose weights the network has now, where training
            stopped early or validated; None where they are the last epoch's.
        engine: what ran the recorded steps; None where they ran plainly.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    engine: Engine | None = None

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __getitem__(self, index: int) -> Epoch:
        return self.epochs[index]

    def column(self, name: str) -> list[float]:
        """One measure over the epochs: "loss", "test_loss", "test_accuracy" …

        Raises:
            KeyError: no epoch has it; the message lists the names there are.
        """
        rows = [epoch.row() for epoch in self.epochs]
        if rows and name not in rows[0]:
            raise KeyError(f"history has no {name!r}; it has {', '.join(rows[0])}")
        return [row[name] for row in rows]

    def to_csv(self, path: str | Path) -> None:
        """Write one line an epoch, whole or not at all."""
        rows = [epoch.row() for epoch in self.epochs]
        with written_whole(Path(path)) as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["epoch"])
            writer.writeheader()
            writer.writerows(rows)
