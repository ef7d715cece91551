"""Side by side: a rule that works element by element works once on all parameters.

Each parameter's update is a lane: the same elementwise operations on tensors of its own. Where
what they work on stands side by side in one storage (the rules' state, laid out so by
`Layer.learn_with`) or can be placed so (temporaries), one operation does the work of all lanes.
Only operations whose bits do not depend on an element's position take part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from backhand.program.calls import View, map_nested
from backhand.program.plan import (
    ALIGNMENT,
    OUTSIDE,
    TEMPORARY,
    Operation,
    Plan,
    Storage,
    contiguous_strides,
    fills,
    views_in,
)
from backhand.program.primitives import POSITION_FREE

LARGEST = 1 << 20
"""Bytes of temporaries up to which lanes are joined; beyond, memory matters more than calls."""


@dataclass
class Lane:
    """One parameter's elementwise operations, and the distinct views they work on, in order."""

    indices: list[int]
    operations: list[Operation]
    views: list[View]

    def pattern(self) -> Any:
        """What must be equal for lanes to be joined."""

        def role(value: Any) -> Any:
            return ("view", self.views.index(value)) if isinstance(value, View) else value

        return repr(
            [
                (each.name, *map_nested(role, (each.operands, each.keywords, each.targets)))
                for each in self.operations
            ]
        ) + repr([view.dtype for view in self.views])


def work_side_by_side(plan: Plan) -> None:
    """Join lanes of equal pattern, in place."""
    by_pattern: dict[str, list[Lane]] = {}
    for lane in _lanes(plan):
        by_pattern.setdefault(lane.pattern(), []).append(lane)
    for lanes in by_pattern.values():
        for run in _adjacent(plan, lanes):
            if len(run) > 1 and _small(plan, run) and _movable(plan, run):
                _join(plan, run)


def _lanes(plan: Plan) -> list[Lane]:
    found: dict[str, Lane] = {}
    for index, operation in enumerate(plan.operations):
        takes_part = (
            operation.phase == "update"
            and operation.parameter
            and operation.how == "out"
            and operation.name in POSITION_FREE
        )
        if takes_part:
            lane = found.setdefault(operation.parameter, Lane([], [], []))
            lane.indices.append(index)
            lane.operations.append(operation)
            for view in (*views_in((operation.operands, operation.keywords)), operation.target):
                if view not in lane.views:
                    lane.views.append(view)
    return [lane for lane in found.values() if _even(lane)]


def _even(lane: Lane) -> bool:
    """Whether all its views are contiguous tensors of one shape."""
    shape = lane.views[0].shape
    return all(
        view.shape == shape and view.stride == contiguous_strides(shape) for view in lane.views
    )


def _kind(plan: Plan, lanes: list[Lane], role: int) -> str:
    """How a role's views stand in the lanes: "shared" storage, "temporary", or "apart"."""
    views = [lane.views[role] for lane in lanes]
    storages = [plan.storages[view.storage] for view in views]
    numbers = {storage.number for storage in storages}
    if len(numbers) == 1 and storages[0].kind == OUTSIDE:
        return "shared"
    given = {view.storage for view in plan.results.values()}
    own = all(
        storage.kind == TEMPORARY and fills(_in_a_row(view), storage.size)
        for view, storage in zip(views, storages, strict=True)
    )
    return "temporary" if own and len(numbers) == len(lanes) and not numbers & given else "apart"


def _in_a_row(view: View) -> View:
    return replace(view, shape=(_count(view),), stride=(1,))


def _adjacent(plan: Plan, lanes: list[Lane]) -> list[list[Lane]]:
    """The lanes in runs that stand one right after the other in every shared storage."""
    shared = [r for r in range(len(lanes[0].views)) if _kind(plan, lanes, r) == "shared"]
    if not shared:
        return []
    ordered = sorted(lanes, key=lambda lane: lane.views[shared[0]].offset)
    runs = [[ordered[0]]]
    for before, lane in pairwise(ordered):
        follows = all(
            lane.views[role].offset == before.views[role].offset + _space(before.views[role])
            for role in shared
        )
        if follows:
            runs[-1].append(lane)
        else:
            runs.append([lane])
    return runs


def _count(view: View) -> int:
    count = 1
    for length in view.shape:
        count *= length
    return count


def _space(view: View) -> int:
    """Elements that a view takes up with what aligns the next one."""
    size = view.dtype.itemsize
    return -(-_count(view) * size // ALIGNMENT) * ALIGNMENT // size


def _small(plan: Plan, run: list[Lane]) -> bool:
    roles = [r for r in range(len(run[0].views)) if _kind(plan, run, r) == "temporary"]
    return (
        sum(_space(lane.views[r]) * lane.views[r].dtype.itemsize for lane in run for r in roles)
        <= LARGEST
    )


def _movable(plan: Plan, run: list[Lane]) -> bool:
    """Whether all lanes' operations may wait until the last of them."""
    moved = {index for lane in run for index in lane.indices}
    begin, end = min(moved), max(moved)
    first = {view: lane.indices[0] for lane in run for view in lane.views}
    written = {operation.target for lane in run for operation in lane.operations}
    for index in range(begin, end + 1):
        if index not in moved:
            other = plan.operations[index]
            # Before a lane begins, others may use its views: they make what it works on.
            begun = [view for view in first if first[view] < index]
            if _any_overlap(other.targets, begun) or _any_overlap(
                other.reads(), written & set(begun)
            ):
                return False
    return True


def _any_overlap(some: Iterable[View], others: Iterable[View]) -> bool:
    return any(_overlap(one, other) for one in some for other in others)


def _overlap(one: View, other: View) -> bool:
    if one.storage != other.storage:
        return False
    return _begin_end(one)[0] < _begin_end(other)[1] and _begin_end(other)[0] < _begin_end(one)[1]


def _begin_end(view: View) -> tuple[int, int]:
    """The bytes of its storage that a view lies between."""
    size = view.dtype.itemsize
    steps = zip(view.shape, view.stride, strict=True)
    last = sum((length - 1) * stride for length, stride in steps)
    return view.offset * size, (view.offset + last + 1) * size


def _join(plan: Plan, run: list[Lane]) -> None:
    """One operation for all lanes, after the last of them; what stands apart stays by itself."""
    roles = range(len(run[0].views))
    kinds = [_kind(plan, run, role) for role in roles]
    starts, total = _starts(run)
    homes: dict[int, tuple[int, int]] = {}
    flat: list[View | None] = []
    for role in roles:
        first = run[0].views[role]
        if kinds[role] == "apart":
            flat.append(None)
            continue
        storage, offset = first.storage, first.offset
        if kinds[role] == "temporary":
            storage, offset = max(plan.storages) + 1, 0
            plan.storages[storage] = Storage(storage, total * first.dtype.itemsize, TEMPORARY, "")
            for lane, start in zip(run, starts, strict=True):
                homes[lane.views[role].storage] = (storage, start)
        wide = View(storage, first.dtype, (total,), (1,), offset)
        flat.append(wide)
        _name(plan, run, role, wide, homes)

    def moved_home(view: View) -> View:
        storage, start = homes.get(view.storage, (view.storage, 0))
        return replace(view, storage=storage, offset=view.offset + start)

    joined = []
    for position, operation in enumerate(run[0].operations):
        used = [run[0].views.index(v) for v in (*operation.reads(), operation.target)]
        if all(flat[role] is not None for role in used):
            widened = operation.with_views(lambda view: flat[run[0].views.index(view)] or view)
            joined.append(replace(widened, path="", layer=f"{len(run)} parameters", parameter=""))
        else:
            joined += [lane.operations[position].with_views(moved_home) for lane in run]
    taken = {index for lane in run for index in lane.indices}
    end = max(taken)
    kept = [
        operation.with_views(moved_home)
        for index, operation in enumerate(plan.operations)
        if index not in taken and index < end
    ]
    after = [each.with_views(moved_home) for each in plan.operations[end + 1 :]]
    plan.operations = [*kept, *joined, *after]


def _name(
    plan: Plan, run: list[Lane], role: int, wide: View, homes: dict[int, tuple[int, int]]
) -> None:
    """ "every_mean" for what stands side by side; a parameter's name for its part."""
    first = run[0].views[role]
    if first.storage not in homes:
        plan.names[wide] = f"every_{plan.names.get(first, f'state_{role}').split('_')[-1]}"
        return
    plan.names[wide] = f"every_change_{role}"
    for lane in run:
        storage, start = homes[lane.views[role].storage]
        part = replace(lane.views[role], storage=storage, offset=start)
        *path, name = lane.operations[0].parameter.split(".")
        plan.names[part] = "_".join([name, *path, "change", str(role)])


def _starts(run: list[Lane]) -> tuple[list[int], int]:
    """Where each lane begins in a joined tensor, and how long that is, in elements."""
    starts, at = [], 0
    for lane in run:
        starts.append(at)
        at += _space(lane.views[0])
    return starts, starts[-1] + _count(run[-1].views[0])
