"""Order: whether operations of a plan may be done later than they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backhand.program.plan import Operation


@dataclass(frozen=True)
class _Access:
    """What an operation does to some bytes of a storage, where it stands, and when it comes then.

    Of two turns the smaller comes first; what is put off comes after all that is not.
    """

    begin: int
    end: int
    writes: bool
    place: int
    turn: tuple[bool, int]


def may_be_put_off(operations: Sequence[Operation], turns: Mapping[int, int]) -> bool:
    """Whether some operations may wait until the last of them.

    They may where any two operations on the same memory, one of which writes to it, keep their
    order.

    Args:
        operations: as they stand.
        turns: the places of those that wait, and in which order they come then; those of one
            turn are done at once.
    """
    accesses: dict[int, list[_Access]] = {}
    for place in range(min(turns), max(turns) + 1):
        operation = operations[place]
        turn = (place in turns, turns.get(place, place))
        for writes, views in ((False, operation.reads()), (True, operation.targets)):
            for view in views:
                access = _Access(*view.span, writes, place, turn)
                accesses.setdefault(view.storage, []).append(access)
    return all(map(_keep_their_order, accesses.values()))


def _keep_their_order(accesses: list[_Access]) -> bool:
    """Whether those of one storage do, where one of two that meet writes."""
    begun: list[_Access] = []
    for access in sorted(accesses, key=lambda each: (each.begin, each.end)):
        begun = [each for each in begun if each.end > access.begin]
        for other in begun:
            first, second = sorted((access, other), key=lambda each: each.place)
            rivals = first.place != second.place and (first.writes or second.writes)
            if rivals and first.turn >= second.turn:
                return False
        begun.append(access)
    return True
