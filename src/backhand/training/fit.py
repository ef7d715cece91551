"""fit: the training loop for everyone who does not want to write it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from backhand.data import Data, check_data
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.program import Engine
from backhand.training.history import Epoch, History
from backhand.training.loop import Epochs, Guard
from backhand.training.metrics import Metric
from backhand.training.passes import DataPasses
from backhand.training.rates import Scheduled
from backhand.training.schedules import Schedule, constant
from backhand.training.steps import steps_for
from backhand.training.threads import running_on, threads_for
from backhand.training.validation import Validation
from backhand.values import Value, outputs_of, row_count, rows_of


def fit(
    network: Layer,
    loss: Loss,
    train: tuple[Value, Value],
    *,
    test: tuple[Value, Value] | None = None,
    epochs: int = 60,
    batch_size: int = 8,
    learning_rate: float | Schedule = 0.1,
    validation: float = 0.0,
    patience: int | None = None,
    metrics: Mapping[str, Metric] | None = None,
    evaluate_train: bool = False,
    on_epoch: Callable[[Epoch], object] | None = None,
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
        train: (inputs (rows, …), targets (rows, …)); tuples where the network or the loss takes
            them.
        test: evaluated after every epoch, never used to choose anything.
        epochs: passes over the data; default 60.
        batch_size: rows in a batch; default 8; the last batch may have fewer.
        learning_rate: a number, or a schedule (step, steps) -> rate; default 0.1.
        validation: the share of `train`, in [0, 1), held out and evaluated after each epoch
            (the best epoch's weights are then restored at the end); default 0.
        patience: stop after this many epochs without a better validation loss; default never.
        metrics: named functions (prediction, target) -> 0-dim tensor, beside the loss.
        evaluate_train: also evaluate the training rows after every epoch; default False.
        on_epoch: called after every epoch with what was measured.
        seed: of the shuffling and of the validation share; default 0.
        record: record the step once and run the recording; a network that cannot be recorded
            runs plainly, and a warning says so. Default True.
        engine: what runs the recording: Replay() gives the plain step's bits, Native() agrees
            with it to rounding; default the one that suits the size (see `choose`).
        threads: for torch while training; default one for a small network, else torch's own
            number (see `threads_for`). Set back afterwards.

    Raises:
        ValueError, TypeError: an argument or a value in the data is out of range.
        LayerError: the data do not fit the network; the layer is named.
        NonFiniteLoss: a NaN or infinity came up; the last good epoch's weights are restored (the
            best epoch's, where it came up in the validation loss).
    """
    _check_arguments(epochs, batch_size, learning_rate, validation, patience)
    train = check_data(train, "train")
    sets = {"train": train}
    generator = torch.Generator().manual_seed(seed)
    if validation:
        sets["train"], sets["validation"] = _hold_out(train, validation, generator)
    if test is not None:
        sets["test"] = check_data(test, "test")
    for name, data in sets.items():
        _check_targets(network, loss, data, name)
    train = sets["train"] if evaluate_train else sets.pop("train")
    rows = row_count(train.inputs)
    if threads is None:
        threads = threads_for(network, batch_size)
    with running_on(threads):
        steps = steps_for(network, loss, train, batch_size, record, engine)
        judge = Validation(network, loss, steps, sets, metrics or {}, patience)
        passes = DataPasses(
            steps, train, batch_size, lambda: torch.randperm(rows, generator=generator), rows
        )
        schedule = learning_rate if callable(learning_rate) else constant(learning_rate)
        rates = Scheduled(schedule, epochs * passes.steps)
        Epochs(passes, rates, judge, Guard(network)).run(epochs, on_epoch)
        judge.restore_best()
    return judge.history


def _check_arguments(
    epochs: int,
    batch_size: int,
    learning_rate: float | Schedule,
    validation: float,
    patience: int | None,
) -> None:
    if epochs < 1:
        raise ValueError(f"epochs: expected 1 or more, got {epochs}")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 row or more, got {batch_size}")
    if not callable(learning_rate) and not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate: expected a finite number above 0, got {learning_rate}")
    if not 0 <= validation < 1:
        raise ValueError(f"validation: expected a share in [0, 1), got {validation}")
    if patience is not None and patience < 1:
        raise ValueError(f"patience: expected 1 epoch or more, got {patience}")
    if patience is not None and not validation:
        raise ValueError("patience: early stopping needs a validation share; give validation=0.1")


def _hold_out(train: Data, share: float, generator: torch.Generator) -> tuple[Data, Data]:
    """The rows to train on, and those held out."""
    rows = row_count(train.inputs)
    held = round(share * rows)
    if not 0 < held < rows:
        raise ValueError(
            f"validation: a share of {share} of {rows} rows leaves {rows - held} to train on "
            f"and {held} to validate on; expected at least one of each"
        )
    order = torch.randperm(rows, generator=generator)
    training, validation = (
        Data(rows_of(train.inputs, part), rows_of(train.targets, part))
        for part in (order[held:], order[:held])
    )
    return training, validation


def _check_targets(network: Layer, loss: Loss, data: Data, name: str) -> None:
    """Predict one row: a shape that does not fit is refused before anything is learnt."""
    network.check_values(data.inputs)
    row = slice(1)
    prediction = network.predict(rows_of(data.inputs, row))
    try:
        loss.forward(prediction, rows_of(data.targets, row))
        loss.check_values(data.targets, outputs_of(prediction))
    except (ValueError, TypeError) as problem:
        raise type(problem)(f"{name} targets: {problem}") from None
