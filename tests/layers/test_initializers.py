"""Initializers: the distributions that they promise, for weights of any rank, as torch.nn.init."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch.nn import init

import backhand as bh

SHAPES = [(300, 200), (64, 32, 9), (32, 64, 5, 3)]
TWINS = {
    bh.XavierUniform(): init.xavier_uniform_,
    bh.XavierNormal(2.0): lambda weight: init.xavier_normal_(weight, 2.0),
    bh.KaimingUniform(): lambda weight: init.kaiming_uniform_(weight, nonlinearity="relu"),
    bh.KaimingNormal(1.0): lambda weight: init.kaiming_normal_(weight, nonlinearity="linear"),
    bh.LeCunUniform(): lambda weight: init.kaiming_uniform_(weight, nonlinearity="linear"),
    bh.LeCunNormal(): lambda weight: init.kaiming_normal_(weight, nonlinearity="linear"),
    bh.Normal(0.3): lambda weight: init.normal_(weight, 0.0, 0.3),
    bh.TruncatedNormal(0.3): lambda weight: init.trunc_normal_(weight, 0.0, 0.3, -0.6, 0.6),
    bh.Constant(0.7): lambda weight: init.constant_(weight, 0.7),
    bh.Zeros(): init.zeros_,
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("initializer", TWINS, ids=repr)
def test_has_the_distribution_of_its_twin(initializer, shape) -> None:
    weight = initializer(*shape)
    twin = TWINS[initializer](torch.empty(shape))
    assert weight.shape == shape
    assert weight.dtype is torch.float32
    # Quantiles of thousands of numbers: the tails, the middle, and the shape between.
    for share in (0.001, 0.02, 0.25, 0.5, 0.75, 0.98, 0.999):
        spread = 0.35 if share in (0.001, 0.999) else 0.12
        tolerance = spread * float(twin.std(correction=0)) + 1e-9
        ours, theirs = (torch.quantile(each.flatten(), share) for each in (weight, twin))
        assert float(ours) == pytest.approx(float(theirs), abs=tolerance), share


def test_what_is_truncated_stays_within_two_deviations() -> None:
    weight = bh.TruncatedNormal(0.02)(1000, 100)
    assert weight.abs().max() <= 0.04
    assert weight.std().item() == pytest.approx(0.8796 * 0.02, rel=0.01)


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (20, 4, 3), (50, 4, 3, 3)], ids=str)
def test_orthogonal_rows_or_columns_have_the_length_of_the_gain(shape) -> None:
    weight = bh.Orthogonal(1.5)(*shape)
    assert weight.shape == shape
    matrix = weight.flatten(1)
    matrix = matrix if len(matrix) <= len(matrix[0]) else matrix.t()
    expected = 1.5**2 * torch.eye(len(matrix))
    torch.testing.assert_close(matrix @ matrix.t(), expected, atol=1e-5, rtol=0)


def test_orthogonal_draws_every_direction_alike() -> None:
    # QR alone leaves a sign that the shape decides: the mean of an element would not be 0.
    first = torch.stack([bh.Orthogonal()(3, 3) for _ in range(400)])
    assert first.mean(0).abs().max() < 4 / math.sqrt(3 * 400)


@pytest.mark.parametrize("initializer", [*TWINS, bh.Orthogonal()], ids=repr)
def test_is_a_value_repeats_with_the_seed_and_is_saved(initializer, tmp_path) -> None:
    assert pickle.loads(pickle.dumps(initializer)) == copy.copy(initializer)
    torch.manual_seed(3)
    one = bh.FullyConnected(5, 4, initializer=initializer)
    torch.manual_seed(3)
    assert torch.equal(initializer(4, 5), one.weight.value)
    bh.save(one, tmp_path / "network.safetensors")
    read = bh.load(tmp_path / "network.safetensors")
    assert read.initializer == initializer


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bh.Normal(-1.0), "Normal: expected a deviation of 0 or more, got -1.0"),
        (lambda: bh.TruncatedNormal(math.inf), "TruncatedNormal: expected a finite deviation"),
        (lambda: bh.Constant(math.nan), "Constant: expected a finite value"),
        (lambda: bh.Orthogonal(math.inf), "Orthogonal: expected a finite gain"),
    ],
)
def test_constructors_refuse(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()
