"""Every layer refuses an input that it cannot take by an error of its own, never torch's."""

from __future__ import annotations

import math
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
    "an array of text": numpy.full((3, 2), "x"),
    "a list with None": [[1.0, None]],
    "a ragged list": [[1.0, 2.0], [3.0]],
    "None": None,
    "text": "x",
    "a text in a tuple": (torch.ones(3, 2), "x"),
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
        for what in ("None", "a list", "text", "list in a tuple"):
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


def _layer() -> bh.FullyConnected:
    return bh.FullyConnected(2, 2)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: bh.Gate("x"), "Gate: expected a number as max_norm, got 'x'"),
        (lambda: bh.Gate(True), "Gate: expected a number as max_norm, got True"),
        (lambda: bh.Accumulation(2.5), "Accumulation: expected a whole number as every, got 2.5"),
        (lambda: bh.Accumulation(math.nan), "Accumulation: expected a whole number as every"),
        (lambda: _layer().learn_with("adam"), "expected a UpdateRule as rule, got 'adam'"),
        (lambda: _layer().learn_with(bh.Adam), "expected a UpdateRule as rule, got <class"),
        (lambda: _layer().weight.learn_with("adam"), "expected a UpdateRule as rule"),
        (lambda: _layer().gate_with(bh.Gate), "expected a Gate as gate, got <class"),
        (lambda: bh.TrainingStep([bh.ReLU()], bh.MSELoss()), "expected a Layer as network"),
        (lambda: bh.TrainingStep(bh.ReLU(), "mse"), "expected a Loss as loss, got 'mse'"),
        (lambda: bh.Prediction([bh.ReLU()]), "expected a Layer as network"),
        (lambda: bh.CrossEntropyLoss(weight=[10**400]), "a vector of finite floats"),
        (lambda: _layer().to(torch.int64), "FullyConnected.to: expected a floating-point dtype"),
        (lambda: _layer().to("float64"), "as torch.float64.* or a device, got 'float64'"),
        (lambda: _layer().weight.to(torch.bool), "expected a floating-point dtype"),
        (
            lambda: bh.TrainingStep(_layer(), bh.MSELoss())(
                torch.ones(1, 2), torch.ones(1, 2), "a"
            ),
            "learning rate: expected a number of 0 or more, got 'a'",
        ),
    ],
)
def test_what_is_of_another_kind_is_refused_in_one_sentence(made, says) -> None:
    with pytest.raises(TypeError, match=says) as refused:
        made()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_orthogonal_weights_are_drawn_in_any_default_dtype(dtype) -> None:
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        weight = bh.GRU(2, 3).parameters()["l0.weight_hh"].value
    finally:
        torch.set_default_dtype(before)
    assert weight.dtype is dtype
    square = weight[:3].float()
    assert torch.allclose(square @ square.t(), torch.eye(3), atol=0.03)


def test_dampening_without_momentum_has_no_effect_as_in_torch() -> None:
    ours, theirs = bh.Parameter(torch.zeros(1)), torch.zeros(1, requires_grad=True)
    ours.learn_with(bh.Momentum(momentum=0.0, dampening=0.3))
    optimizer = torch.optim.SGD([theirs], 1.0, momentum=0.0, dampening=0.3)
    for _ in range(3):
        ours.learn(torch.ones(1), 1.0)
        theirs.grad = torch.ones(1)
        optimizer.step()
    assert torch.equal(ours.value, theirs.detach())


@pytest.mark.parametrize(
    ("layer", "numbers"),
    [
        (bh.MultiHeadAttention, {"embed_dim": 8, "num_heads": 4, "num_kv_heads": 2}),
        (bh.LayerNorm, {"normalized_shape": 8}),
        (bh.RMSNorm, {"normalized_shape": 8}),
        (bh.Embedding, {"num_embeddings": 5, "embedding_dim": 2, "padding_idx": 1}),
        (bh.RotaryEmbedding, {"features": 8}),
        (bh.SinusoidalPositions, {"features": 8}),
        (bh.FullyConnected, {"inputs": 2, "outputs": 3}),
        (bh.LSTM, {"input_size": 2, "hidden_size": 3, "num_layers": 2, "truncation": 2}),
    ],
)
def test_numbers_of_numpy_are_kept_as_ints_and_saved(layer, numbers, tmp_path) -> None:
    made = layer(**{name: numpy.int64(number) for name, number in numbers.items()})
    kept = made.settings()
    assert {name: kept[name] for name in numbers} == numbers
    assert {type(kept[name]) for name in numbers} == {int}
    bh.save(made, tmp_path / "layer")
    assert repr(bh.load(tmp_path / "layer")) == repr(made)
