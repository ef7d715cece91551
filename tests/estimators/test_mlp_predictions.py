"""Rows predicted one by one, many at once, from several threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from mlp_tables import (
    NUMBERS,
    XR,
    X,
    Y,
    classifier,
    regressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    narrow = kind().fit(X.astype(np.float32), target)
    for wrong, says in ((np.nan, "NaN"), (np.inf, "infinity"), (1e300, "float32")):
        row = X[:1].copy()
        row[0, 2] = wrong
        for each in (narrow,) if wrong == 1e300 else (ours, narrow):
            with pytest.raises(ValueError, match=says):
                each.predict(row)
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
