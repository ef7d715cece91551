"""solver="lbfgs": the loss of all rows and its gradient, and SciPy's walk by them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mlp_tables import (
    BINARY,
    COUNTS,
    LABELS,
    NUMBERS,
    WEIGHTS,
    XR,
    X,
    Y,
    classifier,
    regressor,
    same_weights,
    small_network,
)
from scipy.optimize import approx_fprime
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

import backhand as bh
from backhand.estimators import MLPClassifier, MLPRegressor
from backhand.estimators.mlp.lbfgs import FullLoss
from backhand.estimators.mlp.trainer import Trainer
from backhand.learning.rules.gradient_sum import GradientSum

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LBFGS = {"solver": "lbfgs", "hidden_layer_sizes": (7, 5), "max_iter": 15, "random_state": 0}
CASES = {
    "three classes": (MLPClassifier, X, Y, {}, None),
    "two classes, penalized": (MLPClassifier, X, BINARY, {"alpha": 3.0}, None),
    "labels": (MLPClassifier, X, LABELS, {"activation": "tanh"}, None),
    "one block": (MLPClassifier, X[:150], Y[:150], {"activation": "logistic"}, None),
    "weighted": (MLPClassifier, X, Y, {"alpha": 1.0}, WEIGHTS),
    "numbers": (MLPRegressor, XR, NUMBERS[:, 0], {}, None),
    "weighted numbers": (MLPRegressor, XR, NUMBERS[:, 1], {"activation": "identity"}, WEIGHTS),
    "counts": (MLPRegressor, X, COUNTS, {"loss": "poisson", "activation": "tanh"}, None),
}
THEIRS = {
    MLPClassifier: neural_network.MLPClassifier,
    MLPRegressor: neural_network.MLPRegressor,
}


@pytest.mark.parametrize("case", CASES)
def test_walks_as_scikit_learn_does(case) -> None:
    kind, inputs, target, options, weights = CASES[case]
    ours = kind(**LBFGS | options).fit(inputs, target, sample_weight=weights)
    theirs = THEIRS[kind](**LBFGS | options).fit(inputs, target, sample_weight=weights)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    assert ours.loss_ == ours.loss_curve_[-1]
    for name in ("coefs_", "intercepts_"):
        for left, right in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert left.dtype == right.dtype
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def full_loss(fill: bool, weights: np.ndarray | None) -> FullLoss:
    torch.manual_seed(0)
    layers = [bh.FullyConnected(8, 4), bh.Tanh(), bh.FullyConnected(4, 2)]
    network = bh.Sequential(layers).to(torch.float64)
    network.layers[0].bias.frozen = True
    trainer = Trainer(network, bh.MSELoss(), GradientSum())
    return FullLoss(trainer, XR, NUMBERS, weights, 2.0, 0.3, fill)


@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_gradient_is_the_losss(fill, weights) -> None:
    full = full_loss(fill, weights)
    start = full.vector()
    assert len(start) == 4 * 8 + 2 * 4 + 2  # what is frozen has no part
    found = full(start)[1]
    np.testing.assert_allclose(found, approx_fprime(start, lambda at: full(at)[0]), atol=1e-5)
    np.testing.assert_array_equal(full(start)[1], found)  # sums begin anew


def test_blocks_are_the_whole() -> None:
    blocks, whole = full_loss(True, WEIGHTS), full_loss(False, WEIGHTS)
    assert (blocks.size, whole.size) == (200, 330)
    at = blocks.vector()
    for left, right in zip(blocks(at), whole(at), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-14)


def test_a_narrow_table_is_learnt_in_float64() -> None:
    narrow = classifier(solver="lbfgs").fit(X.astype(np.float32), Y)
    assert {each.dtype for each in narrow.coefs_} == {np.dtype(np.float64)}
    own = MLPClassifier(network=small_network, solver="lbfgs", max_iter=99, random_state=0)
    assert own.fit(X, Y).score(X, Y) > 0.95
    assert {p.value.dtype for p in own.network_.parameters().values()} == {torch.float64}


def test_says_where_it_has_not_converged() -> None:
    for options, says in (({"max_iter": 3}, "increase max_iter=3"), ({"max_fun": 9}, "max_fun=9")):
        with pytest.warns(ConvergenceWarning, match=rf"lbfgs failed to converge.*{says}"):
            ours = MLPClassifier(**LBFGS | options).fit(X, Y)
        assert ours.n_iter_ <= 9


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_ends_where_the_gradient_vanishes(capsys) -> None:
    ours = regressor(activation="identity", solver="lbfgs", max_iter=500, verbose=True, tol=1e-3)
    ours.fit(XR, NUMBERS)
    assert ours.n_iter_ < 500
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == ours.n_iter_
    assert lines[-1] == f"Iteration {ours.n_iter_}, loss = {ours.loss_:.8f}"


def test_goes_on_where_another_solver_ended() -> None:
    ours = classifier(warm_start=True).fit(X, Y)
    before = ours.loss_
    ours.set_params(solver="lbfgs").fit(X, Y)
    assert ours.loss_curve_[8] < before
    first = ours.loss_
    assert ours.fit(X, Y).loss_ < first
    assert not hasattr(ours, "partial_fit")
    ours.set_params(solver="adam").partial_fit(X, Y)


def test_fits_of_one_kind_do_not_meet() -> None:
    one, other = (regressor(solver="lbfgs").fit(XR[:n], NUMBERS[:n]) for n in (100, 97))
    assert not same_weights(one, other)
    assert same_weights(one, regressor(solver="lbfgs").fit(XR[:100], NUMBERS[:100]))


def test_numbers_too_large_leave_the_weights_from_before() -> None:
    ours = regressor(solver="lbfgs", warm_start=True).fit(XR, NUMBERS)
    kept = [each.copy() for each in ours.coefs_]
    with pytest.raises(ValueError, match=r"non-finite parameter weights.* in iteration"):
        ours.fit(XR * 1e200, NUMBERS)
    assert all(map(np.array_equal, ours.coefs_, kept))
    ours.fit(XR, NUMBERS)


def test_ctrl_c_stops_where_it_is(monkeypatch) -> None:
    printed = []

    def interrupt(line: str) -> None:
        printed.append(line)
        if len(printed) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", interrupt)
    with pytest.warns(UserWarning, match="interrupted by user"):
        ours = classifier(solver="lbfgs", verbose=True).fit(X, Y)
    monkeypatch.undo()
    assert ours.n_iter_ == 3
    assert same_weights(ours, classifier(solver="lbfgs", max_iter=3).fit(X, Y))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dropout": 0.1}, "dropout: has no effect beside solver='lbfgs'"),
        ({"early_stopping": True}, "early_stopping: has no effect"),
        ({"on_epoch": print}, "on_epoch: has no effect"),
        ({"rule": bh.Adam()}, "rule: has no effect"),
        ({"learning_rate": lambda step, steps: 0.1}, "a schedule has no effect"),
        ({"max_fun": 0}, "max_fun: expected a whole number"),
    ],
)
def test_what_it_cannot_do_is_refused(options, says) -> None:
    with pytest.raises(ValueError, match=says):
        MLPClassifier(solver="lbfgs", **options).fit(X, Y)


def test_networks_it_cannot_walk_on_are_refused() -> None:
    def drawn(inputs: int, outputs: int) -> bh.Layer:
        return bh.Sequential([bh.Dropout(0.5), bh.FullyConnected(inputs, outputs)])

    with pytest.raises(ValueError, match="the same each time it is computed"):
        MLPClassifier(network=drawn, solver="lbfgs").fit(X, Y)
    frozen = bh.FullyConnected(8, 3).freeze()
    with pytest.raises(ValueError, match="expected weights that learn"):
        MLPClassifier(network=frozen, solver="lbfgs").fit(X, Y)
