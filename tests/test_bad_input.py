"""Every layer refuses an input that it cannot take by an error of its own, never torch's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import numpy
import pytest
import torch
from torch import Tensor

import backhand as bh
from cases import every_layer, every_loss


@pytest.fixture(autouse=True)
def _as_users_run_it(monkeypatch):
    """Tests check every annotation, which would refuse most of this; users' programs do not."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def wrong_tensors(tensor: Tensor) -> Iterator[tuple[str, Any]]:
    """Of another rank, length, dtype, layout or device; and what is no tensor."""
    yield from {"None": None, "text": "x", "list": [1.0]}.items()
    yield "0-d", tensor.new_ones(())
    yield "1-d", tensor.reshape(-1)
    yield "empty", tensor.new_zeros(0)
    yield "two more axes", tensor[None, None]
    for axes in range(1, tensor.dim()):
        yield f"{axes} axes less", tensor[(0,) * axes]
    for axis in range(tensor.dim()):
        yield f"axis {axis} doubled", torch.cat([tensor, tensor], axis)
        yield f"axis {axis} shorter", tensor.narrow(axis, 0, tensor.shape[axis] - 1)
        yield f"axis {axis} empty", tensor.narrow(axis, 0, 0)
    for dtype in (torch.float64, torch.float16, torch.int64, torch.int32, torch.bool):
        yield str(dtype), tensor.to(dtype)
    yield "complex", tensor.to(torch.complex64)
    yield "sparse", tensor.to_sparse()
    yield "meta", tensor.to("meta")


def wrong_inputs(input: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(input, Tensor):
        yield from wrong_tensors(input)
        several: tuple[Any, ...] = (input,)
    else:
        several = input
        yield "its first alone", input[0]
        for i, each in enumerate(input):
            for what, wrong in wrong_tensors(each):
                yield f"{i}: {what}", (*input[:i], wrong, *input[i + 1 :])
    yield "nothing", ()
    yield "nested", (several,)
    yield "too many", several[:1] * 6


NEVER = {"None", "text", "list", "sparse", "nothing", "nested"}
"""What no layer takes, as one tensor or among several."""
MOVE_ONLY = {"Flatten", "Reshape", "Transpose", "LastStep"}
"""Layers that compute nothing, and take numbers of every kind."""


def refusal(layer: bh.Layer, wrong: Any, training: bool) -> Exception | None:
    torch.manual_seed(0)
    try:
        layer.forward(wrong, training)
    except Exception as problem:
        return problem
    return None


@every_layer
def test_an_input_that_does_not_fit_is_refused_by_the_layer(case) -> None:
    dtype = case.only or torch.float32
    layer, given = case.made(dtype), case.given(3, dtype)
    known = {type(each).__name__ for _, each in layer.layers_by_path()}
    never = NEVER if known & MOVE_ONLY else {*NEVER, "complex"}
    for what, wrong in wrong_inputs(given):
        for training in (True, False):
            problem = refusal(layer, wrong, training)
            if problem is None:
                assert what.split(": ")[-1] not in never or known == {"Sequential"}, what
                continue
            assert isinstance(problem, bh.LayerError), (what, training, problem)
            assert "\n" not in str(problem), what
            assert any(name in str(problem) for name in known), (what, problem)


NO_TENSORS = {
    "an array": numpy.zeros((3, 2), dtype=numpy.float32),
    "a list": [[1.0, 2.0]],
    "None": None,
    "text": "x",
    "a list in a tuple": (torch.ones(3, 2), [1.0]),
    "sparse": torch.ones(3, 2).to_sparse(),
    "a sparse one in a tuple": (torch.ones(3, 2), torch.ones(3, 2).to_sparse()),
}
every_stranger = pytest.mark.parametrize("wrong", NO_TENSORS.values(), ids=NO_TENSORS)


def input_doors(network: bh.Layer) -> dict[str, Callable[[Any], Any]]:
    """Whatever a user gives an input to."""
    loss, right = bh.MSELoss(), torch.zeros(3, 2)
    step, prediction = bh.TrainingStep(network, loss, bh.Replay()), bh.Prediction(network)
    return {
        "call": network,
        "predict": network.predict,
        "gradients": lambda input: bh.gradients(network, loss, input, right),
        "evaluate": lambda input: bh.evaluate(network, loss, (input, right)),
        "step": lambda input: step(input, right, 0.1),
        "run": lambda input: step.run(input, right, torch.arange(3), [0.1]),
        "record": lambda input: step.record(input, right),
        "in place": lambda input: step.in_place(input, right),
        "prediction": prediction,
        "prediction's run": prediction.run,
        "prediction's record": prediction.record,
        "prediction in place": prediction.in_place,
    }


@every_stranger
@pytest.mark.parametrize(
    "network",
    [bh.Sequential([]), bh.Sequential([bh.FullyConnected(2, 2)]), bh.FullyConnected(2, 2)],
    ids=repr,
)
def test_what_is_no_tensor_is_refused_at_every_door(network, wrong) -> None:
    for door, give in input_doors(network).items():
        with pytest.raises((bh.LayerError, TypeError)) as refused:
            give(wrong)
        said = str(refused.value)
        assert re.search("expected|takes dense batches", said), (door, said)
        assert type(network).__name__ in said or door == "evaluate", (door, said)


@every_stranger
def test_a_target_or_an_error_that_is_no_tensor_is_refused_at_every_door(wrong) -> None:
    network, right = bh.FullyConnected(2, 2), torch.ones(3, 2)
    loss, before = bh.MSELoss(), network.weight.value.clone()
    step = bh.TrainingStep(network, loss, bh.Replay())
    network(right)
    for give in (
        lambda: step(right, wrong, 0.1),
        lambda: step.run(right, wrong, torch.arange(3), [0.1]),
        lambda: step.in_place(right, wrong),
        lambda: bh.gradients(network, loss, right, wrong),
        lambda: bh.evaluate(network, loss, (right, wrong)),
        lambda: network.backward(wrong, 0.1),
    ):
        with pytest.raises((bh.LayerError, TypeError), match=r"expected|takes dense batches"):
            give()
    assert torch.equal(network.weight.value, before)


@every_loss
def test_what_a_loss_cannot_take_is_refused_by_the_loss(case) -> None:
    loss, outputs = case.loss(), case.outputs or 4
    prediction = case.prediction(3, outputs, torch.float32)
    target = case.target(3, outputs, torch.float32)

    def each(change: Callable[[Tensor], Any]) -> Any:
        """The prediction, each of its tensors changed."""
        return (
            tuple(map(change, prediction)) if isinstance(prediction, tuple) else change(prediction)
        )

    wrong = {
        "None": None,
        "a list": [1.0],
        "text": "x",
        "array": numpy.zeros((3, outputs)),
        "sparse": each(Tensor.to_sparse),
        "int": each(Tensor.long),
        "complex": each(lambda tensor: tensor.to(torch.complex64)),
        "list in a tuple": (torch.ones(3, outputs), [1.0]),
    }
    calls = [loss, loss.backward]
    if type(loss).rows is not bh.Loss.rows and vars(loss).get("reduction") != "sum":
        calls.append(loss.rows)
    for call in calls:
        for what, each_wrong in wrong.items():
            with pytest.raises((TypeError, ValueError, NotImplementedError)) as refused:
                call(each_wrong, target)
            assert repr(loss) in str(refused.value), (what, refused.value)
        for what in ("None", "a list", "text", "array", "list in a tuple"):
            if "The target is not looked at" in " ".join((loss.__doc__ or "").split()):
                call(prediction, wrong[what])
                continue
            with pytest.raises((TypeError, ValueError, NotImplementedError)) as refused:
                call(prediction, wrong[what])
            assert repr(loss) in str(refused.value), (what, refused.value)


@pytest.mark.parametrize(
    ("container", "where"),
    [
        (bh.Residual, "its branch's output"),
        (lambda branch: bh.Sum([bh.ReLU(), branch]), "branch 1's output"),
        (lambda branch: bh.Product([branch, branch]), "branch 0's output"),
        (lambda branch: bh.Concatenate([branch]), "branch 0's output"),
        (lambda branch: bh.Stack([branch]), "branch 0's output"),
    ],
)
def test_a_branch_of_several_tensors_is_refused_by_its_container(container, where) -> None:
    network = bh.Sequential([container(bh.LSTM(4, 4, return_state=True))])
    for use in (network, network.predict, bh.Prediction(network)):
        with pytest.raises(bh.LayerError, match=f"0: .* one tensor as {where}, got a tuple"):
            use(torch.ones(2, 3, 4))


def test_a_residual_of_several_tensors_is_refused() -> None:
    network = bh.Residual(bh.MultiHeadAttention(4, 2))
    with pytest.raises(bh.LayerError, match="expected one tensor as input, got a tuple of 2"):
        network((torch.ones(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)))
