"""Lanes: what one parameter's update does element by element, and several of them as one."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from backhand.program.calls import View, map_nested, meaning
from backhand.program.plan import Operation


@dataclass(frozen=True)
class Lane:
    """One parameter's elementwise operations, and the distinct views they work on, in order.

    Attributes:
        places: of the operations in the plan.
        operations: what stands there.
        roles: the views; the same role in each of several lanes is played by a view of its own.
    """

    places: list[int] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    roles: list[View] = field(default_factory=list)

    def add(self, place: int, operation: Operation) -> None:
        """Take in the next operation."""
        self.places.append(place)
        self.operations.append(operation)
        for view in operation.touched():
            if view not in self.roles:
                self.roles.append(view)

    def pattern(self) -> Hashable:
        """What must be equal for lanes to be joined."""
        numbers = {view: role for role, view in enumerate(self.roles)}

        def by_role(operation: Operation) -> Hashable:
            parts = (operation.operands, operation.keywords, operation.targets)
            return operation.name, meaning(map_nested(lambda v: _role(v, numbers), parts))

        dtypes = [view.dtype for view in self.roles]
        return (*map(by_role, self.operations), *dtypes)

    def is_even(self) -> bool:
        """Whether all its views are contiguous tensors of one shape."""
        shape = self.roles[0].shape
        return all(view.shape == shape and view.is_contiguous for view in self.roles)


@dataclass(frozen=True)
class _Role:
    """The number of a view in its lane, in its place among a call's arguments."""

    number: int


def _role(value: object, numbers: dict[View, int]) -> object:
    return _Role(numbers[value]) if isinstance(value, View) else value


@dataclass(frozen=True)
class Join:
    """Lanes that one operation each does the work of.

    Attributes:
        lanes: in the order in which they stand in memory.
        starts: where each begins, in elements from the first.
        wide: for each role, the view that covers all lanes; None where they stand apart.
        homes: for each temporary that moves, its new storage and where it begins there.
    """

    lanes: list[Lane]
    starts: list[int]
    wide: list[View | None]
    homes: dict[int, tuple[int, int]]

    @property
    def end(self) -> int:
        """The place of the last of the operations, where all are done."""
        return max(place for lane in self.lanes for place in lane.places)

    def operations(self) -> Iterator[Operation]:
        """One operation for all lanes; what stands apart stays by itself."""
        first = self.lanes[0]
        wide = dict(zip(first.roles, self.wide, strict=True))
        for number, operation in enumerate(first.operations):
            if all(wide[view] is not None for view in operation.touched()):
                several = f"{len(self.lanes)} parameters"
                yield operation.with_views(lambda view: wide[view] or view).placed("", several, "")
            else:
                yield from (lane.operations[number] for lane in self.lanes)
