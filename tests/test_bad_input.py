"""Every layer refuses an input that it cannot take by an error of its own, never torch's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor

import backhand as bh
from cases import every_layer


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
