"""Source: a plan written out as one flat Python function, which is the code that runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from keyword import iskeyword
from typing import Any

import torch

from backhand.program.calls import Scalar, View
from backhand.program.plan import (
    ARGUMENT,
    TEMPORARY,
    Operation,
    Plan,
    scalars_in,
)
from backhand.program.primitives import COMMUTATIVE
from backhand.program.scalars import source as scalar_source

WIDTH = 76
"""The column at which the comments stand."""


@dataclass
class Source:
    """The text of a step, and what its names stand for.

    Attributes:
        text: Python; defines one function of the live scalars.
        function: its name.
        scalar_names: the live scalars it takes after the arguments, in order.
        views: names that stand for tensors.
        numbers: names that stand for 0-dim tensors: a number and a dtype.
        objects: names that stand for something else (a generator, a recorded call).
        places: for each line of the text, where in the network it comes from.
    """

    text: str
    function: str
    scalar_names: tuple[str, ...]
    views: dict[str, View]
    numbers: dict[str, tuple[float, torch.dtype]]
    objects: dict[str, Any]
    places: dict[int, str]


def write_source(plan: Plan, function: str) -> Source:
    """Write a plan's operations out, grouped in forward, loss, backward with its updates."""
    return _Writer(plan).write(function)


class _Writer:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.views: dict[str, View] = {}
        self.names: dict[View, str] = {}
        self.numbers: dict[str, tuple[float, torch.dtype]] = {}
        self.objects: dict[str, Any] = {}
        self.functions: set[str] = set()
        self.rates = self._repeated_rates()
        self.arguments = {view.storage: name for name, view in plan.arguments.items()}
        self.names |= {view: name for name, view in plan.arguments.items()}
        self.turned: dict[str, View] = {}
        self.reserved = {*plan.arguments, *plan.scalar_names(), *self.rates.values()}

    def write(self, function: str) -> Source:
        body: list[tuple[str, str, str]] = []
        for tree, name in self.rates.items():
            body.append((f"{name} = {scalar_source(tree)}", "", ""))
        phase = ""
        for operation in self.plan.operations:
            part = "backward" if operation.phase == "update" else operation.phase
            if part != phase:
                body.append((f"# {part}", "", ""))
                phase = part
            body.append(
                (self._statement(operation), self._remark(operation), operation.place_in_network())
            )
        returned = ", ".join(self._name(view) for view in self.plan.results.values())
        body.append((f"return {returned or None}", "", ""))
        scalar_names = tuple(sorted(self.plan.scalar_names()))
        top = [(self._argument_view(name, view), "", "") for name, view in self.turned.items()]
        body = top + body
        parameters = (*self.plan.arguments, *scalar_names)
        lines = (
            [f"from torch import {', '.join(sorted(self.functions))}", ""] if self.functions else []
        )
        lines.append(f"def {function}({', '.join(parameters)}):")
        places: dict[int, str] = {}
        for code, remark, place in body:
            lines.append(f"    {code}".ljust(WIDTH) + f"  # {remark}" if remark else f"    {code}")
            places[len(lines)] = place
        text = "\n".join(lines) + "\n"
        return Source(text, function, scalar_names, self.views, self.numbers, self.objects, places)

    def _repeated_rates(self) -> dict[Any, str]:
        """Names for the live scalars that are computed, so that each is computed once."""
        trees: dict[Any, str] = {}
        for operation in self.plan.operations:
            for scalar in scalars_in((operation.operands, operation.keywords)):
                if not isinstance(scalar.tree, str):
                    trees.setdefault(scalar.tree, f"rate_{len(trees) + 1}" if trees else "rate")
        return trees

    def _statement(self, operation: Operation) -> str:
        if operation.how == "fill":
            return f"{self._name(operation.target)}.fill_({self._word(operation.operands[0])})"
        if operation.how == "copy":
            return f"{self._name(operation.target)}.copy_({self._word(operation.operands[0])})"
        if operation.how == "in place":
            return self._recorded_call(operation)
        if operation.how == "opaque":
            targets = ", ".join(self._name(target) for target in operation.targets)
            place = self._object(place_results, "place")
            return f"{place}(({targets},), {self._recorded_call(operation)})"
        return self._out(operation)

    def _out(self, operation: Operation) -> str:
        target, operands = operation.target, list(operation.operands)
        if (
            operation.name in COMMUTATIVE
            and not operation.keywords
            and self._same(operands[1], target)
        ):
            operands[:2] = operands[1::-1]
        words = [self._number(each, operation) for each in operands[1:]]
        words += [f"{key}={self._word(value)}" for key, value in operation.keywords.items()]
        if operation.name == "clamp_min" and words == ["0"] and self._same(operands[0], target):
            return f"{self._word(operands[0])}.relu_()"
        if operation.name == "addmm" and len(operands[0].shape) == 1:
            operands[0] = _repeated(operands[0], target.shape)
        method = f"{operation.name}_"
        if self._same(operands[0], target) and hasattr(torch.Tensor, method):
            return f"{self._word(operands[0])}.{method}({', '.join(words)})"
        self.functions.add(operation.name)
        words = [self._number(operands[0], operation), *words, f"out={self._name(target)}"]
        return f"{operation.name}({', '.join(words)})"

    def _recorded_call(self, operation: Operation) -> str:
        words = [self._word(each) for each in operation.operands]
        words += [f"{key}={self._word(value)}" for key, value in operation.keywords.items()]
        in_place = operation.how == "in place" and "out" not in operation.keywords
        is_method = in_place and hasattr(torch.Tensor, operation.name)
        if is_method and isinstance(operation.operands[0], View):
            return f"{words[0]}.{operation.name}({', '.join(words[1:])})"
        return f"{self._object(operation.function, operation.name)}({', '.join(words)})"

    def _remark(self, operation: Operation) -> str:
        target = operation.target
        storage = self.plan.storages[target.storage]
        layer = f"{operation.path}: {operation.layer}" if operation.path else operation.layer
        layer = " ".join("".join(c if c.isprintable() else " " for c in layer).split())
        shown = f"{storage.name} {target.shape}" if storage.kind == TEMPORARY else f"{target.shape}"
        return f"{shown}  {layer}".rstrip()

    def _same(self, value: Any, target: View) -> bool:
        """Whether an operand is the very memory that the operation writes to."""
        if not isinstance(value, View):
            return False
        mine, its = self.plan.storages[value.storage], self.plan.storages[target.storage]
        shared = mine.kind == its.kind == TEMPORARY and mine.place == its.place
        return value.lies_as(target) and (mine == its or shared)

    def _number(self, value: Any, operation: Operation) -> str:
        """A number as a 0-dim tensor, where that is faster and keeps every bit."""
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        dtype = operation.target.dtype
        exact = dtype in (torch.float32, torch.float64) and not operation.keywords
        if plain and (
            operation.name == "where"  # which takes nothing else, with a place for its result
            or (exact and operation.name in ("add", "div", "mul", "sub"))
        ):
            text = repr(value).replace("-", "minus_").replace(".", "_").replace("+", "")
            kind = {torch.float32: "", torch.float64: "_double"}.get(dtype, f"_{str(dtype)[6:]}")
            name = f"number_{text}{kind}"
            self.numbers[name] = (value, dtype)
            return name
        return self._word(value)

    def _word(self, value: Any) -> str:
        if isinstance(value, View):
            return self._name(value)
        if isinstance(value, Scalar):
            return self.rates.get(value.tree) or scalar_source(value.tree)
        if isinstance(value, list):
            return f"[{', '.join(self._word(each) for each in value)}]"
        if isinstance(value, tuple) and not isinstance(value, torch.Size):
            return f"({', '.join(self._word(each) for each in value)},)"
        if isinstance(value, torch.Size):
            return repr(tuple(value))
        if value is None or (
            isinstance(value, int | float | str) and value == value and abs_finite(value)
        ):
            return repr(value)
        return self._object(value, type(value).__name__.lower())

    def _object(self, value: Any, name: str) -> str:
        name = name.strip("_").replace(".", "_") + "_"
        while name in self.objects and self.objects[name] is not value:
            name += "_"
        self.objects[name] = value
        return name

    def _name(self, view: View) -> str:
        """A name for a view: its storage's, and how it is turned or cut where it is."""
        if view not in self.names:
            storage = self.plan.storages[view.storage]
            base = self.plan.names.get(view, storage.name)
            self.names[view] = name = self._unique(base + self._turned(view, storage.size))
            (self.turned if storage.kind == ARGUMENT else self.views)[name] = view
        return self.names[view]

    def _argument_view(self, name: str, view: View) -> str:
        """The line that makes a view of an argument, anew at each step."""
        function = self._object(turned_view, "turned")
        argument = self.arguments[view.storage]
        return f"{name} = {function}({argument}, {view.shape}, {view.stride}, {view.offset})"

    def _turned(self, view: View, size: int) -> str:
        whole = view.is_in_order and view.nbytes == size
        if view in self.plan.names or (whole and view.shape):
            return ""
        if view.stride and view.stride[0] == 0:
            return "_rows"
        if view.is_turned:
            return "_t"
        return f"_from_{view.offset}" if view.offset else ""

    def _unique(self, name: str) -> str:
        candidate, count = name, 1
        while (
            candidate in self.reserved
            or candidate in self.views
            or candidate in self.turned
            or iskeyword(candidate)
            or hasattr(torch, candidate)  # a function that the text may import
        ):
            count += 1
            candidate = f"{name}_v{count}"
        return candidate


def _repeated(bias: View, shape: tuple[int, ...]) -> View:
    """A bias as the rows it is added to, so that the call need not widen it each time."""
    return replace(bias, shape=shape, stride=(0, *bias.stride))


def turned_view(
    tensor: torch.Tensor, shape: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> torch.Tensor:
    """Another view of an argument's memory."""
    return tensor.as_strided(shape, stride, int(tensor.storage_offset()) + offset)


def place_results(targets: tuple[torch.Tensor, ...], results: Any) -> None:
    """Copy what an opaque call returned to its place in the plan."""
    found = results if isinstance(results, tuple | list) else (results,)
    for target, result in zip(targets, found, strict=True):
        target.copy_(result)


def abs_finite(value: Any) -> bool:
    """Whether a constant's repr is Python that makes it again."""
    return not isinstance(value, float) or value - value == 0
