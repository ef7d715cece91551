"""scikit-learn's own tests of its perceptrons, with the import line changed.

They are the installed version's, read when this file is collected.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from sklearn import neural_network

pytestmark = pytest.mark.filterwarnings("ignore")  # as there, where warnings are no errors

THEIRS = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
OURS = "from backhand.estimators import MLPClassifier, MLPRegressor\n"

PRIVATE = {
    "test_fit": "coefs_",  # sets it before there is a network
    "test_gradient": "_loss_grad_lbfgs",
    "test_learning_rate_warmstart": "_optimizer",
    "test_adaptive_learning_rate": "_optimizer",
}
"""Tests that reach for what is scikit-learn's own; docs/estimators.md names each."""

SLOW = (
    "test_lbfgs_regression",
    "test_mlp_loading_from_joblib_partial_fit",
    "test_multioutput_regression",
    "test_n_iter_no_change_inf",
    "test_partial_fit_classification",
    "test_warm_start",
)
"""A second or more each."""


def own_tests() -> dict[str, FunctionType]:
    path = Path(neural_network.__file__).parent / "tests" / "test_mlp.py"
    source = path.read_text()
    assert source.count(THEIRS) == 1
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(compile(source.replace(THEIRS, OURS), str(path), "exec"), namespace)
    return {name: each for name, each in namespace.items() if name.startswith("test_")}


def reaching_for(name: str, test: Callable[[], None]) -> Callable[[], None]:
    def it_has_no_such_attribute() -> None:
        with pytest.raises(AttributeError, match=name):
            test()

    return it_has_no_such_attribute


@pytest.fixture
def global_random_seed() -> int:
    return 42


TESTS = own_tests()
for name, test in TESTS.items():
    kept = reaching_for(PRIVATE[name], test) if name in PRIVATE else test
    globals()[name] = pytest.mark.soak(kept) if name in SLOW else kept


def test_all_of_them_are_here() -> None:
    assert len(TESTS) >= 40
    assert set(PRIVATE) | set(SLOW) <= set(TESTS)
    page = (Path(__file__).parents[2] / "docs" / "estimators.md").read_text()
    assert all(f"`{name}`" in page for name in PRIVATE)
