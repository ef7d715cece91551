"""Side by side: a rule that works element by element works once on all parameters.

Each parameter's update is a lane: the same elementwise operations on tensors of its own. Where
what they work on stands side by side in one storage (the rules' state, laid out so by
`Layer.learn_with`) or can be placed so (temporaries), one operation does the work of all lanes.
Only operations whose bits do not depend on an element's position take part.

All joins are decided on the plan's operations as they stand, and applied together at the end: a
lane's places in the plan hold until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

from backhand.program.calls import View
from backhand.program.lanes import Join, Lane
from backhand.program.order import may_be_put_off
from backhand.program.plan import ALIGNMENT, OUTSIDE, TEMPORARY, Operation, Plan, Storage

LARGEST = 1 << 20
"""Bytes of temporaries up to which lanes are joined; beyond, memory matters more than calls."""


def work_side_by_side(plan: Plan) -> None:
    """Join lanes of equal pattern, in place."""
    by_pattern: dict[Hashable, list[Lane]] = {}
    for lane in _lanes(plan.operations):
        by_pattern.setdefault(lane.pattern(), []).append(lane)
    spans = _spans(plan)
    joins: list[Join] = []
    for lanes in by_pattern.values():
        for run in _runs(plan, lanes):
            if len(run) > 1 and _movable(plan, run):
                moved = {number for join in joins for number in join.homes}
                join = _join(plan, run, moved, spans)
                if join is not None:
                    joins.append(join)
    for join in joins:
        _name(plan, join)
    _apply(plan, joins)


def _lanes(operations: Sequence[Operation]) -> list[Lane]:
    found: dict[str, Lane] = {}
    for place, operation in enumerate(operations):
        takes_part = operation.phase == "update" and operation.parameter and operation.how == "out"
        if takes_part and operation.is_position_free:
            found.setdefault(operation.parameter, Lane()).add(place, operation)
    return [lane for lane in found.values() if lane.is_even()]


# Which lanes stand side by side.


def _runs(plan: Plan, lanes: list[Lane]) -> list[list[Lane]]:
    """The lanes in runs that stand one right after the other in the storages they share."""
    outside = [
        role
        for role, view in enumerate(lanes[0].roles)
        if plan.storages[view.storage].kind == OUTSIDE
    ]
    shared = [
        role
        for role in outside
        if max(Counter(lane.roles[role].storage for lane in lanes).values()) > 1
    ]
    if not shared:
        return []

    def follows(before: Lane, lane: Lane) -> bool:
        pairs = [(before.roles[role], lane.roles[role]) for role in shared]
        met = [(one, other) for one, other in pairs if one.storage == other.storage]
        return bool(met) and all(other.offset == one.offset + _space(one) for one, other in met)

    def where(lane: Lane) -> list[tuple[int, int]]:
        return [(lane.roles[role].storage, lane.roles[role].offset) for role in shared]

    runs: list[list[Lane]] = []
    for lane in sorted(lanes, key=where):
        if runs and follows(runs[-1][-1], lane):
            runs[-1].append(lane)
        else:
            runs.append([lane])
    return runs


def _space(view: View) -> int:
    """Elements that a view takes up with what aligns the next one."""
    return -(-view.nbytes // ALIGNMENT) * ALIGNMENT // view.dtype.itemsize


# Whether they may be joined.


def _movable(plan: Plan, run: list[Lane]) -> bool:
    """Whether all lanes' operations may wait until the last of them.

    Then the lanes' first operations are done together, next their second …
    """
    turns = {place: at for lane in run for at, place in enumerate(lane.places)}
    return may_be_put_off(plan.operations, turns)


def _join(plan: Plan, lanes: list[Lane], moved: set[int], spans: Spans) -> Join | None:
    """The lanes joined, where that saves operations; temporaries that have moved stay."""
    spaces = _spaces(lanes, spans)
    starts = list(accumulate(spaces[:-1], initial=0))
    wide: list[View | None] = []
    homes: dict[int, tuple[int, int]] = {}
    new: list[Storage] = []
    for views in zip(*(lane.roles for lane in lanes), strict=True):
        total, first = starts[-1] + views[-1].count, views[0]
        storage, offset = first.storage, first.offset
        if _may_move(plan, views, starts, moved):
            number, size = max(plan.storages) + 1 + len(new), total * first.dtype.itemsize
            new.append(Storage(number, size, TEMPORARY, ""))
            homes |= {v.storage: (number, at) for v, at in zip(views, starts, strict=True)}
            storage, offset = number, 0
        elif not _is_side_by_side(views, starts, spans):
            wide.append(None)
            continue
        wide.append(View(storage, first.dtype, (total,), (1,), offset))
    join = Join(lanes, starts, wide, homes)
    saves = sum(1 for _ in join.operations()) < sum(len(lane.operations) for lane in lanes)
    if not saves or sum(each.size for each in new) > LARGEST:
        return None
    plan.storages |= {each.number: each for each in new}
    return join


def _spaces(lanes: list[Lane], spans: Spans) -> list[int]:
    """What each lane takes up, in elements: as the first role that stands side by side does."""
    for views in zip(*(lane.roles for lane in lanes), strict=True):
        spaces = [_space(view) for view in views]
        if _is_side_by_side(views, list(accumulate(spaces[:-1], initial=0)), spans):
            return spaces
    return [_space(lane.roles[0]) for lane in lanes]


def _is_side_by_side(views: Sequence[View], starts: list[int], spans: Spans) -> bool:
    """Whether views stand at these places of one storage, and nothing else between them."""
    first, last = views[0], views[-1]
    if first.storage not in spans or any(view.storage != first.storage for view in views):
        return False
    if [view.offset - first.offset for view in views] != starts:
        return False
    run = first.span[0], last.span[1]
    gaps = [(one.span[1], other.span[0]) for one, other in pairwise(views)]
    others = [span for span in spans[first.storage] if _meet(span, run)]
    return not any(_meet(span, gap) for span in others for gap in gaps)


Spans: TypeAlias = dict[int, set[tuple[int, int]]]
"""Where in each storage that was there before the step something stands, in bytes."""


def _spans(plan: Plan) -> Spans:
    touched = (view for operation in plan.operations for view in operation.touched())
    found: Spans = {}
    for view in (*plan.names, *touched):
        if plan.storages[view.storage].kind == OUTSIDE:
            found.setdefault(view.storage, set()).add(view.span)
    return found


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def _may_move(plan: Plan, views: Sequence[View], starts: list[int], moved: set[int]) -> bool:
    """Whether views are temporaries that may be placed side by side, each at an aligned place."""
    numbers = {view.storage for view in views}
    given = {view.storage for view in plan.results.values()}
    full = all(
        plan.storages[view.storage].kind == TEMPORARY
        and view.offset == 0
        and view.nbytes == plan.storages[view.storage].size
        for view in views
    )
    aligned = all(at * views[0].dtype.itemsize % ALIGNMENT == 0 for at in starts)
    return full and aligned and len(numbers) == len(views) and not numbers & (given | moved)


# What is done about it.


def _apply(plan: Plan, joins: list[Join]) -> None:
    """Put the joined operations where the last of their lanes stands."""
    taken = {place for join in joins for lane in join.lanes for place in lane.places}
    ends = {join.end: join for join in joins}
    moved_home = _moved_home({n: home for join in joins for n, home in join.homes.items()})
    operations: list[Operation] = []
    for place, operation in enumerate(plan.operations):
        if place in ends:
            operations += ends[place].operations()
        elif place not in taken:
            operations.append(operation)
    plan.operations = [each.with_views(moved_home) for each in operations]


def _moved_home(homes: dict[int, tuple[int, int]]) -> Callable[[View], View]:
    def changed(view: View) -> View:
        return view.on(*homes[view.storage]) if view.storage in homes else view

    return changed


def _name(plan: Plan, join: Join) -> None:
    """ "every_mean" for what stands side by side; a parameter's name for its part."""
    first = join.lanes[0]
    for role, wide in enumerate(join.wide):
        view = first.roles[role]
        if wide is None:
            continue
        if view.storage not in join.homes:
            plan.names[wide] = f"every_{plan.names.get(view, f'state_{role}').split('_')[-1]}"
            continue
        plan.names[wide] = f"every_change_{role}"
        for lane in join.lanes:
            part = lane.roles[role].on(*join.homes[lane.roles[role].storage])
            *path, name = lane.operations[0].parameter.split(".")
            plan.names[part] = "_".join([name, *path, "change", str(role)])
