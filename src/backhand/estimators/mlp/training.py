"""A fit of a perceptron: order, loss, whether it still improves; as scikit-learn counts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from backhand.estimators.mlp.batches import Batches
from backhand.estimators.mlp.rates import PerceptronRates
from backhand.estimators.mlp.trainer import Trainer, as_numbers
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
    """The rows that are measured after each epoch, and that early stopping looks at."""

    inputs: np.ndarray
    encoded: np.ndarray
    weights: np.ndarray | None


def hold_out(
    X: np.ndarray,
    encoded: np.ndarray,
    weights: np.ndarray | None,
    share: float,
    random: np.random.RandomState,
    two_classes: Sequence[Any] | None,
) -> tuple[HeldOut, np.ndarray]:
    """The rows held out, and the numbers of the others.

    Args:
        X, encoded, weights: the table.
        share: of its rows.
        random: chooses them.
        two_classes: the labels encoded as 0 and 1, of both of which each part then gets its
            share; None to choose among all rows alike.

    Raises:
        ValueError: fewer than two rows would be held out, or there is one row of a class.
    """
    try:
        train, held = train_test_split(
            np.arange(len(X)),
            random_state=random,
            test_size=share,
            stratify=None if two_classes is None else encoded.astype(bool)[:, None],
        )
    except ValueError as problem:
        if two_classes is None or "least populated" not in str(problem):
            raise
        names = ", ".join(
            f"{bool(at)} stands for {label!r}"
            for at, label in enumerate(np.asarray(two_classes).tolist())
        )
        raise ValueError(f"{problem} Here {names}; early stopping holds out rows of both.")
    if len(held) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            f"dataset: a share of {share} of {len(X)} rows is {len(held)}, expected at least 2."
        )
    return HeldOut(X[held], encoded[held], None if weights is None else weights[held]), train


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
        batches, order = self.batches, self.batches.order(orders)
        steps = self.trainer.steps(
            batches.inputs, batches.target(), order, learning_rates, batches.size
        )
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
        held: what is measured after each epoch, by which early stopping decides; or None.
    """

    def __init__(self, estimator: MLPBase, passes: PerceptronPasses, held: HeldOut | None) -> None:
        self._estimator = estimator
        self._passes = passes
        self._rows = passes.batches.rows
        self._held = held
        self._best = Weights(passes.trainer.network) if estimator.early_stopping else None
        if held is not None:
            self._inputs = torch.from_numpy(as_numbers(held.inputs, passes.trainer.dtype))

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
        raw = self._passes.trainer.network.predict(self._inputs).numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # training may have run away
            score = self._estimator._validation_score(self._held, raw)
        return {"validation": {"score": score}}

    def judge(self, epoch: Epoch) -> bool:
        """See Judge."""
        estimator = self._estimator
        estimator.n_iter_ = epoch.number
        estimator.t_ += self._rows
        estimator.loss_ = epoch.loss
        estimator.loss_curve_.append(epoch.loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {epoch.loss:.8f}")
        by_score = True
        if self._held is not None:
            by_score = self._improved_by_score(epoch.measures["validation"]["score"])
        improved = by_score if estimator.early_stopping else self._improved_by_loss(epoch.loss)
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
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        if score > best:
            estimator.best_validation_score_ = score
            if self._best is not None:
                self._best.keep()
        return score >= best + estimator.tol

    def after_stall(self, lower: float | None) -> None:
        """See Judge."""
        estimator = self._estimator
        if estimator.verbose:
            what = "Validation score" if estimator.early_stopping else "Training loss"
            then = "Stopping." if lower is None else f"Setting learning rate to {lower:f}"
            print(
                f"{what} did not improve more than tol={estimator.tol:f} "
                f"for {estimator.n_iter_no_change} consecutive epochs. {then}"
            )
        if lower is not None:
            estimator._no_improvement_count = 0

    def restore_best(self) -> bool:
        """Give the network the weights of the best score; whether there was one."""
        if self._best is None or self._estimator.best_validation_score_ == -np.inf:
            return False
        self._best.restore()
        return True


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
        held: what is measured after each epoch, by which early stopping decides; or None.
        incremental: one epoch, which nobody expects to be the last.

    Warns:
        ConvergenceWarning: it still improved at the last epoch; or, with early stopping, training
            ran away, and the weights are those of the best score.

    Raises:
        ValueError: a loss or a weight is no finite number; the weights are those from before.
    """
    estimator.n_iter_ = 0
    epochs = 1 if incremental else estimator.max_iter
    rates.begin(passes.batches.rows, estimator.t_)
    judge = PerceptronJudge(estimator, passes, held)
    guard = Guard(passes.trainer.network, every_call=False)
    diverged = False
    try:
        if Epochs(passes, rates, judge, guard).run(epochs, estimator.on_epoch) and not incremental:
            _warn_of_no_convergence(
                f"Stochastic Optimizer: Maximum iterations ({epochs}) "
                "reached and the optimization hasn't converged yet."
            )
    except NonFiniteLoss:
        diverged = True
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    restored = judge.restore_best()
    if not guard.holds() or (diverged and not restored):
        refuse_non_finite(f"epoch {estimator.n_iter_ + 1}")
    if diverged:
        assert estimator.validation_scores_ is not None
        estimator.validation_scores_.append(math.nan)
        _warn_of_no_convergence(
            f"Training diverged in epoch {estimator.n_iter_ + 1}: the learning rate is too high, "
            "or the data need to be scaled; the weights are those of the best validation score."
        )


def _warn_of_no_convergence(message: str) -> None:
    warnings.warn(message, ConvergenceWarning, stacklevel=6)


def refuse_non_finite(when: str) -> NoReturn:
    """Say that training has run away, in scikit-learn's words and the time of it."""
    raise ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        f"and need to be preprocessed. It was in {when}; or the learning rate is too high. The "
        "weights are those from before."
    ) from None
