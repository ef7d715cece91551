"""Conduct: what a layer must leave alone, and what learning must not change; beside derivatives.

Every check works on copies of the network, which it may follow call by call, so that a message
names the layer at fault and not the network around it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backhand.checks.mismatch import GradientMismatch
from backhand.layer import Layer
from backhand.learning.rules import SGD
from backhand.learning.settling import gradients_read
from backhand.losses import Loss
from backhand.values import Value

TOLERANCE = 1e-9
"""How far input errors, and moves of weights, may lie apart, relative to the largest."""

ROUNDING = 1e-13
"""Of a weight that moves, relative to the largest."""

ErrorOf = Callable[[Any], Any]
"""The error that a prediction gets."""

Step = tuple[Value, Value]
"""What a training step is given: an input and a target."""


class Weighing(Loss):
    """The sum of the outputs, each times its target: a loss for a network that comes without."""

    def forward(self, prediction: Any, target: Any) -> Tensor:
        pairs = zip(_flat(prediction), _flat(target), strict=True)
        return torch.stack([(output * weight).sum() for output, weight in pairs]).sum()

    def backward(self, prediction: Any, target: Any) -> Any:
        return target


def expect_lawful_forward(network: Layer, input: Value, seed: int) -> None:
    """Refuse a forward that changes something, or that gives something else the second time."""
    twin = _ready(network)
    calls = _followed(twin, "forward")
    for training in (True, False):
        before = _remembered(twin)
        seeded(seed, twin.forward, input, training)
        _expect_unchanged("forward", before, _remembered(twin))
        first = calls.copy()
        calls.clear()
        seeded(seed, twin.forward, input, training)
        for (name, (one, _)), (_, (other, _)) in zip(first, calls, strict=True):
            if not same(one, other, 0.0):
                raise GradientMismatch(
                    f"{name}: forward gave another output when it was called again on the same "
                    "input; it depends on what it remembers of calls, or draws from another "
                    "generator than torch's"
                )
        calls.clear()


@dataclass(frozen=True)
class Read:
    """A backward whose gradients were only read.

    Attributes:
        input_error: what it returned.
        gradients: of every parameter, by path; zeros where nothing came.
        returned: what each layer's propagate returned, in order, beside the layer's name.
    """

    input_error: Any
    gradients: dict[str, Tensor]
    returned: list[tuple[str, Any]]


def read_gradients(network: Layer, input: Value, error_of: ErrorOf, seed: int) -> Read:
    """Read a backward, and refuse one that changes something or writes to what it is given."""
    twin = _ready(network)
    returned = _followed(twin, "propagate")
    before = _remembered(twin)
    prediction, memory = seeded(seed, twin.forward, input, True)
    error = error_of(prediction)
    input_error, kept = gradients_read(twin.propagate, error, memory, 1.0)
    _expect_unchanged("propagate, where gradients are only read,", before, _remembered(twin))
    gradients = {
        path: kept.get(each, torch.zeros_like(each.value))
        for path, each in twin.parameters().items()
    }
    return Read(input_error, gradients, returned)


def expect_lawful_learning(
    network: Layer, input: Value, error_of: ErrorOf, read: Read, seed: int
) -> None:
    """Refuse a propagate whose input error or learning is not that of the weights before it."""
    twin = _ready(network)
    returned = _followed(twin, "propagate")
    steepest = max([_largest(each) for each in read.gradients.values()] + [0.0])
    rate = 1.0 / steepest if 1e-6 < steepest < 1e6 else 1.0  # weights move by about 1
    twin.backward(error_of(seeded(seed, twin, input)), rate)
    for (name, one), (_, other) in zip(read.returned, returned, strict=True):
        if not same(one, other, TOLERANCE):
            raise GradientMismatch(
                f"{name}: the input error is another where the weights learn than where gradients "
                "are only read; form it from the old weights, before they learn"
            )
    _expect_moved(network, twin, read.gradients, rate)


def _expect_moved(before: Layer, after: Layer, gradients: dict[str, Tensor], rate: float) -> None:
    layers = {path: repr(layer) for path, layer in before.layers_by_path()}
    now = after.parameters()
    for path, parameter in before.parameters().items():
        old, new, right = parameter.value, now[path].value, parameter.value - rate * gradients[path]
        bound = TOLERANCE * rate * _largest(gradients[path]) + ROUNDING * _largest(right)
        off = (new - right).abs().nan_to_num(torch.inf)
        if _largest(off) > bound:
            place = int(off.argmax())
            was, became, expected = (float(each.reshape(-1)[place]) for each in (old, new, right))
            raise GradientMismatch(
                f"{path} of {layers[path.rpartition('.')[0]]}: by SGD at a rate of {rate:.4g} an "
                f"element went from {was:.10g} to {became:.10g}, and its gradient takes it to "
                f"{expected:.10g}; give learn… the gradient and the rate as they are, once"
            )


def _largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def expect_same_when_recorded(network: Layer, loss: Loss, steps: list[Step], seed: int) -> None:
    """Refuse a network whose recorded steps are not its plain ones; pass one not recordable."""
    from backhand.program import FrozenScalar, NotRecordable, Replay, TrainingStep

    plain, recorded = _ready(network), _ready(network)
    run = TrainingStep(recorded, loss, Replay(), losses=False)
    for number, (input, target) in enumerate(steps):
        rate = 0.1 / (1 + number)
        try:
            seeded(seed, run.record, input, target)
        except (NotRecordable, FrozenScalar):
            return
        seeded(seed + number, run, input, target, rate)
        prediction = seeded(seed + number, plain, input)
        plain.backward(loss.backward(prediction, target), rate)
        found = recorded.lasting_tensors()
        for path, tensor in plain.lasting_tensors().items():
            if not same(tensor, found[path], 0.0):
                raise GradientMismatch(
                    f"{path}: the recorded step gives it other values than the plain one, at step "
                    f"{number + 1}; something in the layer goes by what tensors hold or by what "
                    "it counts in Python"
                )


def _ready(network: Layer) -> Layer:
    """A copy that learns at once, by SGD."""
    twin = copy.deepcopy(network).gate_with(None)
    return twin.learn_with(SGD())


def seeded(seed: int, call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns with torch's generator begun anew."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed is slow: it goes to all devices
    return call(*arguments)


def _followed(network: Layer, method: str) -> list[tuple[str, Any]]:
    """What a method of every layer inside returns from now on: its layer and a copy, in order."""
    paths: dict[Layer, str] = {}
    for path, layer in network.layers_by_path():
        paths.setdefault(layer, path)
    found: list[tuple[str, Any]] = []
    for layer, path in paths.items():
        shown = f"{path}: {layer!r}" if path else repr(layer)
        setattr(layer, method, _following(getattr(layer, method), shown, found))
    return found


def _following(
    method: Callable[..., Any], shown: str, found: list[tuple[str, Any]]
) -> Callable[..., Any]:
    name = method.__name__

    def followed(*arguments: Any, **named: Any) -> Any:
        given = [(each, each.clone()) for each in _tensors_in((arguments, named))]
        result = method(*arguments, **named)
        if not all(same(before, each, 0.0) for each, before in given):
            raise GradientMismatch(
                f"{shown}: {name} changed one of its arguments; "
                "make new tensors of what it is given, and write to none of them"
            )
        found.append((shown, copied(result)))
        return result

    return followed


def _tensors_in(value: Any) -> list[Tensor]:
    """The tensors that a layer was given: those of a value or a memory, as they are by now."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    if not isinstance(value, tuple | list):
        return []
    return [each for part in value for each in _tensors_in(part)]


def copied(value: Any) -> Any:
    """The same, its tensors copied."""
    if isinstance(value, Tensor):
        return value.clone()
    return tuple(map(copied, value)) if isinstance(value, tuple) else value


def _flat(value: Any) -> list[Any]:
    """The tensors of a value, and what stands for one, in order."""
    if isinstance(value, tuple):
        return [each for part in value for each in _flat(part)]
    return [value]


def same(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two values agree, element by element, relative to the largest of each tensor."""
    ones, others = _flat(one), _flat(other)
    return len(ones) == len(others) and all(map(_close(tolerance), ones, others))


def _close(tolerance: float) -> Callable[[Any, Any], bool]:
    def close(one: Any, other: Any) -> bool:
        if not isinstance(one, Tensor) or not isinstance(other, Tensor):
            return bool(one is other or one == other)
        if one.shape != other.shape or one.dtype is not other.dtype:
            return False
        if torch.equal(one, other) or one.numel() == 0:
            return True
        if not one.is_floating_point():
            return False
        bound = tolerance * float(one.abs().max())
        return bool(torch.isclose(one, other, rtol=0.0, atol=bound, equal_nan=True).all())

    return close


def _remembered(network: Layer) -> dict[str, Any]:
    """A copy of all that lasts, and of the tensors and numbers layers keep as plain attributes."""
    found: dict[str, Any] = {path: each.clone() for path, each in network.lasting_tensors().items()}
    for path, layer in network.layers_by_path():
        for name, value in vars(layer).items():
            if isinstance(value, Tensor | int | float) and name not in layer.passing:
                found[f"{path}.{name}".lstrip(".")] = copied(value)
    return found


def _expect_unchanged(what: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    for path, value in before.items():
        if path not in after or not same(value, after[path], 0.0):
            raise GradientMismatch(
                f"{what} changed {path}; weights change by their learn…, everything else that a "
                "layer remembers is a Buffer, and changes in propagate by become or follow"
            )
