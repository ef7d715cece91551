"""river's own checks, pipelines and metrics; and life without river."""

from __future__ import annotations

import subprocess
import sys

import pytest
from streams import KINDS, rows

from backhand.estimators.online import OnlineAnomalyDetector, OnlineClassifier, OnlineRegressor

river = pytest.importorskip("river")

from river import compose, datasets, metrics, preprocessing  # noqa: E402

kinds = pytest.mark.parametrize("kind", KINDS)


CHECKS = """
from river import checks, datasets
from backhand.estimators import online

# river checks detectors on a stream that it would download; Shuttle comes with it.
datasets.CreditCard = datasets.Shuttle
model = online.{name}()
assert not model._unit_test_skips()
names = [check.__name__ for check in checks.yield_checks(model)]
assert len(set(names)) > 20
assert ("check_learn_many_matches_learn_one" in names) == hasattr(model, "predict_many")
checks.check_estimator(model)
"""


@kinds
def test_all_of_rivers_checks_pass(kind) -> None:
    # Apart, since they record many steps, which is slow with signatures checked.
    code = CHECKS.format(name=kind.__name__)
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_pipeline_learns_and_prints() -> None:
    model = preprocessing.StandardScaler() | OnlineClassifier(seed=0)
    assert isinstance(model, compose.Pipeline)
    accuracy = metrics.Accuracy()
    for x, y in datasets.Phishing():
        accuracy.update(y, model.predict_one(x))
        model.learn_one(x, y)
    assert accuracy.get() > 0.88
    assert "OnlineClassifier(seed=0)" in repr(model)
    assert model.clone()["OnlineClassifier"].classes_ == []


def test_regression_beats_the_running_mean_by_far() -> None:
    model, error, plain = OnlineRegressor(seed=0), metrics.MAE(), metrics.MAE()
    total = 0.0
    for n, (x, y) in enumerate(datasets.TrumpApproval()):
        error.update(y, model.predict_one(x))
        plain.update(y, total / max(n, 1))
        model.learn_one(x, y)
        total += y
    assert error.get() < plain.get() / 2


def test_anomalies_of_the_shuttle_stand_out() -> None:
    model, auc = OnlineAnomalyDetector(seed=0), metrics.RollingROCAUC(window_size=10_000)
    for x, y in datasets.Shuttle().take(10_000):
        auc.update(y, model.score_one(x))
        model.learn_one(x)
    assert auc.get() > 0.965


def test_the_rate_is_mutable_and_the_next_step_takes_it() -> None:
    model = OnlineRegressor(seed=0)
    one, *_ = rows(1)
    model.learn_one(one, 1.0)
    model.learn_one(one, 2.0)
    model.mutate({"learning_rate": 0.0})
    raw = model._outputs_for(one)
    model.learn_one(one, 3.0)
    assert model._outputs_for(one) == raw
    model.mutate({"learning_rate": 0.01})
    model.learn_one(one, 3.0)
    assert model._outputs_for(one) != raw


def test_without_river_they_work_all_the_same() -> None:
    code = """
import sys
sys.modules["river"] = None
from backhand.estimators.online import OnlineClassifier
model = OnlineClassifier(seed=0)
for i in range(400):
    model.learn_one({"a": i % 7, "b": i % 3}, i % 7 > 3)
assert model.predict_one({"a": 6, "b": 0}) is True
assert model.predict_one({"a": 0, "b": 0}) is False
print(model)
"""
    done = run("-c", code)
    assert done.stdout == "OnlineClassifier(seed=0)\n", done.stderr
