"""Tally: updates that a recorded step makes to several parameters, counted in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backhand.learning.parameter import Parameter


class Tally:
    """How many updates the parameters that share it have had beside those of their own counts.

    Whoever runs a recorded step adds to `count`, with nothing between the step and that: so
    either both are done, or neither, and for all parameters at once.

    Attributes:
        count: of updates.
        members: how many parameters have shared it.
    """

    __slots__ = ("count", "members")

    def __init__(self, members: int = 0) -> None:
        self.count: float = 0
        self.members = members


def counted_together(parameters: Sequence[Parameter]) -> Tally:
    """The tally of these parameters and no others; a new one where they have none."""
    if parameters:
        tally = parameters[0].tally
        if tally.members == len(parameters) and all(each.tally is tally for each in parameters):
            return tally
    tally = Tally(len(parameters))
    for parameter in parameters:
        parameter.move_to(tally)
    return tally
