"""What a fitted perceptron leaves behind: its network, to predict with, to look at, to pickle."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from backhand.estimators.mlp.architecture import Architecture, connected
from backhand.estimators.mlp.rates import PerceptronRates
from backhand.estimators.mlp.trainer import Trainer, as_numbers
from backhand.estimators.predictor import Predictor
from backhand.layer import Layer


class MLPFitted(BaseEstimator):  # type: ignore[misc]
    """The half of MLPBase that comes after fit."""

    network: Any
    """As the constructor got it."""

    network_: Layer
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_features_in_: int
    n_outputs_: int
    n_iter_: int
    t_: int
    out_activation_: str

    _architecture: Architecture | None = None
    _predictor: Predictor | None = None
    _trainer: Trainer | None = None
    _rates: PerceptronRates | None = None

    def _keep_arguments(self, given: dict[str, Any]) -> None:
        """Keep the constructor's arguments, its locals(), as attributes, as scikit-learn asks."""
        for name, value in given.items():
            if name != "self":
                setattr(self, name, value)

    def _raw(self, X: Any) -> np.ndarray:
        """The network's outputs (rows, outputs) before the output activation."""
        predictor = self._predictor
        if (
            predictor is not None
            and type(X) is np.ndarray
            and X.shape == (1, self.n_features_in_)
            and X.dtype.kind == "f"
            and not hasattr(self, "feature_names_in_")
        ):
            found = predictor.one(X)  # the short way, without validate_data
            if found is not None:
                return found
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
        )
        assert self._predictor is not None
        X = X.toarray() if issparse(X) else X
        return self._predictor.many(as_numbers(X, self._predictor.dtype))

    # What is left behind.

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weight matrices (inputs, outputs), layer by layer: views of the network's."""
        return [layer.weight.value.numpy().T for layer in self._layers()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases (outputs,), layer by layer: views of the network's."""
        return [layer.bias.value.numpy() for layer in self._layers() if layer.bias is not None]

    @property
    def n_layers_(self) -> int:
        """The layers of units, with those of the inputs and of the outputs."""
        return len(self._layers()) + 1

    def _layers(self) -> list[Any]:
        if "network_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no weights before it is fitted")
        if self.network is not None:
            raise AttributeError("network= has weights of its own: see network_.parameters()")
        return connected(self.network_)

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """All but the recordings, which are made again where they are needed."""
        state = dict(super().__getstate__())
        for name in ("_trainer", "_predictor"):
            state.pop(name, None)
        if "network_" in state:
            state["network_"] = self._network_as_arrays() or copy.deepcopy(state["network_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in vars(self):
            if isinstance(self.network_, dict):
                assert self._architecture is not None
                self.network_ = self._architecture.build_from(self.network_)
            self._predictor = Predictor(self.network_)

    def _network_as_arrays(self) -> dict[str, Any] | None:
        """A perceptron as `Architecture.build_from` takes it: skops knows arrays, not tensors.

        None where it is no perceptron, or somebody has frozen it, gated it, or set other rules.
        """
        if self._architecture is None:
            return None
        parameters = list(self.network_.parameters().values())
        rule = parameters[0].rule
        if any(each.frozen or each.gate is not None or each.rule != rule for each in parameters):
            return None
        tensors = self.network_.lasting_tensors()
        return {
            "rule": rule,
            "updates": [each.updates for each in parameters],
            "arrays": {name: tensor.numpy().copy() for name, tensor in tensors.items()},
        }
