"""Recordings in several threads at once are as those one after another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
import torch

import backhand as bh
from backhand.program import Replay
from interrupts import assert_equal, assert_healthy, learnt_by

pytestmark = pytest.mark.usefixtures("as_in_a_terminal")

BATCH = (torch.randn(8, 6), torch.randn(8, 3))


def network(seed: int = 0) -> bh.Sequential:
    torch.manual_seed(seed)
    layers = [bh.FullyConnected(6, 9), bh.Tanh(), bh.FullyConnected(9, 9), bh.FullyConnected(9, 3)]
    made = bh.Sequential(layers).learn_with(bh.Adam())
    made.layers[0].gate_with(bh.Gate(0.5))
    return made


def plain_step(network: bh.Layer) -> None:
    prediction = network(BATCH[0])
    network.backward(bh.MSELoss().backward(prediction, BATCH[1]), 0.01)


def at_once(works: Sequence[Callable[[], object]], meanwhile: Callable[[], None]) -> None:
    """Do each work in a thread of its own, and something else in this one until all have ended."""
    together, problems = threading.Barrier(len(works)), []

    def do(work: Callable[[], object]) -> None:
        try:
            together.wait()
            work()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        meanwhile()
    assert problems == []


def test_threads_record_one_network_at_once() -> None:
    for seed in range(5):
        made, twin = network(seed), network(seed)
        step = bh.TrainingStep(made, bh.MSELoss(), Replay())
        predictions = [bh.Prediction(made, Replay()) for _ in range(3)]
        works = [lambda step=step: step.record(*BATCH)]
        works += [lambda each=each: each.record(BATCH[0]) for each in predictions]
        expected = learnt_by(made)

        def nothing_moves(made=made, expected=expected) -> None:
            assert_equal(learnt_by(made), expected)

        at_once(works, nothing_moves)
        nothing_moves()
        assert_healthy()
        for each in predictions:
            assert torch.equal(each(BATCH[0]), twin.predict(BATCH[0]))
        for _ in range(3):
            step(*BATCH, 0.01)
            plain_step(twin)
            assert_equal(learnt_by(made), learnt_by(twin))
        assert str(predictions[0]) == str(bh.Prediction(twin, Replay()).record(BATCH[0]))
        assert str(step) == str(bh.TrainingStep(twin, bh.MSELoss(), Replay()).record(*BATCH))


def test_threads_train_networks_of_their_own_while_others_record() -> None:
    made = [network(seed) for seed in range(4)]
    twins = [network(seed) for seed in range(4)]

    def train(network: bh.Layer) -> None:
        for width in (1, 8):
            step = bh.TrainingStep(network, bh.MSELoss(), Replay())
            for _ in range(10):
                step(BATCH[0][:width], BATCH[1][:width], 0.01)
            bh.Prediction(network, Replay())(BATCH[0])

    randomness = torch.get_rng_state()
    at_once([lambda each=each: train(each) for each in made], lambda: None)
    assert torch.equal(torch.get_rng_state(), randomness)
    assert_healthy()
    for one, twin in zip(made, twins, strict=True):
        train(twin)
        assert_equal(learnt_by(one), learnt_by(twin))


def test_a_thread_steps_plainly_while_another_records() -> None:
    for seed in range(5):
        made, stepped, twin = network(seed), network(seed), network(seed)
        step = bh.TrainingStep(made, bh.MSELoss(), Replay())

        def many(network=stepped) -> None:
            for _ in range(20):
                plain_step(network)

        at_once([many, lambda step=step: step.record(*BATCH)], lambda: None)
        many(twin)
        assert_equal(learnt_by(stepped), learnt_by(twin))
        assert_equal(learnt_by(made), learnt_by(network(seed)))


def test_what_one_recording_drew_is_not_what_another_puts_back() -> None:
    drawn, other_begun, ended = threading.Event(), threading.Event(), threading.Event()

    class Drawing(bh.Layer):
        """A layer that draws from torch's generator."""

        def forward(self, input, training):
            noise = torch.rand(input.shape)
            self.meet()
            return input + noise, None

        def propagate(self, error, memory, learning_rate):
            return error

    class First(Drawing):
        """It has drawn, and the other recording may begin, if it does not have to wait."""

        def meet(self):
            if not drawn.is_set():
                drawn.set()
                other_begun.wait(0.3)

    class Second(Drawing):
        """It waits for the first one to have ended."""

        def meet(self):
            other_begun.set()
            ended.wait(3)

    def record(layer: bh.Layer) -> None:
        bh.TrainingStep(layer, bh.MSELoss(), Replay()).record(BATCH[1], BATCH[1])

    def record_first() -> None:
        record(First())
        ended.set()

    def record_second() -> None:
        drawn.wait(3)
        record(Second())

    randomness = torch.get_rng_state()
    at_once([record_first, record_second], lambda: ended.wait(0.01))
    assert torch.equal(torch.get_rng_state(), randomness)
