"""Settling: what gates hold during a backward is settled when the outermost one ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from backhand.learning.contributions import Contribution
from backhand.learning.gates import Gate, Reading

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


class _UnderWay(threading.local):
    """The backward under way in this thread."""

    def __init__(self) -> None:
        self.depth = 0
        self.gates: dict[Gate, None] = {}
        self.learnt: set[Parameter] = set()
        self.sharing = Gate()
        self.reading: Reading | None = None
        self.inference = torch.inference_mode()


_under_way = _UnderWay()


class settling:
    """A backward: what gates hold inside it is settled when the outermost one ends.

    Inside, autograd's bookkeeping is off (torch.inference_mode), unless `bookkeeping` keeps it.
    """

    __slots__ = ("_bookkeeping",)

    def __init__(self, bookkeeping: bool = False) -> None:
        self._bookkeeping = bookkeeping

    def __enter__(self) -> None:
        here = _under_way
        if here.depth == 0 and not self._bookkeeping:
            here.inference.__enter__()
        here.depth += 1

    def __exit__(self, *problem: object) -> None:
        here = _under_way
        here.depth -= 1
        if here.depth == 0:
            try:
                _settle(failed=problem[0] is not None)
            finally:
                if not self._bookkeeping:
                    here.inference.__exit__(None, None, None)


def _settle(failed: bool) -> None:
    _under_way.learnt.clear()
    if _under_way.gates:
        gates, _under_way.gates = _under_way.gates, {}
        try:
            if not failed:
                failed = True  # until all have settled: a rule may fail, too
                for gate in gates:
                    gate.settle()
                failed = False
        finally:
            if failed:
                for gate in gates:
                    gate.drop()


@contextmanager
def reading() -> Iterator[Reading]:
    """A backward whose gradients are only read: whatever gates there are, nothing changes.

    The contributions go to what is yielded, which has their `gradients` afterwards.
    """
    here = _under_way
    outer, here.reading = here.reading, Reading()
    here.depth += 1
    try:
        yield here.reading
        here.reading.settle()
    finally:
        here.depth -= 1
        here.reading = outer


def reads_only() -> bool:
    """Whether the backward under way in this thread is one whose gradients are only read."""
    return _under_way.reading is not None


def learns_at_once(parameter: Parameter) -> bool:
    """Whether nothing stands between a parameter and its rule; marks it as learnt, if so."""
    if parameter.gate is not None or parameter.shared or parameter.frozen:
        return False
    if _under_way.depth:
        if _under_way.reading is not None:
            return False
        learnt = _under_way.learnt
        if parameter in learnt:
            raise RuntimeError(
                f"{parameter!r} got a second contribution in one backward after learning from "
                "the first; call share(layer) in the constructor of what uses the layer twice"
            )
        learnt.add(parameter)
    return True


def hold(parameter: Parameter, contribution: Contribution, learning_rate: float) -> None:
    """Leave a contribution with the parameter's gate until the outermost backward settles."""
    if parameter.frozen:
        return
    if not _under_way.depth:
        raise RuntimeError(
            f"{parameter!r} learns through a gate, and no backward is under way to settle it; "
            "call backward, not propagate"
        )
    if _under_way.reading is not None:
        _under_way.reading.hold(parameter, contribution, learning_rate)
        return
    gate = parameter.gate or _under_way.sharing
    _under_way.gates[gate] = None
    gate.hold(parameter, contribution, learning_rate)
