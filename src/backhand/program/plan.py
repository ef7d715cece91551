"""Plans: a recorded line as primitive operations on numbered storages, independent of engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from backhand.program.calls import Scalar, View, describe_place, map_nested
from backhand.program.primitives import OVERWRITING, POSITION_FREE
from backhand.program.scalars import source

ALIGNMENT = 64
"""Bytes; where each value in the arena begins, as in torch's own allocations."""

ARGUMENT, OUTSIDE, CONSTANT, TEMPORARY = "argument", "outside", "constant", "temporary"


@dataclass(frozen=True)
class Storage:
    """A block of memory that an operation works on.

    Attributes:
        number: which one.
        size: bytes.
        kind: "argument" (given for each step), "outside" (there before: weights, state),
            "constant" (made once, when the plan is bound) or "temporary" (in the arena).
        name: as printed.
        place: where in the arena a temporary begins, in bytes; shared with others that it
            never lives together with.
    """

    number: int
    size: int
    kind: str
    name: str
    place: int = 0


@dataclass(frozen=True)
class Operation:
    """One primitive: reads the views among its operands, then writes its targets.

    Attributes:
        name: a primitive's, or the recorded call's where it is not known.
        how: "out" (the function of that name writes to its target), "copy", "fill", "in place"
            (the recorded call, on its own first operand), or "opaque" (the recorded call,
            whose results are then copied to the targets).
        operands, keywords: views, live scalars and constants, nested as the call had them.
        targets: what is written.
        function: the recorded call, where `how` needs it.
        random: whether it draws from a generator.
        phase, path, layer: where in the step and the network it comes from.
        parameter: the path of the parameter that learns by it, where one does.
    """

    name: str
    how: str
    operands: tuple[Any, ...]
    keywords: dict[str, Any]
    targets: tuple[View, ...]
    function: Callable[..., Any]
    random: bool
    phase: str
    path: str
    layer: str
    parameter: str

    def reads(self) -> tuple[View, ...]:
        """The views whose values it uses."""
        return self._reads

    @cached_property
    def _reads(self) -> tuple[View, ...]:
        skipped = 1 if self.overwrites else 0
        return tuple(views_in((self.operands[skipped:], self.keywords)))

    def touched(self) -> tuple[View, ...]:
        """The views that it reads or writes."""
        return (*self.reads(), *self.targets)

    @property
    def overwrites(self) -> bool:
        """Whether it writes in place to its first operand and does not read what was there."""
        return self.how == "in place" and self.name in OVERWRITING

    @property
    def is_position_free(self) -> bool:
        """Whether it gives an element the same bits wherever that stands."""
        return self.name in POSITION_FREE

    @property
    def multiplications(self) -> int:
        """Of a matrix product or a convolution; 0 of anything else."""
        if self.name in ("conv1d", "conv2d"):
            kernel = self.operands[1]
            return int(self.target.count * kernel.count // max(kernel.shape[0], 1))
        if self.name in ("conv_transpose1d", "conv_transpose2d"):
            source, kernel = self.operands[:2]
            return int(source.count * kernel.count // max(kernel.shape[0], 1))
        if self.name not in ("mm", "addmm", "mv", "addmv", "bmm", "baddbmm"):
            return 0
        columns = self.target.shape[-1] if "mv" not in self.name else 1
        return int(self.operands[-2].count * columns)

    def placed(self, path: str, layer: str, parameter: str) -> Operation:
        """The same operation at another place in the network."""
        return replace(self, path=path, layer=layer, parameter=parameter)

    def with_views(self, change: Callable[[View], View]) -> Operation:
        """The same operation on changed views."""

        def each(value: Any) -> Any:
            return change(value) if isinstance(value, View) else value

        return replace(
            self,
            operands=map_nested(each, self.operands),
            keywords=map_nested(each, self.keywords),
            targets=tuple(change(target) for target in self.targets),
        )

    @property
    def target(self) -> View:
        """What is written, where that is one view."""
        return self.targets[0]

    def place_in_network(self) -> str:
        """Where it comes from, for messages."""
        return describe_place(self.phase, self.path, self.layer)


@dataclass
class Plan:
    """A step's operations in order, and the memory they work on.

    Attributes:
        operations: one after another, once a step.
        preparations: operations that make the constants, once.
        storages: by number.
        arguments: the views given for each step, by name ("input", "target").
        results: the views the caller receives, by name ("loss", "prediction").
        names: of views that were there before the step ("weight_0").
        arena: bytes that all temporaries share.
    """

    operations: list[Operation]
    preparations: list[Operation]
    storages: dict[int, Storage]
    arguments: dict[str, View]
    results: dict[str, View]
    names: dict[View, str] = field(default_factory=dict)
    arena: int = 0

    def scalar_names(self) -> set[str]:
        """The names of the live scalars that the operations use."""
        found: set[str] = set()

        def names_in(tree: Any) -> None:
            if isinstance(tree, tuple):
                for each in tree[1:]:
                    names_in(each)
            elif isinstance(tree, str):
                found.add(tree)

        for operation in self.operations:
            for scalar in scalars_in((operation.operands, operation.keywords)):
                names_in(scalar.tree)
        return found

    @property
    def only_predicts(self) -> bool:
        """Whether it goes forward only."""
        return all(each.phase == "forward" for each in self.operations)

    def varying(self) -> set[int]:
        """The storages whose values depend on the arguments of a step."""
        found = {view.storage for view in self.arguments.values()}
        for operation in self.operations:
            if any(view.storage in found for view in operation.reads()):
                found |= {view.storage for view in operation.targets}
        return found

    def writes_to(self, view: View) -> bool:
        """Whether some operation writes to the storage of a view."""
        targets = (target for each in self.operations for target in each.targets)
        return any(target.storage == view.storage for target in targets)

    def needs_alignment(self, view: View) -> bool:
        """Whether the bits of some result depend on where in memory a view's storage begins."""
        users = [
            each for each in self.operations if any(v.storage == view.storage for v in each.reads())
        ]
        return any(each.name not in POSITION_FREE for each in users)

    def lifetimes(self) -> dict[int, tuple[int, int]]:
        """For each temporary, the first and the last operation that it must be kept for."""
        spans: dict[int, tuple[int, int]] = {}
        for at, operation in enumerate(self.operations):
            for view in (*operation.reads(), *operation.targets):
                first, _ = spans.get(view.storage, (at, at))
                spans[view.storage] = (first, at)
        for view in self.results.values():
            if view.storage in spans:
                spans[view.storage] = (spans[view.storage][0], len(self.operations))
        return {n: span for n, span in spans.items() if self.storages[n].kind == TEMPORARY}

    def __str__(self) -> str:
        spans = self.lifetimes()
        lines = [f"arena {self.arena} bytes"]
        for number, storage in sorted(self.storages.items()):
            lives = (
                "lives {}-{} at {}".format(*spans[number], storage.place) if number in spans else ""
            )
            lines.append(f"  {storage.name}: {storage.kind}, {storage.size} bytes {lives}".rstrip())
        lines += ["prepare", *(f"  {self.written(each)}" for each in self.preparations)]
        lines += ["step", *(f"  {self.written(each)}" for each in self.operations)]
        lines += [f"give {name}: {self._named(view)}" for name, view in self.results.items()]
        return "\n".join(lines)

    def written(self, operation: Operation) -> str:
        """The operation as it is printed: what it writes, what it does, what it reads."""
        words = [self._word(each) for each in operation.operands]
        words += [f"{name}={self._word(each)}" for name, each in operation.keywords.items()]
        targets = ", ".join(self._named(target) for target in operation.targets)
        return f"{targets} <- {operation.name}({', '.join(words)})"

    def _word(self, value: Any) -> str:
        if isinstance(value, View):
            return self._named(value)
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._word(each) for each in value)}]"
        return source(value.tree) if isinstance(value, Scalar) else repr(value)

    def _named(self, view: View) -> str:
        return f"{self.storages[view.storage].name}{list(view.shape)}"


def views_in(value: Any) -> list[View]:
    """All views in nested lists, tuples and dicts."""
    return list(_leaves(value, View))


def scalars_in(value: Any) -> list[Scalar]:
    """All live scalars in nested lists, tuples and dicts."""
    return list(_leaves(value, Scalar))


def _leaves(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each, kind)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each, kind)
