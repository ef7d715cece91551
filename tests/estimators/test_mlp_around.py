"""What everything around an estimator asks: copies, pickles, pipelines, searches, threads."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from mlp_tables import (
    BINARY,
    X,
    Y,
    classifier,
    same_weights,
)
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import backhand as bh
from backhand.estimators import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    raw = network.predict(torch.tensor(X))
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
