"""MLPRegressor: scikit-learn's multi-layer perceptron for numbers, in far less time."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from backhand.estimators.mlp.base import MLPBase, learns_by_batches, validation_given
from backhand.estimators.mlp.training import HeldOut
from backhand.losses import Loss, MSELoss, PoissonLoss


class MLPRegressor(RegressorMixin, MLPBase):  # type: ignore[misc]
    """A multi-layer perceptron for numbers; `sklearn.neural_network.MLPRegressor`, faster.

    Args:
        loss: "squared_error" (default): ½ (prediction - target)²; "poisson": half the Poisson
            deviance of counts, the prediction being the exponential of the output; or any
            `backhand.Loss` with `rows`, which then takes the mean over the outputs.
        (the others): as for MLPClassifier; it has no class_weight.

    Attributes:
        (all): as for MLPClassifier, without classes_; validation scores are R².

    Raises, warns: as MLPClassifier.
    """

    _classifies = False

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        rule: Any = None,
        network: Any = None,
        on_epoch: Any = None,
    ) -> None:
        self._keep_arguments(locals())

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        eval_set: Any = None,
    ) -> Self:
        """Train on rows X (rows, features) and numbers y (rows,) or (rows, outputs).

        Args:
            sample_weight, validation_data, eval_set: as for MLPClassifier.
        """
        validation = validation_given(validation_data, eval_set)
        return self._fit(X, y, sample_weight, incremental=False, validation=validation)

    @available_if(learns_by_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch more on these rows."""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """The numbers for rows X, (rows,) or (rows, outputs)."""
        return self._activated(self._raw(X))

    def _activated(self, raw: np.ndarray) -> np.ndarray:
        found = np.exp(raw) if self.out_activation_ == "exp" else raw
        return found[:, 0] if found.shape[1] == 1 else found

    def _read_target(self, y: np.ndarray, first: bool, classes: Any) -> np.ndarray:
        if first:
            self.n_outputs_ = _outputs(y)
        self.out_activation_ = "exp" if isinstance(self._loss(), PoissonLoss) else "identity"
        return self._encode(y)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        if _outputs(y) != self.n_outputs_:
            raise ValueError(
                f"y: expected {self.n_outputs_} outputs a row, as before, got {_outputs(y)}"
            )
        if self.out_activation_ == "exp" and y.min() < 0:
            raise ValueError(f"y: loss='poisson' expected counts of 0 or more, got {y.min():g}")
        return y

    def _loss(self) -> Loss:
        if isinstance(self.loss, Loss):
            return self.loss
        losses: dict[str, type[Loss]] = {"squared_error": MSELoss, "poisson": PoissonLoss}
        if self.loss not in losses:
            raise ValueError(
                f"loss: expected 'squared_error', 'poisson' or a Loss, got {self.loss!r}"
            )
        return losses[self.loss]()

    def _scales(self) -> tuple[float, float]:
        # scikit-learn learns from the sum over the outputs, and reports squares as their mean.
        if self.loss == "squared_error":
            return self.n_outputs_ / 2, 1 / self.n_outputs_
        return (float(self.n_outputs_), 1.0) if self.loss == "poisson" else (1.0, 1.0)

    def _targets(self, encoded: np.ndarray) -> np.ndarray:
        return encoded.reshape(len(encoded), -1).astype(np.float64)

    def _validation_score(self, held: HeldOut, raw: np.ndarray) -> float:
        predicted = self._activated(raw)
        return _r2(held.encoded, predicted, held.weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _outputs(y: np.ndarray) -> int:
    return 1 if y.ndim == 1 else y.shape[1]


def _r2(target: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
    """As sklearn.metrics.r2_score, the mean over the outputs; in a tenth of its time."""
    weights = np.ones(len(target)) if weights is None else weights
    target, predicted = target.reshape(len(target), -1), predicted.reshape(len(target), -1)
    mean = np.average(target, axis=0, weights=weights)
    rest, total = weights @ (target - predicted) ** 2, weights @ (target - mean) ** 2
    scores = 1 - np.divide(rest, total, out=np.where(rest > 0, 1.0, 0.0), where=total > 0)
    return float(scores.mean())
