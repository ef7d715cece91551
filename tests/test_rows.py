"""Gradients that are zero but for some rows: as the dense ones, for every rule and gate."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

import backhand as bh
from backhand.learning.contributions import Factors, Rows, Several
from oracle import close

RULES = [
    bh.SGD(),
    bh.SGD(weight_decay=0.1),
    bh.Momentum(0.9, weight_decay=0.1),
    bh.Adam(),
    bh.AdamW(weight_decay=0.1),
    bh.WithRate(bh.SGD(weight_decay=0.1), 3.0),
]


class Lookup(bh.Layer):
    """Rows of a table, and the table as a last layer: output = table[index] · tableᵀ."""

    def __init__(self, dense: bool) -> None:
        self.dense = dense
        self.table = bh.Parameter(torch.randn(7, 3, dtype=torch.float64))
        self.table.shared = True

    def forward(self, input, training):
        hidden = self.table.value.index_select(0, input)
        return hidden @ self.table.value.t(), (input, hidden)

    def propagate(self, error, memory, learning_rate):
        index, hidden = memory
        rows = error @ self.table.value
        self.table.learn_product(error.t(), hidden, learning_rate)
        if self.dense:
            gradient = torch.zeros_like(self.table.value).index_add_(0, index, rows)
            self.table.learn(gradient, learning_rate)
        else:
            self.table.learn_rows(index, rows, learning_rate)


def trained(layer: Lookup, steps: int = 6) -> Tensor:
    torch.manual_seed(5)
    for _ in range(steps):
        output = layer(torch.randint(7, (9,)))
        layer.backward(torch.randn_like(output), 0.05)
    return layer.table.value


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize(
    "gate",
    [lambda: None, bh.Gate, lambda: bh.Gate(max_norm=0.5), lambda: bh.Accumulation(2, 0.5)],
    ids=["none", "gate", "clipped", "accumulated"],
)
def test_a_table_that_is_also_the_last_layer_learns_as_by_its_whole_gradient(rule, gate) -> None:
    sparse = Lookup(dense=False)
    dense = copy.deepcopy(sparse)
    dense.dense = True
    for layer in (sparse, dense):
        layer.learn_with(rule).gate_with(gate())
    assert close(trained(sparse), trained(dense), 1e-12)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_rows_alone_learn_as_by_their_whole_gradient(rule) -> None:
    index, rows = torch.tensor([3, 1, 3, 0]), torch.randn(4, 2, dtype=torch.float64)
    value = torch.randn(5, 2, dtype=torch.float64)
    one, other = bh.Parameter(value.clone()), bh.Parameter(value.clone())
    for parameter in (one, other):
        parameter.learn_with(rule)
    for _ in range(3):
        one.learn_rows(index, rows, 0.1)
        other.learn(torch.zeros(5, 2, dtype=torch.float64).index_add_(0, index, rows), 0.1)
    assert close(one.value, other.value, 1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [2, 1000])
def test_the_norm_of_rows_counts_those_that_come_twice_once_summed(dtype, count) -> None:
    torch.manual_seed(0)
    index, rows = torch.randint(2, (6,)), torch.randn(6, 4, dtype=dtype)
    contribution = Rows(index, rows, count)
    expected = contribution.gradient().double().square().sum()
    assert contribution.squared_norm() == pytest.approx(float(expected), rel=1e-6)
    cancelled = Rows(torch.tensor([1, 1]), torch.cat([rows[:1], -rows[:1]]), count)
    assert 0 <= float(cancelled.squared_norm()) < 1e-12


def test_several_parts_add_up_and_leave_their_tensors_alone() -> None:
    left, right, rows = torch.randn(5, 3), torch.randn(3, 2), torch.randn(2, 2)
    parts = [Factors(left, right), Rows(torch.tensor([4, 4]), rows, 5)]
    expected = left @ right
    expected[4] += rows.sum(0)
    for order in (parts, parts[::-1]):
        assert torch.allclose(Several(order).gradient(), expected)
        assert torch.allclose(Several(order).scaled(torch.tensor(2.0)).gradient(), 2 * expected)
