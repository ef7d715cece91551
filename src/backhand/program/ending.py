"""Ending: a network's last layer does again what the loss does itself, or not what it expects."""

from __future__ import annotations

import sys
import warnings

from backhand.layer import Layer
from backhand.layers import LogSoftmax, Sigmoid, Softmax
from backhand.losses import BinaryCrossEntropyLoss, CrossEntropyLoss, Loss, NLLLoss, Weighted
from backhand.networks import Sequential

TAKES = (
    (BinaryCrossEntropyLoss, "logits", (Sigmoid, Softmax, LogSoftmax), "leave it out"),
    (CrossEntropyLoss, "logits", (Sigmoid, Softmax), "leave it out"),
    (NLLLoss, "logarithms of shares", (Sigmoid, Softmax), "end in LogSoftmax()"),
)
"""What losses take, the layers that give something else, and what to do instead."""


def say_what_the_loss_takes(network: Layer, loss: Loss) -> None:
    """Say so where the network ends in a layer that gives the loss something else.

    Warns:
        UserWarning: it trains, but by another loss than is meant.
    """
    while isinstance(network, Sequential) and network.layers:
        network = network.layers[-1]
    while isinstance(loss, Weighted):
        loss = loss.loss
    for kind, takes, wrong, instead in TAKES:
        if isinstance(loss, kind) and isinstance(network, wrong):
            warnings.warn(
                f"{loss!r} takes {takes}, and the network ends in {network!r}: {instead}",
                stacklevel=_outside(),
            )


def _outside() -> int:
    """How many calls up, from where this is used, the first one is that is not Backhand's own."""
    own = ("backhand.", "jaxtyping.")  # the latter stands between where annotations are checked
    level, frame = 0, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(own):
        level, frame = level + 1, frame.f_back
    return level + 1
