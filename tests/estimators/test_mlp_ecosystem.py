"""Libraries around scikit-learn take the perceptrons as they take scikit-learn's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import skops.io
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from mapie.regression import SplitConformalRegressor
from mlp_tables import NUMBERS, XR, X, Y, classifier, regressor, same_weights
from sklearn.model_selection import GridSearchCV

from backhand.estimators import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, of whatever they deprecate


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_skops_writes_and_reads_without_pickle(solver) -> None:
    ours = classifier(solver=solver).fit(X, Y)
    written = skops.io.dumps(ours)
    foreign = skops.io.get_untrusted_types(data=written)
    assert all(name.startswith("backhand.") for name in foreign)
    again = skops.io.loads(written, trusted=foreign)
    assert np.array_equal(again.predict_proba(X), ours.predict_proba(X))
    for each in (ours, again):
        each.set_params(solver="sgd").partial_fit(X, Y)
    assert same_weights(again, ours)


def test_skops_goes_on_with_what_adam_remembers() -> None:
    ours = regressor().partial_fit(XR, NUMBERS).partial_fit(XR, NUMBERS)
    written = skops.io.dumps(ours)
    again = skops.io.loads(written, trusted=skops.io.get_untrusted_types(data=written))
    for each in (ours, again):
        each.partial_fit(XR, NUMBERS)
    assert same_weights(ours, again)
    assert ours.loss_curve_ == again.loss_curve_


def test_a_perceptron_whose_layers_are_frozen_is_copied_with_that() -> None:
    ours = classifier().fit(X, Y)
    ours.network_.layers[0].freeze()
    again = copy.deepcopy(ours)
    assert again.network_.layers[0].weight.frozen
    assert np.array_equal(again.predict_proba(X), ours.predict_proba(X))


def test_mapie_wraps_intervals_around_predictions() -> None:
    model = regressor(max_iter=100, learning_rate_init=0.01).fit(XR[:200], NUMBERS[:200, 0])
    conformal = SplitConformalRegressor(model, confidence_level=0.9, prefit=True)
    conformal.conformalize(XR[200:], NUMBERS[200:, 0])
    _, intervals = conformal.predict_interval(XR)
    low, high = intervals[:, 0, 0], intervals[:, 1, 0]
    inside = (low <= NUMBERS[:, 0]) & (NUMBERS[:, 0] <= high)
    assert inside[200:].mean() >= 0.85
    assert (high > low).all()


def test_imbalanced_learn_resamples_before_it() -> None:
    kept = np.flatnonzero((Y > 0) | (np.arange(330) < 30))
    pipeline = make_pipeline(RandomOverSampler(random_state=0), classifier(max_iter=60))
    plain = classifier(max_iter=60)
    recalls = [(m.fit(X[kept], Y[kept]).predict(X)[Y == 0] == 0).mean() for m in (pipeline, plain)]
    assert recalls[0] > recalls[1]


@pytest.mark.soak
def test_shap_explains_it() -> None:
    import shap

    model = classifier(max_iter=100, learning_rate_init=0.01).fit(X, Y)
    explained = shap.Explainer(model.predict_proba, X[:50])(X[:5])
    sums = explained.base_values + explained.values.sum(axis=1)
    np.testing.assert_allclose(sums, model.predict_proba(X[:5]), atol=1e-6)


@pytest.mark.soak
def test_dask_searches_with_it() -> None:
    import joblib
    from distributed import Client

    grid = {"alpha": [1e-4, 100.0]}
    with (
        Client(n_workers=2, threads_per_worker=1, dashboard_address=None),
        joblib.parallel_backend("dask"),
    ):
        far = GridSearchCV(MLPClassifier((7,), max_iter=60, random_state=0), grid, cv=3).fit(X, Y)
    near = GridSearchCV(MLPClassifier((7,), max_iter=60, random_state=0), grid, cv=3).fit(X, Y)
    assert far.best_params_ == near.best_params_
    np.testing.assert_array_equal(
        far.cv_results_["mean_test_score"], near.cv_results_["mean_test_score"]
    )
