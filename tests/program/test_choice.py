"""Which engine runs a plan, by its size, by what is there, and by what the caller says."""

from __future__ import annotations

import copy
import itertools
import warnings

import pytest
import torch

import backhand as bh
from backhand.program import Native, choose
from backhand.program.engines import choice
from backhand.training import accuracy

SMALL = (torch.randn(16, 3), torch.randn(16, 2))


def network(*sizes: int) -> bh.Sequential:
    pairs = itertools.pairwise(sizes)
    return bh.Sequential(
        [layer for pair in pairs for layer in (bh.FullyConnected(*pair), bh.Tanh())]
    )


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(choice, "_said", set())


def test_small_steps_are_native_and_large_ones_replayed() -> None:
    small = bh.TrainingStep(network(3, 2), bh.MSELoss(), bh.Replay()).record(*SMALL)
    assert isinstance(choose(small.latest.plan), Native)
    rows = 2_000_000_000 // 512**2 + 1
    large = bh.Prediction(network(512, 512), bh.Replay()).record(torch.empty(rows, 512))
    assert isinstance(choose(large.latest.plan), bh.Replay)
    deep = network(*[2] * 150)
    step = bh.TrainingStep(deep, bh.MSELoss(), bh.Replay()).record(SMALL[0][:, :2], SMALL[1])
    assert isinstance(choose(step.latest.plan), Native)  # many calls, few kernels


def test_what_takes_long_to_compile_is_replayed_unless_native_is_asked_for(monkeypatch) -> None:
    inputs, targets = torch.randn(8, 20), torch.randn(8, 20)
    alike, different = network(*[20] * 46), network(*range(20, 65), 20)
    step = bh.TrainingStep(different, bh.MSELoss()).record(inputs, targets)  # many seconds of gcc
    assert isinstance(step.engine, bh.Replay)
    assert isinstance(bh.TrainingStep(alike, bh.MSELoss()).record(inputs, targets).engine, Native)
    # Asked for, it is compiled, however long that takes.
    monkeypatch.setattr(choice, "LONGEST_COMPILATION", 0.0)
    asked = bh.TrainingStep(network(20, 20), bh.MSELoss(), Native()).record(inputs, targets)
    assert isinstance(asked.engine, Native)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [((16, 16), Native), ((32, 32), bh.Replay), ((3, 64), Native), ((64, 3), Native)],
)
def test_convolutions_of_many_channels_in_and_out_are_left_to_torch(channels, expected) -> None:
    made = bh.Conv2d(*channels, 3)
    batch = torch.zeros(2, channels[0], 5, 5)
    step = bh.TrainingStep(made, bh.MSELoss(), bh.Replay()).record(batch, made.predict(batch))
    assert isinstance(choose(step.latest.plan), expected)


def test_the_choice_is_shown() -> None:
    step = bh.TrainingStep(network(3, 2), bh.MSELoss())
    assert step.engine is None
    assert repr(step.record(*SMALL).engine) == "Native()"
    assert "engine=Native()" in repr(step)
    assert repr(bh.fit(network(3, 2), bh.MSELoss(), SMALL, epochs=1).engine) == "Native()"
    said = bh.fit(network(3, 2), bh.MSELoss(), SMALL, epochs=1, engine=bh.Replay())
    assert repr(said.engine) == "Replay()"
    assert bh.fit(network(3, 2), bh.MSELoss(), SMALL, epochs=1, record=False).engine is None


def test_without_a_compiler_one_line_says_so_and_replay_runs(no_compiler) -> None:
    with pytest.warns(UserWarning, match=r"Replay runs the steps, not Native: CC=no-such-compiler"):
        history = bh.fit(network(3, 2), bh.MSELoss(), SMALL, epochs=1)
    assert repr(history.engine) == "Replay()"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it has been said
        bh.fit(network(3, 2), bh.MSELoss(), SMALL, epochs=1)


class Sorted(bh.Layer):
    """Sorts each row: a call that Native does not know."""

    def forward(self, input, training):
        output, order = torch.sort(input, -1)
        return output, order

    def propagate(self, error, order, learning_rate):
        return torch.zeros_like(error).scatter(-1, order, error)

    def __repr__(self) -> str:
        return "Sorted()"


def test_a_prediction_that_native_does_not_know_is_replayed_and_said_where_it_was_asked_for(
    monkeypatch,
) -> None:
    monkeypatch.setattr(choice, "_said", set())
    made, input = bh.Sequential([bh.FullyConnected(3, 2), Sorted()]), torch.randn(4, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nobody asked for Native
        assert repr(bh.Prediction(made).record(input).engine) == "Replay()"
    with pytest.warns(UserWarning, match=r"not Native: sort.* 1: Sorted\(\)"):
        bh.Prediction(made, Native()).record(input)


@pytest.mark.parametrize("engine", [bh.Replay(), Native()], ids=repr)
def test_a_training_is_the_same_by_any_engine(engine) -> None:
    torch.manual_seed(0)
    plain = network(2, 8, 1)
    recorded = copy.deepcopy(plain)
    histories = [
        bh.fit(
            each,
            bh.MSELoss(),
            bh.data.disc(203, 0),
            test=bh.data.disc(300, 1),
            epochs=8,
            validation=0.2,
            metrics={"accuracy": accuracy()},
            record=each is recorded,
            engine=engine,
        )
        for each in (plain, recorded)
    ]
    for name in ("loss", "test_loss", "validation_loss", "test_accuracy"):
        assert histories[1].column(name) == pytest.approx(histories[0].column(name), rel=1e-4)
    assert histories[0].best_epoch == histories[1].best_epoch


class Weighted(bh.Loss):
    """A mean of squares, each row with a weight of its own."""

    def forward(self, prediction, target):
        wanted, weights = target
        return ((prediction - wanted).square().mean(-1) * weights).mean()

    def backward(self, prediction, target):
        wanted, weights = target
        return (prediction - wanted) * (2 / prediction.numel()) * weights.unsqueeze(-1)


@pytest.mark.parametrize("engine", [bh.Replay(), Native()], ids=repr)
def test_targets_may_be_tuples(engine) -> None:
    torch.manual_seed(0)
    plain = network(3, 4, 2).to(torch.float64)
    recorded = copy.deepcopy(plain)
    inputs, targets = torch.randn(50, 3).double(), torch.randn(50, 2).double()
    data = (inputs, (targets, torch.rand(50).double()))
    bh.gradient_check(plain, inputs[:4], (targets[:4], torch.rand(4)), loss=Weighted())
    for each in (plain, recorded):
        record = each is recorded
        arguments = {"epochs": 3, "validation": 0.1, "record": record, "engine": engine}
        bh.fit(each, Weighted(), data, test=data, learning_rate=0.3, **arguments)
    for path, parameter in plain.parameters().items():
        torch.testing.assert_close(
            recorded.parameters()[path].value, parameter.value, rtol=1e-10, atol=0
        )


def test_a_data_set_whose_tuples_disagree_is_refused() -> None:
    data = (torch.randn(5, 3), (torch.randn(5, 2), torch.rand(4)))
    with pytest.raises(ValueError, match=r"one target for each of 5 inputs.*\(\(5, 2\), \(4,\)\)"):
        bh.fit(network(3, 2), Weighted(), data)
