"""Settling: what gates hold during a backward is settled when the outermost one ends."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

from backhand.learning.contributions import Contribution
from backhand.learning.gates import Gate, Reading
from backhand.learning.interrupts import InferenceMode, uninterrupted

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter

Result = TypeVar("Result")


class Rehearsal:
    """What a backward that is only recorded has of its own, so that the network's stays.

    Attributes:
        updates: how many updates each parameter has had.
        gates: the copies that stand in for the gates that got a contribution.
        contributors: who made these, for each of the gates.
    """

    def __init__(self, updates: dict[Parameter, Any]) -> None:
        self.updates = updates
        self.gates: dict[Gate, Gate] = {}
        self.contributors: dict[Gate, dict[Parameter, None]] = {}

    def in_place_of(self, gate: Gate) -> Gate:
        """The gate's copy, with dicts of its own."""
        copied = self.gates.get(gate)
        if copied is None:
            copied = self.gates[gate] = copy.copy(gate)
            for name, value in vars(gate).items():
                if isinstance(value, dict | list | set):
                    setattr(copied, name, copy.copy(value))
        return copied


class _UnderWay(threading.local):
    """The backward under way in this thread."""

    def __init__(self) -> None:
        self.depth = 0
        self.gates: dict[Gate, None] = {}
        self.learnt: set[Parameter] = set()
        self.sharing = Gate()
        self.reading: Reading | None = None
        self.rehearsal: Rehearsal | None = None

    def forget(self) -> None:
        """Let go of what gates hold unlearnt: a backward has failed, or was cut off once."""
        self.learnt.clear()
        if self.gates:
            for gate in self.gates:
                gate.drop()
            self.gates.clear()


_under_way = _UnderWay()


def settled_after(propagate: Callable[..., Result], *arguments: Any) -> Result:
    """A backward: what gates hold inside it is settled when the outermost one ends.

    Inside, autograd's bookkeeping is off. The outermost one is done uninterrupted: Ctrl-C comes
    after it.
    """
    here = _under_way
    if here.depth:
        return _deeper(here, propagate, arguments)
    result: Result = uninterrupted(_outermost, here, True, propagate, arguments)
    return result


def _outermost(
    here: _UnderWay,
    inference: bool,
    propagate: Callable[..., Result],
    arguments: tuple[Any, ...],
) -> Result:
    if here.gates or here.learnt:
        here.forget()  # what a backward that was cut off, not even cleaned up, left behind
    with InferenceMode(inference):
        try:
            here.depth = 1
            result = propagate(*arguments)
            if here.gates:
                for gate in here.gates:
                    gate.settle()
                here.gates.clear()
        finally:
            here.depth = 0
            here.forget()
    return result


def _deeper(
    here: _UnderWay, propagate: Callable[..., Result], arguments: tuple[Any, ...]
) -> Result:
    depth = here.depth
    try:
        here.depth = depth + 1
        return propagate(*arguments)
    finally:
        here.depth = depth


def rehearsed(rehearsal: Rehearsal, propagate: Callable[..., Any], *arguments: Any) -> None:
    """A backward whose calls are recorded: as any, but that step numbers and gates stay."""
    here = _under_way
    outer = vars(here).copy()
    try:
        vars(here).update(depth=0, gates={}, learnt=set(), reading=None, rehearsal=rehearsal)
        _outermost(here, False, propagate, arguments)
    finally:
        vars(here).update(outer)


def gradients_read(
    propagate: Callable[..., Result], *arguments: Any
) -> tuple[Result, dict[Parameter, Tensor]]:
    """A backward whose gradients are only read: whatever gates there are, nothing changes.

    Returns:
        What it returned, and the gradients.
    """
    return uninterrupted(_read, _under_way, propagate, arguments)


def _read(
    here: _UnderWay, propagate: Callable[..., Result], arguments: tuple[Any, ...]
) -> tuple[Result, dict[Parameter, Tensor]]:
    outer, reading = here.reading, Reading()
    try:
        here.reading = reading
        result = _deeper(here, propagate, arguments)
        reading.settle()
    finally:
        here.reading = outer
    return result, reading.gradients


def reads_only() -> bool:
    """Whether the backward under way in this thread is one whose gradients are only read."""
    return _under_way.reading is not None


def rehearsed_updates() -> dict[Parameter, Any] | None:
    """The step numbers that count instead of the parameters' own, in a backward being recorded."""
    rehearsal = _under_way.rehearsal
    return None if rehearsal is None else rehearsal.updates


def learns_at_once(parameter: Parameter) -> bool:
    """Whether nothing stands between a parameter and its rule; if so, counts it as learnt."""
    if parameter.gate is not None or parameter.shared or parameter.frozen:
        return False
    here = _under_way
    if here.depth:
        if here.reading is not None:
            return False
        learnt = here.learnt
        if parameter in learnt:
            raise RuntimeError(
                f"{parameter!r} got a second contribution in one backward after learning from "
                "the first; call share(layer) in the constructor of what uses the layer twice"
            )
        learnt.add(parameter)
    if here.rehearsal is None:
        parameter.counted += 1
    else:
        here.rehearsal.updates[parameter] += 1
    return True


def count_update(parameter: Parameter) -> None:
    """Count an update that is about to be made by what a gate lets through."""
    rehearsal = _under_way.rehearsal
    if rehearsal is None:
        parameter.counted += 1
    else:
        rehearsal.updates[parameter] += 1


def hold(parameter: Parameter, contribution: Contribution, learning_rate: float) -> None:
    """Leave a contribution with the parameter's gate until the outermost backward settles."""
    if parameter.frozen:
        return
    here = _under_way
    if not here.depth:
        raise RuntimeError(
            f"{parameter!r} learns through a gate, and no backward is under way to settle it; "
            "call backward, not propagate"
        )
    if here.reading is not None:
        here.reading.hold(parameter, contribution, learning_rate)
        return
    gate = parameter.gate or here.sharing
    if here.rehearsal is not None:
        here.rehearsal.contributors.setdefault(gate, {})[parameter] = None
        gate = here.rehearsal.in_place_of(gate)
    here.gates[gate] = None
    gate.hold(parameter, contribution, learning_rate)
