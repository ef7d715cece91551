"""The epochs of a fit: order, step, loss, whether it still improves; as scikit-learn counts."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from backhand.estimators.mlp.batches import Batches
from backhand.estimators.mlp.rates import Rates
from backhand.estimators.mlp.trainer import Trainer
from backhand.learning.rules.penalized import squared_weights
from backhand.training import Epoch

if TYPE_CHECKING:
    from backhand.estimators.mlp.base import MLPBase

ROWS_IN_A_CALL = 50_000
"""Rows up to which epochs are taken together: Ctrl-C waits for a call to end."""

PENALTY_SHARE = 1e-3
"""Of the loss: how large the penalty may be for epochs to be taken together."""


@dataclass(frozen=True)
class HeldOut:
    """The rows that early stopping looks at."""

    inputs: torch.Tensor
    encoded: np.ndarray
    weights: np.ndarray | None


def hold_out(
    X: np.ndarray,
    encoded: np.ndarray,
    weights: np.ndarray | None,
    share: float,
    random: np.random.RandomState,
    stratify: bool,
) -> tuple[HeldOut, np.ndarray]:
    """The rows held out, and the numbers of the others.

    Raises:
        ValueError: fewer than two rows would be held out.
    """
    train, held = train_test_split(
        np.arange(len(X)),
        random_state=random,
        test_size=share,
        stratify=encoded if stratify else None,
    )
    if len(held) < 2:
        raise ValueError(
            f"validation_fraction: a share of {share} of {len(X)} rows is too small a validation "
            "set; expected at least 2 rows"
        )
    rows = torch.from_numpy(X[held])
    return HeldOut(rows, encoded[held], None if weights is None else weights[held]), train


class Training:
    """One call of fit or partial_fit under way.

    Args:
        estimator: whose fitted attributes count along.
        trainer, batches, rates: what trains, on what, how fast.
        held: what early stopping looks at; None without it.
        random: shuffles.
        report: what the steps' losses are multiplied by in `loss_curve_`.
    """

    def __init__(
        self,
        estimator: MLPBase,
        trainer: Trainer,
        batches: Batches,
        rates: Rates,
        held: HeldOut | None,
        random: np.random.RandomState,
        report: float,
    ) -> None:
        self._estimator = estimator
        self._trainer = trainer
        self._batches = batches
        self._rates = rates
        self._held = held
        self._random = random
        self._report = report
        self._before = trainer.weights()
        self._best = self._before
        self._begun = time.perf_counter()
        self.decay = estimator.alpha / (batches.data_size * batches.mean_weight)
        """What the weights are penalized by: alpha / Σ weights over a batch."""
        self._penalty = self._penalty_now()

    def run(self, epochs: int, incremental: bool) -> None:
        """Take epochs until nothing improves, or there are no more.

        Warns:
            ConvergenceWarning: it still improved at the last one.

        Raises:
            ValueError: a loss or a weight is no finite number; the weights are those from before.
        """
        estimator = self._estimator
        estimator.n_iter_ = 0
        rows = np.arange(self._batches.rows)
        try:
            while estimator.n_iter_ < epochs:
                orders = []
                for _ in range(self._ahead(epochs)):
                    if estimator.shuffle:
                        drawn = np.arange(len(rows))
                        self._random.shuffle(drawn)
                        rows = rows[drawn]
                    orders.append(rows)
                self._take(orders)
                if self._stalled() and not self._goes_on_slower():
                    break
                if not incremental and estimator.n_iter_ == epochs:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({epochs}) "
                        "reached and the optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=5,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        if self._held is not None:
            self._trainer.restore(self._best)
        if not self._trainer.finite():
            self._refuse()

    def _ahead(self, epochs: int) -> int:
        """How many epochs may be taken in one call: nothing can be decided before they are over.

        To stop takes more than n_iter_no_change epochs without improvement. The penalty is only
        read after the call; so it must be a trifle.
        """
        estimator = self._estimator
        looks = self._held is not None or estimator.verbose or estimator.on_epoch is not None
        curve = estimator.loss_curve_
        trifling = bool(curve) and self._penalty <= PENALTY_SHARE * curve[-1]
        if looks or self._batches.one_epoch_at_a_time or not trifling:
            return 1
        undecided = estimator.n_iter_no_change + 1 - estimator._no_improvement_count
        left = epochs - estimator.n_iter_
        return int(max(1, min(undecided, left, ROWS_IN_A_CALL // self._batches.rows)))

    def _take(self, orders: list[np.ndarray]) -> None:
        """Take these epochs in one call, and count them."""
        estimator, batches = self._estimator, self._batches
        rates: list[float] = []
        for epoch in range(len(orders)):
            rates += self._rates.of_epoch(batches.steps)
            self._rates.epoch_ended(estimator.t_ + (epoch + 1) * batches.rows)
        steps = self._trainer.epochs(batches, batches.order(orders), rates)
        losses = steps.numpy().reshape(len(orders), -1) @ batches.shares * self._report
        if not np.isfinite(losses).all():
            self._refuse()
        before, self._penalty = self._penalty, self._penalty_now()
        penalties = np.linspace(before, self._penalty, len(orders) + 1)[1:]
        for loss in (losses + penalties).tolist():
            self._count(loss)

    def _penalty_now(self) -> float:
        if not self.decay:
            return 0.0
        return 0.5 * self.decay * squared_weights(self._trainer.parameters)

    def _count(self, loss: float) -> None:
        """One epoch is over."""
        estimator = self._estimator
        estimator.n_iter_ += 1
        estimator.t_ += self._batches.rows
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        self._judge(loss)
        self._tell(loss)

    def _judge(self, loss: float) -> None:
        """Count the epochs that brought nothing."""
        estimator = self._estimator
        if self._held is None:
            assert estimator.best_loss_ is not None
            improved = loss <= estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(loss, estimator.best_loss_)
        else:
            assert estimator.validation_scores_ is not None
            assert estimator.best_validation_score_ is not None
            raw = self._trainer.network.predict(self._held.inputs).numpy()
            score = estimator._validation_score(self._held, raw)
            estimator.validation_scores_.append(score)
            if estimator.verbose:
                print(f"Validation score: {score:f}")
            improved = score >= estimator.best_validation_score_ + estimator.tol
            if score > estimator.best_validation_score_:
                estimator.best_validation_score_ = score
                self._best = self._trainer.weights()
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1

    def _tell(self, loss: float) -> None:
        estimator = self._estimator
        if estimator.on_epoch is None:
            return
        scores = estimator.validation_scores_
        measures = {"validation": {"score": scores[-1]}} if scores else {}
        steps = estimator.n_iter_ * self._batches.steps
        seconds = time.perf_counter() - self._begun
        estimator.on_epoch(
            Epoch(estimator.n_iter_, steps, self._rates.rate, seconds, loss, measures)
        )

    def _stalled(self) -> bool:
        return self._estimator._no_improvement_count > self._estimator.n_iter_no_change

    def _goes_on_slower(self) -> bool:
        """Whether a lower rate is left to try."""
        estimator = self._estimator
        lower = self._rates.lower()
        if estimator.verbose:
            what = "Training loss" if self._held is None else "Validation score"
            then = f"Setting learning rate to {self._rates.rate:f}" if lower else "Stopping."
            print(
                f"{what} did not improve more than tol={estimator.tol:f} "
                f"for {estimator.n_iter_no_change} consecutive epochs. {then}"
            )
        estimator._no_improvement_count = 0 if lower else estimator._no_improvement_count
        return lower

    def _refuse(self) -> Any:
        self._trainer.restore(self._before)
        raise ValueError(
            f"Solver produced non-finite parameter weights or loss in epoch "
            f"{self._estimator.n_iter_ + 1}. The input data may contain large values and need to "
            "be preprocessed, or the learning rate is too high; the weights are those from before."
        )
