"""A fit of a perceptron: order, loss, whether it still improves; as scikit-learn counts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from backhand.estimators.mlp.batches import Batches
from backhand.estimators.mlp.rates import PerceptronRates
from backhand.estimators.mlp.trainer import Trainer
from backhand.learning.rules.penalized import penalize, squared_weights
from backhand.training import Epoch, NonFiniteLoss
from backhand.training.loop import Epochs, Guard, Judge
from backhand.training.weights import Weights

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


class PerceptronPasses:
    """Passes in the order that scikit-learn would draw, with its loss: the penalty counts.

    Args:
        estimator: says whether to shuffle, and what to penalize.
        trainer, batches: what trains, on what.
        random: shuffles, each order from the one before.
        report: what the steps' losses are multiplied by in `loss_curve_`.

    Attributes:
        penalty: ½ · alpha · Σ weight² / Σ row weights over a batch, by now.
    """

    def __init__(
        self,
        estimator: MLPBase,
        trainer: Trainer,
        batches: Batches,
        random: np.random.RandomState,
        report: float,
    ) -> None:
        self.trainer = trainer
        self.batches = batches
        self.steps = batches.steps
        self._random = random if estimator.shuffle else None
        self._report = report
        self._rows = np.arange(batches.rows)
        self._decay = estimator.alpha / (batches.data_size * batches.mean_weight)
        penalize(trainer.parameters, self._decay)
        self.penalty = self._penalty_now()

    def take(self, epochs: int, learning_rates: Sequence[float]) -> list[float]:
        """See Passes. The penalty is read after the call only, and taken to change evenly."""
        orders = [self._next_order() for _ in range(epochs)]
        steps = self.trainer.epochs(self.batches, self.batches.order(orders), learning_rates)
        losses = steps.numpy().reshape(epochs, -1) @ self.batches.shares * self._report
        before, self.penalty = self.penalty, self._penalty_now()
        penalties = np.linspace(before, self.penalty, epochs + 1)[1:]
        found: list[float] = (losses + penalties).tolist()
        return found

    def _next_order(self) -> np.ndarray:
        if self._random is not None:
            drawn = np.arange(len(self._rows))
            self._random.shuffle(drawn)
            self._rows = self._rows[drawn]
        return self._rows

    def _penalty_now(self) -> float:
        if not self._decay:
            return 0.0
        return 0.5 * self._decay * squared_weights(self.trainer.parameters)


class PerceptronJudge(Judge):
    """Counts the epochs that brought nothing, by the loss or by the score of rows held out.

    Args:
        estimator: whose fitted attributes count along.
        passes: of the training.
        held: what early stopping looks at; None without it.
    """

    def __init__(self, estimator: MLPBase, passes: PerceptronPasses, held: HeldOut | None) -> None:
        self._estimator = estimator
        self._passes = passes
        self._rows = passes.batches.rows
        self._held = held
        self._best = None if held is None else Weights(passes.trainer.network)

    def undecided(self) -> float:
        """See Judge.

        To stop takes more than n_iter_no_change epochs without improvement. The penalty is only
        read after the call; so it must be a trifle.
        """
        estimator = self._estimator
        curve = estimator.loss_curve_
        trifling = bool(curve) and self._passes.penalty <= PENALTY_SHARE * curve[-1]
        looks = self._held is not None or estimator.verbose
        if looks or self._passes.batches.one_epoch_at_a_time or not trifling:
            return 1
        undecided = estimator.n_iter_no_change + 1 - estimator._no_improvement_count
        return min(undecided, ROWS_IN_A_CALL // self._rows)

    def measures(self) -> Mapping[str, Mapping[str, float]]:
        """See Judge."""
        if self._held is None:
            return {}
        raw = self._passes.trainer.network.predict(self._held.inputs).numpy()
        return {"validation": {"score": self._estimator._validation_score(self._held, raw)}}

    def judge(self, epoch: Epoch) -> bool:
        """See Judge."""
        estimator = self._estimator
        estimator.n_iter_ = epoch.number
        estimator.t_ += self._rows
        estimator.loss_ = epoch.loss
        estimator.loss_curve_.append(epoch.loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {epoch.loss:.8f}")
        if self._held is None:
            improved = self._improved_by_loss(epoch.loss)
        else:
            improved = self._improved_by_score(epoch.measures["validation"]["score"])
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1
        return bool(estimator._no_improvement_count > estimator.n_iter_no_change)

    def _improved_by_loss(self, loss: float) -> bool:
        estimator = self._estimator
        assert estimator.best_loss_ is not None
        improved = loss <= estimator.best_loss_ - estimator.tol
        estimator.best_loss_ = min(loss, estimator.best_loss_)
        return improved

    def _improved_by_score(self, score: float) -> bool:
        estimator, best = self._estimator, self._estimator.best_validation_score_
        assert estimator.validation_scores_ is not None
        assert best is not None
        assert self._best is not None
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        if score > best:
            estimator.best_validation_score_ = score
            self._best.keep()
        return score >= best + estimator.tol

    def after_stall(self, lower: float | None) -> None:
        """See Judge."""
        estimator = self._estimator
        if estimator.verbose:
            what = "Training loss" if self._held is None else "Validation score"
            then = "Stopping." if lower is None else f"Setting learning rate to {lower:f}"
            print(
                f"{what} did not improve more than tol={estimator.tol:f} "
                f"for {estimator.n_iter_no_change} consecutive epochs. {then}"
            )
        if lower is not None:
            estimator._no_improvement_count = 0

    def restore_best(self) -> None:
        """Give the network the weights of the best score, where there were scores."""
        if self._best is not None:
            self._best.restore()


def train(
    estimator: MLPBase,
    passes: PerceptronPasses,
    rates: PerceptronRates,
    held: HeldOut | None,
    incremental: bool,
) -> None:
    """One call of fit or partial_fit: epochs until nothing improves, or there are no more.

    Args:
        estimator: whose fitted attributes count along.
        passes, rates: what trains, on what, how fast.
        held: what early stopping looks at; None without it.
        incremental: one epoch, which nobody expects to be the last.

    Warns:
        ConvergenceWarning: it still improved at the last epoch.

    Raises:
        ValueError: a loss or a weight is no finite number; the weights are those from before.
    """
    estimator.n_iter_ = 0
    epochs = 1 if incremental else estimator.max_iter
    rates.begin(passes.batches.rows, estimator.t_)
    judge = PerceptronJudge(estimator, passes, held)
    guard = Guard(passes.trainer.network, every_call=False)
    try:
        if Epochs(passes, rates, judge, guard).run(epochs, estimator.on_epoch) and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({epochs}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
    except NonFiniteLoss:
        _refuse(estimator)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    judge.restore_best()
    if not guard.holds():
        _refuse(estimator)


def _refuse(estimator: MLPBase) -> NoReturn:
    raise ValueError(
        f"Solver produced non-finite parameter weights or loss in epoch "
        f"{estimator.n_iter_ + 1}. The input data may contain large values and need to "
        "be preprocessed, or the learning rate is too high; the weights are those from before."
    ) from None
