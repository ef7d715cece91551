"""Members: the networks of RealMLP-TD-S, and how fast each of their parameters learns.

Holzmüller, Grinsztajn, Steinwart, "Better by Default" (NeurIPS 2024), appendix A: the
parametrisation, initialisation, activation, schedule and rates of the simplified RealMLP-TD-S.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backhand.layer import Layer
from backhand.layers import SELU, Mish, NeuralTangentLinear, Scale
from backhand.learning.rules import Adam, WithRate
from backhand.networks import Sequential, Stack

RULE = Adam(beta1=0.9, beta2=0.95)
FASTER_SCALES, SLOWER_BIASES = 6.0, 0.1
"""How much faster scales learn than weights, and biases slower."""


def make_members(
    inputs: int, hidden: Sequence[int], outputs: int, members: int, classifies: bool
) -> Stack:
    """Networks beside each other: rows (batch, inputs) to (batch, members, outputs)."""
    activation: Callable[[], Layer] = SELU if classifies else Mish

    def member() -> Sequential:
        layers: list[Layer] = [Scale(inputs)]
        width = inputs
        for units in hidden:
            layers += [NeuralTangentLinear(width, units), activation()]
            width = units
        return Sequential([*layers, NeuralTangentLinear(width, outputs, zero=True)])

    stack = Stack([member() for _ in range(members)])
    for path, parameter in stack.parameters().items():
        name = path.rsplit(".", 1)[-1]
        factor = {"scale": FASTER_SCALES, "bias": SLOWER_BIASES}.get(name)
        parameter.learn_with(RULE if factor is None else WithRate(RULE, factor))
    return stack


@dataclass(frozen=True)
class four_cosines:
    """A schedule: four periods of a cosine, each twice as long as the last, from 0 to `rate`.

    rate(s) = rate · (½ - ½ cos(2π log₂(1 + 15 s / steps))).
    """

    rate: float

    def __call__(self, step: int, steps: int) -> float:
        share = 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(1 + 15 * step / steps))
        return self.rate * share


def mean_of_members(outputs: np.ndarray) -> np.ndarray:
    """The mean over the members (rows, members, outputs), added up one after another.

    A reduction may choose another order for another number of rows.
    """
    total = np.zeros_like(outputs[:, 0])
    for member in range(outputs.shape[1]):
        total += outputs[:, member]
    mean: np.ndarray = total / outputs.shape[1]
    return mean
