"""Members: the networks of RealMLP-TD-S, trained side by side, the best epoch of each kept.

Holzmüller, Grinsztajn, Steinwart, "Better by Default" (NeurIPS 2024), appendix A: the
parametrisation, initialisation, activation, schedule and rates of the simplified RealMLP-TD-S.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backhand.layer import Layer
from backhand.layers import SELU, Mish, NeuralTangentLinear, Scale
from backhand.learning.parameter import lay_side_by_side
from backhand.learning.rules import Adam, WithRate
from backhand.losses import Loss
from backhand.networks import Sequential, Stack
from backhand.program import Prediction, TrainingStep
from backhand.training.threads import running_on, threads_for

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
    lay_side_by_side(list(stack.parameters().values()))
    return stack


def four_cosines(step: int, steps: int) -> float:
    """The share of the learning rate, four periods of a cosine, each twice as long as the last.

    ½ - ½ cos(2π log₂(1 + 15 t)), with t = step / steps.
    """
    return 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(1 + 15 * step / steps))


class MembersTraining:
    """Trains members on the same batches.

    Args:
        members: trained in place.
        loss: of (batch, members, outputs) and the targets repeated for every member.
        measure: (predictions (rows, members, outputs)) -> what each member makes of the
            validation rows (members,), less is better.
        learning_rate: at the cosines' tops.
        epochs, batch_size: the last batch of an epoch is left out where it is not full.
        random: shuffles.
    """

    def __init__(
        self,
        members: Stack,
        loss: Loss,
        measure: Callable[[Tensor], Tensor],
        learning_rate: float,
        epochs: int,
        batch_size: int,
        random: np.random.RandomState,
    ) -> None:
        self.members = members
        self.loss = loss
        self.measure = measure
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random = random
        self.loss_curve: list[float] = []
        self.scores: list[list[float]] = []
        self.best_epochs = [0] * len(members.branches)

    def run(
        self,
        inputs: Tensor,
        targets: Tensor,
        held_out: Tensor,
        on_epoch: Callable[[int, float, list[float]], Any] | None = None,
    ) -> None:
        """Train, and leave each member with its best epoch's weights, the last such of equals.

        Warns:
            UserWarning: Ctrl-C ended it early, after at least one epoch.
        """
        size = min(self.batch_size, len(inputs))
        steps = len(inputs) // size
        best = [math.inf] * len(self.members.branches)
        kept = [_weights(each) for each in self.members.branches]
        with running_on(threads_for(self.members, size)):
            training = TrainingStep(self.members, self.loss)
            training.record(inputs[:size], targets[:size])
            predict = Prediction(self.members, training.engine).run
            try:
                for epoch in range(self.epochs):
                    order = torch.from_numpy(self.random.permutation(len(inputs))[: steps * size])
                    rates = self._rates(epoch, steps)
                    losses = training.run(inputs, targets, order, rates, size)
                    assert losses is not None
                    self.loss_curve.append(float(losses.double().mean()))
                    if not math.isfinite(self.loss_curve[-1]):
                        break
                    scores = self.measure(predict(held_out)).tolist()
                    self.scores.append(scores)
                    for i, score in enumerate(scores):
                        if score <= best[i]:
                            best[i], self.best_epochs[i] = score, epoch + 1
                            kept[i] = _weights(self.members.branches[i])
                    if on_epoch is not None:
                        on_epoch(epoch + 1, self.loss_curve[-1], scores)
            except KeyboardInterrupt:
                if not self.scores:
                    raise
                warnings.warn("Training interrupted by user.", stacklevel=4)
        for member, weights in zip(self.members.branches, kept, strict=True):
            for parameter, value in zip(member.parameters().values(), weights, strict=True):
                parameter.value.copy_(value)

    def _rates(self, epoch: int, steps: int) -> list[float]:
        """The learning rate of each step of an epoch."""
        first, total = epoch * steps, self.epochs * steps
        return [self.learning_rate * four_cosines(first + i, total) for i in range(steps)]


def _weights(network: Layer) -> list[Tensor]:
    return [each.value.clone() for each in network.parameters().values()]
