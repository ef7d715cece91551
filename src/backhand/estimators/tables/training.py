"""The members' training: on the same batches, the best epoch of each kept."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from backhand.data import Data
from backhand.estimators.tables.members import four_cosines
from backhand.networks import Stack
from backhand.training import Epoch, NonFiniteLoss
from backhand.training.loop import Epochs, Guard, Judge
from backhand.training.passes import DataPasses
from backhand.training.rates import Scheduled
from backhand.training.steps import Steps, steps_for
from backhand.training.threads import running_on, threads_for
from backhand.training.weights import Weights

if TYPE_CHECKING:
    from backhand.estimators.tables.base import TableBase


class MembersJudge(Judge):
    """Keeps each member's best epoch, the last such of equals.

    Args:
        members: the networks.
        steps: predicts.
        held_out: the inputs of the validation rows.
        measure: predictions for them (rows, members, outputs) -> what each member makes of them
            (members,); less is better.

    Attributes:
        loss_curve: the loss of each epoch.
        scores: of each epoch, of each member.
        best_epochs: of each member, from 1; 0 where none was good.
    """

    def __init__(
        self, members: Stack, steps: Steps, held_out: Tensor, measure: Callable[[Tensor], Tensor]
    ) -> None:
        self.loss_curve: list[float] = []
        self.scores: list[list[float]] = []
        self.best_epochs = [0] * len(members.branches)
        self._steps = steps
        self._held_out = held_out
        self._measure = measure
        self._best = [math.inf] * len(members.branches)
        self._kept = [Weights(member) for member in members.branches]

    def measures(self) -> dict[str, dict[str, float]]:
        """See Judge: the mean of the members' scores, and each."""
        scores = self._measure(self._steps.predict(self._held_out)).tolist()
        each = {f"member_{i}": score for i, score in enumerate(scores, 1)}
        return {"validation": {"score": float(np.mean(scores)), **each}}

    def judge(self, epoch: Epoch) -> bool:
        """See Judge."""
        _, *scores = epoch.measures["validation"].values()
        self.loss_curve.append(epoch.loss)
        self.scores.append(scores)
        for i, score in enumerate(scores):
            if score <= self._best[i]:
                self._best[i], self.best_epochs[i] = score, epoch.number
                self._kept[i].keep()
        return False

    def restore_best(self) -> None:
        """Give each member the weights of its best epoch."""
        for kept in self._kept:
            kept.restore()


def train_members(
    estimator: TableBase,
    train: Data,
    held_out: Tensor,
    measure: Callable[[Tensor], Tensor],
    epochs: int,
    random: np.random.RandomState,
) -> MembersJudge:
    """Train an estimator's members, and leave each with its best epoch's weights.

    Args:
        estimator: says how, and has the members.
        train: inputs, and targets repeated for every member; the last batch of an epoch is left
            out where it is not full.
        held_out, measure: see MembersJudge.
        random: shuffles.

    Warns:
        UserWarning: Ctrl-C, or a number that is not finite, ended it after at least one epoch.

    Raises:
        ValueError: a number was not finite in the first epoch.
        KeyboardInterrupt: Ctrl-C before the first epoch was over.
    """
    members, rate = estimator.network_, estimator.learning_rate
    rows = len(train.inputs)
    size = min(estimator.batch_size, rows)
    used = rows // size * size

    def order() -> Tensor:
        return torch.from_numpy(random.permutation(rows)[:used])

    with running_on(threads_for(members, size)):
        steps = steps_for(members, estimator._loss(), train, size, record=True, engine=None)
        passes = DataPasses(steps, train, size, order, used)
        judge = MembersJudge(members, steps, held_out, measure)
        rates = Scheduled(four_cosines(rate), epochs * passes.steps)
        loop = Epochs(passes, rates, judge, Guard(members, every_call=False))
        try:
            loop.run(epochs, estimator.on_epoch)
        except KeyboardInterrupt:
            if not judge.scores:
                raise
            warnings.warn("Training interrupted by user.", stacklevel=4)
        except NonFiniteLoss:
            what = f"learning_rate: {rate} is too high: the loss is no finite number any more"
            if not judge.scores:
                raise ValueError(f"{what} in the first epoch") from None
            warnings.warn(
                f"{what} after epoch {loop.number}; each member keeps its best epoch so far",
                stacklevel=4,
            )
    judge.restore_best()
    return judge
