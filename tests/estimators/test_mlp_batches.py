"""Batches filled up to one size: every row once an epoch, weighed as the mean over its batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from backhand import SGD, Adam, FullyConnected, MSELoss, Sequential, TrainingStep
from backhand.estimators.mlp.batches import SIZES, Batches, filled_size
from backhand.estimators.mlp.rates import PerceptronRates
from backhand.learning.rules.penalized import Penalized, penalize, squared_weights
from backhand.training import cosine


@example(rows=7, size=3, fill=True, weighted=False, epochs=2)
@example(rows=5, size=30, fill=True, weighted=True, epochs=1)
@example(rows=7, size=3, fill=False, weighted=True, epochs=1)
@given(
    rows=st.integers(1, 30),
    size=st.integers(1, 30),
    fill=st.booleans(),
    weighted=st.booleans(),
    epochs=st.integers(1, 3),
)
def test_each_batch_holds_its_rows_and_the_weights_of_their_mean(
    rows, size, fill, weighted, epochs
) -> None:
    random = np.random.RandomState(rows)
    size = min(size, rows)
    inputs = np.arange(1, rows + 1, dtype=np.float32)[:, None]
    given_weights = random.randint(0, 3, rows).astype(float) if weighted else None
    batches = Batches(inputs, inputs.copy(), given_weights, size, 2.0, fill)
    assert batches.shares.sum() == pytest.approx(1)
    if batches.one_epoch_at_a_time:
        epochs = 1
    for _ in range(2):
        orders = [random.permutation(rows) for _ in range(epochs)]
        order = batches.order(orders)
        found = torch.split(order, batches.size)
        assert len(found) == epochs * batches.steps
        for number, step in enumerate(found):
            epoch, batch = divmod(number, batches.steps)
            expected = orders[epoch][batch * size : (batch + 1) * size]
            if fill:
                assert len(step) == batches.size
            seen = batches.inputs[step][:, 0].numpy()
            assert seen[: len(expected)].tolist() == (expected + 1).tolist()
            assert not seen[len(expected) :].any()
            weight = np.ones(rows) if given_weights is None else given_weights
            share = weight[expected] / max(weight[expected].sum(), 1)
            mean = float((batches.weights[step] * batches.targets[step][:, 0]).mean())
            assert mean == pytest.approx(2.0 * float(share @ (expected + 1)), rel=1e-5)


def test_few_sizes_serve_all_small_tables() -> None:
    assert {filled_size(rows) for rows in range(1, 201)} == set(SIZES)
    assert all(rows <= filled_size(rows) for rows in range(1, 300))
    assert filled_size(500) == 500


def test_a_penalty_is_the_rules_weight_decay() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(20, 3), torch.randn(20, 2)
    for plain, decayed in ((SGD(), SGD(0.3)), (Adam(), Adam(weight_decay=0.3))):
        networks = []
        for rule in (Penalized(plain), decayed):
            torch.manual_seed(1)
            network = Sequential([FullyConnected(3, 4), FullyConnected(4, 2)]).learn_with(rule)
            networks.append(network)
        ours, theirs = (network.parameters() for network in networks)
        penalize(ours.values(), 0.3)
        for name, parameter in theirs.items():
            if name.endswith("bias"):
                parameter.learn_with(plain)
        for network in networks:
            step = TrainingStep(network, MSELoss())
            for _ in range(10):
                step(inputs, targets, 0.1)
        for name, parameter in ours.items():
            torch.testing.assert_close(parameter.value, theirs[name].value)
        squares = sum(float(p.value.square().sum()) for n, p in ours.items() if "weight" in n)
        assert squared_weights(ours.values()) == pytest.approx(squares)


def test_rates() -> None:
    constant = PerceptronRates("constant", 0.1, 0.5, 100)
    constant.begin(500, 500)
    assert constant.of_epoch(3) + constant.of_epoch(3) == [0.1] * 6
    assert constant.lower() is None
    adaptive = PerceptronRates("adaptive", 1e-5, 0.5, 100)
    assert adaptive.lower() == pytest.approx(2e-6)
    assert adaptive.lower() == pytest.approx(4e-7)
    assert adaptive.of_epoch(1) == [pytest.approx(4e-7)]
    assert adaptive.lower() is None
    inverse = PerceptronRates("invscaling", 0.1, 0.5, 100)
    inverse.begin(rows=90, seen=9)
    assert inverse.of_epoch(2) == [0.1] * 2
    assert inverse.of_epoch(1) == [pytest.approx(0.01)]
    schedule = PerceptronRates(cosine(1.0), 0.001, 0.5, 4)
    assert schedule.of_epoch(2) + schedule.of_epoch(2) == [cosine(1.0)(s, 4) for s in range(4)]
    assert schedule.of_epoch(1) == [cosine(1.0)(3, 4)]
    assert schedule.lower() is None
