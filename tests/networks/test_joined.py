"""Concatenate along any axis; lengths and options of recurrent layers that have no effect."""

from __future__ import annotations

import pytest
import torch

import backhand as bh


def test_joins_the_channels_of_images() -> None:
    branches = [bh.Conv2d(3, 2, 3, padding=1), bh.Conv2d(3, 4, 1)]
    joined, x = bh.Concatenate(branches, dim=1), torch.randn(2, 3, 5, 5)
    expected = torch.cat([each.predict(x) for each in branches], 1)
    assert torch.equal(joined.predict(x), expected)
    assert repr(joined).endswith("dim=1)")


def test_equal_widths_are_not_joined_along_another_axis() -> None:
    two = [bh.Conv2d(3, 4, 1), bh.Conv2d(3, 4, 1)]
    assert bh.Concatenate(two, dim=1).predict(torch.randn(2, 3, 5, 5)).shape == (2, 8, 5, 5)


@pytest.mark.parametrize("dim", [3, -4])
def test_an_axis_that_is_not_there_is_refused(dim) -> None:
    joined = bh.Concatenate([bh.Tanh(), bh.ReLU()], dim=dim)
    with pytest.raises(bh.LayerError, match=f"an axis {dim}, got \\(2, 3, 5\\)"):
        joined(torch.randn(2, 3, 5))


def test_axes_that_differ_are_refused() -> None:
    joined = bh.Concatenate([bh.Tanh(), bh.AvgPool2d(2)], dim=1)
    with pytest.raises(bh.LayerError, match=r"but for axis 1, got \(2, 3, 2, 2\) from branch 1"):
        joined(torch.randn(2, 3, 4, 4))


@pytest.mark.parametrize("made", [bh.RNN, bh.GRU, bh.LSTM])
def test_dropout_between_one_layer_is_said(made) -> None:
    with pytest.warns(UserWarning, match="stands between layers, and there is one"):
        made(3, 4, dropout=0.5)


@pytest.mark.parametrize("wrong", [-1, 6])
def test_lengths_out_of_range_are_refused_at_the_door(wrong) -> None:
    network = bh.Sequential([bh.GRU(3, 4), bh.LastStep(), bh.FullyConnected(4, 1)])
    input = torch.randn(2, 5, 3), torch.tensor([3, wrong])
    step = bh.TrainingStep(network, bh.MSELoss())
    for call in (
        lambda: step(input, torch.zeros(2, 1), 0.1),
        lambda: bh.Prediction(network)(input),
    ):
        with pytest.raises(bh.LayerError, match=f"lengths from 0 to the time 5, got {wrong}"):
            call()


def test_batch_normalization_without_weights_takes_its_statistics_dtype() -> None:
    layer = bh.BatchNorm1d(3, affine=False).to(torch.float64)
    with pytest.raises(bh.LayerError, match=r"expected input of torch\.float64"):
        layer(torch.randn(4, 3))
