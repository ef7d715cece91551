"""scikit-learn's own checks with the estimators' defaults: the sizes that people use."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import (
    check_methods_sample_order_invariance,
    check_methods_subset_invariance,
    parametrize_with_checks,
)

from backhand.estimators import MLPClassifier, MLPRegressor, TableClassifier, TableRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DEFAULTS = [MLPClassifier(), MLPRegressor(), TableClassifier(), TableRegressor()]


@pytest.mark.soak
@parametrize_with_checks(DEFAULTS)
def test_is_an_estimator(estimator, check) -> None:
    check(estimator)


def test_a_wide_one_predicts_a_row_alone_as_beside_others() -> None:
    check_methods_subset_invariance("TableRegressor", TableRegressor())
    check_methods_sample_order_invariance("TableRegressor", TableRegressor())
