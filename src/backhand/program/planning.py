"""Planning: from a recorded line to a plan, in passes, each of which keeps every bit.

normal form -> constants bound once -> repeated work done once -> dead work removed ->
parameters worked side by side -> results in place of operands that die -> places in the arena.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any

from backhand.program.calls import View, meaning
from backhand.program.line import Line
from backhand.program.normal_form import normal_form
from backhand.program.places import forget_unused_storages, name_storages, place
from backhand.program.plan import (
    ALIGNMENT,
    ARGUMENT,
    CONSTANT,
    OUTSIDE,
    TEMPORARY,
    Operation,
    Plan,
    Storage,
    scalars_in,
    views_in,
)
from backhand.program.primitives import ELEMENTWISE
from backhand.program.side_by_side import work_side_by_side


def plan_line(
    line: Line, wanted: Iterable[str], alignment: int = ALIGNMENT, packed: bool = True
) -> Plan:
    """The plan of a recorded line.

    Args:
        line: the recording.
        wanted: which of its results the caller receives; what only serves others is dead.
        packed: whether rules work side by side on one storage; default True.
        alignment: bytes, a multiple of which every temporary begins at; default 64.
    """
    recording = line.recording
    operations = [each for call in recording.calls for each in normal_form(call, recording.sizes)]
    arguments = {view.storage: name for name, view in line.arguments.items()}
    storages = {
        number: Storage(number, size, _kind(number, arguments, recording.outside), "")
        for number, size in recording.sizes.items()
    }
    results = {name: recording.results[name] for name in wanted}
    plan = Plan(operations, [], storages, line.arguments, results, line.names)
    _bind_constants(plan)
    _do_repeated_work_once(plan)
    _remove_dead_work(plan)
    if packed:
        work_side_by_side(plan)
    forget_unused_storages(plan)
    name_storages(plan)
    place(plan, _write_over_dying_operands(plan), alignment)
    return plan


def _kind(number: int, arguments: dict[int, str], outside: dict[int, Any]) -> str:
    if number in arguments:
        return ARGUMENT
    return OUTSIDE if number in outside else TEMPORARY


# Constants.


def _bind_constants(plan: Plan) -> None:
    """Work on numbers alone is done once, where nothing else writes to its result."""
    writers = Counter(view.storage for each in plan.operations for view in each.targets)
    kept = []
    for operation in plan.operations:
        storage = plan.storages[operation.target.storage]
        sources = views_in((operation.operands, operation.keywords))
        alone = not operation.random and all(writers[v.storage] == 1 for v in operation.targets)
        live = scalars_in((operation.operands, operation.keywords))
        known = all(plan.storages[view.storage].kind == CONSTANT for view in sources)
        if (
            storage.kind == TEMPORARY
            and alone
            and known
            and not live
            and operation.how != "in place"
        ):
            plan.preparations.append(operation)
            for view in operation.targets:
                plan.storages[view.storage] = replace(plan.storages[view.storage], kind=CONSTANT)
        else:
            kept.append(operation)
    plan.operations = kept


# Repeated work.


LARGEST_KEPT = 1 << 20
"""Bytes of a result up to which the way back uses what the forward had; beyond, it is made again,
as layers do so as not to keep it: memory matters more than time there."""


def _do_repeated_work_once(plan: Plan) -> None:
    """An operation on the same values as an earlier one is replaced by that one's result."""
    writers = Counter(view.storage for each in plan.operations for view in each.targets)
    versions: Counter[int] = Counter()
    done: dict[Hashable, tuple[View, str]] = {}
    instead: dict[int, int] = {}
    kept = []
    for operation in plan.operations:
        operation = operation.with_views(
            lambda view: view.on(instead.get(view.storage, view.storage))
        )
        target = operation.target
        key = _fingerprint(operation, versions)
        pure = (
            operation.how == "out"
            and not operation.random
            and plan.storages[target.storage].kind == TEMPORARY
            and writers[target.storage] == 1
        )
        if pure and key in done:
            earlier, phase = done[key]
            at_hand = phase in (operation.phase, "loss") or target.nbytes <= LARGEST_KEPT
            if at_hand and earlier.lies_as(target):
                instead[target.storage] = earlier.storage
                continue
        if pure:
            done[key] = target, operation.phase
        for view in operation.targets:
            versions[view.storage] += 1
        kept.append(operation)
    plan.operations = kept
    plan.results = {
        name: view.on(instead.get(view.storage, view.storage))
        for name, view in plan.results.items()
    }


def _fingerprint(operation: Operation, versions: Counter[int]) -> Hashable:
    """What is equal for operations that give the same result."""
    read = [versions[view.storage] for view in operation.reads()]
    return operation.name, meaning((operation.operands, operation.keywords)), *read


# Dead work.


def _remove_dead_work(plan: Plan) -> None:
    """Keep what changes something that was there before, draws, or serves what is kept."""
    needed = {view.storage for view in plan.results.values()}
    kept = []
    for operation in reversed(plan.operations):
        written = {view.storage for view in operation.targets}
        lasting = any(plan.storages[number].kind != TEMPORARY for number in written)
        if not (lasting or operation.random or written & needed):
            continue
        read = {view.storage for view in operation.reads()}
        for view in operation.targets:
            if view.fills(plan.storages[view.storage].size):
                needed.discard(view.storage)
        needed |= read
        kept.append(operation)
    plan.operations = kept[::-1]
    used = {view.storage for each in plan.operations for view in each.reads()}
    used |= {view.storage for view in plan.results.values()}
    preparations = []
    for operation in reversed(plan.preparations):
        if any(view.storage in used for view in operation.targets):
            used |= {view.storage for view in operation.reads()}
            preparations.append(operation)
    plan.preparations = preparations[::-1]


# In place.


def _write_over_dying_operands(plan: Plan) -> dict[int, int]:
    """Elementwise results that take the place of an operand that dies there: theirs, and its."""
    spans = plan.lifetimes()
    takes: dict[int, int] = {}
    for at, operation in enumerate(plan.operations):
        if operation.name not in ELEMENTWISE or operation.how != "out":
            continue
        target = operation.target
        born_here = spans.get(target.storage, (-1, -1))[0] == at
        if not (born_here and target.fills(plan.storages[target.storage].size)):
            continue
        read = operation.reads()
        for view in read:
            dies_here = spans.get(view.storage, (-1, -1))[1] == at
            alone = all(each == view for each in read if each.storage == view.storage)
            if dies_here and alone and view.lies_as(target):
                takes[target.storage] = takes.get(view.storage, view.storage)
                break
    return takes
