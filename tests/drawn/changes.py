"""What is changed between two steps: any attribute of any layer, parameter, gate, rule or loss.

Each change is made on every copy of a learner with the same numbers, and says what it did, or
returns None where the learner has nothing to change in that way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Any

import numpy
import torch
from torch import Tensor

import backhand as bh
from backhand.learning.parameter import Parameter
from drawn.layers import Slowly
from drawn.networks import Drawer, Learner, seeded, shown

Change = Callable[[Learner, Random, Drawer], str | None]


def _parameter(learner: Learner, random: Random) -> tuple[str, Parameter] | None:
    found = list(learner.network.parameters().items())
    return random.choice(found) if found else None


def _like(tensor: Tensor, random: Random) -> Tensor:
    seeded(random.randrange(1 << 30))
    return torch.randn(tensor.shape).to(tensor.dtype) * 0.5


# A parameter, its state, a buffer.


def weight_edited(learner, random, drawer):
    if (found := _parameter(learner, random)) is None:
        return None
    path, parameter = found
    parameter.value.mul_(0.9).add_(_like(parameter.value, random), alpha=0.1)
    return f"{path}.value edited in place"


def weight_replaced(learner, random, drawer):
    if (found := _parameter(learner, random)) is None:
        return None
    path, parameter = found
    parameter.value = _like(parameter.value, random)
    return f"{path}.value = …"


def weight_cloned(learner, random, drawer):
    if (found := _parameter(learner, random)) is None:
        return None
    path, parameter = found
    parameter.value = parameter.value.clone()
    return f"{path}.value = its clone"


def weight_data_replaced(learner, random, drawer):
    if (found := _parameter(learner, random)) is None:
        return None
    path, parameter = found
    parameter.value.data = _like(parameter.value, random)
    return f"{path}.value.data = …"


def weight_set(learner, random, drawer):
    if (found := _parameter(learner, random)) is None:
        return None
    path, parameter = found
    parameter.value.set_(_like(parameter.value, random))
    return f"{path}.value.set_(…)"


def state_changed(learner, random, drawer):
    found = [
        (path, each, name)
        for path, each in learner.network.parameters().items()
        for name in each.state
        if each.state[name].is_floating_point()
    ]
    if not found:
        return None
    path, parameter, name = random.choice(found)
    new = _like(parameter.state[name], random).square()
    if random.random() < 0.5:
        parameter.state[name] = new
        return f"{path}.state[{name!r}] = …"
    parameter.state[name].copy_(new)
    return f"{path}.state[{name!r}] edited in place"


def count_changed(learner, random, drawer):
    if (found := _parameter(learner, random)) is None:
        return None
    path, parameter = found
    parameter.updates = parameter.updates + 3
    return f"{path}.updates += 3"


def buffer_changed(learner, random, drawer):
    found = list(learner.network.buffers().items())
    if not found:
        return None
    path, buffer = random.choice(found)
    match random.randrange(4):
        case 0:
            buffer.value = _like(buffer.value, random)
            return f"{path}.value = …"
        case 1:
            buffer.frozen = not buffer.frozen
            return f"{path}.frozen = {buffer.frozen}"
        case 2:
            buffer.value.data = _like(buffer.value, random)
            return f"{path}.value.data = …"
        case _:
            buffer.value.add_(1)
            return f"{path}.value edited in place"


# Rules, gates, freezes.


def rule_replaced(learner, random, drawer):
    part = random.choice([each for _, each in learner.network.layers_by_path()])
    part.learn_with(drawer.rule())
    return f"a part learns with {[each.rule for each in part.parameters().values()][:1]}"


def rule_swapped(learner, random, drawer):
    """Another rule of the same class, the state kept."""
    found = [
        (path, each)
        for path, each in learner.network.parameters().items()
        if dataclasses.is_dataclass(each.rule) and hasattr(each.rule, "weight_decay")
    ]
    if not found:
        return None
    path, parameter = random.choice(found)
    parameter.rule = dataclasses.replace(parameter.rule, weight_decay=random.choice((0.0, 0.03)))
    return f"{path}.rule = {parameter.rule!r}"


def rules_attribute(learner, random, drawer):
    found = [
        (path, each.rule)
        for path, each in learner.network.parameters().items()
        if isinstance(each.rule, Slowly)
    ]
    if not found:
        return None
    path, rule = random.choice(found)
    if random.random() < 0.5:
        rule.pace *= 0.8
    else:
        rule.options["pull"] += 0.1
    return f"{path}.rule is now {rule!r}"


def gates_attribute(learner, random, drawer):
    gates = _gates(learner)
    if not gates:
        return None
    path, gate = random.choice(gates)
    if isinstance(gate, bh.Accumulation) and random.random() < 0.4:
        gate.every = random.choice((1, 2, 3))
        return f"{path}.gate.every = {gate.every}"
    gate.max_norm = random.choice((None, 0.005, 0.02, 0.1, 1.0))
    return f"{path}.gate.max_norm = {gate.max_norm}"


def _gates(learner: Learner) -> list[tuple[str, bh.Gate]]:
    found = [(path, each.gate) for path, each in learner.network.parameters().items()]
    return [(path, gate) for path, gate in found if gate is not None]


def gate_replaced(learner, random, drawer):
    part = random.choice([each for _, each in learner.network.layers_by_path()])
    gate = random.choice((None, drawer.gate()))
    part.gate_with(gate)
    return f"{part!r} gets {shown(gate)}"


def gate_dropped(learner, random, drawer):
    gates = _gates(learner)
    if not gates:
        return None
    path, gate = random.choice(gates)
    gate.drop()
    return f"{path}.gate.drop()"


def frozen(learner, random, drawer):
    part = random.choice([each for _, each in learner.network.layers_by_path()])
    part.freeze(random.random() < 0.6)
    return f"{part!r} is {'frozen' if _all_frozen(part) else 'free'}"


def _all_frozen(part: bh.Layer) -> bool:
    return all(each.frozen for each in part.parameters().values())


def parameter_frozen(learner, random, drawer):
    if (found := _parameter(learner, random)) is None:
        return None
    path, parameter = found
    parameter.frozen = not parameter.frozen
    return f"{path}.frozen = {parameter.frozen}"


# The loss.


def losses_attribute(learner, random, drawer):
    inner = learner.loss.loss if learner.weighted else learner.loss
    names = [name for name, value in vars(inner).items() if isinstance(value, float)]
    if not names:
        return None
    name = random.choice(names)
    setattr(inner, name, 0.3 - getattr(inner, name) / 2)
    return f"{inner!r}: {name} is now {getattr(inner, name)}"


def loss_replaced(learner, random, drawer):
    if not learner.weighted:
        return None
    learner.loss.loss = learner.case.loss()
    losses_attribute(learner, random, drawer)
    return f"the weighted loss is now {learner.loss.loss!r}"


# Layers.


def layers_attribute(learner, random, drawer):
    """Any number in any attribute of any layer, however deep it lies."""
    found = [
        (f"{path}.{name}".strip("."), vars(layer), name)
        for path, layer in learner.network.layers_by_path()
        for name, value in vars(layer).items()
        if isinstance(value, float | dict | list | tuple | numpy.ndarray)
        and not name.startswith("_")
        and not any(isinstance(each, bh.Layer) for each in _flat(value))
    ]
    if not found:
        return None
    path, attributes, name = random.choice(found)
    changed = _changed(attributes[name], random)
    if changed is not attributes[name]:
        attributes[name] = changed
    return f"{path} is now {attributes[name]!r}"


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _changed(value: Any, random: Random) -> Any:
    """The value with one of its numbers a tenth less: in place, where it is a container."""
    match value:
        case float():
            return value * 0.9
        case numpy.ndarray():
            value *= 0.9
        case dict() if value:
            key = random.choice(list(value))
            value[key] = _changed(value[key], random)
        case list() if value:
            at = random.randrange(len(value))
            value[at] = _changed(value[at], random)
        case tuple():
            return tuple(_changed(each, random) for each in value)
    return value


def _sequences(learner: Learner) -> list[tuple[str, bh.Sequential]]:
    found = learner.network.layers_by_path()
    return [(path, each) for path, each in found if isinstance(each, bh.Sequential)]


def layer_inserted(learner, random, drawer):
    path, sequence = random.choice(_sequences(learner))
    new = random.choice((bh.Tanh, bh.Sigmoid, bh.SELU))()
    sequence.layers.insert(random.randrange(len(sequence.layers) + 1), new)
    return f"{new!r} inserted in {path}"


def layer_removed(learner, random, drawer):
    found = [
        (path, sequence, i)
        for path, sequence in _sequences(learner)
        for i, layer in enumerate(sequence.layers)
        if isinstance(layer, bh.Tanh | bh.Sigmoid | bh.SELU | bh.ReLU)
    ]
    if not found:
        return None
    path, sequence, i = random.choice(found)
    return f"{sequence.layers.pop(i)!r} taken from {path}"


def layer_replaced(learner, random, drawer):
    if any(gate.phase for _, gate in _gates(learner)):
        return None  # what is summed up already for a layer taken out is still the gate's
    found = [
        (path, sequence, i)
        for path, sequence in _sequences(learner)
        for i, layer in enumerate(sequence.layers)
        if isinstance(layer, bh.FullyConnected)
    ]
    if not found:
        return None
    path, sequence, i = random.choice(found)
    old = sequence.layers[i]
    seeded(random.randrange(1 << 30))
    new = bh.FullyConnected(old.inputs, old.outputs)
    sequence.layers[i] = new.to(old.weight.value.dtype)
    if old.weight.shared:
        bh.share(new)
    if random.random() < 0.5:
        new.learn_with(drawer.rule())
    return f"{path}.{i} replaced by {new!r}"


def converted(learner, random, drawer):
    dtypes = {each.value.dtype for each in learner.network.parameters().values()}
    new = torch.float32 if torch.float64 in dtypes and not drawer.exact else torch.float64
    learner.network.to(new)
    return f"converted to {new}"


CHANGES: tuple[Change, ...] = (
    weight_edited,
    weight_replaced,
    weight_data_replaced,
    weight_set,
    state_changed,
    count_changed,
    buffer_changed,
    rule_replaced,
    rule_swapped,
    rules_attribute,
    gates_attribute,
    gates_attribute,
    gate_replaced,
    gate_dropped,
    frozen,
    parameter_frozen,
    losses_attribute,
    loss_replaced,
    layers_attribute,
    layers_attribute,
    layer_inserted,
    layer_removed,
    layer_replaced,
    converted,
)

SUBTLE: tuple[Change, ...] = (frozen, parameter_frozen, weight_cloned)
"""What shows only in some steps and some networks, and so is drawn by itself, too."""
