"""The cross-entropy joined to its last layer: exact, and never with all logits at once."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

import backhand as bh
from backhand.checks.gradients import gradients
from oracle import close, leaf

OPTIONS = [
    {},
    {"chunk": 3},
    {"chunk": 4, "bias": False},
    {"chunk": 1, "label_smoothing": 0.2},
    {"chunk": 5, "ignore_index": -100},
    {"ignore_index": -100, "label_smoothing": 0.2},
]


def batch(rows: int = 13):
    target = torch.randint(0, 7, (rows,)).where(torch.arange(rows) % 3 != 1, 2)
    return torch.randn(rows, 4, dtype=torch.float64), target


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_its_mean_is_the_cross_entropy_of_the_whole_logits(options) -> None:
    layer = bh.LinearCrossEntropy(4, 7, **options).to(torch.float64)
    hidden, target = batch()
    if "ignore_index" in options:
        target[::2] = -100
    loss, nothing = bh.Itself(), torch.zeros(13, 1, dtype=torch.float64)
    given_leaf, weight = leaf(hidden), leaf(layer.weight.value)
    bias = None if layer.bias is None else leaf(layer.bias.value.add_(0.3))
    value = functional.cross_entropy(
        functional.linear(given_leaf, weight, bias),
        target,
        label_smoothing=options.get("label_smoothing", 0.0),
    )
    value.backward()
    assert close(loss(layer.predict((hidden, target)), nothing), value.detach(), 1e-12)
    found = gradients(layer, loss, (hidden, target), nothing)
    assert close(found["weight"], weight.grad, 1e-12)
    if bias is not None:
        assert close(found["bias"], bias.grad, 1e-12)
    error, of_target = layer.backward(loss.backward(layer((hidden, target)), nothing), 0.1)
    assert of_target is None
    assert close(error, given_leaf.grad, 1e-12)
    assert close(layer.weight.value, weight.detach() - 0.1 * weight.grad, 1e-12)


class Largest(TorchFunctionMode):
    """The most elements of any tensor that a call makes."""

    elements = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_all_logits_never_stand_at_once() -> None:
    layer = bh.LinearCrossEntropy(4, 300, chunk=5)
    hidden, target = torch.randn(1000, 4), torch.randint(0, 300, (1000,))
    with Largest() as seen:
        output = layer((hidden, target))
        layer.backward(torch.ones_like(output), 0.1)
    assert seen.elements == 1000 * 4  # the hidden rows; the logits are 300,000


def test_by_default_a_chunks_logits_take_as_much_as_the_weight() -> None:
    layer = bh.LinearCrossEntropy(8, 300)
    hidden, target = torch.randn(80, 8), torch.randint(0, 300, (80,))
    with Largest() as seen:
        layer.backward(torch.ones_like(layer((hidden, target))), 0.1)
    assert seen.elements == layer.weight.value.numel()


@pytest.mark.parametrize("rows", [5, 40])
def test_no_gradient_of_the_weight_is_formed_where_one_chunk_is_enough(rows) -> None:
    layer = bh.LinearCrossEntropy(20, 30, chunk=5)
    shapes = []

    class Rule(bh.SGD):
        def update(self, parameter, gradient, learning_rate):
            shapes.append(tuple(gradient.shape))
            super().update(parameter, gradient, learning_rate)

    layer.learn_with(Rule())
    output = layer((torch.randn(rows, 20), torch.randint(0, 30, (rows,))))
    layer.backward(torch.ones_like(output), 0.1)
    assert shapes == ([] if rows == 5 else [(30, 20), (30,)])


@pytest.mark.parametrize("engine", [bh.Replay(), None], ids=["Replay", "by default"])
def test_recorded_it_trains_as_plainly(engine) -> None:
    layer = bh.LinearCrossEntropy(4, 7, chunk=3, ignore_index=-100).learn_with(bh.Adam())
    twin, loss = copy.deepcopy(layer), bh.Itself()
    step = bh.TrainingStep(layer, loss) if engine is None else bh.TrainingStep(layer, loss, engine)
    nothing = torch.zeros(13, 1)
    for _ in range(20):
        hidden, target = (each.float() if each.is_floating_point() else each for each in batch())
        target[3:5] = -100
        step((hidden, target), nothing, 0.01)
        twin.backward(loss.backward(twin((hidden, target)), nothing), 0.01)
    torch.testing.assert_close(layer.weight.value, twin.weight.value)


def test_it_learns_and_its_logits_tell_the_class() -> None:
    layer = bh.LinearCrossEntropy(4, 3, chunk=10)
    centres = torch.eye(4)[:3] * 4
    target = torch.randint(0, 3, (64,))
    hidden = centres[target] + torch.randn(64, 4) * 0.3
    for _ in range(60):
        layer.backward(bh.Itself().backward(layer((hidden, target)), torch.zeros(64, 1)), 0.5)
    assert (layer.logits(hidden).argmax(-1) == target).all()


def test_a_batch_that_counts_for_nothing_learns_nothing() -> None:
    layer = bh.LinearCrossEntropy(4, 3, ignore_index=-100)
    before = layer.weight.value.clone()
    output = layer((torch.randn(5, 4), torch.full((5,), -100)))
    assert not output.any()
    layer.backward(torch.ones_like(output), 0.5)
    assert torch.equal(layer.weight.value, before)


@pytest.mark.parametrize(
    ("input", "says"),
    [
        ((torch.zeros(3, 5), torch.zeros(3).long()), r"expected input \(batch, 4\), got \(3, 5\)"),
        ((torch.zeros(3, 4), torch.zeros(2).long()), r"expected targets \(3,\) .* got \(2,\)"),
        ((torch.zeros(3, 4), torch.zeros(3).int()), "targets of int64, got torch.int32"),
    ],
)
def test_what_does_not_fit_is_refused(input, says) -> None:
    with pytest.raises(bh.LayerError, match=says):
        bh.LinearCrossEntropy(4, 3).predict(input)


def test_classes_out_of_range_are_refused_at_the_door() -> None:
    layer, hidden = bh.LinearCrossEntropy(4, 3, ignore_index=-1), torch.zeros(2, 4)
    layer.check_values((hidden, torch.tensor([-1, 2])))
    with pytest.raises(bh.LayerError, match="class indices from 0 to 2, got 3"):
        layer.check_values((hidden, torch.tensor([-1, 3])))
    with pytest.raises(bh.LayerError, match="got -2"):
        bh.TrainingStep(layer, bh.Itself())((hidden, torch.tensor([-2, 0])), torch.zeros(2, 1), 0.1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bh.LinearCrossEntropy(0, 3), "inputs of 1 or more, got 0"),
        (lambda: bh.LinearCrossEntropy(3, 4, chunk=0), "chunk of 1 or more, got 0"),
        (lambda: bh.LinearCrossEntropy(3, 4, label_smoothing=1.0), r"in \[0, 1\), got 1.0"),
    ],
)
def test_constructors_refuse(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()
