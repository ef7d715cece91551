"""What an accelerometer at the wrist read, and the two networks that tell from it what one does."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from torch import Tensor

import backhand as bh

FILE = Path(__file__).parent / "motions.csv"
ACTIVITIES = ("Standing", "Walking", "Running", "Badminton")
AXES, LENGTH = 3, 100
SCALE = 0.001
"""From hundredths to what a network is given: tenths of what the watch said."""

SECONDS = 2.5
WINDOW = int(10 * SECONDS)
"""Readings that the recurrent network is given at once."""


def convolutional() -> bh.Sequential:
    """Sees all ten seconds, (batch, axes, time)."""
    torch.manual_seed(0)
    return bh.Sequential(
        [
            bh.Conv1d(AXES, 8, 5),
            bh.ReLU(),
            bh.MaxPool1d(2),
            bh.Conv1d(8, 8, 5),
            bh.ReLU(),
            bh.GlobalAvgPool1d(),
            bh.FullyConnected(8, len(ACTIVITIES)),
        ]
    )


def recurrent() -> bh.Sequential:
    """Sees two and a half seconds, (batch, time, axes)."""
    torch.manual_seed(0)
    return bh.Sequential([bh.GRU(AXES, 12), bh.LastStep(), bh.FullyConnected(12, len(ACTIVITIES))])


def recorded() -> tuple[Tensor, Tensor]:
    """Readings in hundredths (80, axes, time), and classes (80,); the first half is to train on."""
    with FILE.open(newline="") as file:
        rows = list(csv.reader(file))
    readings = torch.tensor([[int(x) for x in row[2:]] for row in rows])
    return readings.view(-1, AXES, LENGTH), torch.tensor([ACTIVITIES.index(row[1]) for row in rows])


def whole(readings: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Examples for the convolutional network."""
    return readings.float() * SCALE, classes


def windows(readings: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Examples for the recurrent network: the windows of each recording, one after another."""
    pieces = readings.view(-1, AXES, LENGTH // WINDOW, WINDOW).permute(0, 2, 3, 1)
    examples = pieces.reshape(-1, WINDOW, AXES).float() * SCALE
    return examples, classes.repeat_interleave(LENGTH // WINDOW)


STRIDE = 17
"""Examples are taken in steps of so many, round and round: it divides no number of them."""

EPOCHS = {"motion_conv": 30, "motion_gru": 20}
RATES = {"motion_conv": 0.02, "motion_gru": 0.02}
"""Of the first epoch; it falls in a line towards 0."""


def order(epoch: int, count: int) -> list[int]:
    """Which example each step of an epoch takes."""
    return [(step * STRIDE + epoch * 7) % count for step in range(count)]


def header() -> str:
    """The recordings and these numbers for C."""
    readings, classes = recorded()
    rows = [", ".join(map(str, row)) for row in readings.flatten(1).tolist()]
    numbers = {
        "MOTIONS": len(rows),
        "MOTION_AXES": AXES,
        "MOTION_LENGTH": LENGTH,
        "MOTION_WINDOW": WINDOW,
        "MOTION_ACTIVITIES": len(ACTIVITIES),
        "MOTION_SCALE": f"{SCALE}f",
        "MOTION_STRIDE": STRIDE,
    }
    for name in EPOCHS:
        numbers |= {f"{name}_EPOCHS".upper(): EPOCHS[name], f"{name}_RATE".upper(): RATES[name]}
    defined = "\n".join(f"#define {name} {number}" for name, number in numbers.items())
    listed = ",\n    ".join(f"{{{row}}}" for row in rows)
    listed_classes = ", ".join(map(str, classes.tolist()))
    return (
        "/* What the watch read, in hundredths, axis by axis; see README.md. */\n"
        f"#include <stdint.h>\n\n{defined}\n\n"
        "static const int16_t motions[MOTIONS][MOTION_AXES * MOTION_LENGTH] = {\n"
        f"    {listed}\n}};\n\n"
        f"static const int64_t motion_classes[MOTIONS] = {{{listed_classes}}};\n"
    )
