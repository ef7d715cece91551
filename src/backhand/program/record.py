"""Recording: one step run under the eyes of a TorchFunctionMode, each tensor call written down.

The step really runs, on the batch it is given, but it changes nothing: a call that would write
to a tensor that was there before the step gets a stand-in to write to. No value is kept; memory
is known by weak references to storages. What a call does is observed, not looked up: it mutates
what it bumps the `_version` of, and two tensors alias if they share a storage. A step is recorded
twice, on different values, and whatever differs has been read from a tensor, a clock or a
counter: it is refused.
"""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from backhand.arguments import plain
from backhand.layer import Layer
from backhand.learning.parameter import Parameter
from backhand.learning.rules import UpdateRule
from backhand.program.calls import (
    Call,
    NotRecordable,
    Recording,
    Scalar,
    View,
    describe_place,
    geometry,
    map_nested,
    tensors_in,
)
from backhand.program.scalars import Live, number_of
from backhand.program.stand_ins import StandIns

SEES_ONLY_SHAPES = frozenset(
    "__get__ __len__ dim ndimension size stride storage_offset numel nelement element_size "
    "is_contiguous is_floating_point is_complex is_signed is_inference get_device type "
    "__repr__ __hash__ is_same_size".split()
)
"""Calls that return no tensor and read no value."""

REFUSED_ATTRIBUTES = frozenset(["data", "grad", "real", "imag"])


class Recorder(TorchFunctionMode):
    """Writes down the tensor calls made while it is entered.

    Args:
        paths: names of the layers, for places.
        scalar_values: true values of the live scalars' names, which calls are run with.
        payload: of the live scalars in this recording; see Live.
    """

    def __init__(
        self,
        paths: Mapping[Layer, str],
        scalar_values: Mapping[str, float],
        payload: float = math.nan,
    ) -> None:
        super().__init__()
        self.payload = payload
        self.recording = Recording()
        self.phase = "forward"
        self.outermost: FrameType | None = None
        """The frame to look no further than for the layer that makes a call."""
        self.generators: dict[torch.Generator, Tensor] = {}
        """The generators that calls were given, and their states before."""
        self._paths = paths
        self._reprs: dict[Layer, str] = {}
        self._owners = {
            parameter: (layer, f"{path}.{name}")
            for layer, path in paths.items()
            for name, parameter in layer.own_parameters().items()
        }
        self._scalar_values = scalar_values
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}

    def number_of(self, tensor: Tensor) -> int:
        """The number of a tensor's storage; a storage not seen before was there before the step."""
        found = self._lookup(tensor)
        if found is None:
            found = self._enter(tensor)
            self.recording.outside[found] = tensor
        elif found not in self.recording.outside:  # `out=` may have made it larger
            self.recording.sizes[found] = tensor.untyped_storage().nbytes()
        return found

    def view(self, tensor: Tensor) -> View:
        """The tensor as a window on its numbered storage."""
        return geometry(tensor, self.number_of(tensor))

    def _lookup(self, tensor: Tensor) -> int | None:
        storage = tensor.untyped_storage()
        reference, number = self._known.get(id(storage), (None, -1))
        return number if reference is not None and reference() is storage else None

    def _enter(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        number = len(self.recording.sizes)
        self._known[id(storage)] = (weakref.ref(storage), number)
        self.recording.sizes[number] = storage.nbytes()
        return number

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        attribute = getattr(getattr(func, "__self__", None), "__name__", "")
        if (name == "__get__" and attribute in REFUSED_ATTRIBUTES) or name == "__set__":
            self._refuse(f".{attribute}", "goes behind the recording")
        if name in SEES_ONLY_SHAPES and attribute not in ("T", "mT", "H", "mH"):
            return func(*args, **kwargs)
        return self._call(func, attribute if name == "__get__" else name, args, kwargs)

    def _call(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        phase, path, layer, parameter = self._place()
        written = (self._written(args), self._written(kwargs))
        stand_ins = (
            StandIns(self.recording.outside, self._lookup) if _may_write(name, kwargs) else None
        )
        seen: list[tuple[Tensor, Tensor]] = []

        def real(value: Any) -> Any:
            if isinstance(value, Live):
                return number_of(value.tree, self._scalar_values)
            if isinstance(value, float) and math.isnan(value):
                self._refuse(
                    name,
                    "got a number that is not a number; was it computed by math "
                    "or numpy from a learning rate or step number?",
                )
            if isinstance(value, Tensor):
                used = stand_ins.of(value) if stand_ins is not None else value
                seen.append((value, used))
                return used
            return value

        run_args, run_kwargs = map_nested(real, args), map_nested(real, kwargs)
        versions = [_version(used) for _, used in seen]
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, torch.Generator)]
        for generator in given:
            self.generators.setdefault(generator, generator.get_state())
        randomness = torch.default_generator.get_state()
        if stand_ins is not None and stand_ins.too_large:
            return self._write_unrun(func, name, args, kwargs)
        result = func(*run_args, **run_kwargs)
        drew = not torch.equal(randomness, torch.default_generator.get_state())
        mutated = [
            value
            for (value, used), before in zip(seen, versions, strict=True)
            if _version(used) != before
        ]
        if stand_ins is not None:
            result = map_nested(stand_ins.back, result)
        elif any(self._lookup(each) in self.recording.outside for each in mutated):
            self._refuse(name, "changes a tensor in place, and its name does not say so")
        if stand_ins is not None and any(
            used.is_inference() for value, used in seen if value is _destination(args, kwargs)
        ):
            self._refuse(
                name,
                "writes to an inference tensor, which keeps no count of it: make that outside of "
                "torch.inference_mode",
            )
        outputs = tensors_in(result)
        if not outputs and not mutated:
            self._refuse(name, "reads a tensor into Python")
        makes = []
        for output in outputs:
            if self._lookup(output) is None:
                makes.append(self._enter(output))
        call = Call(
            name,
            func,
            *written,
            tuple(self.view(each) for each in outputs),
            tuple(self.view(each) for each in mutated),
            tuple(makes),
            drew or bool(given),
            phase,
            path,
            layer,
            parameter,
        )
        self.recording.calls.append(call)
        return result

    def _write_unrun(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An in-place call on a large tensor that was there before: a stand-in for it would cost
        its memory, so the call is not run; by its name it writes to its first argument or out."""
        phase, path, layer, parameter = self._place()
        target = _destination(args, kwargs)
        view = (self.view(target),)
        written = (self._written(args), self._written(kwargs))
        made = Call(name, func, *written, view, view, (), False, phase, path, layer, parameter)
        self.recording.calls.append(made)
        return None if name == "__setitem__" else target

    def _written(self, value: Any) -> Any:
        """Arguments as they stand in the recording: views, scalars, and constants that engines
        write out, and so as Python's own numbers."""

        def write(each: Any) -> Any:
            if isinstance(each, Tensor):
                return self.view(each)
            return Scalar(each.tree) if isinstance(each, Live) else plain(each)

        return map_nested(write, value)

    def _place(self) -> tuple[str, str, str, str]:
        """Whose code is making a call: the phase, a layer's path and name, a parameter's path."""
        phase, parameter = self.phase, ""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame is not self.outermost:
            owner = frame.f_locals.get("self")
            if isinstance(owner, UpdateRule):
                phase = "update"
            elif isinstance(owner, Parameter) and owner in self._owners:
                owner, parameter = self._owners[owner]
            if isinstance(owner, Layer) and owner in self._paths:
                return phase, self._paths[owner], self._shown(owner), parameter
            frame = frame.f_back
        return phase, "", "", parameter

    def _shown(self, layer: Layer) -> str:
        """The layer as it prints, written once."""
        shown = self._reprs.get(layer)
        if shown is None:
            shown = self._reprs[layer] = repr(layer)
        return shown

    def _refuse(self, name: str, why: str) -> None:
        raise NotRecordable(f"{name} in {describe_place(*self._place()[:3])} {why}")


def _version(tensor: Tensor) -> int:
    """How often a tensor was written to; a tensor made in inference mode, which keeps no count,
    is refused where that may be."""
    return 0 if tensor.is_inference() else tensor._version


def _may_write(name: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether to guard what was there before: PyTorch's names for calls that write in place."""
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or "out" in kwargs or name == "__setitem__" or name.startswith("__i")


def _destination(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a call that writes is given to write to: `out`, else its first operand."""
    return kwargs["out"] if "out" in kwargs else [*args, *kwargs.values()][0]
