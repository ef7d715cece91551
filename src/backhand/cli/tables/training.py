"""Training a model of a table, with a live display."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from backhand.cli.interruption import Interruption
from backhand.cli.progress import progress
from backhand.cli.tables.target import CLASSIFICATION, Target
from backhand.estimators.tables import TableClassifier, TableRegressor
from backhand.training import Epoch

COMPILED = "the step is recorded, and compiled where the cache has it not"


@dataclass(frozen=True)
class Options:
    """What a user may set."""

    epochs: int | None = None
    members: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a seed that NumPy does not take.

        Raises:
            ValueError: it is out of range.
        """
        if not 0 <= self.seed < 2**32:
            raise ValueError(
                f"seed: expected a whole number from 0 to {2**32 - 1}, got {self.seed}"
            )


@dataclass(frozen=True)
class Trained:
    """A model, and how it came about."""

    model: TableClassifier | TableRegressor
    interrupted: bool


def train_model(
    console: Console,
    target: Target,
    table: Any,
    truth: np.ndarray,
    options: Options,
    told: Mapping[str, np.ndarray],
) -> Trained:
    """Train on these rows; Ctrl-C keeps the best epoch so far.

    Args:
        told: the groups or the order of the rows, by which some are held out to choose the epoch.

    Raises:
        ValueError: an option or a column cannot be used.
        KeyboardInterrupt: Ctrl-C before the first epoch was over, or for the second time.
    """
    import polars

    classifies = target.task == CLASSIFICATION
    with progress(console) as display, Interruption() as interruption:
        model = (TableClassifier if classifies else TableRegressor)(
            epochs=options.epochs, members=options.members, random_state=options.seed
        )
        bar = display.add_task("epochs", total=model.epochs_for(len(truth)), shown=COMPILED)

        best = np.inf

        def on_epoch(epoch: Epoch) -> None:
            nonlocal best
            score = epoch.measures["validation"]["score"]
            what, star = "Brier score" if classifies else "error", " *" if score < best else ""
            shown = f"loss {epoch.loss:.4f}, {what} {score:.4f}{star}"
            best = min(best, score)
            display.update(bar, completed=epoch.number, shown=shown)
            interruption.check()

        model.on_epoch = on_epoch
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Training interrupted by user")
            model.fit(table, polars.Series(target.name, truth), **told)
        model.on_epoch = None
        interrupted = interruption.noted
    return Trained(model, interrupted)
