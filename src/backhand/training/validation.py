"""What fit decides by: data sets evaluated after every epoch, the best validation loss kept."""

from __future__ import annotations

import math
from collections.abc import Mapping

from backhand.data import Data
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.training.history import Epoch, History
from backhand.training.loop import Judge, NonFiniteLoss
from backhand.training.metrics import Metric, evaluate
from backhand.training.steps import Steps
from backhand.training.weights import Weights


class Validation(Judge):
    """Writes a history; where there is a set "validation", keeps the epoch of its least loss.

    Args:
        network, loss: as for `fit`.
        steps: predicts.
        sets: the data sets to evaluate, by name.
        metrics: beside the loss.
        patience: epochs without a better validation loss after which training has stalled.
    """

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        steps: Steps,
        sets: Mapping[str, Data],
        metrics: Mapping[str, Metric],
        patience: int | None,
    ) -> None:
        self.history = History(engine=steps.engine)
        self._network = network
        self._loss = loss
        self._steps = steps
        self._sets = sets
        self._metrics = metrics
        self._patience = math.inf if patience is None else patience
        self._best = Weights(network) if "validation" in sets else None
        self._best_loss = math.inf

    def measures(self) -> dict[str, dict[str, float]]:
        """See Judge."""
        return {
            name: evaluate(self._network, self._loss, data, self._metrics, self._steps.predict)
            for name, data in self._sets.items()
        }

    def judge(self, epoch: Epoch) -> bool:
        """See Judge."""
        history = self.history
        history.epochs.append(epoch)
        if self._best is None:
            return False
        loss = epoch.measures["validation"]["loss"]
        if not math.isfinite(loss):
            self._best.restore()
            raise NonFiniteLoss(
                f"epoch {epoch.number}: the validation loss is not a finite number; "
                f"the weights are those of epoch {history.best_epoch or 0}"
            )
        if loss < self._best_loss:
            self._best_loss = loss
            self._best.keep()
            history.best_epoch = epoch.number
        return epoch.number - (history.best_epoch or 0) >= self._patience

    def restore_best(self) -> None:
        """Give the network the weights of the best epoch, where one was chosen."""
        if self._best is not None:
            self._best.restore()
