"""The native engine agrees with the plain step, keeps its bits, and keeps NaN where it is."""

from __future__ import annotations

import copy
import platform
from itertools import pairwise
from zlib import crc32

import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import backhand as bh
from backhand.losses import Weighted
from backhand.program.engines.native import Native, convolutions, emit, engine
from backhand.program.engines.native import compile as compiling
from backhand.training.threads import running_on
from cases import (
    LAYERS,
    LOSSES,
    RULES,
    every_kind_of_loss,
    every_loss_of_towers,
    every_repeatable_native_layer,
    every_weighted_loss,
)
from cases.case import Case, Towers, randn_like
from program.engines.native_steps import ROWS, tensors_of, train_both, worst

RELATIVE = 1e-10
"""After 1000 steps in float64."""

LOSS = bh.MSELoss()

GATES = {
    "none": lambda: None,
    "clip": lambda: bh.Gate(max_norm=0.05),
    "accumulate": lambda: bh.Accumulation(every=3),
    "accumulate and clip": lambda: bh.Accumulation(every=2, max_norm=0.05),
}


def small_network() -> bh.Sequential:
    return bh.Sequential(
        [
            bh.FullyConnected(3, 7),
            bh.Tanh(),
            bh.Residual(bh.FullyConnected(7, 7)),
            bh.FullyConnected(7, 2),
        ]
    )


@pytest.mark.usefixtures("quick_compiler", "unchecked")
@pytest.mark.parametrize("in_calls", [False, True], ids=["one function", "calls"])
@pytest.mark.parametrize(
    "case", [x for x in LAYERS if x.variants is not None and not x.draws], ids=str
)
def test_every_layer_in_drawn_shapes_and_options(case, in_calls, monkeypatch) -> None:
    monkeypatch.setattr(emit, "MOST_IN_ONE", 0 if in_calls else 1000)

    @settings(max_examples=3, phases=[Phase.generate])
    @given(case.drawn)
    def check(drawn: Case) -> None:
        network = drawn.in_network()
        twin = copy.deepcopy(network)
        step = bh.TrainingStep(network, bh.MSELoss(), Native())
        for _ in range(3):
            inputs = drawn.given(5)
            prediction = twin(inputs)
            assume(prediction.numel())  # of nothing there is no mean
            target = randn_like(prediction)
            expected = LOSS(prediction, target)
            twin.backward(LOSS.backward(prediction, target), 0.05)
            found = step(inputs, target, 0.05)
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12, msg=str(drawn))
        assert worst(network, twin) < RELATIVE, str(drawn)

    check()


@every_repeatable_native_layer
def test_every_layer(case, monkeypatch) -> None:
    assert_a_layer_trains_as_plainly(case, 200, monkeypatch)


@pytest.mark.soak
@every_repeatable_native_layer
def test_every_layer_over_a_thousand_steps(case, monkeypatch) -> None:
    assert_a_layer_trains_as_plainly(case, 1000, monkeypatch)


def assert_a_layer_trains_as_plainly(case, steps, monkeypatch) -> None:
    if crc32(str(case).encode()) % 2:  # half of them as calls of kernels, however few they are
        monkeypatch.setattr(emit, "MOST_IN_ONE", 0)
    network, inputs = case.in_network(), case.given(ROWS)
    targets = randn_like(network.predict(inputs))
    network, twin, losses, expected = train_both(network, bh.MSELoss(), inputs, targets, steps)
    exact = case.dtype is torch.float64
    assert worst(network, twin) < (RELATIVE if exact else 2e-5)
    bounds = {"rtol": 1e-9, "atol": 1e-14} if exact else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(losses, expected, **bounds)
    native, plain = bh.Prediction(network, Native())(inputs), network.predict(inputs)
    bounds = {"rtol": 1e-12, "atol": 1e-14} if exact else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(native, plain, **bounds)


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("rule", [x for x in RULES if x.kind and x.smooth], ids=str)
def test_every_rule_and_gate(rule, gate) -> None:
    network = small_network().to(torch.float64)
    network.learn_with(rule.rule()).gate_with(GATES[gate]())
    inputs, targets = torch.randn(ROWS, 3).double(), torch.randn(ROWS, 2).double()
    steps = 1000 if gate == "none" else 60
    network, twin, losses, expected = train_both(
        network, bh.MSELoss(), inputs, targets, steps, rate=0.01
    )
    assert worst(network, twin) < RELATIVE
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-14)
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        assert one.updates == other.updates


@every_kind_of_loss
def test_every_loss(case) -> None:
    target = case.target(ROWS, 2, torch.float64)
    assert_trains_as_plainly(case.loss(), target, steps=1000 if case.bounded else 100)


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize(
    "case", [each for each in LOSSES if not each.kind and each.towers == 1], ids=str
)
def test_every_option_of_a_loss(case) -> None:
    outputs = case.outputs or 2
    network = bh.Sequential([bh.FullyConnected(3, 7), bh.Tanh(), bh.FullyConnected(7, outputs)])
    target = case.target(ROWS, outputs, torch.float32)
    network, twin, losses, expected = train_both(
        network, case.loss(), torch.randn(ROWS, 3), target, steps=20, rate=0.005
    )
    assert worst(network, twin) < 2e-5
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("quick_compiler")
@every_loss_of_towers
def test_every_loss_of_towers(case) -> None:
    network = bh.Sequential([bh.FullyConnected(3, 2 * case.towers), Towers(case.towers)])
    target = case.target(ROWS, 2, torch.float64)
    assert_trains_as_plainly(case.loss(), target, steps=200, network=network)


@pytest.mark.usefixtures("quick_compiler")
@every_weighted_loss
def test_every_loss_weighted(case) -> None:
    target = case.target(ROWS, 2, torch.float64), torch.rand(ROWS, dtype=torch.float64)
    steps = 1000 if case.bounded else 100
    assert_trains_as_plainly(Weighted(case.loss()), target, steps)


def assert_trains_as_plainly(loss, target, steps=1000, network=None) -> None:
    network = (network or small_network()).to(torch.float64)
    network, twin, losses, expected = train_both(
        network, loss, torch.randn(ROWS, 3).double(), target, steps
    )
    assert worst(network, twin) < RELATIVE
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-14)


def test_float32_is_as_near_to_float64_as_the_plain_step_is() -> None:
    inputs, targets = torch.randn(ROWS, 3), torch.rand(ROWS, 2)
    network = small_network()
    exact = copy.deepcopy(network).to(torch.float64)
    torch.manual_seed(1)
    native, plain, _, _ = train_both(network, bh.MSELoss(), inputs, targets)
    torch.manual_seed(1)
    exact, _, _, _ = train_both(exact, bh.MSELoss(), inputs.double(), targets.double())
    assert worst(plain, exact) < 2e-5
    assert worst(native, exact) < 2e-5
    assert worst(native, exact) > 0


@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_dropout_masks_at_its_rate_and_repeats_with_the_seed(rate) -> None:
    network = bh.Sequential([bh.Dropout(rate)])
    ones = torch.ones(200, 50)
    step = bh.TrainingStep(network, bh.MSELoss(), Native())

    def squares(seed: int) -> torch.Tensor:
        # The mean of (mask - 0)²: kept elements are 1 / (1 - rate), so it is share / (1 - rate)².
        torch.manual_seed(seed)
        return torch.stack([step(ones, torch.zeros(200, 50), 0.0) for _ in range(20)])

    first = squares(3)
    shares = first * (1 - rate) ** 2
    deviation = (rate * (1 - rate) / 10_000) ** 0.5
    assert float((shares - (1 - rate)).abs().max()) < 5 * deviation
    assert len(shares.unique()) > 10
    assert torch.equal(first, squares(3))
    assert not torch.equal(first, squares(4))


def test_dropout_uses_the_same_mask_forward_and_backward() -> None:
    layer = bh.FullyConnected(40, 40, bias=False)
    layer.weight.value.copy_(torch.eye(40))
    before = layer.weight.value.clone()
    network = bh.Sequential([layer, bh.Dropout(0.5)])
    bh.TrainingStep(network, bh.MSELoss(), Native())(torch.eye(40), torch.zeros(40, 40), 1.0)
    change = (before - layer.weight.value).diagonal() * 1600 / 2  # mask² · 1, mask is 0 or 2
    torch.testing.assert_close(change.unique(), torch.tensor([0.0, 4.0]))


def test_the_same_bits_every_time() -> None:
    inputs, targets = torch.randn(ROWS, 3), torch.rand(ROWS, 2)
    network = bh.Sequential([small_network(), bh.Dropout(0.2)]).learn_with(bh.Adam())
    other = copy.deepcopy(network)
    for each in (network, other):
        torch.manual_seed(5)
        bh.TrainingStep(each, bh.MSELoss(), Native()).run(
            inputs, targets, torch.arange(ROWS), [0.01] * 8, 8
        )
    for one, same in zip(tensors_of(network).values(), tensors_of(other).values(), strict=True):
        assert torch.equal(one, same)


def test_one_call_and_many_calls_are_the_same_steps() -> None:
    inputs, targets = torch.randn(ROWS, 3), torch.rand(ROWS, 2)
    network = small_network().learn_with(bh.Adam())
    twin = copy.deepcopy(network)
    order, rates = torch.randperm(ROWS), [0.1 / (1 + i) for i in range(13)]
    losses = bh.TrainingStep(network, bh.MSELoss(), Native()).run(inputs, targets, order, rates, 5)
    step = bh.TrainingStep(twin, bh.MSELoss(), Native())
    called = [
        step(inputs[rows], targets[rows], rate)
        for rows, rate in zip(order.split(5), rates, strict=True)
    ]
    assert torch.equal(losses, torch.stack(called))
    for one, same in zip(tensors_of(network).values(), tensors_of(twin).values(), strict=True):
        assert torch.equal(one, same)


BAD = [float("nan"), float("inf"), float("-inf")]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("loss", [bh.MSELoss(), bh.BinaryCrossEntropyLoss()], ids=repr)
@pytest.mark.parametrize("activation", [bh.ReLU, bh.Tanh, bh.Sigmoid])
@pytest.mark.parametrize("where", ["input", "weight", "target"])
def test_nan_and_infinity_arrive_where_the_plain_step_has_them(
    where, activation, loss, bad
) -> None:
    network = bh.Sequential([bh.FullyConnected(3, 9), activation(), bh.FullyConnected(9, 2)])
    input, target = torch.randn(5, 3), torch.rand(5, 2)
    if where == "weight":
        network.parameters()["0.weight"].value[4, 1] = bad
    else:
        (input if where == "input" else target)[2, 1] = bad
    twin = copy.deepcopy(network)
    value = bh.TrainingStep(network, loss, Native())(input, target, 0.1)
    prediction = twin(input)
    expected = loss(prediction, target)
    twin.backward(loss.backward(prediction, target), 0.1)
    torch.testing.assert_close(value, expected, equal_nan=True)
    for one, other in zip(tensors_of(network).values(), tensors_of(twin).values(), strict=True):
        torch.testing.assert_close(one, other, equal_nan=True, rtol=1e-4, atol=1e-6)


@settings(max_examples=12)
@given(
    widths=st.lists(st.integers(1, 70), min_size=2, max_size=3),
    batch=st.integers(1, 40),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_products_of_any_size(widths, batch, dtype) -> None:
    layers = [bh.FullyConnected(*pair) for pair in pairwise(widths)]
    network = bh.Sequential(layers).to(dtype)
    twin = copy.deepcopy(network)
    input, target = (
        torch.randn(batch, widths[0]).to(dtype),
        torch.randn(batch, widths[-1]).to(dtype),
    )
    bh.TrainingStep(network, bh.MSELoss(), Native())(input, target, 0.1)
    twin.backward(bh.MSELoss().backward(twin(input), target), 0.1)
    assert worst(network, twin) < (1e-5 if dtype is torch.float32 else 1e-13)


def test_an_empty_batch_predicts_nothing() -> None:
    assert bh.Prediction(small_network(), Native())(torch.zeros(0, 3)).shape == (0, 2)


def test_inputs_that_are_not_contiguous() -> None:
    network = small_network()
    inputs = torch.randn(3, ROWS).t()
    native = bh.Prediction(network, Native())(inputs)
    torch.testing.assert_close(native, network.predict(inputs))


def test_a_class_out_of_range_stops_before_memory_is_touched(monkeypatch) -> None:
    monkeypatch.setattr(bh.CrossEntropyLoss, "check_values", lambda *_: None)  # at the door
    step = bh.TrainingStep(small_network(), bh.CrossEntropyLoss(), Native())
    step.record(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(IndexError, match="gather in the loss: an index is out of range"):
        step(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), 0.1)


def test_a_row_out_of_range_is_refused() -> None:
    step = bh.TrainingStep(small_network(), bh.MSELoss(), Native())
    with pytest.raises(IndexError, match="row 64 is out of range for 64 rows"):
        step.run(
            torch.zeros(ROWS, 3), torch.zeros(ROWS, 2), torch.tensor([1, 2, 64, 3]), [0.1] * 2, 2
        )


class Formula(bh.Layer):
    def __init__(self, formula) -> None:
        self.formula = formula

    def forward(self, input, training):
        return self.formula(input), None


FORMULAS = {
    "powers": lambda x: x.square() + x**3 + (x.abs() + 0.1) ** 0.5 + (x.abs() + 1) ** 1.7 - x**2,
    "choices": lambda x: torch.where(x > 0.3, x, -x) + torch.maximum(x, x.square()).clamp(max=2),
    "exponentials": lambda x: torch.exp(x) + torch.expm1(x) + torch.log(x.abs()) + torch.erf(x),
    "complement": lambda x: torch.erfc(x * 3),
    "waves": lambda x: torch.sin(x) * torch.cos(x) + torch.floor(x) - torch.round(3 * x),
    "chosen by a method": lambda x: x.where(x > 0, x * 2) + x.where(condition=x < 1, other=-x),
    "softmax": lambda x: torch.softmax(x, 0) + torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, 0) * x + torch.log_softmax(x, -1),
    "extremes": lambda x: x - x.amax(-1, keepdim=True) + x.amin(0),
    "sums": lambda x: x - x.mean(0) + x.sum(-1, keepdim=True) / x.mean(),
    "running": lambda x: torch.cumsum(x, 0) + torch.logsumexp(x, 1, keepdim=True),
    "turned": lambda x: (x.t() @ x)[:1] + x.t().contiguous().t() * 2,
    "chosen": lambda x: x.index_select(0, x.argmax(0)[:1]) + torch.cat([x[:1], x[1:]]),
    "batched": lambda x: x + torch.bmm(x.view(3, 2, 5), x.view(3, 5, 2)).sum(),
    "lerp": lambda x: torch.lerp(x, x.square(), 0.3) + torch.lerp(x, x * 2, 0.8) + torch.sign(x),
    "masks": lambda x: x.clone().masked_fill_(x > 0, 7.0) + ((x > 0) & (x < 1)).to(x.dtype),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_primitives_beyond_the_layers(name, dtype) -> None:
    network = bh.Sequential([Formula(FORMULAS[name])])
    input = torch.randn(6, 5).to(dtype)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype is torch.float32 else {}
    native, plain = bh.Prediction(network, Native())(input), network.predict(input)
    torch.testing.assert_close(native, plain, **tolerance)


@pytest.mark.parametrize(("name", "largest"), [("exp", 87), ("tanh", 12), ("sigmoid", 80)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_are_as_exact_as_said(name, largest, dtype) -> None:
    function = getattr(torch, name)
    network = bh.Sequential([Formula(function)])
    spread = torch.cat([torch.linspace(-largest, largest, 20_000), torch.randn(20_000) * 0.1])
    input = spread.to(dtype).reshape(-1, 8)
    native = bh.Prediction(network, Native())(input).double()
    exact = function(input.double())
    error = ((native - exact) / exact.abs().clamp(min=1e-300)).abs().max()
    assert float(error) < (3e-7 if dtype is torch.float32 else 1e-15)
    special = torch.tensor(
        [[float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e30, -1e30, 1e-40]]
    )
    found = bh.Prediction(network, Native())(special.to(dtype))
    torch.testing.assert_close(found, function(special.to(dtype)), equal_nan=True)


def test_threads_share_large_loops_and_leave_every_bit() -> None:
    torch.manual_seed(0)
    layers = [bh.FullyConnected(200, 180), bh.Tanh(), bh.FullyConnected(180, 200)]
    network = bh.Sequential(layers).learn_with(bh.Adam())
    inputs, targets = torch.randn(400, 200), torch.randn(400, 200)
    twin = copy.deepcopy(network)
    for made, threads in ((network, 1), (twin, 2)):
        with running_on(threads):
            step = bh.TrainingStep(made, bh.MSELoss(), Native())
            for _ in range(5):
                step(inputs, targets, 0.01)
        assert str(step).count("#pragma omp parallel for") > 4
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        assert torch.equal(one.value, other.value)


@pytest.mark.parametrize(
    ("width", "without"), [(16, "avx"), (32, "avx512f"), (64, "avx512f")], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_vectors_of_every_width_agree_with_the_plain_step(
    width, without, dtype, monkeypatch
) -> None:
    monkeypatch.setattr(engine, "vector_bytes", lambda: width)
    flags = (f"-mno-{without}",) if platform.machine() in ("x86_64", "AMD64") else ()
    monkeypatch.setattr(compiling, "FLAGS", (*compiling.FLAGS, *flags))
    network = bh.Sequential(
        [
            bh.Conv1d(2, 5, 3), bh.LayerNorm(7), bh.GELU(), bh.Flatten(), bh.FullyConnected(35, 19),
            bh.Softmax(), bh.Residual(bh.FullyConnected(19, 19)), bh.FullyConnected(19, 2),
        ]
    ).to(dtype).learn_with(bh.Momentum())  # fmt: skip
    inputs, targets = torch.randn(ROWS, 2, 9, dtype=dtype), torch.randn(ROWS, 2, dtype=dtype)
    network, twin, losses, expected = train_both(network, LOSS, inputs, targets, 20, rate=0.01)
    exact = dtype is torch.float64
    bounds = {"rtol": 1e-9, "atol": 1e-12} if exact else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(losses, expected, **bounds)
    assert worst(network, twin) < (1e-8 if exact else 1e-2)
    native = bh.Prediction(network, Native())(inputs)
    torch.testing.assert_close(native, network.predict(inputs), **bounds)


def test_columns_of_some_images_at_a_time_leave_none_out(monkeypatch) -> None:
    monkeypatch.setattr(convolutions, "NEAR", 3 * 18 * 16 * 8)  # three of eight images'
    layers = [bh.Conv2d(2, 3, 3), bh.ConvTranspose2d(3, 2, 2), bh.Conv2d(2, 3, 3)]
    network = bh.Sequential(layers).to(torch.float64)
    inputs = torch.randn(ROWS, 2, 6, 6).double()
    targets = torch.randn_like(network.predict(inputs))
    network, twin, losses, expected = train_both(network, LOSS, inputs, targets, 5)
    assert worst(network, twin) < RELATIVE
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-14)
