"""A regressor's targets: wild ones, bursts, drifts and other units."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from backhand.estimators.online import OnlineRegressor
from backhand.estimators.online.scale import WINDOW, TargetScale
from backhand.layers.bounded_error import LARGEST, LEAST, PACE, BoundedError


def errors(
    law: Callable[[int, float], float],
    wild: dict[int, float],
    count: int,
    last: int = 200,
    **options,
) -> float:
    """The largest error over the last rows of a stream whose wild targets are as said."""
    source, model, found = random.Random(0), OnlineRegressor(seed=0, **options), []
    for n in range(count):
        x = source.uniform(-5, 5)
        if n >= count - last:
            found.append(abs(model.predict_one({"a": x}) - law(n, x)))
        model.learn_one({"a": x}, wild.get(n, law(n, x)))
    return sum(found) / last


def tripled(n: int, x: float) -> float:
    return 3 * x


@pytest.mark.parametrize("hidden", [(), (64,)])
@pytest.mark.parametrize("at", [0, 1, 5, 100, 1000])
def test_one_wild_target_is_forgotten(at, hidden) -> None:
    assert errors(tripled, {at: 1e6}, 1200, hidden=hidden) < 0.4
    assert errors(tripled, {at: -1e300}, 1200, hidden=hidden) < 0.4


def test_a_burst_does_nothing_and_wild_ones_throughout_little() -> None:
    burst = dict.fromkeys(range(1000, 1025), 1e6)
    assert errors(tripled, burst, 1200, last=175) < 0.4
    throughout = {n: 1e6 * (-1) ** n for n in range(10, 2000, 20)}
    assert errors(tripled, throughout, 2000) < 0.4


def test_within_reach_an_error_counts_as_some_times_the_usual() -> None:
    near = dict.fromkeys(range(1000, 1010), 80.0)  # not far out, and wrong for every x
    assert errors(tripled, near, 1400) < 0.4


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_other_units_are_followed(factor) -> None:
    def law(n: int, x: float) -> float:
        return 3 * x * (factor if n >= 1000 else 1)

    assert errors(law, {}, 3000) < 0.2 * factor


def test_a_drift_and_a_jump_are_followed() -> None:
    assert errors(lambda n, x: 3 * x + n / 100, {}, 3000) < 0.5
    assert errors(lambda n, x: 3 * x + 500 * (n >= 1000), {}, 3000) < 0.5


def test_what_the_network_foresees_moves_no_scale() -> None:
    model, source = OnlineRegressor(seed=0), random.Random(0)
    for _ in range(2000):
        x = source.uniform(-5, 5)
        model.learn_one({"a": x}, 3 * x)
    before = model._targets.center, model._targets.spread
    for _ in range(300):
        x = source.uniform(4, 5)
        assert abs(model.predict_one({"a": x}) - 3 * x) < 1
        model.learn_one({"a": x}, 3 * x)
    assert (model._targets.center, model._targets.spread) == before


def test_many_rows_are_learnt_as_each_is() -> None:
    source = random.Random(1)
    xs = [{"a": source.gauss(0, 1), "b": source.gauss(0, 1)} for _ in range(600)]
    ys = [5 * x["a"] - x["b"] for x in xs]
    ys = [1e9 if n in (3, 250) else y * (50 if n > 400 else 1) for n, y in enumerate(ys)]
    ws = [source.choice([0.0, 1.0, 2.5]) for _ in xs]
    one, many = OnlineRegressor(seed=0), OnlineRegressor(seed=0)
    for x, y, w in zip(xs, ys, ws, strict=True):
        one.learn_one(x, y, w=w)
    for part in (slice(0, 7), slice(7, 410), slice(410, 600)):
        many.learn_many(pd.DataFrame(xs[part]), pd.Series(ys[part]), w=ws[part])
    for left, right in zip(
        one._learner.tensors().values(), many._learner.tensors().values(), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)
    assert vars(one._targets) == vars(many._targets)


def test_targets_that_never_vary_are_predicted() -> None:
    assert errors(lambda n, x: 7.0, {}, 300) < 1e-3
    assert errors(lambda n, x: float(n % 40 == 0), {}, 2000) < 0.1


def test_center_and_spread_are_by_quartiles() -> None:
    scale = TargetScale()
    for n in range(WINDOW):
        if scale.learn(float(n)):
            scale.adopt(1.0)
    assert scale.center == pytest.approx((WINDOW - 1) / 2, rel=0.6)
    assert scale.is_far(1e9)
    assert scale.back(scale.standardized(40.0)) == pytest.approx(40.0)
    assert TargetScale.of(scale.described()).described() == scale.described()


def test_an_error_is_bounded_by_the_usual_which_follows() -> None:
    layer = BoundedError(most=3.0)
    output = layer(torch.randn(2, 2))
    found = layer.backward(torch.tensor([[0.5, -9.0], [2.0, 4.0]]), 0.1)
    assert torch.equal(found, torch.tensor([[0.5, -3.0], [2.0, 3.0]]))
    assert layer.usual.value.item() == pytest.approx(1 + PACE * (8.5 / 4 - 1))
    for error, end in ((1e9, LARGEST), (0.0, LEAST)):
        for _ in range(1000):
            layer(output)
            layer.backward(torch.full((2, 2), error), 0.1)
        assert layer.usual.value.item() == pytest.approx(end)
    for wrong in (1.0, float("nan")):
        with pytest.raises(ValueError, match="most"):
            BoundedError(wrong)


@pytest.mark.parametrize("wild", [1e9, -1e300])
def test_one_wild_value_of_a_feature_is_forgotten(wild) -> None:
    draw = np.random.default_rng(0).normal(size=3000)
    model, errors = OnlineRegressor(seed=0), []
    for at, x in enumerate(draw.tolist()):
        given = {"x": wild if at == 1000 else x}
        errors.append(abs(model.predict_one(given) - 3 * x))
        model.learn_one(given, 3 * x)
    assert np.mean(errors[2000:]) < 0.3  # a spread of 3; with the wild value's deviation it is 2.4


def test_a_feature_that_comes_in_another_unit_is_followed() -> None:
    draw = np.random.default_rng(0).normal(size=6000)
    model, errors = OnlineRegressor(seed=0), []
    for at, x in enumerate(draw.tolist()):
        given = {"x": x * 1000 if at >= 2000 else x}
        errors.append(abs(model.predict_one(given) - 3 * x))
        model.learn_one(given, 3 * x)
    assert np.mean(errors[4000:]) < 0.3
