"""The disc, XOR, and minibatches."""

from __future__ import annotations

import math

import pytest
import torch

from backhand.data import batches, disc, xor


def test_the_disc_takes_up_half_of_the_square() -> None:
    points, labels = disc(100_000, seed=3)
    assert points.dtype is labels.dtype is torch.float32
    assert points.min() >= 0
    assert points.max() <= 1
    assert labels.mean().item() == pytest.approx(0.5, abs=0.01)
    radius = 1 / math.sqrt(2 * math.pi)
    distance = (points.double() - 0.5).square().sum(1).sqrt()
    near = (distance - radius).abs() < 1e-6
    assert torch.equal(labels[~near, 0].bool(), (distance < radius)[~near])


def test_the_disc_has_a_generator_of_its_own() -> None:
    state = torch.random.get_rng_state()
    assert torch.equal(disc(5, seed=1).inputs, disc(5, seed=1).inputs)
    assert not torch.equal(disc(5, seed=1).inputs, disc(5, seed=2).inputs)
    assert torch.equal(state, torch.random.get_rng_state())
    with pytest.raises(ValueError, match="at least 1 point, got 0"):
        disc(0, seed=1)


def test_xor() -> None:
    points, labels = xor()
    corners = zip(points.tolist(), labels[:, 0].tolist(), strict=True)
    assert {(x, y): label for (x, y), label in corners} == {
        (0, 0): 0,
        (0, 1): 1,
        (1, 0): 1,
        (1, 1): 0,
    }


def test_batches_are_each_row_once_shuffled_by_the_generator() -> None:
    data = (torch.arange(10.0), torch.arange(10) * 2)
    orders = [
        torch.cat([b.inputs for b in batches(data, 3, torch.Generator().manual_seed(seed))])
        for seed in (1, 1, 2)
    ]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert torch.equal(orders[0].sort().values, data[0])
    plain = list(batches(data, 4))
    assert [len(each.inputs) for each in plain] == [4, 4, 2]
    assert torch.equal(plain[2].targets, torch.tensor([16, 18]))
    with pytest.raises(ValueError, match="batch_size"):
        next(batches(data, 0))
