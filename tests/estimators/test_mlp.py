"""What scikit-learn's perceptrons do not do, and what everything around an estimator asks."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
import torch
from mlp_tables import BINARY, LABELS, NUMBERS, XR, X, Y
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import backhand as bh
from backhand.estimators import MLPClassifier, MLPRegressor
from backhand.losses import PoissonLoss
from backhand.training import cosine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**options) -> MLPClassifier:
    return MLPClassifier(**{"hidden_layer_sizes": (7,), "max_iter": 8, "random_state": 0} | options)


def regressor(**options) -> MLPRegressor:
    return MLPRegressor(**{"hidden_layer_sizes": (7,), "max_iter": 8, "random_state": 0} | options)


def same_weights(left, right) -> bool:
    return all(map(np.array_equal, left.coefs_, right.coefs_))


def small_network(inputs: int, outputs: int) -> bh.Layer:
    return bh.Sequential(
        [
            bh.FullyConnected(inputs, 6),
            bh.Residual(bh.Sequential([bh.FullyConnected(6, 6), bh.Tanh()])),
            bh.FullyConnected(6, outputs),
        ]
    )


# Beyond scikit-learn.


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


# One row, many rows.


@pytest.mark.parametrize("kind", [classifier, regressor])
def test_single_rows_are_predicted_as_many_are(kind) -> None:
    target = Y if kind is classifier else NUMBERS
    ours = kind().fit(X, target)
    whole = ours.predict(X)
    for _ in range(2):
        singles = np.concatenate([ours.predict(X[i : i + 1]) for i in range(60)])
        np.testing.assert_allclose(singles, whole[:60], rtol=1e-5, atol=1e-6)
    assert ours._predictor._input is not None
    if kind is classifier:
        one = ours.predict_proba(X[3:4].astype(np.float32))
        np.testing.assert_allclose(one, ours.predict_proba(X)[3:4], atol=1e-6)
    for wrong, says in ((np.nan, "NaN"), (np.inf, "infinity"), (1e300, "float32")):
        row = X[:1].copy()
        row[0, 2] = wrong
        with pytest.raises(ValueError, match=says):
            ours.predict(row)
    with pytest.raises(ValueError, match="8 features"):
        ours.predict(X[:1, :5])
    ours.fit(X + 1, target)
    np.testing.assert_allclose(ours.predict(X[:1]), ours.predict(X[:2])[:1], rtol=1e-5)


def test_a_recorded_prediction_follows_partial_fit() -> None:
    ours = regressor().partial_fit(XR, NUMBERS)
    for i in range(50):
        ours.partial_fit(XR[i : i + 100], NUMBERS[i : i + 100])
        one, two = ours.predict(XR[:1]), ours.predict(XR[:2])
        np.testing.assert_allclose(one, two[:1], rtol=1e-5)
    assert ours._predictor._input is not None


def test_rows_are_predicted_from_several_threads() -> None:
    ours = regressor().fit(XR, NUMBERS)
    expected = ours.predict(XR)
    wrong = []

    def ask(first: int) -> None:
        for i in range(first, 330, 4):
            if not np.allclose(ours.predict(XR[i : i + 1]), expected[i], atol=1e-5):
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_rows_are_predicted_in_parts() -> None:
    ours = regressor().fit(XR, NUMBERS)
    rows = np.tile(XR, (30, 1))
    np.testing.assert_allclose(ours.predict(rows)[-330:], ours.predict(XR), rtol=1e-5, atol=1e-6)


# Around an estimator.


def test_a_fit_leaves_earlier_fits_and_all_generators_alone() -> None:
    one = classifier().fit(X, Y)
    kept = [each.copy() for each in one.coefs_]
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    two = classifier(random_state=1).fit(X, Y)  # by the same recording
    classifier(dropout=0.5).fit(X, Y)
    assert all(map(np.array_equal, one.coefs_, kept))
    assert not same_weights(one, two)
    assert same_weights(one, classifier().fit(X, Y))
    assert torch.equal(torch_before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])


def test_fits_in_several_threads_do_not_meet() -> None:
    expected = [classifier(random_state=i).fit(X, Y) for i in range(4)]
    found = joblib.Parallel(2, backend="threading")(
        joblib.delayed(lambda i: classifier(random_state=i).fit(X, Y))(i) for i in range(4)
    )
    assert all(map(same_weights, expected, found))


@pytest.mark.parametrize("partial", [False, True])
def test_pickles_copies_and_dumps_go_on_bit_for_bit(partial) -> None:
    ours = classifier(warm_start=partial)
    ours.fit(X, Y)
    ours.partial_fit(X, Y)
    written = io.BytesIO()
    joblib.dump(ours, written)
    written.seek(0)
    again = [pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours), joblib.load(written)]
    ours.partial_fit(X, Y)
    for other in again:
        other.partial_fit(X, Y)
        assert same_weights(ours, other)
        assert np.array_equal(ours.predict_proba(X), other.predict_proba(X))


def test_a_pickle_is_small_and_a_clone_new() -> None:
    ours = MLPClassifier((50, 50), max_iter=2).fit(X, Y)
    weights = sum(each.nbytes for each in (*ours.coefs_, *ours.intercepts_))
    assert len(pickle.dumps(ours)) < 4 * weights + 30_000  # weights, two means, the penalty
    twin = clone(ours)
    assert not hasattr(twin, "coefs_")
    assert twin.get_params() == ours.get_params()


def test_the_network_is_a_backhand_network(tmp_path) -> None:
    ours = classifier().fit(X, Y)
    bh.save(ours.network_, tmp_path / "network.safetensors")
    network = bh.load(tmp_path / "network.safetensors")
    raw = network.predict(torch.tensor(X, dtype=torch.float32))
    assert np.array_equal(raw.argmax(1).numpy(), ours.predict(X))


def test_works_in_pipelines_searches_and_calibration() -> None:
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=100, learning_rate_init=0.01))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 10.0]}, n_jobs=2, cv=3)
    assert search.fit(X, Y).best_score_ > 0.75
    calibrated = CalibratedClassifierCV(pipeline, cv=2).fit(X, Y)
    assert calibrated.predict_proba(X).sum(1) == pytest.approx(1)


def test_feature_names_are_kept_and_asked_for() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(8)])
    pipeline = make_pipeline(StandardScaler(), classifier()).set_output(transform="pandas")
    ours = pipeline.fit(frame, pd.Series(BINARY))[-1]
    assert list(ours.feature_names_in_) == list(frame.columns)
    assert set(pipeline.predict(frame)) <= {"no", "yes"}
    with pytest.warns(UserWarning, match="valid feature names"):
        ours.predict(X[:1])


def test_the_package_loads_scikit_learn_where_it_is_used_and_says_so_where_it_is_missing() -> None:
    code = (
        "import sys, backhand.estimators; assert 'sklearn' not in sys.modules\n"
        "assert 'MLPClassifier' in dir(backhand.estimators)\n"
        "sys.modules['sklearn'] = None\n"
        "from backhand.estimators import MLPClassifier"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr.endswith(
        "backhand.estimators.MLPClassifier needs scikit-learn, which is not installed\n"
    )


# Refusals.


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"solver": "lbfgs"}, "solver.*lbfgs"),
        ({"solver": "rmsprop"}, "adam, sgd, got 'rmsprop'"),
        ({"activation": "gelu"}, "activation: expected one of identity"),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
        ({"alpha": -1.0}, "alpha"),
        ({"learning_rate": "cyclic"}, "learning_rate"),
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
    with pytest.raises(ValueError, match="float32 can hold"):
        regressor().fit(XR, NUMBERS[:, 0] * 1e200)
    with pytest.raises(ValueError, match="float32 can hold"):
        regressor().fit(XR * 1e200, NUMBERS[:, 0])
    with pytest.raises(ValueError, match="too small a validation set"):
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
    with pytest.raises(ValueError, match="non-finite parameter weights or loss in epoch"):
        ours.fit(XR, NUMBERS)
    assert all(map(np.array_equal, ours.coefs_, kept))
    fresh = regressor(solver="sgd", learning_rate_init=1e20)
    with pytest.raises(ValueError, match="the learning rate is too high"):
        fresh.fit(XR, NUMBERS)
    assert not hasattr(fresh, "coefs_")


def test_a_batch_that_is_too_large_leaves_no_trace_in_what_the_rule_remembers() -> None:
    ours, unharmed = (regressor().partial_fit(XR, NUMBERS) for _ in range(2))
    with pytest.raises(ValueError, match="non-finite"):
        ours.partial_fit(XR * 1e25, NUMBERS)
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
