"""fit: the training loop for everyone who does not want to write it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from backhand.arguments import instance, shown, whole
from backhand.given import Given
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.program import Engine
from backhand.training.history import Epoch, History
from backhand.training.loop import Epochs, Guard
from backhand.training.metrics import Metric
from backhand.training.passes import DataPasses
from backhand.training.progress import Progress
from backhand.training.rates import Scheduled
from backhand.training.schedules import Schedule, constant
from backhand.training.sets import checked_sets
from backhand.training.steps import steps_for
from backhand.training.threads import running_on, threads_for
from backhand.training.validation import Validation
from backhand.values import row_count


def fit(
    network: Layer,
    loss: Loss,
    train: tuple[Given, Given],
    *,
    test: tuple[Given, Given] | None = None,
    epochs: int = 60,
    batch_size: int = 8,
    learning_rate: float | Schedule = 0.1,
    validation: float | tuple[Given, Given] = 0.0,
    patience: int | None = None,
    metrics: Mapping[str, Metric] | None = None,
    evaluate_train: bool = False,
    on_epoch: Callable[[Epoch], object] | None = None,
    progress: bool | None = None,
    seed: int = 0,
    record: bool = True,
    engine: Engine | None = None,
    threads: int | None = None,
) -> History:
    """Train a network, in place, and return what was measured.

    Each epoch shuffles the rows once and takes one step a batch, as `network(input)`,
    `loss.backward(…)`, `network.backward(…)` would. Evaluation never touches the training.

    Args:
        network: any Layer; its parameters learn by their own rules.
        loss: a Loss.
        train: (inputs (rows, …), targets (rows, …)): tensors, or numbers in arrays, lists or data
            frames, which become tensors of the weights' dtype (whole numbers stay whole where the
            network takes tokens or the loss classes); tuples where the network or the loss takes
            them.
        test: evaluated after every epoch, never used to choose anything.
        epochs: passes over the data; default 60.
        batch_size: rows in a batch; default 8; the last batch may have fewer.
        learning_rate: a number, or a schedule (step, steps) -> rate; default 0.1.
        validation: (inputs, targets), or the share of `train`, in [0, 1), that is held out;
            evaluated after each epoch, and the best epoch's weights are restored at the end.
            Default 0: none.
        patience: stop after this many epochs without a better validation loss; default never.
        metrics: named functions (prediction, target) -> 0-dim tensor, beside the loss, of the test,
            validation and training rows that are evaluated.
        evaluate_train: also evaluate the training rows after every epoch; default False.
        on_epoch: called after every epoch with what was measured; where it returns False, training
            ends with that epoch.
        progress: whether to tell on stderr how far it is, in one line; default where stderr is a
            terminal and training takes more than a second.
        seed: of the shuffling and of the validation share; default 0.
        record: record the step once and run the recording; a network that cannot be recorded
            runs plainly, and a warning says so. Default True.
        engine: what runs the recording: Replay() gives the plain step's bits, Native() agrees
            with it to rounding; default the one that suits the size (see `choose`).
        threads: for torch while training; default one for a small network, else as many as steps
            of its size were measured to gain by, at most torch's own number (see `threads_for`).
            Set back afterwards.

    Raises:
        ValueError, TypeError: an argument or a value in the data is out of range.
        LayerError: the data do not fit the network; the layer is named.
        NonFiniteLoss: a NaN or infinity came up; the last good epoch's weights are restored (the
            best epoch's, where it came up in the validation loss).

    Warns:
        UserWarning: the network cannot be recorded; or it ends in a sigmoid or softmax, and the
            loss takes logits.
    """
    instance("fit", "network", network, Layer)
    instance("fit", "loss", loss, Loss)
    share = 0.0 if isinstance(validation, tuple) else validation
    held_out = validation if isinstance(validation, tuple) else None
    _check_arguments(epochs, batch_size, learning_rate, share, patience, on_epoch)
    if metrics is not None and not isinstance(metrics, Mapping):
        raise TypeError(f"metrics: expected functions by name, in a dict, got {shown(metrics)}")
    if patience is not None and not validation:
        raise ValueError("patience: early stopping needs a validation share; give validation=0.1")
    if metrics and not (validation or test is not None or evaluate_train):
        raise ValueError(
            f"metrics: there is no set to measure {', '.join(metrics)} of; give test=, "
            "validation= or evaluate_train=True"
        )
    generator = torch.Generator().manual_seed(seed)
    given = {"train": train, "validation": held_out, "test": test}
    sets = checked_sets(network, loss, given, share, generator)
    train = sets["train"] if evaluate_train else sets.pop("train")
    rows = row_count(train[0])
    if threads is None:
        threads = threads_for(network, batch_size)
    line = Progress(epochs, progress)

    def after(epoch: Epoch) -> object:
        line.tell(epoch)
        return None if on_epoch is None else on_epoch(epoch)

    with running_on(threads):
        steps = steps_for(network, loss, train, batch_size, record, engine)
        judge = Validation(network, loss, steps, sets, metrics or {}, patience)
        passes = DataPasses(
            steps, train, batch_size, lambda: torch.randperm(rows, generator=generator), rows
        )
        schedule = learning_rate if callable(learning_rate) else constant(learning_rate)
        rates = Scheduled(schedule, epochs * passes.steps)
        try:
            Epochs(passes, rates, judge, Guard(network)).run(epochs, after)
        finally:
            line.end()
        judge.restore_best()
    return judge.history


def _check_arguments(
    epochs: int,
    batch_size: int,
    learning_rate: Any,
    share: float,
    patience: int | None,
    on_epoch: Any,
) -> None:
    counts = {"epochs": epochs, "batch_size": batch_size, "patience": patience}
    for name, count in counts.items():
        if count is not None:
            whole("fit", name, count, least=-math.inf)
    if epochs < 1:
        raise ValueError(f"epochs: expected 1 or more, got {epochs}")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 row or more, got {batch_size}")
    _check_rate(learning_rate)
    if not isinstance(share, int | float):
        raise TypeError(
            "validation: expected a share in [0, 1), or a pair (inputs, targets) in a tuple, "
            f"got a {type(share).__name__}"
        )
    if not 0 <= share < 1:
        raise ValueError(f"validation: expected a share in [0, 1), got {share}")
    if patience is not None and patience < 1:
        raise ValueError(f"patience: expected 1 epoch or more, got {patience}")
    if on_epoch is not None and not callable(on_epoch):
        raise TypeError(f"on_epoch: expected a function of an Epoch, got {shown(on_epoch)}")


def _check_rate(rate: Any) -> None:
    kinds = "a number or a schedule (step, steps) -> rate, such as cosine(0.1)"
    if isinstance(rate, type):
        raise TypeError(f"learning_rate: expected {kinds}, got the class {rate.__name__}")
    if callable(rate):
        return
    try:
        fits = 0 < rate < math.inf
    except TypeError:
        raise TypeError(f"learning_rate: expected {kinds}, got {shown(rate)}") from None
    if not fits:
        raise ValueError(f"learning_rate: expected a finite number above 0, got {rate}")
