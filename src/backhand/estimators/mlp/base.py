"""What MLPClassifier and MLPRegressor share: arguments, the network, fit and partial_fit."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from abc import abstractmethod
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

from backhand.estimators.mlp.architecture import Architecture
from backhand.estimators.mlp.arguments import check_arguments, hidden_sizes
from backhand.estimators.mlp.batches import Batches
from backhand.estimators.mlp.fitted import MLPFitted
from backhand.estimators.mlp.rates import PerceptronRates
from backhand.estimators.mlp.trainer import Trainer, as_numbers, shelf
from backhand.estimators.mlp.training import HeldOut, PerceptronPasses, hold_out, train
from backhand.estimators.predictor import Predictor, numpy_dtype_of
from backhand.layer import Layer
from backhand.learning.rules import SGD, Adam, Momentum, UpdateRule
from backhand.losses import Loss
from backhand.training.threads import running_on, threads_for

BATCH = 200
"""Rows of a batch where batch_size is "auto", as in scikit-learn."""


class MLPBase(MLPFitted):
    """A network with scikit-learn's interface. Not for use by itself."""

    # The arguments; their meaning stands in the subclasses.
    loss: Any
    hidden_layer_sizes: Any
    activation: str
    solver: str
    alpha: float
    batch_size: Any
    learning_rate: Any
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    dropout: float
    rule: UpdateRule | None
    on_epoch: Any

    # What the subclasses say.

    _classifies: bool

    @abstractmethod
    def _read_target(self, y: np.ndarray, first: bool, classes: Any) -> np.ndarray:
        """The target as the validation score takes it; sets `n_outputs_`."""

    @abstractmethod
    def _loss(self) -> Loss:
        """The loss on the network's raw outputs."""

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
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, classes: Any = None
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
        random = check_random_state(self.random_state)
        if self.dropout or self.network is not None:  # they draw from torch's generator
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(random.randint(np.iinfo(np.int32).max)))
                self._learn(X, encoded, weights, random, first, incremental)
        else:
            self._learn(X, encoded, weights, random, first, incremental)
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

    def _learn(
        self,
        X: np.ndarray,
        encoded: np.ndarray,
        weights: np.ndarray | None,
        random: np.random.RandomState,
        first: bool,
        incremental: bool,
    ) -> None:
        auto = self.batch_size == "auto"
        one_batch = len(X) <= (BATCH if auto else self.batch_size)
        precise = one_batch and not (incremental or self.early_stopping)
        kind, trainer = self._take_trainer(X[:1], random, first, incremental, precise)
        X = as_numbers(X, trainer.dtype)
        if first:
            self._begin()
        held = None
        if self.early_stopping:
            two_classes = self._classifies and self.n_outputs_ == 1
            held, rows = hold_out(
                X, encoded, weights, self.validation_fraction, random, two_classes
            )
            X, encoded = X[rows], encoded[rows]
            weights = None if weights is None else weights[rows]
        size = min(BATCH if auto else self.batch_size, len(X))
        if not auto and size < self.batch_size:
            warnings.warn(
                f"batch_size: {self.batch_size} rows were asked for, there are {size} in all",
                stacklevel=4,
            )
        scale, report = self._scales()
        batches = Batches(X, self._targets(encoded), weights, size, scale, self.network is None)
        passes = PerceptronPasses(self, trainer, batches, random, report)
        rates = self._rates
        if not incremental or rates is None:
            kind_of_rate = (self.learning_rate, self.learning_rate_init, self.power_t)
            rates = PerceptronRates(*kind_of_rate, self.max_iter * batches.steps)
            self._rates = rates
        with running_on(threads_for(trainer.network, batches.size)):
            train(self, passes, rates, held, incremental)
        self._keep(kind, trainer, incremental)

    def _take_trainer(
        self,
        row: np.ndarray,
        random: np.random.RandomState,
        first: bool,
        incremental: bool,
        precise: bool,
    ) -> tuple[Any, Trainer]:
        """A trainer with the weights to begin with, and its kind, where others may use it after."""
        loss, rule = self._loss(), self._rule()
        architecture = None
        if self.network is None:
            sizes = (row.shape[1], *hidden_sizes(self.hidden_layer_sizes), self.n_outputs_)
            architecture = Architecture(sizes, self.activation, float(self.dropout))
        if not first:
            return None, self._trainer_to_go_on(architecture, loss, rule, incremental)
        self.__dict__.pop("network_", None)
        self._architecture = architecture
        if architecture is None:
            return None, Trainer(self._given_network(row), loss, rule)
        kind, trainer = None, None
        if self.rule is None and isinstance(self.loss, str):
            kind = (architecture, type(loss), rule, precise)
            trainer = shelf.take(kind)
        if trainer is None:
            network = architecture.build().to(torch.float64 if precise else torch.float32)
            trainer = Trainer(network, loss, rule)
        trainer.forget()
        architecture.initialize(trainer.network, random)
        return kind, trainer

    def _trainer_to_go_on(
        self, architecture: Architecture | None, loss: Loss, rule: UpdateRule, incremental: bool
    ) -> Trainer:
        """The trainer of the network there is."""
        if architecture != self._architecture:
            raise ValueError(
                "hidden_layer_sizes, activation, dropout, network: expected those of the network "
                f"that training goes on with, {self._architecture}; got {architecture}"
            )
        trainer = self._trainer
        if trainer is None or repr(trainer.loss) != repr(loss):
            trainer = Trainer(self.network_, loss, rule)
        trainer.learn_with(rule)
        if not incremental:
            trainer.forget()
        return trainer

    def _given_network(self, row: np.ndarray) -> Layer:
        """The user's network, copied, or made by the user's function."""
        if isinstance(self.network, Layer):
            network = copy.deepcopy(self.network)
        else:
            network = self.network(row.shape[1], self.n_outputs_)
        prediction = network.predict(torch.from_numpy(as_numbers(row, numpy_dtype_of(network))))
        if tuple(prediction.shape) != (1, self.n_outputs_):
            raise ValueError(
                f"network: expected {self.n_outputs_} outputs for a row, "
                f"got {tuple(prediction.shape)[1:]} from {network!r}"
            )
        return network

    def _begin(self) -> None:
        """Set the attributes that a training goes on from."""
        self.n_iter_ = self.t_ = 0
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _keep(self, kind: Any, trainer: Trainer, incremental: bool) -> None:
        """Keep the network; its trainer too, where it will be wanted, else others may have it."""
        self._trainer = None
        if kind is None or self.warm_start or incremental:
            self.network_, self._trainer = trainer.network, trainer
        else:
            self.network_, prediction = trainer.copy()
            self._predictor = Predictor(self.network_, prediction)
            shelf.put(kind, trainer)
        if self._predictor is None or self._predictor.network is not self.network_:
            self._predictor = Predictor(self.network_)

    def _rule(self) -> UpdateRule:
        if self.rule is not None:
            return self.rule
        if self.solver == "adam":
            return Adam(self.beta_1, self.beta_2, self.epsilon)
        return Momentum(self.momentum, self.nesterovs_momentum) if self.momentum else SGD()


@functools.cache
def _defaults(estimator: type) -> dict[str, Any]:
    """The constructor's defaults, by name."""
    parameters = inspect.signature(estimator).parameters
    return {name: each.default for name, each in parameters.items()}
