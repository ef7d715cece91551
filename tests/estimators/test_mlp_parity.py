"""Beside scikit-learn: the same arguments, the same random state, the same training."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from mlp_tables import BINARY, COUNTS, LABELS, NUMBERS, WEIGHTS, XR, X, Y
from scipy import sparse
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from backhand.estimators import MLPClassifier, MLPRegressor
from backhand.estimators.mlp.regressor import _r2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAIRS = {
    MLPClassifier: neural_network.MLPClassifier,
    MLPRegressor: neural_network.MLPRegressor,
}
# alpha=0: the incoming weights of a unit that is always 0 learn from the penalty alone, by steps
# that hang on where Adam adds its epsilon. They change no prediction.
DEFAULTS = {"hidden_layer_sizes": (7, 5), "max_iter": 12, "random_state": 0, "alpha": 0.0}
CASES = {
    "three classes": (MLPClassifier, X, Y, {}),
    "two classes": (MLPClassifier, X, BINARY, {}),
    "labels": (MLPClassifier, X, LABELS, {}),
    "tanh": (MLPClassifier, X, Y, {"activation": "tanh"}),
    "penalized": (MLPClassifier, X, Y, {"activation": "tanh", "alpha": 1e-3}),
    "logistic": (MLPClassifier, X, Y, {"activation": "logistic"}),
    "identity": (MLPClassifier, X, Y, {"activation": "identity"}),
    "sgd": (MLPClassifier, X, Y, {"solver": "sgd", "learning_rate_init": 0.1}),
    "sgd without momentum": (
        MLPClassifier,
        X,
        Y,
        {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1},
    ),
    "sgd, no Nesterov": (MLPClassifier, X, Y, {"solver": "sgd", "nesterovs_momentum": False}),
    "one batch": (MLPClassifier, X[:150], Y[:150], {}),
    "whole batches, in order": (MLPClassifier, X, Y, {"batch_size": 110, "shuffle": False}),
    "early stopping": (MLPClassifier, X, BINARY, {"early_stopping": True, "max_iter": 40}),
    "numbers": (MLPRegressor, XR, NUMBERS[:, 0], {}),
    "several numbers": (MLPRegressor, XR, NUMBERS, {}),
    "counts": (MLPRegressor, X, COUNTS, {"loss": "poisson"}),
    "early stopping by R²": (MLPRegressor, XR, NUMBERS, {"early_stopping": True}),
}


def pair(kind, **options):
    options = DEFAULTS | options
    return kind(**options), PAIRS[kind](**options)


def assert_equal_training(ours, theirs, tolerance=2e-4) -> None:
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
    for name in ("coefs_", "intercepts_"):
        for left, right in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_trains_as_scikit_learn_does(case) -> None:
    kind, inputs, target, options = CASES[case]
    ours, theirs = pair(kind, **options)
    ours.fit(inputs, target)
    theirs.fit(inputs, target)
    assert_equal_training(ours, theirs)
    for name in ("out_activation_", "n_outputs_", "n_layers_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("best_loss_", "best_validation_score_", "loss_"):
        expected = getattr(theirs, name)
        expected = None if expected is None else pytest.approx(expected, rel=2e-4)
        assert getattr(ours, name) == expected, name
    if theirs.validation_scores_ is not None:
        assert ours.validation_scores_ == pytest.approx(theirs.validation_scores_, rel=1e-3)
    ours_says, theirs_says = ours.predict(inputs), theirs.predict(inputs)
    assert ours_says.dtype == theirs_says.dtype
    assert ours_says.shape == theirs_says.shape
    if kind is MLPClassifier:
        assert np.mean(ours_says == theirs_says) > 0.99
        probabilities = ours.predict_proba(inputs)
        np.testing.assert_allclose(probabilities, theirs.predict_proba(inputs), atol=2e-4)
        np.testing.assert_allclose(np.log(probabilities), ours.predict_log_proba(inputs))
    else:
        np.testing.assert_allclose(ours_says, theirs_says, rtol=1e-3, atol=1e-3)
    assert ours.score(inputs, target) == pytest.approx(theirs.score(inputs, target), abs=0.01)


@pytest.mark.parametrize("options", [{}, {"batch_size": 64}, {"batch_size": 110}])
def test_sample_weights_count_as_scikit_learn_counts_them(options) -> None:
    ours, theirs = pair(MLPClassifier, **options)
    weights = WEIGHTS.copy()
    weights[:40] = 0
    ours.fit(X, Y, sample_weight=weights)
    assert_equal_training(ours, theirs.fit(X, Y, sample_weight=weights))


def test_weights_count_in_the_validation_score() -> None:
    ours, theirs = pair(MLPRegressor, early_stopping=True)
    ours.fit(XR, NUMBERS[:, 0], sample_weight=WEIGHTS)
    theirs.fit(XR, NUMBERS[:, 0], sample_weight=WEIGHTS)
    assert ours.validation_scores_ == pytest.approx(theirs.validation_scores_, rel=1e-3)


def test_a_strong_penalty() -> None:
    # Batches of one size: scikit-learn penalizes a shorter last batch more than the others.
    ours, theirs = pair(MLPClassifier, alpha=5.0, batch_size=110, max_iter=30)
    ours.fit(X, Y)
    theirs.fit(X, Y)
    for left, right in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=0.02)  # read after the step, not before


def test_sparse_input_is_the_same_as_dense() -> None:
    dense = MLPClassifier(**DEFAULTS).fit(X, Y)
    for kind in (sparse.csr_matrix, sparse.csc_array):
        ours = MLPClassifier(**DEFAULTS).fit(kind(X), Y)
        assert all(map(np.array_equal, ours.coefs_, dense.coefs_))
        assert np.array_equal(ours.predict_proba(kind(X)), dense.predict_proba(X))


def test_stops_where_scikit_learn_stops() -> None:
    options = {"activation": "tanh", "solver": "sgd", "learning_rate_init": 0.1}
    ours, theirs = pair(MLPClassifier, **options, max_iter=2000, tol=1e-3)
    ours.fit(X, Y)
    theirs.fit(X, Y)
    assert 50 < theirs.n_iter_ < 2000
    assert_equal_training(ours, theirs, 1e-3)


@pytest.mark.parametrize("rates", ["adaptive", "invscaling"])
def test_rates_fall_as_scikit_learn_has_them_fall(rates) -> None:
    # Without momentum: ours remembers gradients, scikit-learn's remembers steps at the old rate.
    options = {"solver": "sgd", "learning_rate": rates, "learning_rate_init": 0.5, "momentum": 0.0}
    ours, theirs = pair(
        MLPClassifier, **options, tol=0.05, n_iter_no_change=2, max_iter=100, batch_size=110
    )
    ours.fit(X, Y)
    theirs.fit(X, Y)
    assert theirs.n_iter_ < 100
    assert_equal_training(ours, theirs, 5e-3)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_warns_where_it_has_not_converged() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\)"):
        MLPClassifier(max_iter=3).fit(X, Y)
    MLPClassifier(max_iter=200, tol=10.0).fit(X, Y)


@pytest.mark.parametrize("kind", PAIRS)
def test_partial_fit_goes_on_as_scikit_learn_does(kind) -> None:
    target = Y if kind is MLPClassifier else NUMBERS
    first = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    ours, theirs = pair(kind)
    for estimator in (ours, theirs):
        estimator.partial_fit(X[:200], target[:200], **first)
        for _ in range(3):
            estimator.partial_fit(X[130:], target[130:])
        estimator.partial_fit(X[:50], target[:50])
    assert_equal_training(ours, theirs)
    again = pickle.loads(pickle.dumps(ours))
    for estimator in (ours, again, theirs):
        estimator.partial_fit(X, target)
    assert_equal_training(ours, theirs)
    assert all(map(np.array_equal, ours.coefs_, again.coefs_))


@pytest.mark.parametrize("kind", PAIRS)
def test_warm_start_goes_on_as_scikit_learn_does(kind) -> None:
    target = Y if kind is MLPClassifier else NUMBERS
    ours, theirs = pair(kind, warm_start=True, max_iter=4)
    for _ in range(3):
        ours.fit(X, target)
        theirs.fit(X, target)
    assert len(ours.loss_curve_) == 12
    assert_equal_training(ours, theirs)
    ours, theirs = pair(kind, max_iter=4)
    for estimator in (ours, theirs):
        estimator.fit(X, target).partial_fit(X, target)
    assert_equal_training(ours, theirs)


@pytest.mark.parametrize("kind", PAIRS)
def test_takes_the_same_arguments_and_leaves_the_same_attributes(kind) -> None:
    ours = inspect.signature(kind).parameters
    theirs = inspect.signature(PAIRS[kind]).parameters
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default, name
        assert ours[name].kind is parameter.kind, name
    assert list(ours)[: len(theirs)] == list(theirs)
    target = Y if kind is MLPClassifier else NUMBERS
    ours, theirs = pair(kind)
    fitted = {
        name
        for name in dir(theirs.fit(X, target))
        if name.endswith("_") and not name.startswith("_")
    }
    assert fitted <= set(dir(ours.fit(X, target)))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_r2_is_scikit_learns(outputs, weighted) -> None:
    random = np.random.RandomState(outputs)
    target, predicted = random.randn(2, 20, outputs)
    weights = random.rand(20) if weighted else None
    for constant in (None,) if weighted else (None, 4.0):
        if constant is not None:
            target[:, 0] = constant
        assert _r2(target, predicted, weights) == pytest.approx(
            r2_score(target, predicted, sample_weight=weights)
        )
    predicted[:] = target
    assert _r2(target, predicted, weights) == r2_score(target, predicted)
