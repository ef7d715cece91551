"""What is said of test rows: metrics, intervals, who is ahead, and how far rows can tell."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from backhand.cli.tables.measures import QUICK, Predictions, bootstrap, interval
from backhand.cli.tables.peers import knowing_nothing
from backhand.cli.tables.verdict import NOTHING, OURS, Verdict

CLASSES = np.array(["a", "b", "c"])


def predictions(truth: np.ndarray, right: float, seed: int = 0) -> Predictions:
    """Of classes, so many of them right."""
    random = np.random.default_rng(seed)
    at = np.searchsorted(CLASSES, truth)
    at = np.where(random.random(len(at)) < right, at, (at + 1) % 3)
    probabilities = np.full((len(at), 3), 0.1)
    probabilities[np.arange(len(at)), at] = 0.8
    return Predictions(CLASSES[at], CLASSES, probabilities)


def verdict(predicted: dict[str, Predictions], truth: np.ndarray) -> Verdict:
    main = next(iter(predicted[OURS].measures(truth)))
    values = {who: each.measures(truth)[main] for who, each in predicted.items()}
    return Verdict.of(main, values, {who: each.values for who, each in predicted.items()}, truth)


def said(predicted: dict[str, Predictions], truth: np.ndarray) -> str:
    return " ".join(verdict(predicted, truth).sentences())


def many(rows: int, shares: tuple[float, ...] = (0.4, 0.3, 0.3)) -> np.ndarray:
    return np.repeat(CLASSES, [round(rows * share) for share in shares])


def test_the_main_metric_is_of_all_classes_where_some_are_rare() -> None:
    even, rare = many(100), many(100, (0.9, 0.05, 0.05))
    assert next(iter(predictions(even, 0.5).measures(even))) == "accuracy"
    found = predictions(rare, 0.5).measures(rare)
    assert next(iter(found)) == "balanced accuracy"
    assert found["balanced accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(rare, predictions(rare, 0.5).values)
    )


def test_probabilities_are_scored_for_two_classes_and_for_more() -> None:
    truth = many(50)
    found = predictions(truth, 0.7).measures(truth)
    hot = (truth[:, None] == CLASSES).astype(float)
    probabilities = predictions(truth, 0.7).probabilities
    assert found["Brier score"] == pytest.approx(((probabilities - hot) ** 2).sum(1).mean())
    two = Predictions(np.array(["a", "b"]), CLASSES[:2], np.array([[0.8, 0.2], [0.3, 0.7]]))
    assert two.measures(np.array(["a", "a"]))["Brier score"] == pytest.approx((0.04 + 0.49) / 2)


@pytest.mark.parametrize("measure", QUICK)
def test_the_quick_forms_of_the_metrics_are_scikit_learns(measure) -> None:
    random = np.random.default_rng(0)
    for draw in range(20):
        if measure in ("R²", "RMSE"):
            truth, values = random.normal(size=(2, 9))
        else:
            truth, values = random.integers(0, 4, size=(2, 9))
        known = {
            "accuracy": metrics.accuracy_score,
            "R²": metrics.r2_score,
            "RMSE": metrics.root_mean_squared_error,
            "balanced accuracy": lambda y, p: metrics.recall_score(
                y, p, labels=np.unique(y), average="macro", zero_division=0
            ),
        }[measure]
        assert QUICK[measure](truth, values) == pytest.approx(known(truth, values)), draw


def test_an_interval_holds_what_other_rows_would_give() -> None:
    truth = np.array(["a"] * 400)
    values = np.where(np.arange(400) < 300, "a", "b")
    low, high = interval(bootstrap({"x": values}, truth, "accuracy")["x"])
    deviation = np.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - 1.96 * deviation, abs=0.01)
    assert high == pytest.approx(0.75 + 1.96 * deviation, abs=0.01)


def test_all_that_cannot_be_told_apart_are_level() -> None:
    truth = many(200)
    ours, other, worse = (predictions(truth, share, 1) for share in (0.9, 0.91, 0.5))
    told = said({OURS: ours, "trees": other, "MLP": worse}, truth)
    assert told.startswith("Level by accuracy, as far as 200 test rows can tell: ")
    assert told.count("trees") == 1
    assert "; behind: MLP 0.4" in told or "; behind: MLP 0.5" in told
    same = said({OURS: ours, "trees": ours, "MLP": ours}, truth)
    assert "Backhand 0.9" in same
    assert "behind" not in same


def test_who_is_ahead_is_said_whoever_it_is() -> None:
    truth = many(300)
    good, bad = predictions(truth, 0.95), predictions(truth, 0.6)
    assert said({OURS: good, "MLP": bad}, truth).startswith("Backhand did best here, by accuracy")
    assert said({OURS: bad, "MLP": good}, truth).startswith("MLP did better than Backhand here")


def test_a_model_no_better_than_knowing_nothing_is_called_so() -> None:
    truth = many(300)
    nothing = knowing_nothing(truth, len(truth), CLASSES)
    assert set(nothing.values) == {"a"}
    assert np.allclose(nothing.probabilities, [[0.4, 0.3, 0.3]])
    told = said({OURS: predictions(truth, 0.4), NOTHING: nothing}, truth)
    assert "By accuracy Backhand is no better than knowing nothing" in told
    assert "no better" not in said({OURS: predictions(truth, 0.9), NOTHING: nothing}, truth)
    numbers = knowing_nothing(np.array([1.0, 2.0, 6.0]), 2, None)
    assert numbers.values.tolist() == [3.0, 3.0]


def test_few_test_rows_are_said_to_be_few() -> None:
    two = {OURS: Predictions(np.array([1.0, 2.0])), "MLP": Predictions(np.array([1.0, 4.0]))}
    told = said(two, np.array([1.1, 2.1]))
    assert told == "2 test rows: too few to say how good a model is, or which is better."
    truth = many(50, (0.8, 0.1, 0.1))
    told = said({OURS: predictions(truth, 0.9)}, truth)
    assert "50 test rows are few" in told
    assert "Classes with few test rows: b (5), c (5)." in told


def test_rows_of_one_class_are_measured_too() -> None:
    truth = np.array(["b"] * 20)
    nothing = knowing_nothing(truth, 20, CLASSES)
    assert nothing.probabilities[0].tolist() == [0, 1, 0]
    told = said({OURS: predictions(truth, 0.8), NOTHING: nothing}, truth)
    assert "no better than knowing nothing" in told
    assert nothing.measures(truth)["accuracy"] == 1
