"""Clipping by the global norm, from factors: exact for rows that are hard on it."""

from __future__ import annotations

import pytest
import torch

import backhand as bh
from backhand.learning.contributions import Factors
from backhand.program import Native


def test_clipping_forms_no_gradient_where_factors_are_smaller() -> None:
    from test_rules import ShapesMade

    layer = bh.FullyConnected(17, 13).gate_with(bh.Gate(max_norm=0.1))
    layer(torch.randn(5, 17))
    with ShapesMade() as made:
        layer.backward(torch.randn(5, 13), 0.1)
    assert (13, 17) not in made.shapes


def factors(case: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors and inputs, row by row, that are hard on a norm taken from their products."""
    errors, inputs = torch.randn(6, 4, dtype=dtype), torch.randn(6, 40, dtype=dtype)
    match case:
        case "repeated rows":
            return errors, inputs[:1].repeat(6, 1)
        case "errors that cancel":
            return torch.cat([errors, -errors.sum(0, keepdim=True)]), inputs[:1].repeat(7, 1)
        case "cancelling, large":
            large = errors * 1e4
            return torch.cat([large, -large.sum(0, keepdim=True)]), inputs[:1].repeat(7, 1) * 1e4
        case "large":
            return errors * 1e4, inputs * 1e4
        case "beyond the square of float32":
            return errors * 1e12, inputs * 1e12
        case "tiny":
            return errors * 1e-12, inputs * 1e-12
        case "zero rows":
            errors[::2] = 0
            inputs[1::2] = 0
        case "one NaN":
            errors[2, 1] = torch.nan
        case "one infinity":
            inputs[3, 2] = torch.inf
    return errors, inputs


HARD = [
    "drawn",
    "repeated rows",
    "errors that cancel",
    "cancelling, large",
    "large",
    "beyond the square of float32",
    "tiny",
    "zero rows",
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", HARD)
def test_the_norm_from_factors_is_that_of_the_gradient_they_make(case, dtype) -> None:
    for seed in range(50):
        torch.manual_seed(seed)
        errors, inputs = factors(case, dtype)
        exact = (errors.double().t() @ inputs.double()).norm()
        norm = Factors(errors.t(), inputs).squared_norm().sqrt()
        # what forming the gradient in this dtype loses, which no norm of it can do better than
        lost = torch.finfo(dtype).eps * errors.double().norm() * inputs.double().norm()
        assert abs(norm - exact) <= lost + 1e-6 * exact, seed


@pytest.mark.parametrize("engine", [None, bh.Replay(), Native()], ids=repr)
@pytest.mark.parametrize("case", HARD)
def test_clips_hard_gradients_as_the_textbook_does(case, engine) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        errors, inputs = factors(case, torch.float32)
        layer = bh.FullyConnected(40, 4, bias=False).gate_with(bh.Gate(max_norm=1.0))
        layer.weight.value.zero_()
        wide = torch.zeros(4, 40, dtype=torch.float64, requires_grad=True)
        wide.grad = errors.double().t() @ inputs.double()
        norm = torch.nn.utils.clip_grad_norm_([wide], 1.0)
        if engine is None:
            layer(inputs)
            layer.backward(errors, 1.0)
        else:
            bh.TrainingStep(layer, Given(), engine)(inputs, errors, 1.0)
        # what any product of these factors in float32 loses, clipped as the gradient is
        lost = 2e-7 * errors.double().norm() * inputs.double().norm() / norm.clamp(min=1)
        assert (layer.weight.value.double() + wide.grad).norm() <= 1e-5 + lost, seed


@pytest.mark.parametrize("engine", [None, bh.Replay(), Native()], ids=repr)
@pytest.mark.parametrize("case", ["one NaN", "one infinity"])
def test_what_is_no_number_is_not_clipped_away(case, engine) -> None:
    errors, inputs = factors(case, torch.float32)
    layer = bh.FullyConnected(40, 4).gate_with(bh.Gate(max_norm=1.0))
    if engine is None:
        layer(inputs)
        layer.backward(errors, 1.0)
    else:
        bh.TrainingStep(layer, Given(), engine)(inputs, errors, 1.0)
    assert not layer.weight.value.isfinite().all()
    if case == "one NaN":  # as torch's clip_grad_norm_, which makes all of them NaN
        assert layer.weight.value.isnan().all()
        assert layer.bias.value.isnan().all()


class Given(bh.Loss):
    """A loss whose error is its target."""

    def forward(self, prediction, target):
        return (prediction * target).sum()

    def backward(self, prediction, target):
        return target


def test_training_on_batches_with_repeated_rows_stays_finite() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        layer = bh.FullyConnected(64, 4).gate_with(bh.Gate(max_norm=1.0))
        input, target = torch.randn(1, 64).repeat(6, 1), torch.randn(6, 4)
        for _ in range(150):
            layer.backward(bh.MSELoss().backward(layer(input), target), 0.02)
        assert all(tensor.isfinite().all() for tensor in layer.lasting_tensors().values())
