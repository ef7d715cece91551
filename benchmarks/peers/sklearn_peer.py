"""scikit-learn's MLPClassifier; its loss is the cross-entropy, the rest is the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from problem import BATCH, EPOCHS, Problem, disc_job
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)


def _network(problem: Problem, **options) -> MLPClassifier:
    return MLPClassifier(
        hidden_layer_sizes=problem.sizes[1:-1],
        solver="adam" if problem.adam else "sgd",
        momentum=0.0,
        alpha=0.0,
        learning_rate_init=problem.rate,
        batch_size=problem.batch,
        random_state=0,
        **options,
    )


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """One partial_fit on one batch."""
    if problem.batch == 1:
        return {}
    x, t = problem.data()
    made = _network(problem)
    labels = t if problem.classes else t[:, 0]
    classes = list(range(problem.sizes[-1])) if problem.classes else [0.0, 1.0]
    made.partial_fit(x, labels, classes=classes)
    return {"scikit-learn, partial_fit": lambda: made.partial_fit(x, labels)}


def jobs() -> dict[str, Callable[[], object]]:
    """The whole disc job through fit, early stopping off."""
    problem = disc_job()
    x, t = problem.data(1000)

    def job() -> None:
        options = {"max_iter": EPOCHS, "tol": 0.0, "n_iter_no_change": 10**6}
        _network(problem, **options).fit(x, t[:, 0])

    assert problem.batch == BATCH
    return {"scikit-learn, MLPClassifier.fit": job}
