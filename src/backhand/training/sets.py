"""Sets: the data that fit and evaluate are given, as tensors; a share of them held out."""

from __future__ import annotations

import torch

from backhand.data import Data, check_data
from backhand.given import Given
from backhand.layer import Layer, LayerError
from backhand.losses import Loss
from backhand.values import misfit, outputs_of, row_count, rows_of


def as_data(network: Layer, loss: Loss, data: tuple[Given, Given], name: str) -> Data:
    """A pair (inputs, targets) as tensors; see Layer.as_input and Loss.as_target.

    Args:
        network, loss: what the data are for.
        data: with one row for each example.
        name: what to call it in messages.

    Raises:
        TypeError: no pair, or something in it is no number.
        LayerError: an input is no number.
    """
    if not isinstance(data, tuple) or len(data) != 2:
        given = f"a tuple of {len(data)}" if isinstance(data, tuple) else f"a {type(data).__name__}"
        raise TypeError(f"{name}: expected a pair (inputs, targets), got {given}")
    inputs, targets = data
    try:
        inputs = network.as_input(inputs)
        network.expect_value(inputs, "an input")
    except LayerError as problem:
        raise TypeError(f"{name} inputs: {problem}") from None

    def first() -> object:
        return network.predict(rows_of(inputs, slice(1)))

    try:
        targets = loss.as_target(targets, network.float_dtype(), first)
    except TypeError as problem:
        raise TypeError(f"{name} targets: {problem}") from None
    found = misfit(targets)
    if found is not None:
        raise TypeError(f"{name} targets: expected dense tensors, got {found}")
    return Data(inputs, targets)


def checked_sets(
    network: Layer,
    loss: Loss,
    given: dict[str, tuple[Given, Given] | None],
    share: float,
    generator: torch.Generator,
) -> dict[str, Data]:
    """The data sets by name, each as tensors, checked to fit; "validation" held out by a share.

    Raises:
        TypeError, ValueError: a set is no pair of numbers, or a value is out of range.
        LayerError: a set does not fit the network.
    """
    sets = {
        name: check_data(as_data(network, loss, data, name), name)
        for name, data in given.items()
        if data is not None
    }
    if share:
        train, held = _hold_out(sets["train"], share, generator)
        sets = {**sets, "train": train, "validation": held}
        sets = {name: sets[name] for name in given if name in sets}  # in the order given
    for name, data in sets.items():
        _check_fit(network, loss, data, name)
    return sets


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


def _check_fit(network: Layer, loss: Loss, data: Data, name: str) -> None:
    """Predict one row: a shape that does not fit is refused before anything is learnt."""
    network.check_values(data.inputs)
    row = slice(1)
    prediction = network.predict(rows_of(data.inputs, row))
    try:
        loss.forward(prediction, rows_of(data.targets, row))
        loss.check_values(data.targets, outputs_of(prediction))
    except (ValueError, TypeError) as problem:
        raise type(problem)(f"{name} targets: {problem}") from None
