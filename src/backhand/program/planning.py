"""Planning: from a recorded line to a plan, in passes, each of which keeps every bit.

normal form -> constants bound once -> repeated work done once -> dead work removed ->
parameters worked side by side -> results in place of operands that die -> places in the arena.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from backhand.program.calls import Call, View
from backhand.program.line import Line
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
    contiguous_strides,
    fills,
    scalars_in,
    views_in,
)
from backhand.program.primitives import (
    COPIES,
    ELEMENTWISE,
    EMPTY,
    FILLED,
    FILLED_WITH_ARGUMENT,
    FILLS,
    OPERANDS,
    RECIPROCALS,
    REFLECTED,
    SPELLINGS,
    WITH_OUT,
)
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
    operations = [each for call in recording.calls for each in _normal_form(call, recording.sizes)]
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


# Normal form.


def _normal_form(call: Call, sizes: dict[int, int]) -> list[Operation]:
    """The call as operations: mostly one; none, where it only makes a view or a place."""
    if (not call.writes and not call.makes) or call.name in EMPTY:
        return []

    def operation(
        name: str, how: str, operands: Any, keywords: Any, targets: Any
    ) -> list[Operation]:
        return [
            Operation(
                name, how, tuple(operands), dict(keywords), tuple(targets), call.function,
                call.random, call.phase, call.path, call.layer,
                call.parameter,
            )
        ]  # fmt: skip

    name = SPELLINGS.get(call.name, call.name)
    operands, keywords = _by_position(name, call.arguments, call.keywords)
    if name in REFLECTED:
        name, operands = REFLECTED[name], (operands[1], operands[0], *operands[2:])
    targets = _written(call, name, operands) or call.outputs
    whole = len(targets) == 1 and (call.writes or fills(targets[0], sizes[targets[0].storage]))
    if name in RECIPROCALS and whole:
        return [
            *operation("reciprocal", "out", operands[:1], {}, targets),
            *operation("mul", "out", (targets[0], operands[1]), {}, targets),
        ]
    if name in FILLED and whole:
        return operation("fill", "fill", (FILLED[name],), {}, targets)
    if name in FILLED_WITH_ARGUMENT and whole and len(operands) > FILLED_WITH_ARGUMENT[name]:
        number = operands[FILLED_WITH_ARGUMENT[name]]
        return operation("fill", "fill", (number,), {}, targets)
    if name == "copy_" and not keywords and operands[1].shape == operands[0].shape:
        return operation("copy", "copy", operands[1:], {}, targets)
    if name in COPIES and whole:
        target = _reshaped(targets[0], operands[0].shape)
        if target is not None:
            return operation("copy", "copy", operands[:1], {}, (target,))
    if "out" in keywords:
        keywords = {key: value for key, value in keywords.items() if key != "out"}
        if name in WITH_OUT and whole and operands:
            return operation(name, "out", operands, keywords, targets)
    elif call.writes:
        if name.removesuffix("_") in WITH_OUT and whole and targets == operands[:1]:
            return operation(name.removesuffix("_"), "out", operands, keywords, targets)
    elif whole:
        name, operands, keywords = _equal_in_bits(name, operands, keywords)
        if name in WITH_OUT and operands:
            return operation(name, "out", operands, keywords, targets)
    how = "in place" if call.writes else "opaque"
    return operation(call.name, how, call.arguments, call.keywords, targets)


def _by_position(
    name: str, operands: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call's arguments with those operands by position that were passed by name."""
    names = OPERANDS.get(name.removesuffix("_"), OPERANDS.get(name, ("input", "other")))
    keywords = dict(keywords)
    for each in names[len(operands) :]:
        if each not in keywords:
            break
        operands = (*operands, keywords.pop(each))
    return operands, keywords


def _written(call: Call, name: str, operands: tuple[Any, ...]) -> tuple[View, ...]:
    """The views that a call writes to.

    A known call writes to `out` or to its first operand. Of an unknown one is known what was
    seen: views of one storage count their versions together, and the operands among them, too.
    """
    out = call.keywords.get("out")
    in_place = name.removesuffix("_") in WITH_OUT or name in FILLS or name == "copy_"
    if out in call.writes and name in WITH_OUT:
        return (out,)
    if out is None and in_place and operands and operands[0] in call.writes:
        return operands[:1]
    return tuple(dict.fromkeys(call.writes))


def _equal_in_bits(
    name: str, operands: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Another spelling with `out=` that computes the same bits, where there is one."""
    if name == "relu":
        return "clamp_min", (*operands, 0), keywords
    if name in ("sum", "mean") and len(operands) == 1 and not keywords:
        return name, (*operands, list(range(len(operands[0].shape)))), keywords
    if name == "matmul" and [len(each.shape) for each in operands] == [2, 2]:
        return "mm", operands, keywords
    if name == "matmul" and [len(each.shape) for each in operands] == [2, 1]:
        return "mv", operands, keywords
    return name, operands, keywords


def _reshaped(view: View, shape: tuple[int, ...]) -> View | None:
    """The same elements under another shape, where the view is contiguous; else None."""
    if view.shape == shape:
        return view
    strides = contiguous_strides(view.shape)
    if view.stride != strides:
        return None
    return replace(view, shape=shape, stride=contiguous_strides(shape))


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


def _do_repeated_work_once(plan: Plan) -> None:
    """An operation on the same values as an earlier one is replaced by that one's result."""
    writers = Counter(view.storage for each in plan.operations for view in each.targets)
    versions: Counter[int] = Counter()
    done: dict[Any, View] = {}
    instead: dict[int, int] = {}
    kept = []
    for operation in plan.operations:
        operation = operation.with_views(
            lambda view: replace(view, storage=instead.get(view.storage, view.storage))
        )
        target = operation.target
        key = _fingerprint(operation, versions)
        pure = (
            operation.how == "out"
            and not operation.random
            and plan.storages[target.storage].kind == TEMPORARY
            and writers[target.storage] == 1
        )
        if pure and key in done and _same_but_storage(done[key], target):
            instead[target.storage] = done[key].storage
            continue
        if pure:
            done[key] = target
        for view in operation.targets:
            versions[view.storage] += 1
        kept.append(operation)
    plan.operations = kept
    plan.results = {
        name: replace(view, storage=instead.get(view.storage, view.storage))
        for name, view in plan.results.items()
    }


def _fingerprint(operation: Operation, versions: Counter[int]) -> str:
    read = [versions[view.storage] for view in operation.reads()]
    return repr((operation.name, operation.operands, sorted(operation.keywords.items()), read))


def _same_but_storage(one: View, other: View) -> bool:
    return replace(one, storage=0) == replace(other, storage=0)


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
            if fills(view, plan.storages[view.storage].size):
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
        if not (born_here and fills(target, plan.storages[target.storage].size)):
            continue
        read = operation.reads()
        for view in read:
            dies_here = spans.get(view.storage, (-1, -1))[1] == at
            alone = all(
                _same_but_storage(view, each) for each in read if each.storage == view.storage
            )
            if dies_here and alone and _same_but_storage(view, target):
                takes[target.storage] = takes.get(view.storage, view.storage)
                break
    return takes
