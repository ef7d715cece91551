"""fit: what it measures, when it stops, what it refuses, and what it leaves behind."""

from __future__ import annotations

import csv
import math
import pickle

import pytest
import torch

import backhand as bh
from backhand.data import disc
from backhand.training import (
    constant,
    cosine,
    evaluate,
    exponential,
    one_cycle,
    stepwise,
)
from backhand.training.threads import threads_for


def network(outputs: int = 1) -> bh.Sequential:
    torch.manual_seed(0)
    return bh.Sequential(
        [bh.FullyConnected(2, 9), bh.Tanh(), bh.FullyConnected(9, outputs), bh.Sigmoid()]
    )


LOSS, TRAIN = bh.MSELoss(), disc(100, 0)
ACCURACY = {"accuracy": bh.accuracy()}


def test_learns_measures_and_is_the_same_for_the_same_seed() -> None:
    runs = []
    for _ in range(2):
        one = network()
        seen = []
        history = bh.fit(
            one,
            LOSS,
            TRAIN,
            test=disc(50, 1),
            epochs=4,
            batch_size=7,
            learning_rate=1.0,
            metrics=ACCURACY,
            evaluate_train=True,
            on_epoch=seen.append,
        )
        assert list(history) == seen
        runs.append((one.layers[0].weight.value, history))
    assert torch.equal(runs[0][0], runs[1][0])
    last = runs[0][1][-1]
    assert last.number == 4
    assert last.steps == 4 * math.ceil(100 / 7)
    assert last.learning_rate == 1.0
    assert set(last.measures) == {"train", "test"}
    measured = evaluate(one, LOSS, TRAIN, ACCURACY)
    assert last.measures["train"] == pytest.approx(measured)
    losses = runs[0][1].column("loss")
    assert losses == runs[1][1].column("loss")
    assert losses[-1] < losses[0]
    with pytest.raises(KeyError, match="history has no 'speed'; it has epoch, steps"):
        runs[0][1].column("speed")


def test_evaluate_is_the_mean_over_rows_whatever_the_slices(monkeypatch) -> None:
    one, data = network(), disc(1000, 3)
    whole = evaluate(one, LOSS, data, ACCURACY)
    monkeypatch.setattr("backhand.training.metrics.ROWS_AT_ONCE", 300)
    assert evaluate(one, LOSS, data, ACCURACY) == pytest.approx(whole)
    prediction = one.predict(data.inputs)
    right = ((prediction > 0.5) == (data.targets > 0.5)).double().mean().item()
    assert whole["accuracy"] == pytest.approx(right)


def test_accuracy_of_classes() -> None:
    prediction = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    assert bh.accuracy()(prediction, torch.tensor([0, 1, 1])).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "target", [torch.arange(3).unsqueeze(1), torch.arange(3.0)], ids=["a column", "floats"]
)
def test_accuracy_refuses_a_target_that_would_broadcast(target) -> None:
    with pytest.raises(ValueError, match=r"class indices of shape \(3,\), got torch"):
        bh.accuracy()(torch.eye(3), target)


def test_early_stopping_restores_the_best_weights() -> None:
    one = network()
    history = bh.fit(
        one,
        LOSS,
        TRAIN,
        epochs=200,
        learning_rate=lambda step, steps: 8.0 if step > 100 else 0.5,  # turns bad
        validation=0.3,
        patience=5,
    )
    assert len(history) < 200
    losses = history.column("validation_loss")
    assert history.best_epoch == losses.index(min(losses)) + 1
    assert len(history) == history.best_epoch + 5
    generator = torch.Generator().manual_seed(0)
    held = torch.randperm(100, generator=generator)[:30]
    found = evaluate(one, LOSS, (TRAIN.inputs[held], TRAIN.targets[held]))
    assert found["loss"] == pytest.approx(min(losses))


@pytest.mark.parametrize("record", [True, False])
def test_a_bad_number_leaves_the_last_good_weights_and_states(record) -> None:
    good = bh.Sequential([bh.FullyConnected(2, 1)]).learn_with(bh.Momentum())
    bad = bh.Sequential([bh.FullyConnected(2, 1)]).learn_with(bh.Momentum())
    bad.layers[0].weight.value.copy_(good.layers[0].weight.value)

    def rate(step: int, steps: int) -> float:
        return 1e38 if step >= 26 else 0.1  # in the third epoch of 13 steps

    bh.fit(good, LOSS, TRAIN, epochs=2, learning_rate=0.1, record=record)
    with pytest.raises(bh.NonFiniteLoss, match=r"epoch 3: .*the weights are those of epoch 2"):
        bh.fit(bad, LOSS, TRAIN, epochs=5, learning_rate=rate, record=record)
    for one, other in zip(good.parameters().values(), bad.parameters().values(), strict=True):
        assert torch.equal(one.value, other.value)
        assert torch.equal(one.state["velocity"], other.state["velocity"])
        assert one.updates == other.updates == 26


@pytest.mark.parametrize("record", [True, False])
def test_a_rule_state_that_overflows_stops_training_though_the_weights_are_finite(record) -> None:
    network = bh.FullyConnected(1, 1).learn_with(bh.Adam())
    data = (torch.full((4, 1), 1e15), torch.full((4, 1), 1e14))  # squares of gradients overflow
    with pytest.raises(bh.NonFiniteLoss, match="a rule's state"):
        bh.fit(network, LOSS, data, epochs=3, batch_size=4, learning_rate=1e-30, record=record)


@pytest.mark.parametrize("record", [True, False])
def test_training_goes_on_after_a_bad_number_in_the_middle_of_an_accumulation(record) -> None:
    one, other = (bh.FullyConnected(2, 1).gate_with(bh.Accumulation(every=4)) for _ in range(2))
    with pytest.raises(bh.NonFiniteLoss):
        bh.fit(one, LOSS, TRAIN, learning_rate=3e38, record=record)
    for parameter, twin in zip(one.parameters().values(), other.parameters().values(), strict=True):
        twin.value.copy_(parameter.value)
    for network in (one, other):
        bh.fit(network, LOSS, TRAIN, epochs=2, record=record)
    assert torch.equal(one.weight.value, other.weight.value)


@pytest.mark.parametrize("bad_from", [1, 3])
def test_a_validation_loss_that_is_not_finite_is_an_error_and_leaves_the_best(bad_from) -> None:
    class Scales(bh.MSELoss):
        """Infinite where asked about the validation rows of a late epoch."""

        def forward(self, prediction, target):
            value = super().forward(prediction, target)
            late = len(seen) + 1 >= bad_from and len(target) == 30
            return value * math.inf if late else value

    seen: list[float] = []
    one = bh.FullyConnected(2, 1)
    weights = [one.weight.value.clone()]

    def after(epoch) -> None:
        seen.append(epoch.measures["validation"]["loss"])
        weights.append(one.weight.value.clone())

    with pytest.raises(bh.NonFiniteLoss, match=rf"epoch {bad_from}: the validation loss"):
        bh.fit(one, Scales(), TRAIN, epochs=5, validation=0.3, on_epoch=after)
    best = 0 if not seen else seen.index(min(seen)) + 1
    assert torch.equal(one.weight.value, weights[best])


NAN = torch.tensor([[0.5, float("nan")]])


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"epochs": 0}, ValueError, "epochs: expected 1 or more, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate: expected a finite number above 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate"),
        (
            {"learning_rate": lambda step, steps: -1.0},
            ValueError,
            "the schedule gave -1.0",
        ),
        ({"validation": 1.0}, ValueError, "validation"),
        ({"validation": 0.001}, ValueError, "leaves 100 to train on and 0 to validate on"),
        ({"patience": 3}, ValueError, "needs a validation share"),
        ({"threads": 0}, ValueError, "threads"),
        ({"test": (NAN, torch.ones(1, 1))}, ValueError, "test inputs: row 0"),
        ({"test": (torch.ones(2, 2), torch.ones(1, 1))}, ValueError, "one target for each of 2"),
        ({"train": (torch.ones(0, 2), torch.ones(0, 1))}, ValueError, "at least one row"),
        ({"train": (torch.ones(3, 2), torch.ones(3, 2))}, ValueError, "train targets: MSELoss"),
        ({"train": (torch.ones(3, 2), torch.ones(3, 1).long())}, TypeError, "train targets"),
        ({"train": (torch.ones(3, 5), torch.ones(3, 1))}, bh.LayerError, "0: FullyConnected"),
        (
            {"train": (torch.ones(3, 2), NAN.t()[1:].expand(3, 1))},
            ValueError,
            "targets: row 0",
        ),
    ],
)
def test_refuses_before_anything_is_learnt(arguments, kind, says) -> None:
    one = network()
    before = one.layers[0].weight.value.clone()
    with pytest.raises(kind, match=says):
        bh.fit(one, LOSS, **{"train": TRAIN, **arguments})
    assert torch.equal(one.layers[0].weight.value, before)


def test_refuses_a_class_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"train targets: .* from 0 to 2, got 3"):
        bh.fit(network(3), bh.CrossEntropyLoss(), (torch.rand(4, 2), torch.arange(4)))


def test_threads_follow_the_size_and_are_set_back() -> None:
    torch.set_num_threads(2)
    assert threads_for(network(), 8) == 1
    assert threads_for(bh.FullyConnected(1000, 1000), 128) == 2
    during = []
    bh.fit(
        network(), LOSS, TRAIN, epochs=1, on_epoch=lambda _: during.append(torch.get_num_threads())
    )
    assert during == [1]
    assert torch.get_num_threads() == 2


SCHEDULES = {
    "constant": (constant(0.4), [0.4, 0.4, 0.4]),
    "cosine": (cosine(0.4), [0.4, 0.2, 0.0]),
    "cosine to an end": (cosine(0.4, end=0.2), [0.4, 0.3, 0.2]),
    "exponential": (exponential(0.4, 0.1), [0.4, 0.2, 0.1]),
    "stepwise": (stepwise(0.4, 0.5, (0.5, 1.0)), [0.4, 0.2, 0.1]),
    "one cycle": (one_cycle(0.4, peak=0.5, start=10), [0.04, 0.4, 0.4 / 1e5]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name) -> None:
    schedule, expected = SCHEDULES[name]
    assert [schedule(step, 100) for step in (0, 50, 100)] == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_values(name) -> None:
    schedule, _ = SCHEDULES[name]
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    assert eval(repr(schedule)) == schedule


def test_cosine_warms_up() -> None:
    rates = [cosine(1.0, warmup=0.1)(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 11 for i in range(10)])
    assert max(rates) == rates[10] == 1.0


def test_history_is_written_as_csv(tmp_path) -> None:
    history = bh.fit(network(), LOSS, TRAIN, test=TRAIN, epochs=3)
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["test_loss"]) for row in rows] == history.column("test_loss")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
