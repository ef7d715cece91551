"""What scikit-learn's perceptrons do not do: dropout, rules, losses, networks, schedules."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from mlp_tables import (
    BINARY,
    NUMBERS,
    XR,
    X,
    Y,
    classifier,
    regressor,
    same_weights,
    small_network,
)
from sklearn.exceptions import ConvergenceWarning

import backhand as bh
from backhand.estimators import MLPClassifier
from backhand.losses import PoissonLoss
from backhand.training import cosine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_dropout_is_there_in_training_only_and_drawn_from_the_random_state() -> None:
    one, two = classifier(dropout=0.3).fit(X, Y), classifier(dropout=0.3).fit(X, Y)
    assert same_weights(one, two)
    assert not same_weights(one, classifier().fit(X, Y))
    assert not same_weights(one, classifier(dropout=0.3, random_state=1).fit(X, Y))
    assert np.array_equal(one.predict_proba(X), one.predict_proba(X))
    assert any(isinstance(layer, bh.Dropout) for layer in one.network_.layers)


def test_any_rule_takes_the_solvers_place_and_is_penalized_too() -> None:
    plain = classifier(rule=bh.Adam()).fit(X, Y)
    assert same_weights(plain, classifier().fit(X, Y))
    decayed = classifier(rule=bh.AdamW(weight_decay=0.5), max_iter=30).fit(X, Y)
    assert np.square(decayed.coefs_[0]).sum() < np.square(plain.coefs_[0]).sum()
    penalized = classifier(rule=bh.AdamW(), alpha=100.0, max_iter=30).fit(X, Y)
    assert np.square(penalized.coefs_[0]).sum() < np.square(plain.coefs_[0]).sum()


def test_a_network_of_ones_own_is_copied_and_its_function_called() -> None:
    network = small_network(8, 3)
    before = {path: each.value.clone() for path, each in network.parameters().items()}
    ours = classifier_with(network)
    ours.fit(X, Y)
    assert all(torch.equal(each.value, before[p]) for p, each in network.parameters().items())
    assert ours.network_ is not network
    assert ours.score(X, Y) > 0.7
    assert ours.predict_proba(X).shape == (330, 3)
    made = classifier_with(small_network).fit(X, BINARY)
    assert made.predict_proba(X).shape == (330, 2)
    assert same_values(made, classifier_with(small_network).fit(X, BINARY))
    with pytest.raises(AttributeError, match=r"network_\.parameters"):
        _ = made.coefs_


def classifier_with(network) -> MLPClassifier:
    return MLPClassifier(network=network, max_iter=20, random_state=0, learning_rate_init=0.01)


def same_values(left, right) -> bool:
    pairs = zip(
        left.network_.parameters().values(), right.network_.parameters().values(), strict=True
    )
    return all(torch.equal(one.value, two.value) for one, two in pairs)


def test_a_network_trains_as_by_hand() -> None:
    """The same batches, weights and rule through TrainingStep: 330 rows are 200 and 130."""
    network = small_network(8, 3)
    ours = MLPClassifier(network=network, max_iter=2, shuffle=False, alpha=0.0).fit(X, Y)
    network.learn_with(bh.Adam())
    step = bh.TrainingStep(network, bh.CrossEntropyLoss())
    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(Y)
    for _ in range(2):
        for rows in (slice(0, 200), slice(200, 330)):
            step(inputs[rows], targets[rows], 0.001)
    for name, parameter in network.parameters().items():
        other = ours.network_.parameters()[name].value
        torch.testing.assert_close(parameter.value, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "outputs", "activation"),
    [
        (bh.CrossEntropyLoss(), 2, "softmax"),
        (bh.BinaryCrossEntropyLoss(), 1, "logistic"),
        (bh.MSELoss(), 1, "identity"),
    ],
)
def test_other_losses_for_two_classes(loss, outputs, activation) -> None:
    ours = classifier(loss=loss, max_iter=60, learning_rate_init=0.02).fit(X, BINARY)
    assert (ours.n_outputs_, ours.out_activation_) == (outputs, activation)
    assert ours.score(X, BINARY) > 0.85
    if activation == "identity":
        assert not hasattr(ours, "predict_proba")
    else:
        assert ours.predict_proba(X).sum(1) == pytest.approx(1)


def test_squares_of_three_classes_and_poisson_by_object() -> None:
    squares = classifier(loss=bh.MSELoss(), max_iter=60, learning_rate_init=0.02).fit(X, Y)
    assert squares.n_outputs_ == 3
    assert squares.score(X, Y) > 0.8
    counts = np.abs(NUMBERS[:, 0]).round()
    poisson = regressor(loss=PoissonLoss(), max_iter=60).fit(XR, counts)
    assert (poisson.predict(XR) > 0).all()


def test_a_schedule_takes_the_rates_place_step_by_step() -> None:
    seen = []

    def schedule(step: int, steps: int) -> float:
        seen.append((step, steps))
        return 0.01

    ours = classifier(learning_rate=schedule, max_iter=3).fit(X, Y)
    assert seen[-6:] == [(step, 6) for step in range(6)]
    assert same_weights(ours, classifier(learning_rate_init=0.01, max_iter=3).fit(X, Y))
    falling = classifier(learning_rate=cosine(0.01), max_iter=3).fit(X, Y)
    assert np.array_equal(pickle.loads(pickle.dumps(falling)).predict(X), falling.predict(X))
    assert not same_weights(ours, falling)
    falling.partial_fit(X, Y)  # beyond the schedule's end: its last rate


def test_each_epoch_is_told_and_taken_together_they_are_the_same() -> None:
    epochs = []
    told = classifier(on_epoch=epochs.append, max_iter=20).fit(X, Y)
    together = classifier(max_iter=20).fit(X, Y)
    assert same_weights(told, together)
    np.testing.assert_allclose(told.loss_curve_, together.loss_curve_, rtol=1e-5)
    assert [epoch.number for epoch in epochs] == list(range(1, 21))
    assert [epoch.loss for epoch in epochs] == told.loss_curve_
    assert epochs[-1].steps == 40
    early = classifier(on_epoch=epochs.append, max_iter=2, early_stopping=True).fit(X, Y)
    assert epochs[-1].measures == {"validation": {"score": early.validation_scores_[-1]}}


def test_verbose_says_what_scikit_learn_says(capsys) -> None:
    classifier(verbose=True, max_iter=2).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["Iteration 1", "Iteration 2"]
    classifier(verbose=True, tol=10.0, n_iter_no_change=1).fit(X, Y)
    assert capsys.readouterr().out.endswith("for 1 consecutive epochs. Stopping.\n")


def test_early_stopping_restores_the_best_weights() -> None:
    options = {"early_stopping": True, "max_iter": 60, "learning_rate_init": 0.05}
    ours = classifier(**options).fit(X, Y)
    best = int(np.argmax(ours.validation_scores_)) + 1
    assert best < ours.n_iter_
    assert same_weights(ours, classifier(**options | {"max_iter": best}).fit(X, Y))
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert ours.score(X, Y) > 0.8


def test_class_weights_are_sample_weights() -> None:
    weights = {0: 3.0, 1: 1.0, 2: 0.5}
    by_class = classifier(class_weight=weights, alpha=0.0).fit(X, Y)
    by_row = classifier(alpha=0.0).fit(X, Y, sample_weight=np.vectorize(weights.get)(Y))
    assert same_weights(by_class, by_row)
    both = classifier(class_weight=weights, alpha=0.0).fit(X, Y, sample_weight=np.full(330, 2.0))
    assert same_weights(both, by_row)
    rare = (np.arange(330) < 20) | (Y > 0)
    balanced = classifier(class_weight="balanced").fit(X[rare], Y[rare])
    assert not same_weights(balanced, classifier().fit(X[rare], Y[rare]))


def test_a_rows_weight_does_not_hang_on_its_scale() -> None:
    one = classifier().fit(X, Y, sample_weight=np.ones(330))
    plain = classifier().fit(X, Y)
    for left, right in zip(one.coefs_, plain.coefs_, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


# Rows of one's own to measure on.


@pytest.mark.parametrize("kind", [classifier, regressor])
def test_rows_given_are_measured_and_early_stopping_decides_by_them(kind) -> None:
    target = Y if kind is classifier else NUMBERS
    options = {"max_iter": 60, "learning_rate_init": 0.05}
    given = (X[250:], target[250:])
    ours = kind(**options).fit(X[:250], target[:250], validation_data=given)
    plain = kind(**options).fit(X[:250], target[:250])
    assert same_weights(ours, plain)  # they only look
    assert ours.n_iter_ == len(ours.validation_scores_)
    assert ours.validation_scores_[-1] == pytest.approx(ours.score(*given))
    early = kind(early_stopping=True, **options)
    early.fit(X[:250], target[:250], eval_set=[given])
    assert early.validation_scores_ == ours.validation_scores_[: early.n_iter_]
    best = int(np.argmax(early.validation_scores_)) + 1
    assert early.score(*given) == pytest.approx(early.best_validation_score_)
    at_best = kind(**options | {"max_iter": best}).fit(X[:250], target[:250])
    assert same_weights(early, at_best)


def test_rows_given_count_by_their_weights_and_may_lack_classes() -> None:
    rows, weights = Y > 0, np.where(Y == 1, 3.0, 1.0)
    ours = classifier().fit(X, Y, validation_data=(X[rows], Y[rows], weights[rows]))
    expected = ours.score(X[rows], Y[rows], sample_weight=weights[rows])
    assert ours.validation_scores_[-1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"validation_data": (X, Y), "eval_set": [(X, Y)]}, "two names of one thing"),
        ({"eval_set": [(X, Y), (X, Y)]}, r"eval_set: expected a pair \(X, y\).* list of 2"),
        ({"validation_data": X}, "validation_data: expected a pair"),
        ({"validation_data": (X, Y + 1)}, "classes not in"),
        ({"validation_data": (X[:, :3], Y)}, "8 features"),
    ],
)
def test_rows_that_cannot_be_measured_are_refused(given, says) -> None:
    with pytest.raises(ValueError, match=says):
        classifier().fit(X, Y, **given)
    with pytest.raises(ValueError, match="has no effect beside solver='lbfgs'"):
        classifier(solver="lbfgs").fit(X, Y, validation_data=(X, Y))


def test_training_that_runs_away_ends_with_the_best_weights() -> None:
    options = {"early_stopping": True, "solver": "sgd", "learning_rate_init": 1.0}
    with pytest.warns(ConvergenceWarning, match="diverged in epoch .* best validation score"):
        ours = regressor(activation="identity", max_iter=30, **options).fit(XR, NUMBERS)
    assert math.isnan(ours.validation_scores_[-1])
    best = int(np.nanargmax(ours.validation_scores_)) + 1
    assert best < ours.n_iter_
    at_best = regressor(activation="identity", max_iter=best, **options).fit(XR, NUMBERS)
    assert same_weights(ours, at_best)
    at_once = regressor(early_stopping=True, solver="sgd")
    with pytest.raises(ValueError, match="non-finite"):
        at_once.fit(XR * 1e160, NUMBERS)


def test_a_class_with_one_row_is_named() -> None:
    labels = np.where(np.arange(330) == 7, "rare", "common")
    with pytest.raises(ValueError, match=r"\['True'\].*True stands for 'rare'"):
        classifier(early_stopping=True).fit(X, labels)
