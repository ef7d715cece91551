"""What an engine or a plan can get wrong without a crash, each beside the plain step."""

from __future__ import annotations

import math

import pytest
import torch

import backhand as bh
from backhand.program import Native
from backhand.program.engines.native import emit

INF, NAN = math.inf, math.nan


class Function(bh.Layer):
    """A function of a tensor, to be predicted with."""

    def __init__(self, function) -> None:
        self.function = function

    def forward(self, input, training):
        return self.function(input), None


def plus_its_transpose(input):
    own = torch.sin(input)
    return own + own.t()


def minus_its_reverse(input):
    own = torch.sin(input)
    return own - own[:, 1:2] * own


def repeated_after_a_write(input):
    own = torch.sin(input)
    before = own * 2
    own.add_(1)
    return before + own * 2


def repeated_after_a_write_to_a_part(input):
    own = torch.sin(input)
    before = own[:, :2] * 2
    own[:, 1:].fill_(3)
    return before + own[:, :2] * 2


def times_its_last_row(input):
    own = torch.sin(input)
    return own * own[-1:]


def turned_times_its_last_row(input):
    own = torch.sin(input.t())
    return own * own[-1:]


def scaled_times_its_last_row(input):
    own = input * input[:1]
    return own * own[-1:]


def plus_its_next_column(input):
    own = torch.sin(input)
    return own[:, :-1] + own[:, 1:]


def written_while_read(input):
    own = torch.sin(input)
    other = own[:1] * 1
    own[1:].mul_(other)
    own[0].add_(own[1])
    return own


def written_ahead_of_what_is_read(input):
    own, other = torch.sin(input), torch.cos(input)
    before = own[:, :3] * 2
    own[:, 1:].copy_(other[:, 1:])
    return before + own[:, 1:]


def written_twice(input):
    own, other = torch.sin(input), torch.cos(input)
    own[:, :3].copy_(other[:, :3])
    own[:, 1:].copy_(other[:, :3])
    return own


def times_two_numbers(input):
    own = input * torch.full_like(input, 2.0)
    return own @ own @ (input * torch.full_like(input, 3.0))


def of_nothing_that_is_there(input):
    return torch.addmm(torch.log(-1 - input.abs()), input, input, beta=0)


FUNCTIONS = {
    "an operand that another view reads": plus_its_transpose,
    "an operand that a part of it is read of": minus_its_reverse,
    "a call repeated after a write": repeated_after_a_write,
    "a call repeated after a write to a part": repeated_after_a_write_to_a_part,
    "times its last row": times_its_last_row,
    "times its last row, transposed": turned_times_its_last_row,
    "times its last row, after a row": scaled_times_its_last_row,
    "plus its next column": plus_its_next_column,
    "written while it is read": written_while_read,
    "written ahead of what is read": written_ahead_of_what_is_read,
    "written twice, a column further on": written_twice,
    "two numbers": times_two_numbers,
    "0 times what is not a number": of_nothing_that_is_there,
    "the mean over axes 0 and 2": lambda input: input.view(4, 2, 2).mean((0, 2)),
    "the mean over axes 0 and 2, kept": lambda input: (
        input.view(4, 2, 2).mean((0, 2), keepdim=True) * 1
    ),
    "the sum over axes 0 and 2": lambda input: input.view(4, 2, 2).sum((0, 2)),
    "the mean over axes 0 and 2, which lie apart": lambda input: input.view(2, 2, 4)[..., ::3].mean(
        (0, 2)
    ),
    "the mean over axes 1 and 2": lambda input: input.view(4, 2, 2).mean((-1, -2)),
    "the mean over all": lambda input: input.view(4, 2, 2).mean((0, 1, 2)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float", "double"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_read_as_they_were(name, dtype) -> None:
    input = torch.randn(4, 4, dtype=dtype)
    check(FUNCTIONS[name], input, 1e-12 if dtype is torch.float64 else 1e-5)


SPECIAL = torch.tensor(
    [
        [1.0, 2.0, 3.0, 0.5],
        [NAN, 2.0, 3.0, 0.5],
        [1.0, NAN, 3.0, 0.5],
        [1.0, 2.0, 3.0, NAN],
        [INF, 2.0, 3.0, -INF],
        [INF, INF, 3.0, NAN],
        [-INF, -INF, -INF, -INF],
        [-INF, 0.0, -0.0, -INF],
        [INF, INF, INF, INF],
        [1e30, 1e37, -1e37, 3e38],
    ]
)


def pooled(input, *sizes):
    """The largest of each window, and its place."""
    values, places = torch.ops.aten.max_pool2d_with_indices(input[None, None], *sizes)
    return torch.stack([values, places.to(values.dtype)])


REDUCTIONS = {
    "amax": lambda input: input.amax(1),
    "amax down": lambda input: input.amax(0),
    "amax of all": lambda input: input[1:].amax((0, 1)),
    "amin": lambda input: input.amin(1, keepdim=True) * 1,
    "amin down": lambda input: input.amin(0),
    "argmax": lambda input: input.argmax(1),
    "argmin": lambda input: input.argmin(1),
    "logsumexp": lambda input: input.logsumexp(1),
    "logsumexp down": lambda input: input.logsumexp(0),
    "logsumexp, kept": lambda input: input.logsumexp(1, keepdim=True) + 0,
    "softmax": lambda input: input.softmax(1),
    "max_pool": lambda input: pooled(input, [2, 2], [1, 1], [1, 1]),
    "max_pool, dilated": lambda input: pooled(input, [2, 1], [3, 2], [0, 0], [2, 1]),
    "maximum": lambda input: torch.maximum(input, input.flip(1)),
    "minimum": lambda input: torch.minimum(input, input.flip(1)),
    "clamp": lambda input: input.clamp(-1, 2),
    "relu": lambda input: torch.relu(input),
    "sum": lambda input: input.sum(1),
    "mean": lambda input: input.mean(0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float", "double"])
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.filterwarnings("ignore:Replay runs the step")  # flip is not known
def test_infinities_and_nan_come_out_as_they_do_plainly(name, dtype) -> None:
    check(REDUCTIONS[name], SPECIAL.to(dtype), 1e-12 if dtype is torch.float64 else 1e-5)


def check(function, input: torch.Tensor, tolerance: float) -> None:
    """Replay gives the bits of the plain prediction, Native its values, in either form."""
    network = Function(function)
    wanted = network.predict(input)
    replayed = bh.Prediction(network, bh.Replay())(input)
    torch.testing.assert_close(replayed, wanted, rtol=0, atol=0, equal_nan=True)
    for most_in_one in (1000, 0):  # one function, and calls of kernels
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(emit, "MOST_IN_ONE", most_in_one)
            found = bh.Prediction(network, Native())(input)
        torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
