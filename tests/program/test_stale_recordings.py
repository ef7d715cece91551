"""A recording is never stale: whatever changes in a network or a loss is noticed."""

from __future__ import annotations

import argparse
import copy
import functools
import math
from array import array
from collections import ChainMap, UserDict
from dataclasses import dataclass, field

import numpy
import pytest
import torch

import backhand as bh
from backhand.learning.rules.penalized import Penalized
from backhand.program import Native, Replay
from backhand.program.structure import Structure
from cases import LAYERS, LOSSES, RULES


@dataclass(eq=False)
class Dial:
    """An object of a user's own, hung on a layer."""

    factor: float = 1.0
    inner: list[Dial] = field(default_factory=list)

    def read(self) -> float:
        return self.factor


def _first(values: list[float]) -> float:
    return values[0]


def closing_over(values: list[float]):
    return lambda: values[0]


def rebindable():
    value = 1.0

    def rebind(new: float) -> None:
        nonlocal value
        value = new

    return lambda: value, rebind


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor: float) -> None:
        self.factor = factor


class Careless:
    """Equal to every other."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Careless)

    __hash__ = None  # type: ignore[assignment]


class Dials(bh.Layer):
    """Input times whatever its dials say."""

    def __init__(self) -> None:
        self.table = {"factor": 1.0, "nested": {"factor": 1.0}}
        self.listed = [1.0, [1.0, 1.0]]
        self.pair = (Dial(), [1.0])
        self.array = numpy.ones(2)
        self.object = Dial(inner=[Dial()])
        self.slotted = Slotted(1.0)
        self.careless = Careless(1.0)
        self.chosen = {1.0}
        self.namespace = argparse.Namespace(factor=1.0)
        self.user_dict = UserDict(factor=1.0)
        self.maps = ChainMap({}, {"factor": 1.0})
        self.machine_floats = array("d", [1.0])
        self.objects = numpy.array([Dial()], dtype=object)
        self.partial = functools.partial(_first, [1.0])
        self.method = Dial().read
        self.function = closing_over([1.0])
        self.rebound, self.rebind = rebindable()
        self.tensor = torch.ones(())
        self.tensors = [torch.ones(1), torch.ones(4)]

    def factor(self) -> float:
        numbers = [
            *(each for each in self.table.values() if isinstance(each, float)),
            self.table["nested"]["factor"],
            self.listed[0],
            *self.listed[1],
            self.pair[0].factor,
            self.pair[1][0],
            *self.array.tolist(),
            self.object.factor,
            self.object.inner[0].factor,
            self.slotted.factor,
            self.careless.factor,
            *self.chosen,
            self.namespace.factor,
            self.user_dict["factor"],
            self.maps["factor"],
            *self.machine_floats,
            self.objects[0].factor,
            self.partial(),
            self.method(),
            self.function(),
            self.function.__dict__.get("factor", 1.0),
            self.rebound(),
        ]
        return math.prod(numbers) / (1 if next(iter(self.table)) == "factor" else 2)

    def forward(self, input, training):
        return input * self.factor() * self.tensor * self.tensors[0] * self.tensors[1], None

    def propagate(self, error, memory, learning_rate):
        return error * self.factor() * self.tensor * self.tensors[0] * self.tensors[1]


class Own(bh.UpdateRule):
    """A rule whose numbers can be changed."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def update(self, parameter, gradient, learning_rate) -> None:
        parameter.value.sub_(gradient, alpha=learning_rate * self.factor)


def network() -> bh.Sequential:
    torch.manual_seed(0)
    layers = [bh.FullyConnected(3, 4), Dials(), bh.Dropout(0.0), bh.FullyConnected(4, 4)]
    made = bh.Sequential([*layers, bh.FullyConnected(4, 1), bh.FullyConnected(1, 1)])
    made.learn_with(bh.Momentum())
    made.layers[4].learn_with(Own(1.0))
    made.layers[5].learn_with(bh.WithRate(Own(1.0), 0.5))
    for layer in (made.layers[0], made.layers[3]):
        layer.gate_with(bh.Gate(max_norm=0.5))
    return made


def weight(network, layer: int = 0) -> bh.Parameter:
    return network.layers[layer].weight


def dials(network) -> Dials:
    return network.layers[1]


def replace_object(network) -> None:
    dials(network).careless = Careless(0.5)


CHANGES = {
    "a weight replaced": lambda n, _: setattr(weight(n), "value", torch.ones(4, 3)),
    "a weight of one element replaced by its equal": lambda n, _: setattr(
        weight(n, 5), "value", weight(n, 5).value.clone()
    ),
    "a weight of one element replaced": lambda n, _: setattr(
        weight(n, 5), "value", torch.full((1, 1), 0.3)
    ),
    "value.data": lambda n, _: setattr(weight(n).value, "data", torch.ones(4, 3)),
    "value.data, one element": lambda n, _: setattr(weight(n, 5).value, "data", torch.ones(1, 1)),
    "value.set_": lambda n, _: weight(n).value.set_(torch.ones(4, 3)),
    "value.t_": lambda n, _: weight(n, 3).value.t_(),
    "value.data, transposed": lambda n, _: setattr(
        weight(n, 3).value, "data", weight(n, 3).value.t()
    ),
    "memory moved": lambda n, _: weight(n).value.share_memory_(),
    "a state replaced": lambda n, _: weight(n).state.update(velocity=torch.ones(4, 3)),
    "state.data": lambda n, _: setattr(weight(n).state["velocity"], "data", torch.ones(4, 3)),
    "another rule": lambda n, _: n.layers[0].learn_with(bh.Adam()),
    "a rule's own number": lambda n, _: setattr(weight(n, 4).rule, "factor", 0.1),
    "a rule's own number, inside WithRate": lambda n, _: setattr(
        weight(n, 5).rule.rule, "factor", 0.1
    ),
    "a rule's shared": lambda n, _: setattr(weight(n), "shared", True),
    "a gate": lambda n, _: n.gate_with(bh.Gate(0.01)),
    "a gate gone": lambda n, _: n.gate_with(None),
    "a gate's bound": lambda n, _: setattr(weight(n).gate, "max_norm", 0.001),
    "a gate's bound gone": lambda n, _: setattr(weight(n).gate, "max_norm", None),
    "a layer frozen": lambda n, _: n.layers[0].freeze(),
    "a layer added": lambda n, _: n.layers.append(bh.Scale(1)),
    "a layer taken out": lambda n, _: n.layers.pop(2),
    "two layers changed over": lambda n, _: n.layers.insert(1, n.layers.pop(3)),
    "a layer's number": lambda n, _: setattr(n.layers[2], "rate", 0.5),
    "a layer's dict": lambda n, _: dials(n).table.update(factor=0.5),
    "a dict in a dict": lambda n, _: dials(n).table["nested"].update(factor=0.5),
    "a dict's key": lambda n, _: dials(n).table.update(other=0.5),
    "a dict's order": lambda n, _: dials(n).table.update(factor=dials(n).table.pop("factor")),
    "a layer's list": lambda n, _: dials(n).listed.__setitem__(0, 0.5),
    "a list in a list": lambda n, _: dials(n).listed[1].append(0.5),
    "a list in a tuple": lambda n, _: dials(n).pair[1].__setitem__(0, 0.5),
    "an object in a tuple": lambda n, _: setattr(dials(n).pair[0], "factor", 0.5),
    "an array edited": lambda n, _: dials(n).array.__setitem__(1, 0.5),
    "an array replaced": lambda n, _: setattr(dials(n), "array", numpy.array([0.5, 1.0])),
    "an object's number": lambda n, _: setattr(dials(n).object, "factor", 0.5),
    "an object's object": lambda n, _: setattr(dials(n).object.inner[0], "factor", 0.5),
    "a slot": lambda n, _: setattr(dials(n).slotted, "factor", 0.5),
    "an object that is equal to all": lambda n, _: replace_object(n),
    "its number": lambda n, _: setattr(dials(n).careless, "factor", 0.5),
    "a namespace": lambda n, _: setattr(dials(n).namespace, "factor", 0.5),
    "a UserDict": lambda n, _: dials(n).user_dict.update(factor=0.5),
    "a ChainMap": lambda n, _: dials(n).maps.maps[1].update(factor=0.5),
    "Python's own array": lambda n, _: dials(n).machine_floats.__setitem__(0, 0.5),
    "an object in an array": lambda n, _: setattr(dials(n).objects[0], "factor", 0.5),
    "an argument of a partial": lambda n, _: dials(n).partial.args[0].__setitem__(0, 0.5),
    "what a method is bound to": lambda n, _: setattr(dials(n).method.__self__, "factor", 0.5),
    "what a function closes over": lambda n, _: (
        dials(n).function.__closure__[0].cell_contents.__setitem__(0, 0.5)
    ),
    "a function's attribute": lambda n, _: setattr(dials(n).function, "factor", 0.5),
    "a variable rebound": lambda n, _: dials(n).rebind(0.5),
    "a state transposed": lambda n, _: weight(n, 3).state["velocity"].t_(),
    "a set": lambda n, _: dials(n).chosen.add(0.5),
    "a layer's tensor": lambda n, _: setattr(dials(n), "tensor", torch.full((), 0.5)),
    "a layer's tensor, its data": lambda n, _: setattr(
        dials(n).tensor, "data", torch.full((), 0.5)
    ),
    "a tensor in a list": lambda n, _: dials(n).tensors.__setitem__(0, torch.full((1,), 0.5)),
    "a longer tensor in a list": lambda n, _: dials(n).tensors.__setitem__(
        1, torch.full((4,), 0.5)
    ),
    "the loss's smoothing": lambda _, loss: setattr(loss.loss, "label_smoothing", 0.4),
    "the loss in a loss": lambda _, loss: setattr(loss, "loss", bh.CrossEntropyLoss(0.3)),
}


def batch(seed: int = 0) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    drawn = torch.Generator().manual_seed(seed)
    input = torch.randn(6, 3, generator=drawn)
    classes = torch.randint(0, 3, (6,), generator=drawn)
    return input, (classes, torch.rand(6, generator=drawn))


def loss_and_head() -> tuple[bh.Weighted, bh.FullyConnected]:
    torch.manual_seed(1)
    return bh.Weighted(bh.CrossEntropyLoss(0.1)), bh.FullyConnected(1, 3)


def plain(network, loss, input, target) -> torch.Tensor:
    prediction = network(input)
    value = loss(prediction, target)
    network.backward(loss.backward(prediction, target), 0.1)
    return value


NATIVELY = [name for name in CHANGES if "data" in name or "rule" in name or "one el" in name]
"""What is noticed is noticed for every engine alike; of Native, which compiles, some."""


@pytest.mark.parametrize(
    ("engine", "name"),
    [*((Replay(), name) for name in CHANGES), *((Native(), name) for name in NATIVELY)],
    ids=str,
)
def test_a_change_is_noticed_and_training_goes_on_as_the_plain_steps_do(engine, name) -> None:
    loss, head = loss_and_head()
    body = network()
    made = bh.Sequential([body, head])
    twin, twins_loss = copy.deepcopy((made, loss))
    step = bh.TrainingStep(made, loss, engine)
    for i in range(6):
        if i == 3:
            CHANGES[name](body, loss)
            CHANGES[name](twin.layers[0], twins_loss)
        torch.manual_seed(i)
        value = step(*batch(i), 0.1)
        torch.manual_seed(i)
        expected = plain(twin, twins_loss, *batch(i))
        torch.testing.assert_close(value, expected, **BOUNDS[type(engine)])
    for path, parameter in twin.parameters().items():
        found = made.parameters()[path]
        assert found.updates == parameter.updates
        torch.testing.assert_close(found.value, parameter.value, **BOUNDS[type(engine)])


BOUNDS = {Replay: {"rtol": 0, "atol": 0}, Native: {"rtol": 1e-4, "atol": 1e-6}}


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 0.125
    if isinstance(value, str):
        return f"{value} "
    if value is None:
        return 0.5
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, list | tuple):
        return type(value)([*value, 1])
    return copy.copy(value) if type(value).__eq__ is object.__eq__ else object()


def learner(rule: bh.UpdateRule | None = None, gate: bh.Gate | None = None) -> bh.Layer:
    made = bh.FullyConnected(3, 2)
    return (made if rule is None else made.learn_with(rule)).gate_with(gate)


EVERYTHING = {
    **{f"layer {case}": lambda case=case: (case.layer(), bh.MSELoss()) for case in LAYERS},
    **{f"rule {case}": lambda case=case: (learner(case.rule()), bh.MSELoss()) for case in RULES},
    **{f"loss {case}": lambda case=case: (learner(), case.loss()) for case in LOSSES},
    "rule Penalized": lambda: (learner(Penalized(bh.Adam())), bh.MSELoss()),
    "gate Gate": lambda: (learner(gate=bh.Gate(1.0)), bh.MSELoss()),
    "gate Accumulation": lambda: (learner(gate=bh.Accumulation(2)), bh.MSELoss()),
}


def objects_of(network: bh.Layer, loss: bh.Loss) -> list[object]:
    found: list[object] = [loss, *(layer for _, layer in network.layers_by_path())]
    if isinstance(loss, bh.Weighted):
        found.append(loss.loss)
    for parameter in network.parameters().values():
        rule = parameter.rule
        found += [parameter, rule, *([rule.rule] if hasattr(rule, "rule") else [])]
        found += [parameter.gate] if parameter.gate is not None else []
    return found


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_attribute_counts(name) -> None:
    network, loss = EVERYTHING[name]()
    checked = 0
    for owner in objects_of(network, loss):
        passing = {each for kind in type(owner).__mro__ for each in vars(kind).get("passing", ())}
        for attribute, value in list(vars(owner).items()):
            structure = Structure(network, loss)
            assert structure.still_holds()
            object.__setattr__(owner, attribute, other(value))
            assert structure.still_holds() == (attribute in passing), (owner, attribute)
            object.__setattr__(owner, attribute, value)
            if attribute not in passing:
                assert Structure(network, loss).still_holds()
                checked += 1
    assert checked or not any(vars(owner) for owner in objects_of(network, loss))


def test_what_passes_from_call_to_call_is_no_change() -> None:
    made, loss = network(), bh.MSELoss()
    made.gate_with(bh.Accumulation(3))
    structure = Structure(made, loss)
    for _ in range(2):
        made.backward(torch.ones_like(made(torch.randn(2, 3))), 0.1)
        assert structure.still_holds()
    made.layers[0].weight.value.mul_(2)
    assert structure.still_holds()


def test_objects_of_other_libraries_are_not_searched() -> None:
    made = network()
    made.layers[1].object = math
    made.layers[1].pair = (__import__("logging").getLogger("backhand"), [1.0])
    structure = Structure(made, None)
    assert len(structure._live) < 100
    assert structure.still_holds()
