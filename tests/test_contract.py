"""The contract that every layer and network keeps, one row a layer in tests/cases.py."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import backhand as bh
from backhand import layers, networks
from cases import LAYERS
from oracle import autograd_of_layer, by_hand, close, finite_differences

every_layer = pytest.mark.parametrize("name", LAYERS)
shapes = st.lists(st.integers(0, 4), min_size=0, max_size=3)


def made(name: str, width: int = 3) -> bh.Layer:
    torch.manual_seed(1)
    layer = LAYERS[name](width).to(torch.float64)
    for parameter in layer.parameters().values():
        parameter.value.add_(torch.randn_like(parameter.value) * 0.1)
    return layer


def strided(tensor: torch.Tensor) -> torch.Tensor:
    """The same values, not contiguous."""
    wide = torch.empty(*tensor.shape[:-1], 2 * tensor.shape[-1], dtype=tensor.dtype)
    wide[..., ::2] = tensor
    return wide[..., ::2]


def test_every_public_layer_has_a_row() -> None:
    public = {
        name
        for module in (layers, networks)
        for name in module.__all__
        if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), bh.Layer)
    } - {"Branches"}
    assert public <= {name.split(",")[0].split(" ")[0] for name in LAYERS}


@every_layer
@given(batch=shapes, width=st.integers(1, 4), contiguous=st.booleans(), seed=st.integers(0, 99))
def test_agrees_with_autograd(name, batch, width, contiguous, seed) -> None:
    layer = made(name, width)
    torch.manual_seed(seed)
    input = torch.randn(*batch, width, dtype=torch.float64)
    error = torch.randn_like(layer.forward(input, False)[0])
    if not contiguous:
        input, error = strided(input), strided(error)
    expected, expected_gradients = autograd_of_layer(layer, input, error, seed)
    before = input.clone(), error.clone()
    input_error, gradients = by_hand(layer, input, error, seed)
    assert torch.equal(input, before[0])
    assert torch.equal(error, before[1])
    assert close(input_error, expected)
    assert gradients.keys() == expected_gradients.keys()
    for path, gradient in gradients.items():
        assert close(gradient, expected_gradients[path]), path


@every_layer
def test_agrees_with_finite_differences(name) -> None:
    layer = made(name)
    input = torch.randn(4, 3, dtype=torch.float64)
    direction = torch.randn_like(layer.forward(input, False)[0])

    def value() -> torch.Tensor:
        torch.manual_seed(0)
        return (layer.forward(input, True)[0] * direction).sum()

    input_error, gradients = by_hand(layer, input, direction)
    assert close(input_error, finite_differences(value, input), 1e-6)
    for path, parameter in layer.parameters().items():
        assert close(gradients[path], finite_differences(value, parameter.value), 1e-6), path


@every_layer
def test_learns_by_gradient_descent_from_the_old_weights(name) -> None:
    layer = made(name)
    input = torch.randn(4, 3, dtype=torch.float64)
    torch.manual_seed(0)
    error = torch.randn_like(layer(input))
    expected, gradients = autograd_of_layer(layer, input, error)
    before = {path: each.value.clone() for path, each in layer.parameters().items()}
    torch.manual_seed(0)
    layer(input)
    assert close(layer.backward(error, 10.0), expected)  # a rate that would show new weights
    for path, parameter in layer.parameters().items():
        assert close(parameter.value, before[path] - 10.0 * gradients[path]), path


@every_layer
def test_forward_and_predict_change_nothing(name) -> None:
    layer = made(name)
    before = copy.deepcopy(layer)
    input = torch.randn(4, 3, dtype=torch.float64)
    layer.forward(input, True)
    layer.predict(input)
    assert layer.last_input is None
    assert layer._awaiting_backward is None
    for one, other in zip(layer.parameters().values(), before.parameters().values(), strict=True):
        assert torch.equal(one.value, other.value)
        assert one.updates == 0


@every_layer
def test_keeps_its_last_input_and_wants_a_call_before_each_backward(name) -> None:
    layer = made(name)
    input = torch.randn(2, 3, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="call the layer first"):
        layer.backward(input, 0.1)
    output = layer(input)
    assert layer.last_input is input
    with pytest.raises(bh.LayerError, match="expected an error of its output's shape"):
        layer.backward(torch.zeros(7, 7, dtype=torch.float64), 0.1)
    with pytest.raises(bh.LayerError, match=r"output's dtype torch.float64, got torch.float32"):
        layer.backward(torch.ones_like(output, dtype=torch.float32), 0.1)
    layer.backward(torch.ones_like(output), 0.1)
    assert layer.last_input is input
    with pytest.raises(RuntimeError, match="once for each call"):
        layer.backward(torch.ones_like(output), 0.1)


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
