"""Layer: the contract every layer keeps.

The law: forward changes nothing; backward is the only place where anything changes;
the outermost backward settles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

from backhand.arguments import checked_rate, instance, shown
from backhand.constructed import constructor_of, written
from backhand.given import (
    NUMBERS,
    REFUSALS,
    WHOLE_AS_INPUT,
    Given,
    NotNumbers,
    are_tensors,
    in_dtypes,
)
from backhand.learning.buffer import Buffer
from backhand.learning.gates import Gate
from backhand.learning.parameter import Parameter, lay_side_by_side
from backhand.learning.rules import UpdateRule
from backhand.learning.settling import settled_after
from backhand.learning.storage import checked_target
from backhand.values import (
    Shape,
    Value,
    aligned_all,
    dtype_of,
    misfit,
    ordinary,
    plain_shape,
    settled,
    shape_of,
)

SameLayer = TypeVar("SameLayer", bound="Layer")
Part = TypeVar("Part", Parameter, Buffer)


class LayerError(ValueError):
    """A layer was given what it cannot take; the message begins with its path in the network."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str] = []

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{'.'.join(self.path)}: {message}" if self.path else message


class Layer:
    """A function with weights, and its derivative, both written by hand.

    An author writes `forward` and `propagate`. A user calls the layer, then `backward`;
    `predict` is for use after training. One tensor, or a tuple of them, goes in and comes out; a
    user may give numbers in an array, a list or a data frame in a tensor's place (see `as_input`).
    """

    last_input: Value | None = None
    """The input of the last call (not of `predict`); None before the first."""

    _awaiting_backward: tuple[Any, Shape, Any] | None = None

    passing = frozenset({"last_input", "_awaiting_backward"})
    """Attributes that go from call to call. A recorded step depends on all others of a layer, and
    of whatever hangs there; a class that keeps more of the kind names it likewise."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if isinstance(value, Parameter):
            value.note_place()

    # What an author of a layer writes.

    def forward(self, input: Any, training: bool) -> tuple[Any, Any]:
        """Return the output and the memory that `propagate` will need. Changes nothing."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def propagate(self, error: Any, memory: Any, learning_rate: float) -> Any:
        """Form the input error from the old weights, then learn, then return the input error.

        Args:
            error: dLoss/dOutput, of the output's shape; never written to.
            memory: what `forward` returned beside the output.
            learning_rate: passed on to every parameter's `learn…`.

        Returns:
            dLoss/dInput, of the input's shape; None for an input without a derivative.
        """
        raise NotImplementedError(f"{type(self).__name__} has no propagate")

    # What a user calls.

    def __call__(self, input: Given) -> Any:
        """The forward half of a training step: returns the output, keeps what backward needs."""
        self._awaiting_backward = None  # whatever happens, not the call before
        input = self.as_input(input)
        output, memory = forward_of(self, self.settled_input(input), True)
        self.last_input = input
        self._awaiting_backward = (memory, shape_of(output), dtype_of(output))
        return output

    def backward(self, error: Given, learning_rate: float | Tensor) -> Any:
        """Pass the error back through the last call, learning on the way.

        Args:
            error: dLoss/dOutput of the last call, of its output's shape; numbers that are no
                tensor become one of its output's dtype.
            learning_rate: finite, at least 0; a number, or a tensor of one.

        Returns:
            The input error dLoss/dInput, computed from the weights before this update.

        Raises:
            RuntimeError: no call is waiting for its backward.
            LayerError: the error's shape or dtype is not the output's.
            ValueError: the learning rate is negative, infinite or not a number.
        """
        if self._awaiting_backward is None:
            raise RuntimeError(
                f"{self!r}.backward: no call is waiting for it; "
                "call the layer first, and backward once for each call"
            )
        rate = checked_rate(learning_rate)
        memory, expected, dtype = self._awaiting_backward
        error = self._as_error(error, dtype)
        shape = shape_of(error)
        if shape != expected:
            raise LayerError(
                f"{self!r}.backward expected an error of its output's shape "
                f"{plain_shape(expected)}, got {plain_shape(shape)}"
            )
        if dtype_of(error) != dtype:
            raise LayerError(
                f"{self!r}.backward expected an error of its output's dtype {dtype}, "
                f"got {dtype_of(error)}"
            )
        self._awaiting_backward = None
        return ordinary(settled_after(self._propagate, error, memory, rate))

    def _propagate(self, error: Value, memory: Any, learning_rate: float) -> Any:
        try:
            error = aligned_all(error)
        except RuntimeError:
            self.expect_value(error, "an error")
            raise
        return self.propagate(error, memory, learning_rate)

    def predict(self, input: Given) -> Any:
        """Return the output as in use after training (no dropout, say); keep nothing."""
        input = self.as_input(input)
        return forward_of(self, self.settled_input(input), False)[0]

    def as_input(self, given: Given, known: dict[Any, Any] | None = None) -> Any:
        """What a user gives as input, as tensors; those that are given stay as they are.

        An array, a list or a data frame of floats becomes a tensor of the weights' dtype. Whole
        numbers become floats, too, where the layer takes one row of them so, else int64 (tokens,
        lengths); truth values stay so where it takes that (masks). A tuple holds several inputs.

        Args:
            given: of the input's shape.
            known: for a caller to keep: the dtypes that were found by trying.

        Raises:
            LayerError: something in it is no number, or its rows differ in length.
        """
        if are_tensors(given):
            return given
        with self._expecting("an input"):
            return in_dtypes(given, self.float_dtype(), self._takes, WHOLE_AS_INPUT, known)

    def _as_error(self, given: Given, dtype: Any) -> Any:
        if are_tensors(given):
            return given
        floats = dtype if isinstance(dtype, torch.dtype) else self.float_dtype()
        with self._expecting("an error"):
            return in_dtypes(given, floats, lambda _: True, WHOLE_AS_INPUT)

    @contextmanager
    def _expecting(self, what: str) -> Iterator[None]:
        try:
            yield
        except NotNumbers as problem:
            message = f"{shown(self)} expected {what} of {NUMBERS}, got {problem}"
            raise LayerError(message) from None

    def _takes(self, input: Any) -> bool:
        try:
            self.predict(input)
        except REFUSALS:
            return False
        return True

    def float_dtype(self) -> torch.dtype:
        """The dtype of the first weight or buffer of floats; without one, torch's default."""
        for _, layer in self.layers_by_path():
            parts: list[Parameter | Buffer] = [*layer.own_parameters().values()]
            for part in [*parts, *layer.own_buffers().values()]:
                dtype: torch.dtype = part.value.dtype
                if dtype.is_floating_point:
                    return dtype
        return torch.get_default_dtype()

    def check_values(self, input: Any) -> None:
        """Refuse input values that this layer cannot take, as tokens out of range.

        They are read once, at the door of `fit`, `TrainingStep` and `Prediction`; a container
        hands its input on to the layers that see it as it is.

        Raises:
            LayerError: a value is out of range; names the layer.
        """

    # The layers, parameters and buffers inside.

    def children(self) -> dict[str, Layer]:
        """The layers directly inside, by name: attributes that are layers, or lists of them."""
        found: dict[str, Layer] = {}
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                found[name] = value
            elif isinstance(value, list | tuple):
                items = ((f"{name}.{i}", item) for i, item in enumerate(value))
                found.update((path, item) for path, item in items if isinstance(item, Layer))
        return found

    def layers_by_path(self) -> Iterator[tuple[str, Layer]]:
        """This layer (path "") and all inside, parents first, each once, by its first path."""
        seen: set[Layer] = set()
        waiting: list[tuple[str, Layer]] = [("", self)]
        while waiting:
            path, layer = waiting.pop()
            if layer in seen:  # and so all inside it: paths double at every level
                continue
            seen.add(layer)
            yield path, layer
            inside = reversed(layer.children().items())
            waiting += [(f"{path}.{name}" if path else name, child) for name, child in inside]

    def own_parameters(self) -> dict[str, Parameter]:
        """The parameters directly in this layer, by attribute name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    def own_buffers(self) -> dict[str, Buffer]:
        """The buffers directly in this layer, by attribute name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Buffer)}

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter inside by path ("2.branch.0.weight"); a shared one by its first path."""
        return self._by_path(Layer.own_parameters)

    def buffers(self) -> dict[str, Buffer]:
        """Every buffer inside by path ("0.mean"); a shared one by its first path."""
        return self._by_path(Layer.own_buffers)

    def _by_path(self, own: Callable[[Layer], dict[str, Part]]) -> dict[str, Part]:
        found: dict[str, Part] = {}
        seen: set[Part] = set()
        for path, layer in self.layers_by_path():
            for name, part in own(layer).items():
                if part not in seen:
                    seen.add(part)
                    found[f"{path}.{name}" if path else name] = part
        return found

    def parts(self) -> dict[str, Parameter | Buffer]:
        """Every parameter and buffer inside by path: what is learnt, and so what is saved."""
        return {**self.parameters(), **self.buffers()}

    def lasting_tensors(self) -> dict[str, Tensor]:
        """Every tensor that lasts from one step to the next, by path.

        Weights ("0.weight"), what rules remember of them ("0.weight.velocity"), what gates have
        summed ("0.weight.gate.sum"), buffers ("1.mean").
        """
        found: dict[str, Tensor] = {}
        for path, part in self.parts().items():
            for name, tensor in part.tensors().items():
                found[f"{path}.{name}" if name else path] = tensor
        for path, parameter in self.parameters().items():
            held = parameter.gate.tensors(parameter) if parameter.gate is not None else {}
            found.update({f"{path}.gate.{name}": tensor for name, tensor in held.items()})
        return found

    # What holds for all parameters and buffers inside at once.

    def learn_with(
        self: SameLayer, rule: UpdateRule, where: Callable[[Parameter], bool] | None = None
    ) -> SameLayer:
        """Set the update rule of the parameters inside, with fresh state.

        Args:
            rule: what updates them.
            where: chooses among them, each given by itself; default all. What is not chosen keeps
                the rule it has: `network.learn_with(AdamW(weight_decay=0.0))`, then
                `network.learn_with(AdamW(), where=lambda weight: weight.value.dim() > 1)`, decays
                no bias and no norm.

        Raises:
            TypeError: the rule is none, as a class or a name.
            ValueError: there are parameters, and `where` chooses none.
        """
        instance(f"{type(self).__name__}.learn_with", "rule", rule, UpdateRule)
        found = self.parameters().values()
        parameters = [each for each in found if where is None or where(each)]
        if found and not parameters:
            raise ValueError(f"learn_with: where chose none of {len(found)} parameters")
        for parameter in parameters:
            parameter.learn_with(rule)
        lay_side_by_side(parameters)
        return self

    def gate_with(self: SameLayer, gate: Gate | None) -> SameLayer:
        """Set one gate before every parameter inside (None: learn at once, as at first)."""
        if gate is not None:
            instance(f"{type(self).__name__}.gate_with", "gate", gate, Gate)
        for parameter in self.parameters().values():
            parameter.gate_with(gate)
        return self

    def freeze(self: SameLayer, frozen: bool = True) -> SameLayer:
        """Keep all parameters and buffers inside as they are; `freeze(False)` lets them learn.

        What was never updated under its rule has no state while it is frozen; else the state waits.
        """
        for part in self.parts().values():
            part.frozen = frozen
        lay_side_by_side(self.parameters().values())
        return self

    def to(self: SameLayer, target: torch.dtype | torch.device | str) -> SameLayer:
        """Convert every parameter, its state and every buffer, in this very layer.

        A dtype is for floating-point tensors, and buffers that keep their own are left alone.

        Raises:
            TypeError: neither a floating-point dtype nor a device.
        """
        target = checked_target(type(self).__name__, target)
        for part in self.parts().values():
            part.to(target)
        return self

    # How a layer is written down.

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, from attributes of the same names: for `save` and `repr`."""
        names = list(constructor_of(self))
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            raise AttributeError(
                f"{type(self).__name__} keeps no attribute {missing[0]!r}, which its constructor "
                "takes; keep it, or override settings()"
            )
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        try:
            return written(self, self.settings())
        except AttributeError:
            return f"{type(self).__name__}(…)"

    # Checks for authors; no tensor is read for them.

    def settled_input(self, input: Any) -> Any:
        """The input as `forward` takes it: without autograd's history, contiguous and aligned.

        Raises:
            LayerError: it is neither a dense tensor nor a tuple of such.
        """
        try:
            return settled(input)
        except (AttributeError, RuntimeError):  # looked into where it fails: calls are many
            self.expect_value(input, "an input")
            raise

    def expect_value(self, value: Any, name: str) -> None:
        """Refuse what is neither a dense tensor nor a tuple of such."""
        found = misfit(value)
        if found is not None:
            raise LayerError(
                f"{shown(self)} expected {name} of a dense tensor or a tuple of such, got {found}"
            )

    def expect_tensor(self, input: Any, floats: bool = True) -> None:
        """Refuse an input that is not one tensor, dense, and of floats where they are wanted."""
        if not isinstance(input, Tensor):
            raise LayerError(f"{self!r} expected one tensor, got a {type(input).__name__}")
        if input.layout is not torch.strided:
            raise LayerError(f"{self!r} expected a dense tensor, got one of {input.layout}")
        if floats and not input.is_floating_point():
            raise LayerError(f"{self!r} expected a tensor of floats, got {input.dtype}")

    def expect_like(self, input: Tensor, like: Tensor) -> None:
        """Refuse an input that is of another dtype or on another device than `like`."""
        if input.dtype is not like.dtype:
            raise LayerError(f"{self!r} expected input of {like.dtype}, got {input.dtype}")
        self.expect_beside(input, like)

    def expect_beside(self, input: Tensor, like: Tensor) -> None:
        """Refuse an input that is on another device than `like`."""
        if input.device != like.device:
            raise LayerError(f"{self!r} expected input on {like.device}, got {input.device}")

    def expect_features(self, input: Tensor, features: int, like: Tensor) -> None:
        """Refuse an input whose last axis is not `features` long, or that is not as `like` is."""
        self.expect_tensor(input, floats=False)
        if input.shape[-1:] != (features,):
            raise LayerError(
                f"{self!r} expected input (batch, {features}), got {tuple(input.shape)}"
            )
        self.expect_like(input, like)


def forward_of(layer: Layer, input: Any, training: bool) -> tuple[Any, Any]:
    """The layer's output and memory.

    Raises:
        TypeError: its forward returned something else.
    """
    found = layer.forward(input, training)
    if not isinstance(found, tuple) or len(found) != 2:
        kind = f"a tuple of {len(found)}" if isinstance(found, tuple) else shown(type(found))
        raise TypeError(
            f"{type(layer).__name__}.forward: expected (output, memory), the memory being what "
            f"propagate needs (None where it needs nothing), got {kind}"
        )
    return found


def placed(problem: Exception, name: str, child: Layer) -> Exception:
    """Write on a child's exception, as it passes its container, which child raised it."""
    if isinstance(problem, LayerError):
        problem.path.insert(0, name)
    else:
        problem.add_note(f"in layer {name}: {child!r}")
    return problem
