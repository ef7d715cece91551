"""Activations against PyTorch's modules, and over the whole range of their dtype against mpmath."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import backhand as bh
from backhand import (
    ELU,
    GELU,
    SELU,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from oracle import by_hand, close, leaf

TWINS = {
    "LeakyReLU": (LeakyReLU(), nn.LeakyReLU()),
    "LeakyReLU, 0": (LeakyReLU(0.0), nn.LeakyReLU(0.0)),
    "LeakyReLU, negative": (LeakyReLU(-0.3), nn.LeakyReLU(-0.3)),
    "ELU": (ELU(), nn.ELU()),
    "ELU, 0.5": (ELU(0.5), nn.ELU(0.5)),
    "Softplus": (Softplus(), nn.Softplus()),
    "Softplus, sharp": (Softplus(2.0, 1.0), nn.Softplus(2.0, 1.0)),
    "Softplus, a line": (Softplus(2.0, -100.0), nn.Softplus(2.0, -100.0)),
    "PReLU": (PReLU(), nn.PReLU()),
    "PReLU, 0.1": (PReLU(init=0.1), nn.PReLU(init=0.1)),
    "GELU": (GELU(), nn.GELU()),
    "GELU, tanh": (GELU("tanh"), nn.GELU("tanh")),
    "SiLU": (SiLU(), nn.SiLU()),
    "Hardswish": (Hardswish(), nn.Hardswish()),
    "Softmax": (Softmax(), nn.Softmax(-1)),
    "Softmax, 0": (Softmax(0), nn.Softmax(0)),
    "LogSoftmax": (LogSoftmax(), nn.LogSoftmax(-1)),
    "LogSoftmax, 0": (LogSoftmax(0), nn.LogSoftmax(0)),
}


def assert_agrees(layer: bh.Layer, module: nn.Module, input: torch.Tensor, bound=1e-9) -> None:
    layer, module = layer.to(torch.float64), module.double()
    for parameter in module.parameters():
        parameter.grad = None
    given_leaf = leaf(input)
    output = module(given_leaf)
    error = torch.randn_like(output)
    output.backward(error)
    assert close(layer.forward(input, True)[0], output.detach(), bound)
    input_error, gradients = by_hand(layer, input, error)
    assert close(input_error, given_leaf.grad, bound)
    for name, parameter in module.named_parameters():
        assert close(gradients[name], parameter.grad, bound)


@pytest.mark.parametrize("name", TWINS)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    scale=st.sampled_from([1e-3, 1.0, 5.0, 50.0]),
    seed=st.integers(0, 99),
)
def test_agrees_with_its_twin(name, shape, scale, seed) -> None:
    torch.manual_seed(seed)
    assert_agrees(*TWINS[name], torch.randn(shape, dtype=torch.float64) * scale)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 4, 5), (0, 3, 2)], ids=str)
def test_a_slope_for_each_channel(shape) -> None:
    layer, module = PReLU(3), nn.PReLU(3)
    slopes = torch.tensor([0.1, -0.5, 2.0])
    layer.weight.value.copy_(slopes)
    module.weight.data.copy_(slopes)
    assert_agrees(layer, module, torch.randn(shape, dtype=torch.float64))


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("dim", [0, 1, 2, -2])
def test_any_axis(name, dim) -> None:
    layer, module = {"Softmax": (Softmax, nn.Softmax), "LogSoftmax": (LogSoftmax, nn.LogSoftmax)}[
        name
    ]
    assert_agrees(layer(dim), module(dim), torch.randn(2, 3, 4, dtype=torch.float64))


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def _tanh(x):
    return mpmath.tanh(x) if abs(x) < 1000 else mpmath.sign(x)


def _mish_gate(x):
    return _tanh(mpmath.log1p(mpmath.exp(x)) if x < 1000 else x)


def _tanh_gate(x):
    return _sigmoid(mpmath.sqrt(8 / mpmath.pi) * (x + mpmath.mpf(GELU.CUBIC) * x**3))


def _tanh_slope(x):
    s = _tanh_gate(x)
    rise = mpmath.sqrt(8 / mpmath.pi) * (1 + 3 * mpmath.mpf(GELU.CUBIC) * x**2)
    return s + x * s * (1 - s) * rise


def _phi(x):
    if abs(x) > 1000:
        return mpmath.mpf(0)
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def _ncdf(x):
    if abs(x) > 1000:  # beyond what mpmath's erfc takes
        return mpmath.mpf(int(x > 0))
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


WHOLE_RANGE = {
    "Sigmoid": (Sigmoid(), _sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "Tanh": (Tanh(), _tanh, lambda x: 1 - _tanh(x) ** 2),
    "ReLU": (ReLU(), lambda x: max(x, mpmath.mpf(0)), lambda x: mpmath.mpf(int(x > 0))),
    "SELU": (
        SELU(),
        lambda x: SELU.SCALE * (x if x > 0 else mpmath.expm1(x) * SELU.ALPHA),
        lambda x: SELU.SCALE * (mpmath.mpf(1) if x > 0 else mpmath.exp(x) * SELU.ALPHA),
    ),
    "Mish": (
        Mish(),
        lambda x: x * _mish_gate(x),
        lambda x: _mish_gate(x) + x * (1 - _mish_gate(x) ** 2) * _sigmoid(x),
    ),
    "LeakyReLU": (
        LeakyReLU(0.25),
        lambda x: x if x > 0 else x / 4,
        lambda x: mpmath.mpf(1 if x > 0 else 0.25),
    ),
    "ELU": (
        ELU(1.5),
        lambda x: x if x > 0 else mpmath.expm1(x) * 1.5,
        lambda x: mpmath.mpf(1) if x > 0 else mpmath.exp(x) * 1.5,
    ),
    "Softplus": (
        Softplus(2.0, math.inf),
        lambda x: mpmath.log1p(mpmath.exp(2 * x)) / 2,
        lambda x: _sigmoid(2 * x),
    ),
    "GELU": (GELU(), lambda x: x * _ncdf(x), lambda x: _ncdf(x) + x * _phi(x)),
    "GELU, tanh": (GELU("tanh"), lambda x: x * _tanh_gate(x), _tanh_slope),
    "SiLU": (
        SiLU(),
        lambda x: x * _sigmoid(x),
        lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x)),
    ),
    "Hardswish": (
        Hardswish(),
        lambda x: x * min(max(x + 3, 0), 6) / 6,
        lambda x: mpmath.mpf(0) if x <= -3 else mpmath.mpf(1) if x >= 3 else x / 3 + 0.5,
    ),
}
FROM_OUTPUT = ("Sigmoid", "Tanh", "SELU")
"""Slopes formed from an output that has gone flat: right to the precision of the largest slope."""
SIZES = [0.0, 1e-4, 0.1, 0.7, 1.0, 2.5, 2.9, 3.5, 5.0, 7.0, 9.5, 13.0, 19.5, 21.0, 30.0, 37.0, 63.0]
SIZES += [65.0, 90.0, 350.0, 700.0, 999.0, 1001.0, 3e4, 1e8, 1e15, 1e30]


def points(dtype: torch.dtype) -> torch.Tensor:
    """From the smallest number of the dtype to the largest, and of both signs."""
    info = torch.finfo(dtype)
    edges = [info.tiny * info.eps, info.tiny / 4, info.tiny, info.tiny**0.5]
    edges += [info.max**0.5, info.max**0.7, info.max / 8, info.max]
    values = torch.tensor([*SIZES, *edges], dtype=dtype)
    return torch.cat([values, -values])


@pytest.mark.parametrize("name", WHOLE_RANGE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_value_and_slope_are_right_over_the_whole_range(name, dtype) -> None:
    layer, value, slope = WHOLE_RANGE[name]
    input = points(dtype)
    output, memory = layer.forward(input, True)
    slopes = layer.propagate(torch.ones_like(input), memory, 0.0)
    info = torch.finfo(dtype)
    with mpmath.workdps(60):
        for x, y, d in zip(input.tolist(), output.tolist(), slopes.tolist(), strict=True):
            x = mpmath.mpf(x)
            for got, wanted, largest in ((y, value(x), 0), (d, slope(x), name in FROM_OUTPUT)):
                # Relative to the result, whose least digits are those of the smallest numbers.
                bound = 4000 * info.eps * abs(wanted) + 1000 * info.tiny + 4 * info.eps * largest
                if abs(wanted) > info.max:
                    assert got == mpmath.sign(wanted) * mpmath.inf
                else:
                    assert abs(mpmath.mpf(got) - wanted) <= bound, (x, got, wanted)


LIMITS = {  # at -∞ and ∞: value, slope
    "Sigmoid": ((0.0, 0.0), (1.0, 0.0)),
    "Tanh": ((-1.0, 0.0), (1.0, 0.0)),
    "ReLU": ((0.0, 0.0), (math.inf, 1.0)),
    "SELU": ((-SELU.SCALE * SELU.ALPHA, 0.0), (math.inf, SELU.SCALE)),
    "ELU": ((-1.5, 0.0), (math.inf, 1.0)),
    "Softplus": ((0.0, 0.0), (math.inf, 1.0)),
    "LeakyReLU": ((-math.inf, 0.25), (math.inf, 1.0)),
    **dict.fromkeys(
        ("Mish", "GELU", "GELU, tanh", "SiLU", "Hardswish"), ((0.0, 0.0), (math.inf, 1.0))
    ),
}
PIECEWISE_LINEAR = ("ReLU", "LeakyReLU", "Hardswish")
"""Their slope at NaN is one of their slopes; what goes on is NaN, and so the error that returns."""


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_infinities_have_their_limits_and_nan_stays(name, dtype) -> None:
    layer = WHOLE_RANGE[name][0]
    input = torch.tensor([-math.inf, math.inf, math.nan], dtype=dtype)
    output, memory = layer.forward(input, True)
    slopes = layer.propagate(torch.ones_like(input), memory, 0.0)
    for i, limit in enumerate(LIMITS[name]):
        expected = torch.tensor(limit, dtype=dtype)
        torch.testing.assert_close(torch.stack([output[i], slopes[i]]), expected)
    assert output[2].isnan()
    assert slopes[2].isnan() or name in PIECEWISE_LINEAR
    error = torch.tensor([math.nan], dtype=dtype)
    _, memory = layer.forward(torch.ones_like(error), True)
    assert layer.propagate(error, memory, 0.0).isnan()


@pytest.mark.parametrize("name", WHOLE_RANGE)
def test_bfloat16_within_its_precision(name) -> None:
    layer = WHOLE_RANGE[name][0]
    input = torch.linspace(-12, 12, 401).to(torch.bfloat16)
    output, memory = layer.forward(input, True)
    slopes = layer.propagate(torch.ones_like(input), memory, 0.0)
    exact, exact_memory = layer.forward(input.double(), True)
    exact_slopes = layer.propagate(torch.ones_like(exact), exact_memory, 0.0)
    for one, other in ((output, exact), (slopes, exact_slopes)):
        assert one.dtype is torch.bfloat16
        assert ((one.double() - other).abs() <= 0.03 * other.abs() + 0.03).all()


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda: LeakyReLU(math.nan), ValueError, "finite negative_slope, got nan"),
        (lambda: ELU(math.inf), ValueError, "finite alpha, got inf"),
        (lambda: Softplus(0.0), ValueError, "beta above 0, got 0.0"),
        (lambda: Softplus(threshold=math.nan), ValueError, "threshold, got nan"),
        (
            lambda: PReLU(0),
            ValueError,
            "num_parameters of 1 or more, got 0",
        ),
        (lambda: PReLU(init=math.inf), ValueError, "finite init"),
        (lambda: GELU("erf"), ValueError, '"none" or "tanh", got \'erf\''),
        (lambda: Softmax(0.5), TypeError, "dim"),
    ],
)
def test_constructors_refuse(make, kind, says) -> None:
    with pytest.raises(kind, match=says):
        make()


@pytest.mark.parametrize(
    ("layer", "input", "says"),
    [
        (Softmax(2), torch.zeros(3, 4), r"Softmax\(dim=2\) expected an input with an axis 2"),
        (LogSoftmax(-3), torch.zeros(3, 4), r"axis -3, got \(3, 4\)"),
        (PReLU(3), torch.zeros(3, 4), r"PReLU\(num_parameters=3\) expected input \(batch, 3, …\)"),
        (PReLU(3), torch.zeros(3), r"got \(3,\)"),
        (PReLU(), torch.zeros(3).double(), "expected input of torch.float32"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, input, says) -> None:
    with pytest.raises(bh.LayerError, match=says):
        layer(input)
