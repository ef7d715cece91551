"""Rules follow torch.optim, in every form a gradient comes in."""

from __future__ import annotations

import pytest
import torch
from torch.overrides import TorchFunctionMode

import backhand as bh
from backhand.learning.contributions import Factors, Summed, Whole
from cases import every_rule
from oracle import close

FORMS = {
    "gradient": lambda left, right: Whole(left @ right),
    "product": Factors,
    "sum": lambda left, right: Summed(left.t()),
}


@pytest.mark.parametrize("form", FORMS)
@every_rule
@pytest.mark.usefixtures("doubles")
def test_follows_its_counterpart_over_100_steps(rule, form) -> None:
    shape = (4,) if form == "sum" else (4, 3)
    value = torch.randn(shape, dtype=torch.float64)
    parameter = bh.Parameter(value.clone())
    parameter.learn_with(rule.rule())
    twin = value.clone().requires_grad_()
    optimizer = rule.twin([twin], 0.1)
    for step in range(100):
        rows = step % 3 + 1
        left = torch.randn(4, rows, dtype=torch.float64) * 10.0 ** (step % 5 - 2)
        right = torch.randn(rows, 3, dtype=torch.float64)
        rate = 0.1 / (1 + step % 11)
        contribution = FORMS[form](left, right)
        parameter.update(contribution, rate)
        rule.set_rate(optimizer, rate)
        twin.grad = contribution.gradient()
        optimizer.step()
        assert close(parameter.value, twin.detach()), step
    assert parameter.updates == 100


class ShapesMade(TorchFunctionMode):
    """The shapes of all tensors that calls make."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        before = {each.data_ptr() for each in args if isinstance(each, torch.Tensor)}
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.data_ptr() not in before:
            self.shapes.append(tuple(result.shape))
        return result


@pytest.mark.parametrize("rule", [bh.SGD(), bh.Momentum(), bh.Momentum(nesterov=True)], ids=repr)
def test_the_gradient_of_a_weight_is_never_formed(rule) -> None:
    layer = bh.FullyConnected(17, 13).learn_with(rule)
    layer(torch.randn(5, 17))
    with ShapesMade() as made:
        layer.backward(torch.randn(5, 13), 0.1)
    assert (13, 17) not in made.shapes
    layer.learn_with(bh.Adam())
    layer(torch.randn(5, 17))
    with ShapesMade() as made:
        layer.backward(torch.randn(5, 13), 0.1)
    assert (13, 17) in made.shapes  # the test can see one


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bh.Momentum(1.0), r"momentum in \[0, 1\), got 1.0"),
        (lambda: bh.Adam(beta2=-0.1), "beta2"),
        (lambda: bh.SGD(weight_decay=float("nan")), "weight_decay"),
        (lambda: bh.AdamW(epsilon=-1.0), "epsilon"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_states_stand_side_by_side_and_a_new_rule_begins_afresh() -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.FullyConnected(4, 2)])
    network.learn_with(bh.Adam())
    means = [each.state["mean"] for each in network.parameters().values()]
    assert len({each.untyped_storage().data_ptr() for each in means}) == 1
    assert all(each.data_ptr() % 64 == 0 for each in means)
    network(torch.randn(2, 3))
    network.backward(torch.ones(2, 2), 0.1)
    assert all(each.abs().sum() > 0 for each in means)
    network.learn_with(bh.Momentum())
    for parameter in network.parameters().values():
        assert parameter.updates == 0
        assert not parameter.state["velocity"].any()


def test_a_frozen_parameter_does_not_learn() -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.FullyConnected(4, 2)])
    network.layers[0].freeze()
    before = [each.value.clone() for each in network.parameters().values()]
    network(torch.randn(2, 3))
    network.backward(torch.ones(2, 2), 0.1)
    after = [each.value for each in network.parameters().values()]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [
        True,
        True,
        False,
        False,
    ]
