"""Lines: a training step or a prediction of a network, recorded."""

from __future__ import annotations

import math
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor

from backhand.layer import Layer, forward_of
from backhand.learning.gates import Gate
from backhand.learning.interrupts import InferenceMode, uninterrupted
from backhand.learning.parameter import ALIGNMENT, Parameter
from backhand.learning.settling import Rehearsal, rehearsed
from backhand.losses import Loss
from backhand.program.calls import Call, NotRecordable, Recording, View, map_nested
from backhand.program.record import Recorder
from backhand.program.scalars import Live
from backhand.values import outputs_of, together

RATE = "lr"
STEP = "t"


@dataclass
class Line:
    """A recording, and what in the network it belongs to.

    Attributes:
        recording: the calls.
        arguments: the views of the tensors given for each step, by name.
        names: names of other views that were there before the step.
        learning: the parameters that the step updates, once each.
        counters: for each step number in the recording, the parameters that share it.
        accumulating: the gates that the step advances, and who contributes to them.
        outputs: the length of the prediction's last axis, for a training step.
    """

    recording: Recording
    arguments: dict[str, View]
    names: dict[View, str]
    learning: list[Parameter] = field(default_factory=list)
    counters: dict[str, list[Parameter]] = field(default_factory=dict)
    accumulating: dict[Gate, list[Parameter]] = field(default_factory=dict)
    outputs: int = 0


def record_prediction(network: Layer, input: Sequence[Tensor]) -> Line:
    """Record `network.predict` for inputs of these shapes and dtypes."""

    def run(recorder: Recorder, *input: Tensor) -> dict[str, Tensor]:
        output, _ = forward_of(network, together(input), False)
        outputs = output if isinstance(output, tuple) else (output,)
        return dict(zip(_numbered("prediction", outputs), outputs, strict=True))

    arguments = dict(zip(_numbered("input", input), input, strict=True))
    return _recorded(network, run, arguments, {})


def record_training(
    network: Layer, loss: Loss, input: Sequence[Tensor], target: Sequence[Tensor]
) -> Line:
    """Record a step: forward, the loss, its error, backward, and what the gates settle.

    Changes nothing: no weight, no state, no gate, no step number, no generator.

    Raises:
        NotRecordable: the step reads a tensor into Python, or depends on more than tensors.
        FrozenScalar: it makes a constant of the learning rate or the step number.
        LayerError, ValueError, TypeError: the batch does not fit the network or the loss.
    """
    own = list(network.parameters().values())
    parameters = [*own, *_held_elsewhere(own)]
    counters = _counters(parameters)
    inputs = len(input)
    rehearsal = Rehearsal({})
    before: dict[Parameter, float] = {}
    outputs = 0

    def run(recorder: Recorder, *batch: Tensor) -> dict[str, Tensor]:
        nonlocal before, rehearsal, outputs
        before = {
            parameter: Live(("-", name, 1), recorder.payload)
            for name, counted in counters.items()
            for parameter in counted
        }
        rehearsal = Rehearsal(_StepNumbers(before))
        input, targets = batch[:inputs], together(batch[inputs:])
        prediction, memory = forward_of(network, together(input), True)
        outputs = outputs_of(prediction)
        recorder.phase = "loss"
        value = loss.forward(prediction, targets)
        recorder.phase = "backward"

        predictions = [prediction]
        del prediction  # nobody holds what is large longer than a plain step would

        def backward() -> None:
            errors = [_aligned(loss.backward(predictions.pop(), targets))]
            network.propagate(errors.pop(), memory, Live(RATE, recorder.payload))
            recorder.phase = "update"

        rehearsed(rehearsal, backward)
        return {"loss": value}

    scalar_values = {RATE: 0.1} | {
        name: 1.0 + counted[0].updates for name, counted in counters.items()
    }
    names = [*_numbered("input", input), *_numbered("target", target)]
    arguments = dict(zip(names, [*input, *target], strict=True))
    try:
        line = _recorded(network, run, arguments, scalar_values)
    except (IndexError, RuntimeError):
        if outputs and not all(each.is_floating_point() for each in target):
            loss.check_values(together(target), outputs)
        raise
    line.outputs = outputs
    learning = [each for each in parameters if rehearsal.updates[each] is not before[each]]
    line.learning = learning
    line.accumulating = {
        gate: list(contributors)
        for gate, contributors in rehearsal.contributors.items()
        if gate.accumulates
    }
    line.counters = {
        name: [each for each in counted if each in learning] for name, counted in counters.items()
    }
    return line


def _held_elsewhere(own: list[Parameter]) -> list[Parameter]:
    """What the gates of these parameters hold of others: of a network that shares a gate with this
    one, or of a layer that was taken out. The step that updates, updates them, too."""
    gates = {each.gate: None for each in own if each.gate is not None}
    held = [parameter for gate in gates for parameter in gate.contributors()]
    return [each for each in dict.fromkeys(held) if each not in own]


def _aligned(error: Any) -> Any:
    """The error as `Layer.backward` aligns it; what a step makes begins at aligned addresses."""
    if isinstance(error, tuple):
        return tuple(map(_aligned, error))
    begin = int(error.storage_offset()) * error.element_size()
    if begin % ALIGNMENT or not error.is_contiguous():
        return error.clone(memory_format=torch.contiguous_format)
    return error


def _numbered(name: str, values: Sequence[Tensor]) -> list[str]:
    return [name] if len(values) == 1 else [f"{name}_{i}" for i in range(len(values))]


def _counters(parameters: list[Parameter]) -> dict[str, list[Parameter]]:
    """The parameters by how many updates they have had: a step number for each count."""
    by_count: dict[float, list[Parameter]] = {}
    for parameter in parameters:
        by_count.setdefault(parameter.updates, []).append(parameter)
    groups = enumerate(by_count.values(), start=1)
    return {STEP if i == 1 else f"{STEP}_{i}": counted for i, counted in groups}


def _named(network: Layer) -> dict[str, Tensor]:
    """The network's tensors by name: "weight_0", "weight_0_velocity", "weight_0_gate_sum"."""
    owners = network.parts()
    named: dict[str, Tensor] = {}
    for path, tensor in network.lasting_tensors().items():
        owner = path
        while owner not in owners:
            owner = owner.rpartition(".")[0]
        *parents, own = owner.split(".")
        kept = path.removeprefix(owner).split(".")[1:]
        name = "_".join([own, *parents, *kept])
        named[re.sub(r"\W", "_", name)] = tensor  # it will stand in source that runs
    return named


class _StepNumbers(dict[Parameter, Any]):
    """Step numbers of a network's parameters; there are no others."""

    def __missing__(self, parameter: Parameter) -> NoReturn:
        raise NotRecordable(
            f"{parameter!r} is used, which is none of network.parameters(): keep it as an "
            "attribute of a layer"
        )


@contextmanager
def _generators_kept(recorder: Recorder) -> Iterator[None]:
    """Generators of random numbers as they were before, whatever happens inside."""
    randomness = torch.random.get_rng_state()
    try:
        yield
    finally:
        torch.random.set_rng_state(randomness)
        for generator, state in recorder.generators.items():
            generator.set_state(state)


_ALONE = threading.RLock()
"""Held while a step is recorded: what recordings see of torch's generator, all threads share."""


def _recorded(
    network: Layer,
    run: Callable[..., dict[str, Tensor]],
    arguments: dict[str, Tensor],
    scalar_values: dict[str, float],
) -> Line:
    # In inference mode tensors keep no count of what is written to them, and recording lives by it.
    with _ALONE, InferenceMode(False):
        return uninterrupted(_record_twice, network, run, arguments, scalar_values, _named(network))


def _record_twice(
    network: Layer,
    run: Callable[..., dict[str, Tensor]],
    arguments: dict[str, Tensor],
    scalar_values: dict[str, float],
    named: dict[str, Tensor],
) -> Line:
    """Record on the values given and on zeros; refuse the step where that differs.

    A difference is looked into once more, since what is cached at its first use is no fault.
    """
    paths: dict[Layer, str] = {}
    for path, layer in network.layers_by_path():
        paths.setdefault(layer, path)
    zeros = {name: torch.zeros_like(each) for name, each in arguments.items()}

    def record(values: dict[str, Tensor], payload: float) -> Line:
        recorder = Recorder(paths, scalar_values, payload)
        recorder.outermost = sys._getframe()
        views = {name: recorder.view(value) for name, value in values.items()}
        names = {recorder.view(tensor): name for name, tensor in named.items()}
        try:
            with _generators_kept(recorder), recorder:
                results = run(recorder, *values.values())
        finally:
            recorder.outermost = None  # a frame that holds this recorder, and all it was called by
        recorder.recording.results = {name: recorder.view(each) for name, each in results.items()}
        return Line(recorder.recording, views, names)

    line, again = record(arguments, math.nan), record(zeros, math.inf)
    try:
        _refuse_differences(line, again)
    except NotRecordable:  # perhaps something was kept from the first time on: a cached constant
        line = record(arguments, math.nan)
        _refuse_differences(line, again)
    for view in line.arguments.values():
        line.recording.outside.pop(view.storage)
    return line


def _refuse_differences(one: Line, other: Line) -> None:
    calls, again = _at_work(one), _at_work(other)
    for call, same in zip(calls, again, strict=False):
        if call.essence() != same.essence():
            raise NotRecordable(
                f"{call.where()} was not the same when the step was recorded again on other "
                "values: it depends on a tensor's values, a counter, or a frozen scalar"
            )
    if len(calls) != len(again):
        longer = max(calls, again, key=len)
        raise NotRecordable(
            f"{longer[min(len(calls), len(again))].where()} was not always made when the step was "
            "recorded again on other values"
        )
    arguments = {view.storage for view in one.arguments.values()}
    for number, tensor in one.recording.outside.items():
        twin = other.recording.outside.get(number)
        if number not in arguments and (
            twin is None or twin.untyped_storage() is not tensor.untyped_storage()
        ):
            user = next(call for call in calls if uses(call, number))
            raise NotRecordable(
                f"{user.where()} uses a tensor of shape {tuple(tensor.shape)} that no recorded "
                "call made and that was not there before the step"
            )


def _at_work(line: Line) -> list[Call]:
    """The calls that do more than make a view, which may have been made before."""
    return [call for call in line.recording.calls if call.writes or call.makes]


def uses(call: Any, storage: int) -> bool:
    """Whether a call has a view of the storage among its arguments."""
    found = []

    def look(each: Any) -> None:
        if isinstance(each, View) and each.storage == storage:
            found.append(each)

    map_nested(look, (call.arguments, call.keywords))
    return bool(found)
