"""Ctrl-C at any time leaves a network that stands after a whole number of steps, and trains on.

Weights, rules' states, gates' sums and counts are those of an uninterrupted training of as many
steps, to the bit, and nothing in the thread is stuck.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from functools import partial
from types import CodeType

import pytest
import torch

import backhand as bh
from backhand.learning import interrupts
from backhand.program import Native, Replay
from interrupts import (
    alarms_interrupt,
    assert_equal,
    assert_healthy,
    assert_not_stuck,
    interrupted_at,
    learnt_by,
    until_interrupted,
)

pytestmark = pytest.mark.usefixtures("as_in_a_terminal")

BATCH = (torch.randn(8, 6), torch.randn(8, 3))
MANY = torch.arange(8).repeat(300), [0.01] * 300


def network(gate: bh.Gate | None = None) -> bh.Sequential:
    torch.manual_seed(4)
    layers = [bh.FullyConnected(6, 9), bh.Tanh(), bh.FullyConnected(9, 9), bh.FullyConnected(9, 3)]
    made = bh.Sequential(layers).learn_with(bh.Adam())
    made.layers[0].gate_with(bh.Gate(0.5) if gate is None else gate)
    return made


def plain_step(network: bh.Layer) -> None:
    prediction = network(BATCH[0])
    network.backward(bh.MSELoss().backward(prediction, BATCH[1]), 0.01)


def stepping(network: bh.Layer, how: str, many=MANY):
    """What takes a step, or many."""
    if how == "plain":
        return lambda: plain_step(network)
    step = bh.TrainingStep(network, bh.MSELoss(), Native() if "Native" in how else Replay())
    if "many" in how:
        return lambda: step.run(*BATCH, *many)
    if "place" in how:
        placed = step.in_place(*BATCH)
        return lambda: placed(0.01)
    return lambda: step(*BATCH, 0.01)


class Course:
    """What a network is after any number of steps that nothing interrupts.

    Args:
        network: as it begins; trained here.
        how: steps are taken; those of Replay are the plain ones, in every way.
    """

    def __init__(self, network: bh.Layer, how: str) -> None:
        self.network = network
        self.step = stepping(network, "Native" if "Native" in how else "plain")
        self.steps = 0

    def assert_on_it(self, network: bh.Layer) -> int:
        """The network stands after a whole number of these steps; how many."""
        found = learnt_by(network)
        steps = int(found["3.weight updates"])
        assert steps >= self.steps
        for _ in range(steps - self.steps):
            self.step()
        self.steps = steps
        assert_equal(found, learnt_by(self.network))
        return steps


STEPS = ["plain", "Replay", "Replay in place", "Native", "Native in place"]
RUNS = ["Replay, many", "Native, many"]


@pytest.mark.parametrize("how", [*STEPS, *RUNS])
def test_after_an_interrupt_at_any_time_all_stand_after_the_same_step(how) -> None:
    made, course, drawn = network(), Course(network(), how), random.Random(5)
    step = stepping(made, how)
    step()
    wanted, longest = (8, 5e-3) if how in RUNS else (60, 1e-3)
    with alarms_interrupt() as interrupt_after:
        for _ in range(wanted):
            seconds = drawn.uniform(1e-5, longest)
            until_interrupted(step, lambda seconds=seconds: interrupt_after(seconds))
            assert_healthy()
            steps = course.assert_on_it(made)
    step()
    assert course.assert_on_it(made) == steps + (len(MANY[1]) if how in RUNS else 1)


@pytest.mark.parametrize("how", RUNS)
def test_interrupts_sent_by_another_thread(how) -> None:
    made, course, drawn = network(), Course(network(), how), random.Random(6)
    run = stepping(made, how)
    run()
    for _ in range(5):
        killer = threading.Timer(drawn.uniform(1e-4, 5e-3), os.kill, (os.getpid(), signal.SIGINT))
        until_interrupted(run, killer.start)
        killer.join()
        assert_healthy()
        course.assert_on_it(made)


GATES = {"sum": bh.Gate, "accumulated": lambda: bh.Accumulation(3)}
SWEPT = [
    (how, gate) for how in STEPS + RUNS for gate in GATES if gate == "sum" or "place" not in how
]


def sweep(how: str, gate: str, most: int) -> None:
    """Interrupt steps at every moment, or at about so many of them, one after another."""
    made, course = network(GATES[gate]()), Course(network(GATES[gate]()), how)
    few = torch.arange(8).repeat(4), [0.01] * 4
    step, each = stepping(made, how, few), len(few[1]) if how in RUNS else 1
    for _ in range(3):
        step()
    moments = max(interrupted_at(0, step) for _ in range(3))
    taken = set()
    for moment in range(1, moments + 1, 1 + moments // most):
        before = course.assert_on_it(made)
        interrupted_at(moment, step)
        assert_healthy()
        after = course.assert_on_it(made)
        taken.add(after - before)
        step()
        assert course.assert_on_it(made) == after + each
    assert 0 in taken
    assert each in taken or "Native" in how  # whose step is one call of C, at its end


@pytest.mark.parametrize(("how", "gate"), SWEPT)
def test_after_an_interrupt_at_any_call_all_stand_after_the_same_step(how, gate) -> None:
    sweep(how, gate, most=40)


@pytest.mark.soak
@pytest.mark.parametrize(("how", "gate"), SWEPT)
def test_after_an_interrupt_at_every_call_all_stand_after_the_same_step(how, gate) -> None:
    sweep(how, gate, most=10_000)


@pytest.mark.parametrize(
    ("how", "enabled"), [("Replay", True), ("Native", True), ("Replay", False)]
)
def test_a_recording_that_is_interrupted_leaves_no_trace(how, enabled) -> None:
    made, expected = network(), learnt_by(network())
    engine = Native() if how == "Native" else Replay()

    def record() -> None:
        bh.TrainingStep(made, bh.MSELoss(), engine).record(*BATCH)
        bh.Prediction(made, engine).record(BATCH[0])

    record()
    randomness = torch.get_rng_state()
    with torch.set_grad_enabled(enabled):
        moments = interrupted_at(0, record)
        drawn = random.Random(7)
        for moment in drawn.sample(range(1, moments + 1), 12):
            interrupted_at(moment, record)
            assert_healthy(enabled)
            assert_equal(learnt_by(made), expected)
            assert torch.equal(torch.get_rng_state(), randomness)
    course, step = Course(network(), how), stepping(made, how)
    for steps in range(1, 4):
        step()
        assert course.assert_on_it(made) == steps


def test_gradients_that_are_only_read_are_read_whole() -> None:
    made, expected = network(), learnt_by(network())

    def read() -> None:
        bh.gradients(made, bh.MSELoss(), *BATCH)

    for moment in range(1, interrupted_at(0, read) + 1):
        interrupted_at(moment, read)
        assert_healthy()
        assert_equal(learnt_by(made), expected)
    plain_step(made)
    assert Course(network(), "plain").assert_on_it(made) == 1


@pytest.mark.parametrize("engine", [Replay(), Native()], ids=repr)
def test_a_long_run_does_not_keep_one_waiting(engine) -> None:
    made = bh.Sequential([bh.FullyConnected(6, 300), bh.Tanh(), bh.FullyConnected(300, 300)])
    made.layers.append(bh.FullyConnected(300, 3))
    step = bh.TrainingStep(made, bh.MSELoss(), engine)
    step.run(*BATCH, *MANY)
    order, rates = torch.arange(8).repeat(100_000), [0.0] * 100_000  # of 5 seconds and more
    first = next(iter(made.parameters().values()))

    def interrupt_the_run() -> None:
        last = time.monotonic() + 60
        while first.updates == len(MANY[1]) and time.monotonic() < last:
            time.sleep(0.01)  # it gets ready, which takes long where many share a processor
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    killer = threading.Thread(target=interrupt_the_run)
    begun = time.process_time()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, it comes in the run, or after one too long
        killer.start()
        step.run(*BATCH, order, rates)
        killer.join()
    assert time.process_time() - begun < 1.5
    killer.join()
    assert_healthy()
    counts = {each.updates for each in made.parameters().values()}
    assert len(counts) == 1
    assert len(MANY[1]) < counts.pop() < 50_000


@pytest.mark.parametrize(("engine", "steps"), [(Replay(), 500), (Native(), 20_000)], ids=repr)
def test_a_handler_that_does_not_raise_lets_the_run_go_on(engine, steps) -> None:
    made, noted = network(), []
    step = bh.TrainingStep(made, bh.MSELoss(), engine)
    step(*BATCH, 0.01)
    order, rates = torch.arange(8).repeat(steps), [0.01] * steps
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        with alarms_interrupt() as interrupt_after:
            interrupt_after(0.002)
            losses = step.run(*BATCH, order, rates)
    finally:
        signal.signal(signal.SIGINT, before)
    assert noted == [signal.SIGINT]
    assert losses.shape == (steps,)
    assert_healthy()
    assert Course(network(), repr(engine)).assert_on_it(made) == 1 + steps


def test_a_second_interrupt_at_any_call_leaves_none_to_come() -> None:
    def work() -> None:
        interrupts.uninterrupted(signal.raise_signal, signal.SIGINT)

    for moment in range(1, interrupted_at(0, work) + 1):
        interrupted_at(moment, work)
        assert_healthy()
        with pytest.raises(KeyboardInterrupt):
            work()
        assert interrupts.uninterrupted(interrupts.interrupted) is False


class Endless(bh.Layer):
    """A layer whose backward ends by a second Ctrl-C only."""

    def forward(self, input, training):
        return input, None

    def propagate(self, error, memory, learning_rate):
        while True:
            signal.raise_signal(signal.SIGINT)


def test_a_second_interrupt_comes_at_once() -> None:
    made = Endless()
    made(BATCH[0])
    with pytest.raises(KeyboardInterrupt):
        made.backward(BATCH[0], 0.1)
    assert_healthy()
    trained = network()
    plain_step(trained)
    assert Course(network(), "plain").assert_on_it(trained) == 1


@pytest.mark.parametrize("how", [*STEPS, *RUNS, "read", "record"])
def test_a_second_interrupt_at_any_call_leaves_nothing_stuck(how) -> None:
    made, few = network(), (torch.arange(8).repeat(3), [0.01] * 3)
    if how == "read":
        work = partial(bh.gradients, made, bh.MSELoss(), *BATCH)
    elif how == "record":
        work = lambda: bh.TrainingStep(made, bh.MSELoss(), Replay()).record(*BATCH)  # noqa: E731
    else:
        work = stepping(made, how, few)
    work()
    randomness = torch.get_rng_state()
    moments, most = interrupted_at(0, work), 12 if how == "record" else 200
    for moment in range(1, moments + 1, 1 + moments // most):
        interrupted_at(moment, work, times=2, meanwhile=assert_not_stuck)
        assert_not_stuck()
    assert torch.equal(torch.get_rng_state(), randomness)
    fresh = network()
    plain_step(fresh)
    assert Course(network(), "plain").assert_on_it(fresh) == 1


def anywhere(code: CodeType) -> bool:
    return True


def at_a_with_of_python(code: CodeType) -> bool:
    """Whether code enters or leaves what a `with` is for, be it ours, torch's or Python's own."""
    return code.co_name in {"__enter__", "__exit__"}


def test_a_recording_interrupted_at_any_with_leaves_nothing_stuck() -> None:
    made = bh.FullyConnected(6, 3)
    expected = learnt_by(made)
    randomness = torch.get_rng_state()

    def record() -> None:
        bh.TrainingStep(made, bh.MSELoss(), Replay()).record(*BATCH)

    moments = interrupted_at(0, record, where=at_a_with_of_python)
    for moment in range(1, moments + 1):
        interrupted_at(moment, record, where=at_a_with_of_python, meanwhile=assert_healthy)
        assert_healthy()
        assert_equal(learnt_by(made), expected)
        assert torch.equal(torch.get_rng_state(), randomness)


@pytest.mark.parametrize("engine", [Replay(), Native()], ids=repr)
def test_a_prediction_interrupted_anywhere_leaves_nothing_stuck(engine) -> None:
    made, predict = network(), bh.Prediction(network(), engine)
    expected = predict(BATCH[0])
    work = partial(predict, BATCH[0])
    for moment in range(1, interrupted_at(0, work, where=anywhere) + 1):
        interrupted_at(moment, work, where=anywhere, meanwhile=assert_healthy)
        assert_healthy()
    assert torch.equal(work(), expected)
    plain_step(made)
    assert Course(network(), "plain").assert_on_it(made) == 1


class Noise(bh.Layer):
    """A layer that draws from torch's generator and one of its own, and then Ctrl-C comes."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.generator = torch.Generator().manual_seed(1)

    def forward(self, input, training):
        noise = torch.rand(input.shape, generator=self.generator) + torch.rand(input.shape)
        for _ in range(self.times):
            signal.raise_signal(signal.SIGINT)
        return input + noise, None

    def propagate(self, error, memory, learning_rate):
        return error


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_recording_that_is_interrupted_draws_no_random_number(times) -> None:
    made = bh.Sequential([bh.FullyConnected(6, 3), Noise(times)])
    own, before = made.layers[1].generator, torch.get_rng_state()
    own_before = own.get_state()
    with pytest.raises(KeyboardInterrupt) if times else contextlib.nullcontext():
        bh.TrainingStep(made, bh.MSELoss(), Replay()).record(*BATCH)
    assert_healthy()
    assert torch.equal(own.get_state(), own_before)
    assert torch.equal(torch.get_rng_state(), before)
