"""The one loop: what it asks its passes, its rates, its judge and its guard, and when."""

from __future__ import annotations

import math

import pytest
import torch

import backhand as bh
from backhand.data import Data, disc
from backhand.training import cosine
from backhand.training.loop import Epochs, Guard, Judge
from backhand.training.passes import DataPasses
from backhand.training.rates import Scheduled
from backhand.training.steps import PlainSteps

DATA = disc(20, 0)


class Counted:
    """Passes over DATA that note how many epochs a call was for, and their rates."""

    steps = 4

    def __init__(self, network: bh.Layer) -> None:
        steps = PlainSteps(network, bh.MSELoss())
        self.passes = DataPasses(steps, DATA, 5, lambda: torch.arange(20), 20)
        self.calls: list[tuple[int, list[float]]] = []

    def take(self, epochs, learning_rates):
        self.calls.append((epochs, list(learning_rates)))
        return self.passes.take(epochs, learning_rates)


class Halving:
    """A rate, halved twice."""

    def __init__(self) -> None:
        self.rate = 0.4

    def of_epoch(self, steps: int) -> list[float]:
        return [self.rate] * steps

    def lower(self) -> float | None:
        self.rate /= 2
        return self.rate if self.rate >= 0.1 else None


class EveryThird(Judge):
    """Has had enough at every third epoch."""

    def __init__(self) -> None:
        self.epochs: list[bh.training.Epoch] = []
        self.told: list[float | None] = []

    def undecided(self) -> float:
        return 3 - len(self.epochs) % 3

    def judge(self, epoch) -> bool:
        self.epochs.append(epoch)
        return epoch.number % 3 == 0

    def after_stall(self, lower) -> None:
        self.told.append(lower)


class Patient(EveryThird):
    """Is asked after every third epoch, and never has had enough."""

    def judge(self, epoch) -> bool:
        self.epochs.append(epoch)
        return False


def loop(judge: Judge, rates=None):
    torch.manual_seed(0)
    network = bh.FullyConnected(2, 1)
    passes = Counted(network)
    return Epochs(passes, rates or Halving(), judge, Guard(network)), passes, network


def test_epochs_between_which_nothing_is_decided_are_one_call_and_the_rate_falls() -> None:
    judge = EveryThird()
    epochs, passes, _ = loop(judge)
    assert not epochs.run(50)
    assert [count for count, _ in passes.calls] == [3, 3, 3]
    assert judge.told == [0.2, 0.1, None]
    assert [epoch.learning_rate for epoch in judge.epochs] == [0.4] * 3 + [0.2] * 3 + [0.1] * 3
    assert [epoch.number for epoch in judge.epochs] == list(range(1, 10))
    assert [epoch.steps for epoch in judge.epochs] == [4 * n for n in range(1, 10)]


def test_whoever_is_told_of_every_epoch_is_told_before_the_next_is_taken() -> None:
    judge = EveryThird()
    epochs, passes, network = loop(judge)
    weights = []
    told = []

    def on_epoch(epoch) -> None:
        told.append(epoch)
        weights.append(network.weight.value.clone())

    assert epochs.run(5, on_epoch)
    assert told == judge.epochs
    assert [count for count, _ in passes.calls] == [1] * 5
    together, _, same = loop(EveryThird())
    together.run(2)
    assert torch.equal(same.weight.value, weights[1])
    together.run(5)
    assert torch.equal(same.weight.value, weights[4])


def test_a_judge_of_nothing_lets_training_run_to_its_end_at_the_schedules_rates() -> None:
    epochs, passes, _ = loop(Judge(), Scheduled(cosine(0.3), 12))
    told: list[bh.training.Epoch] = []
    assert epochs.run(3, told.append)
    assert [epoch.learning_rate for epoch in told] == [cosine(0.3)(s, 12) for s in (3, 7, 11)]
    rates = [rate for _, rates in passes.calls for rate in rates]
    assert rates == [cosine(0.3)(s, 12) for s in range(12)]


@pytest.mark.parametrize(("every_call", "kept"), [(True, 3), (False, 0)])
def test_a_bad_number_brings_back_the_weights_of_the_last_call_or_of_the_beginning(
    every_call, kept
) -> None:
    def rate(step: int, steps: int) -> float:
        return 1e38 if step >= 17 else 0.1  # in the fifth epoch

    epochs, _, network = loop(Patient(), Scheduled(rate, 80))
    epochs.guard = Guard(network, every_call)
    before = [each.value.clone() for each in network.parameters().values()]
    with pytest.raises(bh.NonFiniteLoss, match=f"epoch [56]: .*those of epoch {kept}"):
        epochs.run(20)
    assert epochs.number == 3
    if every_call:
        good, _, other = loop(Patient(), Scheduled(lambda step, steps: 0.1, 80))
        good.run(3)
        before = [each.value for each in other.parameters().values()]
    for each, value in zip(network.parameters().values(), before, strict=True):
        assert torch.equal(each.value, value)


def test_a_pass_takes_a_step_a_batch_and_its_loss_is_their_mean() -> None:
    torch.manual_seed(0)
    network, loss = bh.FullyConnected(2, 1), bh.MSELoss()
    passes = DataPasses(PlainSteps(network, loss), DATA, 8, lambda: torch.arange(20), 20)
    assert passes.steps == 3
    found = passes.take(2, [0.0] * 6)
    parts = [Data(*(part[at : at + 8] for part in DATA)) for at in (0, 8, 16)]
    mean = sum(float(loss(network.predict(x), y)) for x, y in parts) / 3
    assert found == pytest.approx([mean, mean])


def test_a_schedule_is_asked_step_by_step_and_gives_its_last_rate_ever_after() -> None:
    rates = Scheduled(cosine(1.0), 5)
    assert rates.of_epoch(3) + rates.of_epoch(2) == [cosine(1.0)(s, 5) for s in range(5)]
    assert rates.of_epoch(2) == [cosine(1.0)(4, 5)] * 2
    assert rates.lower() is None
    with pytest.raises(ValueError, match="the schedule gave nan at step 1"):
        Scheduled(lambda step, steps: math.nan if step else 0.1, 5).of_epoch(2)
