"""What comes in at a recorded step's door: no other device, no sign kept aside, rows as int64."""

from __future__ import annotations

import pytest
import torch

import backhand as bh
from backhand.program import Native

ENGINES = [bh.Replay(), Native()]
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=repr)


def stepped(engine):
    torch.manual_seed(0)
    network = bh.Sequential([bh.FullyConnected(4, 3), bh.Tanh(), bh.FullyConnected(3, 2)])
    step = bh.TrainingStep(network, bh.MSELoss(), engine)
    step(torch.randn(8, 4), torch.randn(8, 2), 0.1)
    return network, step


def negative(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, in a view that keeps their sign aside."""
    view = torch.imag(torch.conj(torch.complex(torch.zeros_like(tensor), -tensor)))
    assert view.is_neg()
    assert torch.equal(view, tensor)
    return view


@every_engine
def test_a_batch_elsewhere_is_refused_though_its_shape_is_known(engine) -> None:
    network, step = stepped(engine)
    prediction = bh.Prediction(network, engine)
    prediction(torch.randn(8, 4))
    for call in (
        lambda: step(torch.randn(8, 4, device="meta"), torch.randn(8, 2), 0.1),
        lambda: step(torch.randn(8, 4), torch.randn(8, 2, device="meta"), 0.1),
        lambda: prediction(torch.randn(8, 4, device="meta")),
    ):
        with pytest.raises(ValueError, match="runs on the CPU, got a batch on meta"):
            call()


@every_engine
def test_a_sign_kept_aside_is_read(engine) -> None:
    x, y = torch.randn(8, 4), torch.randn(8, 2)
    found = []
    for change in (torch.clone, negative):
        network, step = stepped(engine)
        step(change(x), change(y), 0.1)
        step.run(change(x), change(y), torch.arange(8), [0.1], 8)
        predicted = bh.Prediction(network, engine)(change(x))
        found.append([predicted, *(each.value for each in network.parameters().values())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@every_engine
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bool, torch.int32])
def test_an_order_is_of_int64(engine, dtype) -> None:
    network, step = stepped(engine)
    before = network.layers[0].weight.value.clone()
    with pytest.raises(TypeError, match="expected an order of int64 rows"):
        step.run(torch.randn(8, 4), torch.randn(8, 2), torch.arange(8).to(dtype), [0.1], 8)
    assert torch.equal(network.layers[0].weight.value, before)
