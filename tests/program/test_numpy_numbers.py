"""NumPy's numbers do where Python's do: plain, replayed and as C."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
import pytest
import torch

import backhand as bh
from backhand.learning import rules
from backhand.learning.rules.penalized import Penalized
from backhand.program import FrozenScalar, Native, Replay
from backhand.training import schedules

NUMBERS = {
    "float64": np.float64,
    "float32": np.float32,
    "int64": np.int64,
    "array": np.array,
    "fraction": Fraction,
}
SHARES = ("beta1", "beta2", "momentum", "alpha")
RULES = [Penalized] + [
    each
    for each in vars(rules).values()
    if isinstance(each, type) and issubclass(each, bh.UpdateRule) and each is not bh.UpdateRule
]


def filled(rule: type[bh.UpdateRule], kind: type) -> bh.UpdateRule:
    """A rule whose every number is of this kind."""
    given = {}
    for field in fields(rule):
        if field.type == "UpdateRule":
            given[field.name] = bh.Adam(kind(0) if kind is np.int64 else kind(0.5))
        elif field.type == "float" and kind is np.int64:
            given[field.name] = kind(0 if field.name in SHARES else 1)
        elif field.type == "float":
            given[field.name] = kind(0.3)
    return rule(**given)


def trained(network: bh.Layer, engine: Replay | Native | None) -> tuple[bh.Layer, str]:
    """A copy after three steps, and the lines that ran."""
    network, loss = copy.deepcopy(network), bh.MSELoss()
    step = None if engine is None else bh.TrainingStep(network, loss, engine)
    torch.manual_seed(1)
    for _ in range(3):
        x, y = torch.randn(5, 3), torch.randn(5, 2)
        if step is None:
            network.backward(loss.backward(network(x), y), 0.1)
        else:
            step(x, y, 0.1)
    return network, str(step)


def expect_agreement(network: bh.Layer, native: bool) -> None:
    """Replay gives the plain step's bits, and Native the same but for rounding."""
    plain, _ = trained(network, None)
    engines = [Replay(), *([Native()] if native else [])]
    for engine in engines:
        found, _ = trained(network, engine)
        for path, tensor in plain.lasting_tensors().items():
            other = found.lasting_tensors()[path]
            if isinstance(engine, Replay):
                assert torch.equal(tensor, other), path
            torch.testing.assert_close(tensor, other, rtol=1e-4, atol=1e-5)


def small(*layers: bh.Layer) -> bh.Sequential:
    torch.manual_seed(0)
    return bh.Sequential([bh.FullyConnected(3, 4), *layers, bh.FullyConnected(4, 2)])


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules_keep_them_as_pythons(rule, number) -> None:
    made = filled(rule, NUMBERS[number])
    for field in fields(made):
        if field.type == "float":
            assert type(getattr(made, field.name)) is (int if number == "int64" else float)
    expect_agreement(small().learn_with(made), native=number == "float32")


def test_truths_too_and_rules_of_others() -> None:
    assert bh.Adam(amsgrad=np.True_).amsgrad is True
    with pytest.raises(TypeError, match="Adam: expected a number as beta1, got array"):
        bh.Adam(beta1=np.array([0.5, 0.6]))
    with pytest.raises(ValueError, match=r"AdamW: expected beta1 in \[0, 1\), got 1.0"):
        bh.AdamW(beta1=np.float32(1))

    @dataclass(frozen=True)
    class Slower(bh.UpdateRule):
        """Takes part in the keeping without a word about it."""

        by: float = 2.0

        def update(self, parameter, gradient, learning_rate):
            parameter.value.sub_(gradient * (learning_rate / self.by))

    assert type(Slower(np.float32(3)).by) is float
    expect_agreement(small().learn_with(Slower(np.float64(3))), native=False)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_gates_keep_them_as_pythons(kind) -> None:
    gate = bh.Gate(kind(0.1))
    assert type(gate.max_norm) is float
    expect_agreement(small().gate_with(gate), native=kind is np.float32)


class Scaled(bh.Layer):
    """output = scale · input, its scale on this side or on that."""

    def __init__(self, scale, left: bool = False) -> None:
        self.scale, self.left = scale, left

    def forward(self, input, training):
        shifted = input.add(input, alpha=self.scale)
        return (self.scale * shifted if self.left else shifted * self.scale), None

    def propagate(self, error, memory, learning_rate):
        return error * self.scale + error * self.scale**2


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(
    "scale",
    [np.float64(0.3), np.float32(-0.3), np.float16(1e-7), np.int64(3), np.float64(-1.5e-30)],
)
def test_a_layer_may_hold_one(scale, left) -> None:
    expect_agreement(small(Scaled(scale, left)), native=abs(scale) < 2)


def test_those_of_a_layer_run_as_pythons() -> None:
    one, other = (trained(small(Scaled(each(0.3))), Replay())[1] for each in (np.float64, float))
    assert one.replace("np.float64(0.3)", "0.3") == other


class PacedBy(bh.UpdateRule):
    """A rule that is no dataclass, and does arithmetic with the rate and what it was given."""

    def __init__(self, pace) -> None:
        self.pace = pace

    def update(self, parameter, gradient, learning_rate):
        rate = (self.pace * learning_rate + learning_rate * self.pace) / (1 + self.pace)
        parameter.value.sub_(gradient * (rate - self.pace**parameter.updates / self.pace * 0.01))


@pytest.mark.parametrize("pace", [np.float64(0.3), np.int64(2)])
def test_the_rate_times_one_is_recorded(pace) -> None:
    expect_agreement(small().learn_with(PacedBy(pace)), native=False)


@pytest.mark.parametrize("pace", [np.float32(0.3), np.array(0.3), np.array([0.3])])
def test_the_rate_times_one_that_rounds_it_is_refused(pace) -> None:
    step = bh.TrainingStep(small().learn_with(PacedBy(pace)), bh.MSELoss(), Replay())
    with pytest.raises(FrozenScalar, match="frozen into one number"):
        step(torch.randn(5, 3), torch.randn(5, 2), 0.1)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda kind: schedules.constant(kind(0.25)),
        lambda kind: schedules.cosine(kind(0.25), kind(0.125), kind(0.5)),
        lambda kind: schedules.exponential(kind(0.25), kind(0.125)),
        lambda kind: schedules.stepwise(kind(0.25), kind(0.3), (kind(0.5), kind(0.75))),
        lambda kind: schedules.one_cycle(kind(0.25), kind(0.5)),
    ],
)
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.array])
def test_schedules_compute_in_pythons(schedule, kind) -> None:
    made, same = schedule(kind), schedule(lambda number: float(kind(number)))
    assert repr(made) == repr(same)
    for step in range(10):
        assert type(made(step, 10)) is float
        assert made(step, 10) == same(step, 10)
