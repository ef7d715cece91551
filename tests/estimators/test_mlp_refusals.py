"""What a perceptron refuses, and what a bad number leaves behind."""

from __future__ import annotations

import numpy as np
import pytest
from mlp_tables import (
    LABELS,
    NUMBERS,
    XR,
    X,
    Y,
    classifier,
    regressor,
    same_weights,
    small_network,
)
from scipy.sparse import csr_array

import backhand as bh
from backhand.estimators import MLPClassifier, MLPRegressor
from backhand.training import cosine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"solver": "rmsprop"}, "adam, sgd, lbfgs, got 'rmsprop'"),
        ({"activation": "gelu"}, "activation: expected one of identity"),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
        ({"alpha": -1.0}, "alpha"),
        ({"learning_rate": "cyclic"}, "learning_rate"),
        ({"learning_rate": 0.01}, r"learning_rate: .*cosine\(0.01\).*learning_rate_init=0.01"),
        ({"learning_rate_init": 0.0}, "learning_rate_init"),
        ({"learning_rate": cosine(1.0), "learning_rate_init": 0.1}, "learning_rate_init: a sched"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_iter": 0}, "max_iter"),
        ({"max_fun": 3}, "max_fun"),
        ({"momentum": 1.0}, "momentum"),
        ({"dropout": 1.0}, "dropout"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"n_iter_no_change": 0}, "n_iter_no_change"),
        ({"loss": "hinge"}, "loss: expected 'log_loss'"),
        ({"rule": bh.Adam(), "beta_1": 0.5}, "beta_1: has no effect beside rule="),
        ({"network": small_network, "dropout": 0.1}, "dropout: has no effect beside network="),
        ({"network": small_network(8, 2)}, "network: expected 3 outputs"),
    ],
)
def test_arguments_out_of_range_or_without_effect_are_refused(options, says) -> None:
    with pytest.raises(ValueError, match=says):
        MLPClassifier(**options).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rule": "adam"}, "rule"),
        ({"network": 3}, "network"),
        ({"on_epoch": 3}, "on_epoch"),
        ({"loss": 3}, "loss"),
        ({"shuffle": 1}, "shuffle"),
    ],
)
def test_arguments_of_another_kind_are_refused(options, says) -> None:
    with pytest.raises(TypeError, match=says):
        MLPClassifier(**options).fit(X, Y)


def test_targets_and_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one label"):
        classifier().fit(X, np.stack([Y, Y + 3], axis=1))
    with pytest.raises(ValueError, match="continuous"):
        classifier().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="only zeros"):
        classifier(class_weight={0: 0.0, 1: 0.0, 2: 0.0}).fit(X, Y)
    with pytest.raises(ValueError, match="counts of 0 or more"):
        regressor(loss="poisson").fit(XR, NUMBERS[:, 0])
    with pytest.raises(ValueError, match="y: expected numbers that float32 can hold"):
        regressor().fit(XR.astype(np.float32), NUMBERS[:, 0] * 1e200)
    with pytest.raises(ValueError, match="X: expected numbers that float32 can hold"):
        MLPRegressor(network=small_network).fit(XR * 1e200, NUMBERS[:, 0])
    with pytest.raises(ValueError, match="non-finite"):
        regressor().fit(XR, NUMBERS[:, 0] * 1e200)
    with pytest.raises(ValueError, match=r"validation set is too small.* 0\.05 of 20 rows is 1"):
        regressor(early_stopping=True, validation_fraction=0.05).fit(XR[:20], NUMBERS[:20])


def test_later_targets_must_fit_the_first() -> None:
    ours = classifier().partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"not in `self\.classes_`"):
        ours.partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="not the same as on last call"):
        ours.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="classes must be passed"):
        classifier().partial_fit(X, Y)
    with pytest.raises(ValueError, match="early_stopping"):
        classifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])
    warm = classifier(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="the same classes"):
        warm.fit(X[Y > 0], Y[Y > 0])
    with pytest.raises(ValueError, match=r"goes on with, Architecture\(sizes=\(8, 7, 3\)"):
        warm.set_params(hidden_layer_sizes=(5,)).fit(X, Y)
    numbers = regressor().partial_fit(XR, NUMBERS)
    with pytest.raises(ValueError, match="expected 2 outputs"):
        numbers.partial_fit(XR, NUMBERS[:, 0])
    labels = classifier().partial_fit(X, LABELS, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="3 labels a row"):
        labels.partial_fit(X, Y)


def test_a_number_that_is_not_finite_leaves_the_weights_from_before() -> None:
    ours = regressor(solver="sgd", warm_start=True).fit(XR, NUMBERS)
    kept = [each.copy() for each in ours.coefs_]
    ours.set_params(learning_rate_init=1e20)
    with pytest.raises(ValueError, match=r"non-finite parameter weights.* in epoch 1;"):
        ours.fit(XR, NUMBERS)
    assert all(map(np.array_equal, ours.coefs_, kept))
    fresh = regressor(solver="sgd", learning_rate_init=1e20)
    with pytest.raises(ValueError, match="the learning rate is too high"):
        fresh.fit(XR, NUMBERS)
    assert not hasattr(fresh, "coefs_")


def test_a_batch_that_is_too_large_leaves_no_trace_in_what_the_rule_remembers() -> None:
    ours, unharmed = (regressor().partial_fit(XR, NUMBERS) for _ in range(2))
    with pytest.raises(ValueError, match="non-finite"):
        ours.partial_fit(XR * 1e200, NUMBERS)
    for each in (ours, unharmed):
        each.partial_fit(XR, NUMBERS)
    assert same_weights(ours, unharmed)
    assert ours.loss_curve_ == unharmed.loss_curve_


def test_ctrl_c_stops_with_what_has_been_learnt() -> None:
    def interrupt(epoch) -> None:
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted by user"):
        ours = classifier(on_epoch=interrupt).fit(X, Y)
    assert ours.n_iter_ == 3
    assert same_weights(ours, classifier(max_iter=3).fit(X, Y))


def test_a_batch_larger_than_the_table_is_the_table() -> None:
    with pytest.warns(UserWarning, match="400 rows were asked for, there are 330"):
        ours = classifier(batch_size=400).fit(X, Y)
    assert same_weights(ours, classifier(batch_size=330).fit(X, Y))


def test_sparse_labels_and_labels_of_any_kind() -> None:
    ours = classifier().fit(X, csr_array(LABELS))
    assert same_weights(ours, classifier().fit(X, LABELS))
    plain = classifier().fit(X, Y)
    for labels in (Y.astype(float), np.array(["a", "b", "c"], dtype=object)[Y], Y.tolist(), Y > 0):
        other = classifier().fit(X, labels)
        assert set(other.predict(X)) <= set(np.asarray(labels))
        assert np.array_equal(other.classes_, np.unique(labels))
        if len(other.classes_) == 3:
            assert same_weights(other, plain)


def test_one_class_is_predicted_and_certain() -> None:
    ours = classifier().fit(X, np.full(330, "only"))
    assert set(ours.predict(X)) == {"only"}
    assert np.array_equal(ours.predict_proba(X), np.ones((330, 1)))
