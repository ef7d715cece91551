"""What MLPClassifier and MLPRegressor share: fit and partial_fit."""

from __future__ import annotations

import functools
import inspect
import warnings
from abc import abstractmethod
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    column_or_1d,
    validate_data,
)

from backhand.estimators.mlp.arguments import check_arguments
from backhand.estimators.mlp.batches import Batches
from backhand.estimators.mlp.lbfgs import FullLoss, train_by_lbfgs
from backhand.estimators.mlp.prepared import MLPPrepared
from backhand.estimators.mlp.rates import PerceptronRates
from backhand.estimators.mlp.trainer import Trainer, as_numbers
from backhand.estimators.mlp.training import HeldOut, PerceptronPasses, hold_out, train
from backhand.training.threads import running_on, threads_for

BATCH = 200
"""Rows of a batch where batch_size is "auto", as in scikit-learn."""


class MLPBase(MLPPrepared):
    """A network with scikit-learn's interface. Not for use by itself."""

    # What the subclasses say.

    _classifies: bool

    @abstractmethod
    def _read_target(self, y: np.ndarray, first: bool, classes: Any) -> np.ndarray:
        """The target as the validation score takes it; sets `n_outputs_`."""

    @abstractmethod
    def _encode(self, y: np.ndarray) -> np.ndarray:
        """The same, once it is known what targets there are."""

    @abstractmethod
    def _scales(self) -> tuple[float, float]:
        """What the loss is multiplied by in training, and that in turn for `loss_curve_`."""

    @abstractmethod
    def _targets(self, encoded: np.ndarray) -> np.ndarray:
        """The encoded target as the loss takes it."""

    @abstractmethod
    def _validation_score(self, held: HeldOut, raw: np.ndarray) -> float:
        """Accuracy or R² of raw outputs for the rows held out."""

    def _weigh(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        return sample_weight

    # fit and partial_fit.

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        incremental: bool,
        classes: Any = None,
        validation: tuple[Any, ...] | None = None,
    ) -> Self:
        kind: Any = type(self)
        defaults = _defaults(kind)
        check_arguments({name: getattr(self, name) for name in defaults}, defaults)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        X, y = self._read(X, y, first)
        encoded = self._read_target(y, first, classes)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        weights = self._weigh(y, sample_weight)
        if weights is not None and not weights.sum() > 0:
            raise ValueError(
                "weights: expected at least one row of a weight above 0, got only zeros"
            )
        held = None if validation is None else self._held(*validation)
        random = check_random_state(self.random_state)
        generator: Any = nullcontext()
        if self.dropout or self.network is not None:  # they draw from torch's generator
            generator = torch.random.fork_rng(devices=[])
        with generator:
            if self.dropout or self.network is not None:
                torch.manual_seed(int(random.randint(np.iinfo(np.int32).max)))
            kind, trainer = self._take_trainer(X[:1], random, first, incremental)
            X = as_numbers(X, trainer.dtype)
            if first:
                self._begin(held is not None)
            if self.solver == "lbfgs":
                self._learn_at_once(X, encoded, weights, trainer)
            else:
                self._learn(X, encoded, weights, held, trainer, random, incremental)
        self._keep(kind, trainer, incremental)
        return self

    def _read(self, X: Any, y: Any, first: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=not self._classifies,
            dtype=(np.float64, np.float32),
            reset=first,
        )
        y = y.toarray() if issparse(y) else y
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return (X.toarray() if issparse(X) else X), y

    def _held(self, X: Any, y: Any, sample_weight: Any = None) -> HeldOut:
        """The rows that a user gave to be measured after each epoch."""
        if self.solver == "lbfgs":
            raise ValueError("validation_data: has no effect beside solver='lbfgs'")
        X, y = self._read(X, y, first=False)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        return HeldOut(X, self._encode(y), sample_weight)

    def _learn(
        self,
        X: np.ndarray,
        encoded: np.ndarray,
        weights: np.ndarray | None,
        held: HeldOut | None,
        trainer: Trainer,
        random: np.random.RandomState,
        incremental: bool,
    ) -> None:
        """Epochs of batches."""
        if self.early_stopping and held is None:
            alone = self._classifies and self.n_outputs_ == 1
            labels = getattr(self, "classes_", None) if alone else None
            held, rows = hold_out(X, encoded, weights, self.validation_fraction, random, labels)
            X, encoded = X[rows], encoded[rows]
            weights = None if weights is None else weights[rows]
        auto = self.batch_size == "auto"
        size = min(BATCH if auto else self.batch_size, len(X))
        if not auto and size < self.batch_size:
            warnings.warn(
                f"batch_size: {self.batch_size} rows were asked for, there are {size} in all",
                stacklevel=4,
            )
        scale, report = self._scales()
        targets = self._numbers(encoded, trainer)
        batches = Batches(X, targets, weights, size, scale, self.network is None)
        passes = PerceptronPasses(self, trainer, batches, random, report)
        rates = self._rates
        if not incremental or rates is None:
            kind_of_rate = (self.learning_rate, self.learning_rate_init, self.power_t)
            rates = PerceptronRates(*kind_of_rate, self.max_iter * batches.steps)
            self._rates = rates
        with running_on(threads_for(trainer.network, batches.size)):
            train(self, passes, rates, held, incremental)

    def _learn_at_once(
        self, X: np.ndarray, encoded: np.ndarray, weights: np.ndarray | None, trainer: Trainer
    ) -> None:
        """L-BFGS on all rows."""
        scale, report = self._scales()
        decay = self.alpha / (len(X) if weights is None else float(weights.sum()))
        targets = self._numbers(encoded, trainer)
        full = FullLoss(trainer, X, targets, weights, scale, decay, self.network is None)
        with running_on(threads_for(trainer.network, full.size)):
            train_by_lbfgs(self, trainer, full, report)

    def _numbers(self, encoded: np.ndarray, trainer: Trainer) -> np.ndarray:
        """The target as the loss takes it, its numbers in the network's dtype."""
        targets = self._targets(encoded)
        return as_numbers(targets, trainer.dtype, "y") if targets.dtype.kind == "f" else targets


def learns_by_batches(estimator: MLPBase) -> bool:
    """Whether there is a partial_fit."""
    if estimator.solver != "lbfgs":
        return True
    raise AttributeError(
        "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
    )


def validation_given(
    validation_data: tuple[Any, ...] | None, eval_set: Any
) -> tuple[Any, ...] | None:
    """The rows to measure on, (X, y) or (X, y, sample_weight), by either of their names.

    Raises:
        ValueError: by both, or something else.
    """
    if validation_data is not None and eval_set is not None:
        raise ValueError("validation_data, eval_set: two names of one thing; expected one of them")
    name, given = "validation_data", validation_data
    if eval_set is not None:
        name, given = "eval_set", eval_set
        if isinstance(given, list) and len(given) == 1:
            given = given[0]
    if given is not None and not (isinstance(given, tuple) and len(given) in (2, 3)):
        raise ValueError(
            f"{name}: expected a pair (X, y) or (X, y, sample_weight), "
            f"got {type(given).__name__} of {len(given)}"
        )
    return given


@functools.cache
def _defaults(estimator: type) -> dict[str, Any]:
    """The constructor's defaults, by name."""
    parameters = inspect.signature(estimator).parameters
    return {name: each.default for name, each in parameters.items()}
