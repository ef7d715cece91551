"""Kernels: operations that are equal up to where their memory lies, written once as a function.

A step's operations fall into groups, each of which is one piece of C: a loop of elementwise ones,
or one operation of another kind. Of a step with few groups each is written where it stands, in
one function. Of a larger one each *different* group becomes a function of pointers, a kernel, and
the step a list of calls: numbers that are handed over when the step is bound. So the C, and the
time to compile it, grow with what differs, not with depth, time or members, and a network twice
as deep may have the very same C.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from backhand.program.calls import Scalar, View, map_nested, meaning
from backhand.program.engines.native import elementwise
from backhand.program.engines.native.copying import joined_copies
from backhand.program.engines.native.layout import Bytes, bytes_of
from backhand.program.engines.native.writer import Frame, Writer
from backhand.program.plan import TEMPORARY, Operation, Plan, scalars_in, views_in
from backhand.program.scalars import Tree


@dataclass(frozen=True)
class Group:
    """Operations that are one piece of C.

    Attributes:
        begin: the place of the first one in the plan.
        operations: one after another.
        kept: of a loop, whether what each writes must reach memory; none for another operation.
    """

    begin: int
    operations: Sequence[Operation]
    kept: tuple[bool, ...]


def groups_of(writer: Writer) -> list[Group]:
    """The operations of the writer's plan, in groups."""
    operations = writer.plan.operations
    found: list[Group] = []
    position = 0
    while position < len(operations):
        end = position + 1
        copies = joined_copies(operations[position])
        if elementwise.is_elementwise(operations[position]):
            end = position + elementwise.together(writer, position)
            kept = elementwise.kept(writer, position, end)
            found.append(Group(position, operations[position:end], kept))
        elif copies is not None:
            found += [Group(position, [each], (True,)) for each in copies]
        else:
            found.append(Group(position, operations[position:end], ()))
        position = end
    return found


@dataclass(frozen=True)
class Call:
    """A group as a call: what it has in common with others, and what it is called on.

    Attributes:
        frame: its memory and live scalars as the kernel knows them.
        signature: equal for groups that one kernel serves.
        pointers: where each of the frame's pointers points: a storage, and bytes from its begin.
        scalars: the live scalars.
    """

    frame: Frame
    signature: Hashable
    pointers: list[tuple[int, int]]
    scalars: list[Tree]


def call_of(writer: Writer, group: Group) -> Call:
    """A group as a call."""
    trees = [(each.operands, each.keywords) for each in group.operations]
    scalars = list(dict.fromkeys(each.tree for each in scalars_in(trees)))
    touched = dict.fromkeys(_views(group.operations))
    views = [view for view in touched if view.storage not in writer.numbers]
    places = {view: bytes_of(writer.plan, view) for view in views}
    number = _clusters(places)
    first: dict[int, View] = {}
    for view in views:
        first.setdefault(number[view], view)
    order = {cluster: at for at, cluster in enumerate(first)}
    begins = {cluster: places[view].begin for cluster, view in first.items()}
    frame = Frame(
        pointers=tuple(view.dtype for view in first.values()),
        places={
            view.origin: (order[number[view]], places[view].begin - begins[number[view]])
            for view in views
        },
        scalars={tree: at for at, tree in enumerate(scalars)},
    )
    pointers = [(view.storage, _begin(writer.plan, view)) for view in first.values()]
    return Call(frame, (_signature(writer, group, frame), group.kept), pointers, scalars)


def _views(operations: Sequence[Operation]) -> Iterator[View]:
    for each in operations:
        yield from views_in((each.operands, each.keywords))
        yield from each.targets


def _begin(plan: Plan, view: View) -> int:
    """Bytes from where its storage begins, of a temporary from where the arena does."""
    storage = plan.storages[view.storage]
    place = storage.place if storage.kind == TEMPORARY else 0
    return place + view.offset * view.dtype.itemsize


def _clusters(places: dict[View, Bytes]) -> dict[View, int]:
    """Views by number: those whose bytes meet have one, all others lie apart."""
    found: dict[View, int] = {}
    cluster = 0
    in_order = sorted(places.items(), key=lambda item: (item[1].space, item[1].begin))
    for _, several in groupby(in_order, key=lambda item: item[1].space):
        cluster, end = cluster + 1, 0
        for view, place in several:
            if place.begin >= end:
                cluster += 1
            end = max(end, place.end)
            found[view] = cluster
    return found


def _parts(operation: Operation) -> tuple[Any, ...]:
    return operation.operands, operation.keywords, operation.targets


def _signature(writer: Writer, group: Group, frame: Frame) -> Hashable:
    """What decides over a kernel's text, pointers and scalars by their numbers."""

    def numbered(value: Any) -> Any:
        if isinstance(value, Scalar):
            return "scalar", frame.scalars[value.tree]
        if not isinstance(value, View):
            return value
        lies = value.dtype, value.shape, value.stride, value.storage in writer.varying
        if value.storage in writer.numbers:
            return "number", writer.numbers[value.storage], *lies
        return "view", *frame.places[value.origin], *lies

    return tuple(
        (each.name, each.how, meaning(map_nested(numbered, _parts(each))))
        for each in group.operations
    )
