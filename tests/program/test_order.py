"""Whether operations may wait: what meets in memory, one of it written, keeps its order."""

from __future__ import annotations

import pytest
import torch

from backhand.program.calls import View
from backhand.program.order import may_be_put_off
from backhand.program.plan import Operation


def numbers(begin: int, count: int, storage: int = 0) -> View:
    return View(storage, torch.float32, (count,), (1,), begin)


def square(source: View, target: View) -> Operation:
    return Operation(
        "square", "out", (source,), {}, (target,), torch.square, False, "backward", "", "", ""
    )


ELSEWHERE = numbers(0, 2, storage=1)
BESIDE = numbers(2, 2, storage=1)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (square(ELSEWHERE, numbers(0, 2)), square(numbers(1, 2), BESIDE), False),  # read after
        (square(numbers(0, 2), ELSEWHERE), square(BESIDE, numbers(1, 2)), False),  # written after
        (square(ELSEWHERE, numbers(0, 2)), square(BESIDE, numbers(1, 2)), False),  # written twice
        (square(numbers(0, 2), ELSEWHERE), square(numbers(1, 2), BESIDE), True),  # only read
        (square(ELSEWHERE, numbers(0, 2)), square(numbers(2, 2), BESIDE), True),  # side by side
    ],
)
def test_what_is_done_at_once_meets_nowhere_where_one_writes(first, second, expected) -> None:
    assert may_be_put_off([first, second], {0: 0, 1: 0}) is expected
    assert may_be_put_off([first, second], {0: 0, 1: 1})  # one after the other, as they stand
    assert may_be_put_off([first, second], {0: 1, 1: 0}) is expected  # the other way round
    assert may_be_put_off([first, second], {0: 0}) is True
    between = [first, second, square(numbers(0, 1, storage=2), numbers(1, 1, storage=2))]
    assert may_be_put_off(between, {0: 0, 2: 0}) is expected  # one passes over another
