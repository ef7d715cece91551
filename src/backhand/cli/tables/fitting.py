"""A model fitted on each split's training rows and asked for its test rows; the peers alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console

from backhand.cli.tables.measures import Predictions, figure
from backhand.cli.tables.outcome import COMPILATION
from backhand.cli.tables.peers import Peer, knowing_nothing, peers
from backhand.cli.tables.preparing import Prepared
from backhand.cli.tables.target import Target
from backhand.cli.tables.training import Options, train_model
from backhand.program.engines.native import counted_compilation


@dataclass
class Fitted:
    """What came of it.

    Attributes:
        model: of the only split; of cross-validation, one trained on all rows.
        test: the numbers of the test rows of all folds.
        ours, baseline: predictions of these, each by the model of its fold.
        judged: a model and rows that it was not trained on.
        folds: each fold's metrics; empty where there was one split.
        interrupted: whether Ctrl-C ended it.
    """

    model: Any
    test: np.ndarray
    ours: Predictions
    baseline: Predictions
    judged: tuple[Any, np.ndarray]
    folds: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False


def fit_splits(
    console: Console, prepared: Prepared, options: Options, seconds: dict[str, float]
) -> Fitted:
    """Fit and test on every split; of several, a last model learns from all rows.

    Raises:
        ValueError: an option or a column cannot be used.
        KeyboardInterrupt: Ctrl-C before the first epoch was over, or for the second time.
    """
    table, target, splits = prepared.table.frame, prepared.target, prepared.splits
    parts: list[tuple[np.ndarray, Predictions, Predictions]] = []
    for number, (train, test) in enumerate(splits, 1):
        if len(splits) > 1:
            console.print(f"fold {number} of {len(splits)}")
        told = {name: values[train] for name, values in prepared.told.items()}
        with timed(seconds, "training"):
            trained = train_model(
                console, target, table[train], target.values[train], options, told
            )
        with timed(seconds, "predictions"):
            ours = Predictions.of(trained.model, table[test])
        baseline = knowing_nothing(target.values[train], len(test), ours.classes)
        parts.append((test, ours, baseline))
        if trained.interrupted:
            break
    judged, interrupted = (trained.model, parts[-1][0]), trained.interrupted
    if len(splits) > 1 and not interrupted:
        console.print("all rows, for the model that is written")
        with timed(seconds, "training"):
            trained = train_model(console, target, table, target.values, options, prepared.told)
    model = trained.model
    model.remember(*prepared.remembered())
    folds = [each.measures(target.values[test]) for test, each, _ in parts]
    return Fitted(
        model,
        np.concatenate([test for test, _, _ in parts]),
        joined([each for _, each, _ in parts], target),
        joined([each for _, _, each in parts], target),
        judged,
        folds if len(splits) > 1 else [],
        interrupted or trained.interrupted,
    )


def fit_peers(prepared: Prepared, seed: int, check: Callable[[], None]) -> Iterator[Peer]:
    """The peers on the same splits, their predictions of all folds together."""
    table, target = prepared.table.frame, prepared.target
    several = [
        peers(target.task, table[train], target.values[train], table[test], seed, check)
        for train, test in prepared.splits
    ]
    for fitted in zip(*several, strict=True):
        predictions = joined([peer.predictions for peer in fitted], target)
        yield Peer(fitted[0].name, predictions, sum(peer.seconds for peer in fitted))


def joined(parts: Sequence[Predictions], target: Target) -> Predictions:
    """The predictions of several folds, one below the other; of a class unseen in one, 0."""
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([part.values for part in parts])
    if parts[0].classes is None:
        return Predictions(values)
    classes = np.unique(target.values)
    blocks = []
    for part in parts:
        assert part.classes is not None
        assert part.probabilities is not None
        block = np.zeros((len(part.values), len(classes)), part.probabilities.dtype)
        block[:, np.searchsorted(classes, part.classes)] = part.probabilities
        blocks.append(block)
    return Predictions(values, classes, np.concatenate(blocks))


def folds_sentence(folds: Sequence[dict[str, float]]) -> str:
    """Each metric's mean over the folds, and its deviation from fold to fold."""
    words = []
    for name in folds[0]:
        values = [fold[name] for fold in folds if name in fold]
        words.append(f"{name} {figure(np.mean(values))} ± {figure(np.std(values))}")
    said = f"Mean and deviation over {len(folds)} folds: {', '.join(words)}"
    return f"{said}; the model that is written learnt from all rows."


@contextmanager
def timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    """What it took is added under its name; the compilation in it, which the cache saves next
    time, apart from it."""
    began = time.perf_counter()
    with counted_compilation() as compilation:
        try:
            yield
        finally:
            took = time.perf_counter() - began - compilation.seconds
            seconds[what] = seconds.get(what, 0.0) + took
            if compilation.seconds:
                seconds[COMPILATION] = seconds.get(COMPILATION, 0.0) + compilation.seconds
