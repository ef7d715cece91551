"""The contract that every layer and network keeps, one row a layer in tests/cases/."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import backhand as bh
from backhand import layers, networks
from cases import LAYERS, every_layer
from cases.case import (
    copied,
    differences,
    everything,
    flat,
    mapped,
    misaligned,
    randn_like,
    same,
    snapshot,
    strided,
)
from oracle import (
    all_close,
    autograd_of_layer,
    autograd_of_module,
    by_hand,
    close,
    finite_differences,
)

EXACT = {torch.float64: 1.0, torch.float32: 1e5}
"""How many times as far from the oracle a layer may be that computes in this dtype alone."""


def layer_classes() -> set[type[bh.Layer]]:
    """Every layer that is defined in the rooms of the layers and networks."""
    modules = [
        importlib.import_module(f"{room.__name__}.{found.name}")
        for room in (layers, networks)
        for found in pkgutil.iter_modules(room.__path__)
    ]
    return {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, bh.Layer) and each is not bh.Layer
    }


def test_every_layer_has_a_row() -> None:
    # What others inherit from, and nobody makes, has none.
    made = {each for each in layer_classes() if not each.__subclasses__()}
    public = {each for each in vars(bh).values() if isinstance(each, type)} & layer_classes()
    assert made | public <= {type(case.layer()) for case in LAYERS}


def expected_input_error(case, input, by_autograd):
    """What a backward must return: None for what has no derivative."""
    return by_autograd if case.derivative else mapped(lambda tensor: None, input)


def an_error(case, layer, batch: int):
    """An error for the layer's output in training, and the input."""
    input = case.given(batch)
    return randn_like(layer.forward(input, True)[0]), input


@every_layer
@given(data=st.data(), spread=st.sampled_from([copied, strided, misaligned]))
def test_agrees_with_autograd(case, data, spread) -> None:
    case = data.draw(case.drawn)
    batch, seed = data.draw(st.integers(case.smallest, 4)), data.draw(st.integers(0, 99))
    layer = case.made(seed=seed)
    error, input = map(spread, an_error(case, layer, batch))
    by_autograd, expected_gradients = autograd_of_layer(layer, input, error, seed)
    before = copied(input), copied(error)
    input_error, gradients = by_hand(layer, input, error, seed)
    assert same(input, before[0])
    assert same(error, before[1])
    tolerance = case.tolerance * EXACT[case.dtype]
    assert all_close(input_error, expected_input_error(case, input, by_autograd), tolerance)
    assert gradients.keys() == expected_gradients.keys()
    for path, gradient in gradients.items():
        assert close(gradient, expected_gradients[path], tolerance), path


@pytest.mark.parametrize("case", [case for case in LAYERS if case.twin], ids=str)
@given(data=st.data(), training=st.booleans())
def test_agrees_with_pytorchs_module(case, data, training) -> None:
    case = data.draw(case.drawn)
    batch, seed = data.draw(st.integers(case.smallest, 4)), data.draw(st.integers(0, 99))
    layer = case.made(seed=seed)
    error, input = an_error(case, layer, batch)
    module = case.twin(layer).to(case.dtype).train(training)
    ours = {case.twin_names.get(path, path): each for path, each in layer.parameters().items()}
    theirs = dict(module.named_parameters())
    assert ours.keys() == theirs.keys()
    for name, parameter in ours.items():
        theirs[name].data.copy_(parameter.value)
    output, of_input, expected = autograd_of_module(module, input, error, seed)
    torch.manual_seed(seed)
    assert all_close(layer.forward(input, training)[0], output, case.tolerance)
    if training:
        input_error, gradients = by_hand(layer, input, error, seed)
        assert all_close(input_error, of_input, case.tolerance)
        for path, gradient in gradients.items():
            name = case.twin_names.get(path, path)
            assert close(gradient, expected[name], case.tolerance), path


@every_layer
def test_agrees_with_finite_differences(case) -> None:
    layer = case.made()
    direction, input = an_error(case, layer, 4)
    step, tolerance = (1e-6, 1e-6) if case.dtype is torch.float64 else (1e-2, 2e-3)

    def value() -> torch.Tensor:
        torch.manual_seed(0)
        outputs = flat(layer.forward(input, True)[0])
        weighed = zip(outputs, flat(direction), strict=True)
        return sum((output * each).sum() for output, each in weighed)

    input_error, gradients = by_hand(layer, input, direction)
    if case.derivative:
        for tensor, slope in zip(flat(input), flat(input_error), strict=True):
            if tensor.is_floating_point():
                assert close(slope, finite_differences(value, tensor, step), tolerance)
    for path, parameter in layer.parameters().items():
        slopes = finite_differences(value, parameter.value, step)
        assert close(gradients[path], slopes, tolerance), path


@every_layer
def test_learns_by_gradient_descent_from_the_old_weights(case) -> None:
    layer = case.made()
    error, input = an_error(case, layer, 4)
    by_autograd, gradients = autograd_of_layer(layer, input, error)
    before = {path: each.value.clone() for path, each in layer.parameters().items()}
    given = copied(input), copied(error)
    torch.manual_seed(0)
    layer(input)
    input_error = layer.backward(error, 10.0)  # a rate that would show new weights
    tolerance = case.tolerance * EXACT[case.dtype]
    assert all_close(input_error, expected_input_error(case, input, by_autograd), tolerance)
    for path, parameter in layer.parameters().items():
        expected = before[path] - 10.0 * gradients[path]
        assert close(parameter.value, expected, tolerance), path
    assert same(input, given[0])
    assert same(error, given[1])


@every_layer
def test_reading_gradients_changes_nothing_that_lasts(case) -> None:
    layer = case.made().learn_with(bh.Adam())
    before = snapshot(layer)
    error, input = an_error(case, layer, 4)
    by_hand(layer, input, error)
    after = everything(layer)
    assert [name for name in before if not same(before[name], after[name])] == []


@every_layer
def test_forward_and_predict_change_nothing_and_leave_nothing_behind(case) -> None:
    layer = case.made()
    before = snapshot(layer)
    attributes = [dict(vars(each)) for _, each in layer.layers_by_path()]
    input = case.given(4)
    given = copied(input)
    layer.forward(input, True)
    output = layer.predict(input)
    assert same(input, given)
    assert same(layer.predict(input), output)
    assert layer.last_input is None
    assert layer._awaiting_backward is None
    after = everything(layer)
    assert [name for name in before if not same(before[name], after[name])] == []
    now = [vars(each) for _, each in layer.layers_by_path()]
    for one, other in zip(attributes, now, strict=True):
        assert one.keys() == other.keys()
        assert all(one[name] is other[name] for name in one)


@every_layer
def test_keeps_its_last_input_and_wants_a_call_before_each_backward(case) -> None:
    layer = case.made()
    input = case.given(max(2, case.smallest))
    with pytest.raises(RuntimeError, match="call the layer first"):
        layer.backward(input, 0.1)
    output = layer(input)
    assert layer.last_input is input
    ones = mapped(torch.ones_like, output)
    other = torch.float32 if flat(output)[0].dtype is torch.float64 else torch.float64
    with pytest.raises(bh.LayerError, match="expected an error of its output's shape"):
        layer.backward(torch.zeros(7, 7, dtype=torch.float64), 0.1)
    with pytest.raises(bh.LayerError, match=r"its output's dtype .*got .*torch.float"):
        layer.backward(mapped(lambda each: each.to(other), ones), 0.1)
    layer.backward(ones, 0.1)
    assert layer.last_input is input
    with pytest.raises(RuntimeError, match="once for each call"):
        layer.backward(ones, 0.1)


@every_layer
def test_float32_is_within_its_precision_of_float64(case) -> None:
    if case.only is not None:
        assert flat(case.made().predict(case.given(4)))[0].dtype is case.only
        return
    exact, layer = case.made(), case.made().to(torch.float32)
    error, input = an_error(case, exact, 4)
    single = mapped(torch.Tensor.float, error), mapped(_single, input)
    assert all_close(_doubles(layer.predict(single[1])), exact.predict(input), 1e-5)
    of_input, gradients = by_hand(layer, single[1], single[0])
    expected_of_input, expected = by_hand(exact, input, error)
    assert all_close(_doubles(of_input), expected_of_input, 1e-5)
    for path, gradient in gradients.items():
        assert gradient.dtype is torch.float32
        assert close(gradient.double(), expected[path], 1e-5), path


@every_layer
def test_bfloat16_is_within_its_precision_of_float64(case) -> None:
    if case.only is not None:
        return  # it computes in that dtype alone, as the test before says
    exact, layer = case.made(), case.made().to(torch.bfloat16)
    for one, other in zip(exact.parameters().values(), layer.parameters().values(), strict=True):
        one.value.copy_(other.value)
    input = mapped(_rounded, case.given(4))
    found = layer.predict(mapped(_brief, input))
    assert {each.dtype for each in flat(found)} == {torch.bfloat16}
    assert all_close(_doubles(found), exact.predict(input), 0.05)


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    return _brief(tensor).double() if tensor.is_floating_point() else tensor


def _brief(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.bfloat16() if tensor.is_floating_point() else tensor


IMAGES = [case for case in LAYERS if flat(case.given(2))[0].dim() == 4]


@pytest.mark.parametrize("case", IMAGES, ids=str)
def test_channels_last_in_memory_is_the_same_image(case) -> None:
    layer, twin = case.made(), case.made()
    error, input = an_error(case, layer, 3)

    def turned(tensor: torch.Tensor) -> torch.Tensor:
        four = tensor.dim() == 4
        return tensor.contiguous(memory_format=torch.channels_last) if four else tensor

    torch.manual_seed(0)
    outputs = layer(input)
    torch.manual_seed(0)
    assert all_close(twin(mapped(turned, input)), outputs, 1e-12)
    errors = layer.backward(error, 0.1), twin.backward(mapped(turned, error), 0.1)
    assert all_close(errors[1], errors[0], 1e-12)
    for one, other in zip(layer.parameters().values(), twin.parameters().values(), strict=True):
        assert close(other.value, one.value, 1e-12)


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _doubles(value):
    return mapped(lambda tensor: None if tensor is None else tensor.double(), value)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda layer: pickle.loads(pickle.dumps(layer))}


@pytest.mark.parametrize("how", COPIES)
@every_layer
def test_a_copy_made_after_a_call_trains_as_the_original(case, how) -> None:
    layer = case.made().learn_with(bh.Adam())
    error, input = an_error(case, layer, 4)
    torch.manual_seed(0)
    layer(input)
    layer.backward(error, 0.1)
    layer(input)
    twin = COPIES[how](layer)
    for each in (layer, twin):
        each.backward(error, 0.1)
        for step in range(3):
            torch.manual_seed(step)
            each(input)
            each.backward(error, 0.1)
    assert differences(layer, twin) == []
    assert same(twin.predict(input), layer.predict(input))


def test_after_a_call_that_failed_backward_has_nothing_to_go_back_through() -> None:
    layer = bh.FullyConnected(3, 2)
    layer(torch.randn(4, 3))
    with pytest.raises(bh.LayerError, match="expected input"):
        layer(torch.randn(4, 5))
    with pytest.raises(RuntimeError, match="call the layer first"):
        layer.backward(torch.ones(4, 2), 0.1)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.1])
def test_a_bad_rate_is_refused_before_anything_is_learnt(rate) -> None:
    layer = bh.FullyConnected(3, 2)
    before = layer.weight.value.clone()
    layer(torch.randn(4, 3))
    with pytest.raises(ValueError, match="learning rate"):
        layer.backward(torch.ones(4, 2), rate)
    assert torch.equal(layer.weight.value, before)


def test_carries_no_autograd_history_of_the_callers_tensors() -> None:
    layer = bh.FullyConnected(3, 2)
    output = layer(torch.randn(4, 3, requires_grad=True))
    assert output.grad_fn is None
    layer.backward(torch.ones(4, 2, requires_grad=True), 0.1)
    assert layer.weight.value.grad_fn is None


def test_the_step_depends_on_values_not_on_where_the_batch_begins() -> None:
    data = torch.randn(400)
    for start in (1, 3, 5, 7):
        apart = data[start : start + 33 * 7].view(33, 7)
        one, other = (bh.FullyConnected(7, 5) for _ in range(2))
        other.weight.value.copy_(one.weight.value)
        assert torch.equal(one(apart), other(apart.clone()))
        one.backward(torch.ones(33, 5), 0.1)
        other.backward(torch.ones(33, 5), 0.1)
        assert torch.equal(one.weight.value, other.weight.value)


def test_messages_name_the_layer_by_its_path() -> None:
    branch = bh.Residual(bh.Sequential([bh.FullyConnected(64, 10)]))
    network = bh.Sequential([bh.ReLU(), branch])
    with pytest.raises(bh.LayerError) as caught:
        network(torch.zeros(32, 49))
    assert str(caught.value) == (
        "1.branch.0: FullyConnected(64, 10) expected input (batch, 64), got (32, 49)"
    )
    with pytest.raises(bh.LayerError, match=r"^1\.branch\.0: .* expected input of torch.float32"):
        network(torch.zeros(32, 64, dtype=torch.float64))


class Swap(bh.Layer):
    """Two tensors in, two out, the other way round."""

    def __init__(self) -> None:
        self.scale = bh.Parameter(torch.ones(()))

    def forward(self, input, training):
        one, two = input
        return (two * self.scale.value, one), two

    def propagate(self, error, two, learning_rate):
        of_two, of_one = error
        input_error = (of_one, of_two * self.scale.value)
        self.scale.learn((of_two * two).sum(), learning_rate)
        return input_error


def test_inputs_and_errors_may_be_tuples() -> None:
    layer = Swap()
    one, two = torch.randn(2, 3), torch.randn(4)
    outputs = layer((one, two))
    assert torch.equal(outputs[0], two)
    assert layer.last_input == (one, two)
    errors = layer.backward((torch.ones(4), torch.ones(2, 3)), 0.1)
    assert [tuple(each.shape) for each in errors] == [(2, 3), (4,)]
    assert torch.allclose(layer.scale.value, 1 - 0.1 * two.sum())


def test_branches_of_unequal_shape_are_refused() -> None:
    network = bh.Sum([bh.FullyConnected(3, 2), bh.FullyConnected(3, 1)])
    with pytest.raises(bh.LayerError, match=r"got \(4, 1\) from branch 1"):
        network(torch.zeros(4, 3))
    with pytest.raises(bh.LayerError, match="Residual expected its branch to keep the shape"):
        bh.Residual(bh.FullyConnected(3, 2))(torch.zeros(4, 3))


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [
        (bh.XavierUniform(), 2 / 500),
        (bh.XavierNormal(2.0), 4 * 2 / 500),
        (bh.KaimingUniform(), 2 / 300),
        (bh.KaimingNormal(1.0), 1 / 300),
    ],
    ids=repr,
)
def test_initializers_have_the_variance_they_promise(initializer, variance) -> None:
    weight = bh.FullyConnected(300, 200, initializer=initializer).weight.value
    assert weight.var().item() == pytest.approx(variance, rel=0.03)
    assert weight.mean().item() == pytest.approx(0, abs=0.01)
