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
from backhand.checks.remembered import expect_unchanged, remembered
from backhand.checks.values import copied, flat, same, tensors_in
from backhand.layer import Layer, forward_of
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
        pairs = zip(flat(prediction), flat(target), strict=True)
        return torch.stack([(output * weight).sum() for output, weight in pairs]).sum()

    def backward(self, prediction: Any, target: Any) -> Any:
        return target


def expect_lawful_forward(network: Layer, input: Value, seed: int) -> None:
    """Refuse a forward that changes something, or that gives something else the second time."""
    twin = _ready(network)
    calls = _followed(twin, "forward")
    for training in (True, False):
        before = remembered(twin)
        seeded(seed, forward_of, twin, input, training)
        expect_unchanged("forward", before, remembered(twin))
        first = calls.copy()
        calls.clear()
        seeded(seed, forward_of, twin, input, training)
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
    before = remembered(twin)
    prediction, memory = seeded(seed, forward_of, twin, input, True)
    error = error_of(prediction)
    input_error, gradients = _gradients(twin, error, memory)
    expect_unchanged("propagate, where gradients are only read,", before, remembered(twin))
    return Read(input_error, gradients, returned)


def _gradients(network: Layer, error: Any, memory: Any) -> tuple[Any, dict[str, Tensor]]:
    """The input error of a backward that changes nothing, and every gradient by path."""
    input_error, kept = gradients_read(network.propagate, error, memory, 1.0)
    return input_error, {
        path: kept.get(each, torch.zeros_like(each.value))
        for path, each in network.parameters().items()
    }


def expect_calls_apart(network: Layer, first: Value, second: Value, seed: int) -> None:
    """Refuse a layer whose backward of one call goes by another call made in between.

    Two calls of one layer, and their backwards in reverse: the errors and gradients are those of
    each call alone.
    """
    alone = [_calls(network, [input], seed) for input in (second, first)]
    returned, gradients = _calls(network, [first, second], seed)
    expected = [each for each, _ in alone]
    for (name, one), (_, other) in zip([*expected[0], *expected[1]], returned, strict=True):
        if not same(one, other, TOLERANCE):
            raise GradientMismatch(f"{name}: the input error is another {_MEANWHILE}")
    for each, found in zip([*alone[0][1], *alone[1][1]], gradients, strict=True):
        for path, gradient in each.items():
            if not same(gradient, found[path], TOLERANCE):
                raise GradientMismatch(f"{path}: its gradient is another {_MEANWHILE}")


_MEANWHILE = (
    "where the layer was called again before backward; what propagate needs of a call is the "
    "memory that forward returns, and nothing that a layer keeps"
)


def _calls(
    network: Layer, inputs: list[Value], seed: int
) -> tuple[list[tuple[str, Any]], list[dict[str, Tensor]]]:
    """Calls one after another, then their backwards, the last call's first: what each layer's
    propagate returned, and the gradients of each backward."""
    twin = _ready(network)
    returned = _followed(twin, "propagate")
    calls = []
    for input in inputs:
        prediction, memory = seeded(seed, forward_of, twin, input, True)
        calls.append((random_like(prediction, seed), memory))
    gradients = [
        seeded(seed, _gradients, twin, error, memory)[1] for error, memory in reversed(calls)
    ]
    return returned, gradients


def random_like(prediction: Any, seed: int) -> Any:
    """An error for a prediction: random numbers, the same for the same seed and shapes."""
    generator = torch.Generator().manual_seed(seed)
    found = tuple(
        torch.randn(each.shape, dtype=each.dtype, generator=generator) for each in flat(prediction)
    )
    return found if isinstance(prediction, tuple) else found[0]


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
        given = [(each, each.clone()) for each in tensors_in((arguments, named))]
        result = method(*arguments, **named)
        if not all(same(before, each, 0.0) for each, before in given):
            raise GradientMismatch(
                f"{shown}: {name} changed one of its arguments; "
                "make new tensors of what it is given, and write to none of them"
            )
        found.append((shown, copied(result)))
        return result

    return followed
