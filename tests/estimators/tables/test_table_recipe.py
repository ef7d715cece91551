"""RealMLP-TD-S held to its paper: numbers worked out by hand, and a training by PyTorch itself.

Holzmüller, Grinsztajn, Steinwart, "Better by Default" (NeurIPS 2024), section 3 and appendix A.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from backhand import SELU, Mish
from backhand.estimators.tables import TableClassifier, TableRegressor
from backhand.estimators.tables.columns import read_columns
from backhand.estimators.tables.encoding import Encoding
from backhand.estimators.tables.members import four_cosines, make_members

NEAR, FAR = 3 / math.sqrt(37), 2.4
"""Half a quartile distance from the median, and four of them, clipped: x / √(1 + (x / 3)²)."""


def encoded(training: pd.DataFrame, table: pd.DataFrame | None = None) -> np.ndarray:
    """The matrix of a table, by the encoding of the training table; rows (features, rows)."""
    encoding = Encoding.of(read_columns(training))
    return encoding.matrix(read_columns(training if table is None else table)).T


def test_numbers_are_scaled_by_median_and_quartiles_and_clipped_smoothly() -> None:
    values = np.array([-4.0, -0.5, 0.0, 0.5, 4.0]) * 10 + 7
    found = encoded(pd.DataFrame({"x": values}), pd.DataFrame({"x": [*values, 1e9]}))
    assert found[0] == pytest.approx([-FAR, -NEAR, 0, NEAR, FAR, 3], abs=1e-6)


def test_where_the_quartiles_are_level_half_the_range_is_the_unit() -> None:
    found = encoded(pd.DataFrame({"x": [5.0] * 8 + [13.0], "constant": [2.0] * 9}))
    assert found[0] == pytest.approx([0.0] * 8 + [6 / math.sqrt(13)])  # 2 / √(1 + 4/9)
    assert not found[1].any()


def test_a_number_that_is_missing_is_the_median_and_shown_in_a_column() -> None:
    table = pd.DataFrame({"x": [3.0, 3.5, 4.0, 4.5, 8.0, np.nan, np.nan, np.nan]})
    found = encoded(table)
    assert found[0, 5:].tolist() == [0, 0, 0]
    shown = encoded(pd.DataFrame({"x": [0.0] * 5 + [1.0] * 3}))  # a column of 0 and 1
    assert found[1] == pytest.approx(shown[0])


def test_two_categories_and_booleans_are_one_column_of_1_and_minus_1_and_0_where_missing() -> None:
    flags = [True, False, True, False, True]
    training = pd.DataFrame({"flag": flags, "sex": ["f" if each else "m" for each in flags]})
    gaps = pd.DataFrame({"flag": [True, False, None], "sex": ["f", "m", "x"]}).astype(object)
    assert encoded(training).shape == (2, 5)
    # The median is 1, the quartiles are -1 and 1: what is missing, 0, lies half way between.
    assert encoded(training, gaps) == pytest.approx(
        np.array([[0, -3 / math.sqrt(10), -NEAR]] * 2), abs=1e-6
    )


def test_three_categories_are_a_column_each_and_none_where_missing() -> None:
    city = ["Bern", "Oslo", "Rome", "Oslo", "Bern", "Bern", "Rome", "Oslo", "Rome"]
    training = pd.DataFrame({"city": city})
    found = encoded(training, pd.DataFrame({"city": ["Bern", "Oslo", "Rome", "Lima"]}))
    one = 3 / math.sqrt(10)  # the median is 0, the quartiles are 0 and 1
    assert pytest.approx(np.array([*np.eye(3), [0, 0, 0]]) * one) == found.T


def test_a_date_is_its_day_month_day_of_the_week_and_hour() -> None:
    dates = ["2024-01-01 00:00", "2024-02-06 06:00", "2024-03-13 12:00", "2024-04-18 18:00"]
    moments = pd.to_datetime([*dates, "2024-05-31 23:00"])
    code = Encoding.of(read_columns(pd.DataFrame({"date": moments}))).codes[0]
    day, month, weekday, hour = code.numbers(read_columns(pd.DataFrame({"date": moments}))[0])
    assert np.diff(day) == pytest.approx([36.25, 36.25, 36.25, 43 + 5 / 24])
    assert month.tolist() == [0, 1, 2, 3, 4]
    assert weekday.tolist() == [0, 1, 2, 3, 4]  # a Monday, a Tuesday …
    assert hour.tolist() == [0, 6, 12, 18, 23]


def test_a_time_of_day_is_its_hour_and_its_place_on_the_clock() -> None:
    table = pd.DataFrame({"at": ["00:00", "06:00", "12:00", "18:00", "23:59:59"]})
    (column,) = read_columns(table)
    hour, sine, cosine = Encoding.of([column]).codes[0].numbers(column)
    assert hour == pytest.approx([0, 6, 12, 18, 24 - 1 / 3600])
    assert sine == pytest.approx([0, 1, 0, -1, 0], abs=1e-4)
    assert cosine == pytest.approx([1, 0, -1, 0, 1], abs=1e-4)


def test_the_rate_runs_through_four_cosines_each_twice_as_long_as_the_last() -> None:
    lows = [four_cosines(1.0)(step, 15) for step in (0, 1, 3, 7, 15)]
    assert lows == pytest.approx([0] * 5, abs=1e-12)
    tops = [four_cosines(1.0)(step, 1_500_000) for step in (41_421, 182_843, 465_685, 1_031_371)]
    assert tops == pytest.approx([1] * 4, abs=1e-9)
    halves = [four_cosines(1.0)(step, 1_500_000) for step in (18_921, 68_179, 137_841)]
    assert halves == pytest.approx([0.5] * 3, abs=1e-4)


def test_weights_and_biases_begin_with_variance_1_and_the_last_layer_at_0() -> None:
    torch.manual_seed(0)
    stack = make_members(100, (300, 300), 3, 2, classifies=True)
    found = {path: each.value for path, each in stack.parameters().items()}
    for path, value in found.items():
        *_, layer, name = path.split(".")
        if name == "scale":
            assert (value == 1).all()
        elif layer == "5":
            assert not value.any()
        else:
            error = 4 * math.sqrt(2 / value.numel())
            assert value.var().item() == pytest.approx(1, abs=error)
            assert value.mean().item() == pytest.approx(0, abs=error)
    assert len(found) == 2 * 7
    assert [value.shape for value in list(found.values())[1:3]] == [(300, 100), (300,)]


def test_the_defaults_are_the_recipes() -> None:
    classifier, regressor = TableClassifier(), TableRegressor()
    for model in (classifier, regressor):
        assert tuple(model.hidden) == (256, 256, 256)
        assert model.batch_size == 256
    assert (classifier.learning_rate, regressor.learning_rate) == (0.04, 0.07)
    assert classifier.label_smoothing == 0.1
    kinds = [{type(each) for _, each in make_members(2, (3, 3), 1, 1, classifies).layers_by_path()}
             for classifies in (True, False)]  # fmt: skip
    assert [kind & {SELU, Mish} for kind in kinds] == [{SELU}, {Mish}]


# One whole training, by PyTorch in double precision.

ROWS, EPOCHS = 32, 48


def points() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 3))
    return x, np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]


def trained_by_pytorch(start, inputs, activation, loss, rate: float):
    """The losses before each step, one a step, and what is predicted after it."""
    weights = [each.value.double().requires_grad_() for each in start.parameters().values()]
    scale, *pairs = weights
    groups = [
        {"params": [scale], "factor": 6.0},
        {"params": pairs[0::2], "factor": 1.0},
        {"params": pairs[1::2], "factor": 0.1},
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.95), eps=1e-8)

    def outputs() -> torch.Tensor:
        x = inputs * scale
        for at, (weight, bias) in enumerate(zip(pairs[0::2], pairs[1::2], strict=True)):
            x = (activation(x) if at else x) @ weight.T / math.sqrt(weight.shape[1]) + bias
        return x

    losses, predictions = [], []
    for step in range(EPOCHS):
        top = math.sin(math.pi * math.log(1 + 15 * step / EPOCHS, 2)) ** 2
        for group in optimizer.param_groups:
            group["lr"] = rate * top * group["factor"]
        optimizer.zero_grad()
        value = loss(outputs())
        value.backward()
        optimizer.step()
        losses.append(value.item())
        predictions.append(outputs().detach())
    return losses, predictions


OPTIONS = {"hidden": (9, 7), "batch_size": ROWS, "validation_fraction": 0.01, "random_state": 3}
"""All rows are one batch, and held out too: they are too few for a share of 0.01 of them."""


def test_a_classifier_trains_as_pytorch_trains_the_recipe() -> None:
    x, y = points()
    labels = np.digitize(y, (-0.5, 0.5))
    start = TableClassifier(epochs=1, **OPTIONS).fit(x, labels)  # at a rate of 0
    model = TableClassifier(epochs=EPOCHS, **OPTIONS).fit(x, labels)
    inputs = torch.from_numpy(start.encoding_.matrix(read_columns(x))).double()
    targets = torch.from_numpy(labels)
    losses, predictions = trained_by_pytorch(
        start.network_.branches[0],
        inputs,
        functional.selu,
        lambda raw: functional.cross_entropy(raw, targets, label_smoothing=0.1),
        0.04,
    )
    assert losses[0] > 1.25 * losses[-1]
    assert model.loss_curve_ == pytest.approx(losses, rel=2e-4)
    truth = torch.eye(3)[targets]
    probabilities = [((each.softmax(-1) - 0.1 / 3) / 0.9).clamp(0, 1) for each in predictions]
    briers = [((each - truth) ** 2).sum(1).mean().item() for each in probabilities]
    assert np.ravel(model.validation_scores_) == pytest.approx(briers, rel=1e-3, abs=1e-4)
    best = predictions[model.best_epochs_[0] - 1].softmax(-1)
    assert model.predict_proba(x) == pytest.approx(best.numpy(), abs=1e-3)


def test_a_regressor_trains_as_pytorch_trains_the_recipe() -> None:
    x, y = points()
    # As many of 1 as of -1: the first gradient of the last bias is 0, not a rounding that Adam
    # would take for a direction (so the rows are a power of two too).
    y = np.where(y > np.median(y), 1.0, -1.0)
    start = TableRegressor(epochs=1, **OPTIONS).fit(x, y)
    model = TableRegressor(epochs=EPOCHS, **OPTIONS).fit(x, y)
    inputs = torch.from_numpy(start.encoding_.matrix(read_columns(x))).double()
    targets = torch.from_numpy(y)
    losses, predictions = trained_by_pytorch(
        start.network_.branches[0],
        inputs,
        functional.mish,
        lambda raw: (raw[:, 0] - targets).square().mean(),
        0.07,
    )
    assert losses[0] > 1.25 * losses[-1]
    assert model.loss_curve_ == pytest.approx(losses, rel=2e-4)
    best = predictions[model.best_epochs_[0] - 1][:, 0].numpy()
    assert model.predict(x) == pytest.approx(best, abs=1e-3)
    moved = TableRegressor(epochs=EPOCHS, **OPTIONS).fit(x, 8 * y + 5)  # the target is standardised
    assert moved.loss_curve_ == model.loss_curve_
    assert moved.predict(x) == pytest.approx(8 * model.predict(x) + 5)
