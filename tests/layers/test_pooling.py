"""Pooling at its edges: numbers that are none, long inputs, windows outside, empty axes."""

from __future__ import annotations

import numpy
import pytest
import torch
from torch import nn

import backhand as bh
from backhand.program.engines.native import Native
from oracle import leaf

AVERAGES = [
    (bh.AvgPool1d(2), nn.AvgPool1d(2), (2, 7)),
    (bh.AvgPool1d(3, 2, 1), nn.AvgPool1d(3, 2, 1), (2, 7)),
    (bh.AvgPool1d(5, 2), nn.AvgPool1d(5, 2), (2, 8)),
    (bh.AvgPool2d(2), nn.AvgPool2d(2), (1, 4, 4)),
    (bh.AvgPool2d(3, 1, 1, True, False), nn.AvgPool2d(3, 1, 1, True, False), (2, 5, 4)),
    (bh.AdaptiveAvgPool1d(3), nn.AdaptiveAvgPool1d(3), (2, 7)),
    (bh.AdaptiveAvgPool1d(5), nn.AdaptiveAvgPool1d(5), (2, 2)),
    (bh.AdaptiveAvgPool2d((2, 3)), nn.AdaptiveAvgPool2d((2, 3)), (2, 4, 5)),
]


def with_one(number: float, *shape: int) -> torch.Tensor:
    """Ordinary numbers, but one near the beginning."""
    numbers = torch.randn(*shape, dtype=torch.float64)
    numbers.view(-1)[1] = number
    return numbers


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
@pytest.mark.parametrize(
    ("layer", "twin", "shape"), AVERAGES, ids=[repr(row[0]) for row in AVERAGES]
)
def test_an_infinity_or_nan_stays_in_its_windows(layer, twin, shape, number) -> None:
    input = with_one(number, 2, *shape)
    expected = twin(input)
    for predict in (layer.predict, bh.Prediction(layer, bh.Replay())):
        torch.testing.assert_close(predict(input), expected, equal_nan=True)
    error = with_one(number, *expected.shape)
    variable = leaf(torch.randn_like(input))
    (expected_error,) = torch.autograd.grad(twin(variable), variable, error)
    layer(variable.detach())
    torch.testing.assert_close(layer.backward(error, 0.1), expected_error, equal_nan=True)
    assert expected.isfinite().any()
    assert expected_error.isfinite().any()


@pytest.mark.usefixtures("quick_compiler")
def test_an_infinity_stays_in_its_windows_as_c() -> None:
    input = with_one(float("inf"), 2, 1, 6, 6)
    network = bh.Sequential([bh.AvgPool2d(2), bh.AvgPool2d(2, 1, 1), bh.AdaptiveAvgPool2d(3)])
    native = bh.Prediction(network, Native())(input)
    torch.testing.assert_close(native, network.predict(input), equal_nan=True)
    assert native.isfinite().any()
    assert not native.isfinite().all()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(4, 4, 0), (5, 2, 2), (1 << 19, 1 << 18, 9)]
)
def test_a_long_input_takes_no_quadratic_memory(kernel, stride, padding) -> None:
    input = leaf(torch.randn(1, 1, 1 << 20, dtype=torch.float64))
    expected = nn.AvgPool1d(kernel, stride, padding)(input)
    layer = bh.AvgPool1d(kernel, stride, padding)
    torch.testing.assert_close(layer(input.detach()), expected)
    error = torch.randn_like(expected)
    (expected_error,) = torch.autograd.grad(expected, input, error)
    torch.testing.assert_close(layer.backward(error, 0.1), expected_error)


def is_met(begin: int, kernel: int, dilation: int, length: int) -> bool:
    return any(0 <= begin + k * dilation < length for k in range(kernel))


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", range(1, 7))
@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (2, 1), (4, 1), (4, 2), (5, 2)])
def test_max_pooling_refuses_windows_outside_its_input(
    kernel, padding, dilation, stride, ceil_mode
) -> None:
    layer = bh.MaxPool1d(kernel, stride, padding, dilation, ceil_mode)
    for length in range(1, 9):
        free = length + 2 * padding - dilation * (kernel - 1) - 1
        if free < 0:
            continue
        begins = range(-padding, free - padding + 1, stride)
        input = torch.arange(1.0, length + 1).reshape(1, 1, length)
        if all(is_met(begin, kernel, dilation, length) for begin in begins):
            assert layer.predict(input).isfinite().all()
        else:
            with pytest.raises(bh.LayerError, match="in which every window has an element, got"):
                layer(input)


def test_max_pooling_refuses_windows_between_columns() -> None:
    layer = bh.MaxPool2d((1, 2), stride=1, padding=(0, 1), dilation=(1, 2))
    with pytest.raises(bh.LayerError, match=r"every window has an element, got \(1, 1, 3, 1\)"):
        layer(torch.ones(1, 1, 3, 1))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (bh.Conv1d(2, 3, 3, padding=2), (2, 2, 0)),
        (bh.Conv2d(2, 3, 3, padding=2), (2, 2, 4, 0)),
        (bh.ConvTranspose1d(2, 3, 5), (2, 2, 0)),
        (bh.ConvTranspose2d(2, 3, 5), (2, 2, 0, 4)),
        (bh.MaxPool1d(2, padding=1), (2, 2, 0)),
        (bh.MaxPool2d(2, padding=1), (2, 2, 3, 0)),
        (bh.AvgPool1d(2, padding=1, count_include_pad=False), (2, 2, 0)),
        (bh.AvgPool2d(2, padding=1), (2, 2, 0, 3)),
        (bh.AdaptiveAvgPool1d(2), (2, 2, 0)),
    ],
    ids=repr,
)
def test_an_empty_axis_is_refused(layer, shape) -> None:
    with pytest.raises(bh.LayerError, match="expected at least 1 along each axis, got"):
        layer(torch.zeros(shape))


def test_sizes_by_numpy_are_kept_as_numbers(tmp_path) -> None:
    layer = bh.AdaptiveAvgPool2d((numpy.int64(2), None))
    bh.save(layer, tmp_path / "pool")
    assert repr(bh.load(tmp_path / "pool")) == repr(layer) == "AdaptiveAvgPool2d((2, None))"
    assert type(bh.AdaptiveAvgPool1d(numpy.int64(2)).output_size) is int
