"""History: what was measured, epoch by epoch."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backhand.files import written_whole
from backhand.program import Engine

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

SHOWN = 10
"""Epochs that a history prints at most."""


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


@dataclass(repr=False)
class History:
    """The epochs of one training, in order. Prints as a table of some of them, * the best one.

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

    def __repr__(self) -> str:
        if not self.epochs:
            return "no epochs"
        last = self.epochs[-1]
        count = f"{len(self)} epoch{'s' if len(self) > 1 else ''}"
        by = "plainly" if self.engine is None else f"by {self.engine!r}"
        kept = f"; the weights are those of epoch {self.best_epoch}" if self.best_epoch else ""
        return "\n".join([f"{count} in {last.seconds:.3g} s, {by}{kept}", *self._table()])

    def _table(self) -> list[str]:
        rows = [self.epochs[at].row() for at in self._shown()]
        lines = [[name.replace("_", " ") for name in rows[0]]]
        lines += [[_cell(name, value) for name, value in row.items()] for row in rows]
        for line, row in zip(lines[1:], rows, strict=True):
            line[0] += "*" if row["epoch"] == self.best_epoch else " "
        lines[0][0] += " "
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        ]

    def _shown(self) -> Sequence[int]:
        """Epochs from the first to the last, evenly, and the best one."""
        last = len(self) - 1
        if last < SHOWN:
            return range(last + 1)
        chosen = {round(i * last / (SHOWN - 1)) for i in range(SHOWN)}
        best = [self.best_epoch - 1] if self.best_epoch else []
        return sorted(chosen.union(best))

    def to_pandas(self) -> pandas.DataFrame:
        """One row an epoch, with the columns of `Epoch.row`, indexed by the epoch's number.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        import pandas

        return pandas.DataFrame([epoch.row() for epoch in self.epochs]).set_index("epoch")

    def plot(self) -> Figure:
        """The losses over the epochs, and beside them what else was measured, in a new figure.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
            ValueError: there are no epochs.
        """
        from matplotlib import pyplot

        if not self.epochs:
            raise ValueError("history: there are no epochs to plot")
        numbers, alone = self.column("epoch"), "." if len(self) == 1 else ""
        named = list(self.epochs[0].row())[4:]
        losses = [name for name in named if name == "loss" or name.endswith("_loss")]
        others = [name for name in named if name not in losses]
        panels = [each for each in (losses, others) if each]
        figure, axes = pyplot.subplots(
            1, len(panels), figsize=(5.5 * len(panels), 4), squeeze=False, layout="constrained"
        )
        for ax, names in zip(axes[0], panels, strict=True):
            for name in names:
                label = "training steps" if name == "loss" else name.replace("_", " ")
                ax.plot(numbers, self.column(name), label=label, marker=alone)
            if self.best_epoch:
                ax.axvline(self.best_epoch, color="grey", linestyle=":", label="best")
            ax.set_xlabel("epoch")
            ax.set_ylabel("loss" if names is losses else "")
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.legend(frameon=False)
        return figure

    def to_csv(self, path: str | Path) -> None:
        """Write one line an epoch, whole or not at all."""
        rows = [epoch.row() for epoch in self.epochs]
        with written_whole(Path(path)) as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["epoch"])
            writer.writeheader()
            writer.writerows(rows)


def _cell(name: str, value: float) -> str:
    if name in ("epoch", "steps"):
        return f"{value:,}"
    return f"{value:.4g}"
