"""MLPClassifier: scikit-learn's multi-layer perceptron for classes, in far less time.

Change one import line: from the same random_state come the same weights, the same shuffles and,
to rounding, the same training.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if

from backhand.estimators.mlp.base import MLPBase, learns_by_batches, validation_given
from backhand.estimators.mlp.labels import Labels
from backhand.estimators.mlp.training import HeldOut
from backhand.losses import BinaryCrossEntropyLoss, CrossEntropyLoss, Loss


def _has_probabilities(estimator: MLPClassifier) -> bool:
    """Whether the loss is a likelihood; else outputs are scores."""
    if isinstance(estimator.loss, str | CrossEntropyLoss | BinaryCrossEntropyLoss):
        return True
    raise AttributeError(
        f"{estimator.loss!r} makes scores of the outputs, not probabilities; "
        "take loss='log_loss' for those"
    )


class MLPClassifier(ClassifierMixin, MLPBase):  # type: ignore[misc]
    """A multi-layer perceptron that classifies; `sklearn.neural_network.MLPClassifier`, faster.

    It computes in the dtype of X, float64 or float32, which is faster; with "lbfgs" in float64.
    Sparse input is made dense, as a whole. The first fit of a new shape compiles for some tenths
    of a second; what was compiled is kept on the disc, and steps that were recorded in memory,
    so that the fits of a search share them.

    Args:
        hidden_layer_sizes: units of each hidden layer; default (100,).
        activation: of the hidden layers: "relu" (default), "tanh", "logistic" or "identity".
        solver: "adam" (default) or "sgd"; or "lbfgs": SciPy's L-BFGS-B on the loss of all rows,
            often the best for small tables. It passes over what says how steps follow on each
            other (batch_size, learning_rate_init, shuffle, momentum …), and has no partial_fit.
        alpha: strength of the penalty: ½ alpha |weights|² / rows of a batch is added to the loss,
            biases apart; default 0.0001. With any solver and any rule.
        batch_size: rows of a batch; default "auto": 200, or all where there are fewer.
        learning_rate: "constant" (default); "invscaling": learning_rate_init / t^power_t;
            "adaptive": a fifth each time that training no longer improves; or a schedule
            (step, steps) -> rate such as `backhand.training.cosine(0.001)`. With any solver.
        learning_rate_init: default 0.001.
        power_t: of "invscaling"; default 0.5.
        max_iter: the most epochs, or iterations of "lbfgs"; default 200.
        shuffle: whether the rows are shuffled for each epoch; default True.
        random_state: a seed or RandomState, for the same result again; default None.
        tol: what an epoch must improve the loss by (or the validation score); where the largest
            element of the gradient is less, "lbfgs" ends; default 0.0001.
        verbose: print each epoch's loss; default False.
        warm_start: whether fit goes on from the weights of the last fit; default False.
        momentum, nesterovs_momentum: of "sgd"; default 0.9 and True.
        early_stopping: hold out a share of the rows, stop when their score no longer improves,
            and restore the best weights; default False.
        validation_fraction: that share; default 0.1.
        beta_1, beta_2, epsilon: of "adam"; default 0.9, 0.999, 1e-8.
        n_iter_no_change: epochs without improvement before training stops; default 10.
        max_fun: the most losses that "lbfgs" computes; default 15000.
        class_weight: {label: weight}, or "balanced": rows / (classes · rows of the class);
            default None, all equal. Multiplies sample_weight.
        dropout: the share of hidden outputs set to 0 in training; default 0.
        loss: "log_loss" (default), or any `backhand.Loss` with `rows`: the cross-entropy takes
            class numbers and one output a class; any other one output a class, or one for two
            classes, and targets of 0 and 1.
        rule: any `backhand.UpdateRule`, in the solver's place; default None.
        network: any `backhand.Layer` from (rows, features) to (rows, outputs), copied; or a
            function (inputs, outputs) -> Layer; default None: the perceptron described.
        on_epoch: called with a `backhand.training.Epoch` after every epoch; default None.

    Attributes:
        classes_: the labels.
        network_: the trained network; `backhand.save` writes it.
        coefs_, intercepts_: its weights (inputs, outputs) and biases, layer by layer.
        loss_, loss_curve_, best_loss_: the last epoch's loss, all of them, the least (None with
            early stopping).
        validation_scores_, best_validation_score_: accuracies; None without early stopping.
        n_iter_, t_: epochs of the last fit, and rows seen.
        n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_.

    Raises:
        ValueError, TypeError: (at fit) an argument or a value is out of range, has no effect
            beside another, or training met a number that is not finite.

    Warns:
        ConvergenceWarning: the loss still improved at the last epoch.
    """

    _classifies = True

    def __init__(
        self,
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
        class_weight: Any = None,
        loss: Any = "log_loss",
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
        """Train on rows X (rows, features) and labels y (rows,), or indicators (rows, labels).

        Args:
            sample_weight: (rows,), what each row counts; default all the same.
            validation_data: (X, y) or (X, y, sample_weight) to measure after each epoch; early
                stopping then holds out nothing, and decides by it.
            eval_set: the same by the name that boosted trees have for it: a pair, or a list of
                one.
        """
        validation = validation_given(validation_data, eval_set)
        return self._fit(X, y, sample_weight, incremental=False, validation=validation)

    @available_if(learns_by_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train one epoch more on these rows.

        Args:
            X, y, sample_weight: as for fit.
            classes: all labels there will be; needed at the first call.
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None and hasattr(self, "classes_"):
            given = np.unique(np.asarray(classes))
            if not np.array_equal(given, self.classes_):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to partial_fit, "
                    f"was: {self.classes_!r}"
                )
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: Any) -> np.ndarray:
        """The labels (rows,) for rows X, or indicators (rows, labels)."""
        raw = self._raw(X)
        return self._labels.decode(self._labels.choose(raw, self._threshold()))

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class (rows, classes); of each label on its own."""
        raw = self._raw(X)
        probabilities: np.ndarray = np.exp(self._log_likely(raw.astype(np.float64)))
        return probabilities.astype(raw.dtype)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithms of predict_proba, finite however unlikely the class."""
        raw = self._raw(X)
        found = self._log_likely(raw.astype(np.float64))
        # What is likely comes by way of the probability: where those are equal, so are these.
        likely = np.exp(found)
        found = np.where(likely > 0.5, np.log(np.maximum(likely, 0.5)), found)
        return found.astype(raw.dtype)

    def _log_likely(self, raw: np.ndarray) -> np.ndarray:
        if self.out_activation_ == "softmax":
            raw -= raw.max(axis=1, keepdims=True)
            raw -= np.log(np.exp(raw).sum(axis=1, keepdims=True))
            return raw
        if not self._labels.multilabel:
            if len(self.classes_) == 1:
                return np.zeros_like(raw)
            raw = np.concatenate([-raw, raw], axis=1)
        sigmoids: np.ndarray = -np.logaddexp(0, -raw)
        return sigmoids

    def _read_target(self, y: np.ndarray, first: bool, classes: Any) -> np.ndarray:
        if first:
            self._labels = Labels(y, classes)
            self.classes_ = self._labels.classes
        elif self.warm_start and not self._labels.multilabel:
            found = np.unique(y)
            if not np.array_equal(found, self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {self.classes_}, `y` has {found}"
                )
        encoded = self._encode(y)
        loss = self._loss()
        self.n_outputs_ = self._labels.outputs(loss)
        self.out_activation_ = "identity"
        if isinstance(loss, CrossEntropyLoss):
            self.out_activation_ = "softmax"
        elif isinstance(loss, BinaryCrossEntropyLoss):
            self.out_activation_ = "logistic"
        return encoded

    def _encode(self, y: np.ndarray) -> np.ndarray:
        return self._labels.encode(y)

    def _loss(self) -> Loss:
        if isinstance(self.loss, Loss):
            return self.loss
        if self.loss != "log_loss":
            raise ValueError(f"loss: expected 'log_loss' or a Loss, got {self.loss!r}")
        alone = self._labels.multilabel or len(self.classes_) <= 2
        return BinaryCrossEntropyLoss() if alone else CrossEntropyLoss()

    def _scales(self) -> tuple[float, float]:
        # scikit-learn sums over labels, where our losses take the mean.
        return (float(self.n_outputs_) if self._labels.multilabel else 1.0), 1.0

    def _targets(self, encoded: np.ndarray) -> np.ndarray:
        return self._labels.targets(encoded, self._loss())

    def _weigh(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        weights: np.ndarray = compute_sample_weight(self.class_weight, y)
        return weights if sample_weight is None else weights * sample_weight

    def _threshold(self) -> float:
        """Where one output turns from the first class to the second."""
        return 0.0 if self.out_activation_ == "logistic" else 0.5

    def _validation_score(self, held: HeldOut, raw: np.ndarray) -> float:
        right = self._labels.choose(raw, self._threshold()) == held.encoded
        if self._labels.multilabel:
            right = right.all(axis=1)
        return float(np.average(right, weights=held.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
