"""Calls: what a recording consists of, and windows on numbered storages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor


class NotRecordable(RuntimeError):
    """A step does something that a recording cannot hold; names the call and the layer."""


@dataclass(frozen=True)
class View:
    """A typed, strided window on a numbered storage; strides and offset count elements."""

    storage: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class Scalar:
    """A live scalar among a call's arguments."""

    tree: Any


Argument: TypeAlias = Any
"""A View, a Scalar, a constant, or a list, tuple or dict of such."""


@dataclass
class Call:
    """One tensor call of the step, and what it was seen to do."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    keywords: dict[str, Argument]
    outputs: tuple[View, ...]
    writes: tuple[View, ...]
    makes: tuple[int, ...]
    """Storages that did not exist before the call."""
    random: bool
    phase: str
    """"forward", "loss", "backward" or "update"."""
    path: str
    layer: str
    parameter: str
    """The path of the parameter that is learning, where one is."""

    def essence(self) -> tuple[Any, ...]:
        """What must be the same in two recordings of one step."""
        return (
            self.name,
            self.arguments,
            sorted(self.keywords.items()),
            self.outputs,
            self.writes,
            self.makes,
            self.phase,
            self.path,
        )

    def where(self) -> str:
        """The call and its layer, for messages."""
        return f"{self.name} in {describe_place(self.phase, self.path, self.layer)}"


def describe_place(phase: str, path: str, layer: str) -> str:
    """ "the backward of 2.branch.0: FullyConnected(64, 10)"."""
    if not layer:
        return f"the {phase}"
    return f"the {phase} of {path}: {layer}" if path else f"the {phase} of {layer}"


@dataclass
class Recording:
    """The straight line of calls, and the storages it works on.

    Attributes:
        calls: in order.
        sizes: bytes of each storage.
        outside: tensors that were there before the step, one a storage.
        named: names for some storages ("input", "weight_0" …).
        results: views of what the caller receives.
    """

    calls: list[Call] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    outside: dict[int, Tensor] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)
    results: dict[str, View] = field(default_factory=dict)

    def view_of(self, storage: int) -> View:
        """The outside tensor of a storage, as it was first seen."""
        return geometry(self.outside[storage], storage)


def geometry(tensor: Tensor, storage: int) -> View:
    """The window that a tensor is on its storage."""
    offset = int(tensor.storage_offset())
    return View(storage, tensor.dtype, tuple(tensor.shape), tensor.stride(), offset)


def map_nested(change: Callable[[Any], Any], value: Any) -> Any:
    """The same lists, tuples and dicts with every leaf changed."""
    if isinstance(value, tuple) and not isinstance(value, torch.Size):
        return tuple(map_nested(change, each) for each in value)
    if isinstance(value, list):
        return [map_nested(change, each) for each in value]
    if isinstance(value, dict):
        return {key: map_nested(change, each) for key, each in value.items()}
    return change(value)


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    found: list[Tensor] = []

    def collect(each: Any) -> None:
        if isinstance(each, Tensor):
            found.append(each)

    map_nested(collect, value)
    return found
