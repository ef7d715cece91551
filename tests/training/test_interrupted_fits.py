"""Ctrl-C in a fit leaves a network, or an estimator, after a whole number of steps."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import CodeType

import numpy as np
import pytest
import torch

import backhand as bh
from backhand.estimators import MLPClassifier
from backhand.program import Native, Replay
from backhand.training.weights import Weights
from interrupts import (
    alarms_interrupt,
    assert_equal,
    assert_healthy,
    in_our_code,
    interrupted_at,
    learnt_by,
    until_interrupted,
)

pytestmark = pytest.mark.usefixtures("as_in_a_terminal")

ROWS, SIZE, EPOCHS = 40, 8, 6
DATA = (torch.randn(ROWS, 4), torch.randn(ROWS, 2))
HOW = {
    "plain": {"record": False},
    "Replay": {"engine": Replay()},
    "Native": {"engine": Native()},
}


def network() -> bh.Sequential:
    torch.manual_seed(3)
    layers = [bh.FullyConnected(4, 6), bh.Tanh(), bh.FullyConnected(6, 2)]
    return bh.Sequential(layers).learn_with(bh.Adam())


def fitted(made: bh.Layer, how: str, epochs: int, validation: float) -> None:
    settings = {"batch_size": SIZE, "learning_rate": 0.01, "validation": validation, "threads": 1}
    bh.fit(made, bh.MSELoss(), DATA, epochs=epochs, **settings, **HOW[how])


def states(how: str, epochs: int, validation: float) -> list[dict[str, torch.Tensor]]:
    """What fit's network is after each of its steps, taken one by one."""
    made, generator = network(), torch.Generator().manual_seed(0)
    inputs, targets = DATA
    if validation:
        order = torch.randperm(ROWS, generator=generator)[round(validation * ROWS) :]
        inputs, targets = inputs[order], targets[order]
    step = bh.TrainingStep(made, bh.MSELoss(), Native() if how == "Native" else Replay())
    found = [learnt_by(made)]
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=generator).split(SIZE):
            step.run(inputs, targets, rows, [0.01])
            found.append(learnt_by(made))
    return found


def assert_on_course(made: bh.Layer, expected: list[dict[str, torch.Tensor]]) -> int:
    """It stands after a whole number of steps; how many."""
    found = learnt_by(made)
    steps = int(found["0.weight updates"])
    assert_equal(found, expected[steps])
    return steps


def some_moments(work: Callable[[], object]) -> list[int]:
    """Some moments of it, spread evenly, and more towards the end, where the best is restored."""
    moments = interrupted_at(0, work)
    return sorted({*range(1, moments, moments // 6), *range(moments - 80, moments, 16)})


@pytest.mark.parametrize(("how", "validation"), [("plain", 0.2), ("Replay", 0.2), ("Native", 0.0)])
def test_a_fit_interrupted_at_any_call_stands_after_a_whole_step(how, validation) -> None:
    expected, threads = states(how, 2, validation), torch.get_num_threads()
    taken = set()
    for moment in some_moments(lambda: fitted(network(), how, 2, validation)):
        made = network()
        interrupted_at(moment, lambda made=made: fitted(made, how, 2, validation))
        assert_healthy()
        assert torch.get_num_threads() == threads
        taken.add(assert_on_course(made, expected))
    assert len(taken) > 1


@pytest.mark.parametrize("how", HOW)
def test_a_fit_interrupted_at_any_time_stands_after_a_whole_step(how) -> None:
    expected, drawn = states(how, EPOCHS, 0.0), random.Random(2)
    made = network()

    def fit_another() -> None:
        nonlocal made
        made = network()
        fitted(made, how, EPOCHS, 0.0)

    fit_another()
    with alarms_interrupt() as interrupt_after:
        for _ in range(12):
            seconds = drawn.uniform(1e-3, 2e-2)
            until_interrupted(fit_another, lambda seconds=seconds: interrupt_after(seconds))
            assert_healthy()
            assert_on_course(made, expected)
    twin, steps = network(), assert_on_course(made, expected)
    for parameter, other in zip(
        twin.parameters().values(), made.parameters().values(), strict=True
    ):
        for name, tensor in parameter.tensors().items():
            tensor.copy_(other.tensors()[name])
        parameter.updates = steps
    for each in (made, twin):
        fitted(each, how, 1, 0.0)
    assert_equal(learnt_by(made), learnt_by(twin))


def test_weights_are_kept_and_restored_whole() -> None:
    made = network()
    fitted(made, "plain", 1, 0.0)
    first, one = learnt_by(made), Weights(made)
    fitted(made, "plain", 1, 0.0)
    second, two = learnt_by(made), Weights(made)
    outcomes = set()
    for moment in range(1, interrupted_at(0, one.restore) + 1):
        two.restore()
        interrupted_at(moment, one.restore)
        steps = int(learnt_by(made)["0.weight updates"])
        assert_equal(learnt_by(made), first if steps == 5 else second)
        outcomes.add(steps)
    assert outcomes == {5, 10}
    for moment in range(1, interrupted_at(0, one.keep) + 1):
        two.restore()
        kept = Weights(made)
        one.restore()
        interrupted_at(moment, kept.keep)
        kept.restore()
        steps = int(learnt_by(made)["0.weight updates"])
        assert_equal(learnt_by(made), first if steps == 5 else second)


# An estimator, which keeps what has been learnt so far: here the best epoch.

TABLE = np.random.RandomState(0).randn(600, 4).astype(np.float32)
CLASSES = (TABLE.sum(1) > 0).astype(int)


def classifier(epochs: int) -> MLPClassifier:
    return MLPClassifier(
        (5,), max_iter=epochs, batch_size=16, early_stopping=True, n_iter_no_change=99,
        random_state=1,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:Training interrupted", "ignore:Stochastic Optimizer")
def test_an_estimator_interrupted_at_any_time_has_the_best_of_the_epochs_so_far() -> None:
    drawn, stopped = random.Random(1), []
    for _ in range(4):  # the first ones also compile
        begun = time.perf_counter()
        classifier(40).fit(TABLE, CLASSES)
        seconds = time.perf_counter() - begun
    with alarms_interrupt() as interrupt_after:
        for _ in range(100):
            if len(stopped) == 6:
                break
            made = classifier(40)
            try:
                interrupt_after(drawn.uniform(0.2, 0.9) * seconds)
                made.fit(TABLE, CLASSES)
                interrupt_after(0)
            except KeyboardInterrupt:  # it came before the training, or after it
                pass
            assert_healthy()
            if 0 < getattr(made, "n_iter_", 0) < 40 and hasattr(made, "coefs_"):
                stopped.append(made)
    for made in stopped:
        twin = classifier(made.n_iter_).fit(TABLE, CLASSES)
        assert made.validation_scores_ == twin.validation_scores_
        assert made.loss_curve_ == twin.loss_curve_
        for one, other in zip(made.coefs_, twin.coefs_, strict=True):
            assert np.array_equal(one, other)
    assert len(stopped) == 6


def noting_an_epoch(code: CodeType) -> bool:
    return in_our_code(code) and code.co_name in {"judge", "_improved_by_score"}


@pytest.mark.filterwarnings("ignore:Training interrupted", "ignore:Stochastic Optimizer")
def test_an_estimator_interrupted_as_it_notes_an_epoch_has_noted_all_of_it() -> None:
    made, epochs = classifier(3), set()

    def fit() -> None:
        made.fit(TABLE, CLASSES)

    fit()
    rows = made.t_ // 3
    for moment in range(1, interrupted_at(0, fit, where=noting_an_epoch) + 1):
        made = classifier(3)
        interrupted_at(moment, fit, where=noting_an_epoch)
        assert_healthy()
        assert made.t_ == made.n_iter_ * rows
        assert len(made.loss_curve_) == len(made.validation_scores_) == made.n_iter_
        assert made.loss_curve_[-1] == made.loss_
        assert made.best_validation_score_ == max(made.validation_scores_)
        epochs.add(made.n_iter_)
    assert epochs == {1, 2, 3}
