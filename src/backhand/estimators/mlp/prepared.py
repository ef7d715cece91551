"""What a fit of a perceptron begins with and ends with: a network, its rule, its trainer."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any

import numpy as np
import torch

from backhand.estimators.mlp.architecture import Architecture
from backhand.estimators.mlp.arguments import hidden_sizes
from backhand.estimators.mlp.fitted import MLPFitted
from backhand.estimators.mlp.trainer import Trainer, as_numbers, shelf
from backhand.estimators.predictor import Predictor, numpy_dtype_of
from backhand.layer import Layer
from backhand.learning.rules import SGD, Adam, Momentum, UpdateRule
from backhand.learning.rules.gradient_sum import GradientSum
from backhand.learning.rules.penalized import Penalized
from backhand.losses import Loss


class MLPPrepared(MLPFitted):
    """The half of MLPBase that stands around training."""

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

    @abstractmethod
    def _loss(self) -> Loss:
        """The loss on the network's raw outputs."""

    def _take_trainer(
        self,
        row: np.ndarray,
        random: np.random.RandomState,
        first: bool,
        incremental: bool,
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
        # L-BFGS looks at differences of gradients, which float32 loses: as scikit-learn's,
        # it computes in float64.
        narrow = row.dtype == np.float32 and self.solver != "lbfgs"
        dtype = torch.float32 if narrow else torch.float64
        if self.rule is None and isinstance(self.loss, str):
            kind = (architecture, type(loss), rule, dtype)
            trainer = shelf.take(kind)
        if trainer is None:
            trainer = Trainer(architecture.build().to(dtype), loss, rule)
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
        if self.solver == "lbfgs":
            network.to(torch.float64)
        prediction = network.predict(torch.from_numpy(as_numbers(row, numpy_dtype_of(network))))
        if tuple(prediction.shape) != (1, self.n_outputs_):
            raise ValueError(
                f"network: expected {self.n_outputs_} outputs for a row, "
                f"got {tuple(prediction.shape)[1:]} from {network!r}"
            )
        return network

    def _begin(self, measures: bool) -> None:
        """Set the attributes that a training goes on from."""
        self.n_iter_ = self.t_ = 0
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        measures = measures or self.early_stopping
        self.validation_scores_ = [] if measures else None
        self.best_validation_score_ = -np.inf if measures else None

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
        if self.solver == "lbfgs":
            return GradientSum()
        if self.rule is not None:
            return Penalized(self.rule)
        if self.solver == "adam":
            return Penalized(Adam(self.beta_1, self.beta_2, self.epsilon))
        momentum = Momentum(self.momentum, self.nesterovs_momentum) if self.momentum else SGD()
        return Penalized(momentum)
