"""What somebody new gives fit: what it takes, what it shows, and what it says where it cannot."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings

import jaxtyping
import numpy as np
import pandas
import pytest
import torch
from matplotlib import pyplot

import backhand as bh
from backhand.data import disc
from backhand.training import Epoch, cosine
from backhand.training.progress import Progress

TRAIN, TEST, LOSS = disc(60, 0), disc(40, 1), bh.MSELoss()


@pytest.fixture(autouse=True)
def _as_users_run_it(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def network(*ending: bh.Layer, outputs: int = 1) -> bh.Sequential:
    torch.manual_seed(0)
    layers = [bh.FullyConnected(2, 5), bh.Tanh(), bh.FullyConnected(5, outputs)]
    return bh.Sequential([*layers, *ending])


def fitted(one: bh.Layer, **arguments) -> bh.History:
    return bh.fit(one, LOSS, TRAIN, **{"engine": bh.Replay(), "epochs": 6, **arguments})


def test_a_validation_set_of_ones_own_decides() -> None:
    def rate(step: int, steps: int) -> float:
        return 0.5 if step < 50 else 30.0  # turns bad

    one = network(bh.Sigmoid())
    history = fitted(one, validation=TEST, learning_rate=rate, epochs=60, patience=4)
    losses = history.column("validation_loss")
    assert history.best_epoch == losses.index(min(losses)) + 1 == len(history) - 4
    assert bh.evaluate(one, LOSS, TEST)["loss"] == pytest.approx(min(losses))
    steps = -(-60 // 8)  # all rows of train are trained on
    assert history[0].steps == steps


@pytest.mark.parametrize("no", [False, np.False_], ids=["False", "NumPy's"])
def test_on_epoch_ends_training_by_false_alone(no) -> None:
    for other in (None, True, 0, "", [], np.True_):
        assert len(fitted(network(), on_epoch=lambda _, other=other: other)) == 6
    seen: list[int] = []

    def after(epoch: Epoch) -> object:
        seen.append(epoch.number)
        return no if epoch.number == 3 else None

    one, twin = network(), network()
    history = fitted(one, on_epoch=after)
    assert seen == [1, 2, 3]
    assert len(history) == 3
    fitted(twin, epochs=3)
    assert torch.equal(one[0].weight.value, twin[0].weight.value)
    best = fitted(network(), validation=0.5, on_epoch=after).best_epoch
    assert best is not None


def test_metrics_without_a_set_to_measure_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no set to measure right of; give test=, validation= or"):
        fitted(network(), metrics={"right": bh.accuracy()})
    for given in ({"test": TEST}, {"validation": 0.5}, {"evaluate_train": True}):
        history = fitted(network(), metrics={"right": bh.accuracy()}, **given)
        assert "right" in next(iter(history[-1].measures.values()))


class NoMemory(bh.Layer):
    """Forward returns its output alone; of two rows, which would unpack."""

    def forward(self, input, training):
        return input * 2

    def propagate(self, error, memory, learning_rate):
        return error * 2


SAYS = {
    "a loss by name": (
        lambda: bh.fit(network(), "mse", TRAIN),
        r"expected a Loss as loss, got 'mse'; an object is meant: MSELoss\(…\)",
    ),
    "another loss by name": (
        lambda: bh.TrainingStep(network(), "cross_entropy"),
        r"got 'cross_entropy'; an object is meant: CrossEntropyLoss\(…\)",
    ),
    "a loss by no name": (lambda: bh.fit(network(), "huh", TRAIN), "as loss, got 'huh'$"),
    "a class of loss": (lambda: bh.fit(network(), bh.MSELoss, TRAIN), r"is meant: MSELoss\(…\)"),
    "a rule by name": (lambda: network().learn_with("adam"), r"an object is meant: Adam\(…\)"),
    "a class of rule": (lambda: network().learn_with(bh.Adam), r"is meant: Adam\(…\)"),
    "a list of layers": (
        lambda: bh.fit([bh.FullyConnected(2, 1)], LOSS, TRAIN),
        r"expected a Layer as network, got \[Fully.*\]; Sequential\(\[…\]\) makes one of several",
    ),
    "a rate by name": (
        lambda: fitted(network(), learning_rate="cosine"),
        r"expected a number or a schedule \(step, steps\) -> rate, such as cosine.*, got 'cosine'",
    ),
    "a class of schedule": (
        lambda: fitted(network(), learning_rate=cosine),
        "learning_rate: expected a number or a schedule .* got the class cosine",
    ),
    "a schedule of no numbers": (
        lambda: fitted(network(), learning_rate=lambda step, steps: "much"),
        "the schedule gave 'much' at step 0; expected a number",
    ),
    "a list for validation": (
        lambda: fitted(network(), validation=[TEST.inputs, TEST.targets]),
        r"validation: expected a share in \[0, 1\), or a pair .* in a tuple, got a list",
    ),
    "no pair": (lambda: bh.fit(network(), LOSS, TRAIN.inputs), r"train: expected a pair \(inputs"),
    "epochs": (lambda: fitted(network(), epochs="3"), "a whole number as epochs, got '3'"),
    "half a row": (
        lambda: fitted(network(), batch_size=2.5),
        "whole number as batch_size, got 2.5",
    ),
    "metrics in a list": (
        lambda: fitted(network(), metrics=[bh.accuracy()], test=TEST),
        r"metrics: expected functions by name, in a dict, got \[Accuracy",
    ),
    "on_epoch": (lambda: fitted(network(), on_epoch=True), "expected a function of an Epoch, got"),
}


@pytest.mark.parametrize("name", SAYS)
def test_one_sentence_says_what_was_meant(name) -> None:
    call, says = SAYS[name]
    with pytest.raises(TypeError, match=says) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_a_column_is_asked_for_where_a_row_of_numbers_comes() -> None:
    with pytest.raises(ValueError, match=r"got \(1,\); target\[:, None\] is a column"):
        bh.fit(network(), LOSS, (TRAIN.inputs.numpy(), TRAIN.targets[:, 0].numpy()))


@pytest.mark.parametrize(
    "door",
    [
        lambda layer, x, y: layer(x),
        lambda layer, x, y: layer.predict(x),
        lambda layer, x, y: bh.Sequential([layer]).predict(x),
        lambda layer, x, y: bh.Residual(layer)(x),
        lambda layer, x, y: bh.Sum([layer, bh.Tanh()])(x),
        lambda layer, x, y: bh.TrainingStep(layer, LOSS)(x, y, 0.1),
        lambda layer, x, y: bh.Prediction(layer)(x),
        lambda layer, x, y: bh.gradients(layer, LOSS, x, y),
        lambda layer, x, y: bh.gradient_check(layer, x),
        lambda layer, x, y: bh.fit(layer, LOSS, (x, y)),
    ],
)
def test_a_forward_that_returns_no_memory_is_told_so(door) -> None:
    for rows in (2, 3):
        with pytest.raises(TypeError, match=r"NoMemory\.forward: expected \(output, memory\)"):
            door(NoMemory(), torch.ones(rows, 2), torch.ones(rows, 2))


def test_accuracy_knows_by_the_loss_what_a_prediction_means() -> None:
    logits, targets = torch.tensor([[-1.0], [0.3], [2.0]]), torch.tensor([[0.0], [1.0], [1.0]])
    identity, data = bh.Sequential([]), (logits, targets)

    def right(loss: bh.Loss, threshold: float | None = None, data=data) -> float:
        return bh.evaluate(identity, loss, data, {"right": bh.accuracy(threshold)})["right"]

    assert right(bh.BinaryCrossEntropyLoss()) == 1
    assert right(bh.MSELoss()) == pytest.approx(2 / 3)
    assert right(bh.BinaryCrossEntropyLoss(), 0.5) == pytest.approx(2 / 3)
    assert right(bh.HingeLoss(), data=(logits, targets * 2 - 1)) == 1
    shares = torch.tensor([[0.2, 0.8, 0.0], [0.4, 0.3, 0.3]])
    scores = torch.tensor([[-3.0, -1.0, -2.0], [5.0, 4.0, 6.0]])
    assert right(bh.CrossEntropyLoss(), data=(scores, shares)) == 0.5
    with pytest.raises(ValueError, match="from -1 to 2 are no probabilities; say above"):
        bh.accuracy()(logits, targets)
    assert bh.accuracy(0)(logits, targets) == 1
    assert bh.accuracy()(logits.sigmoid().tolist(), targets.numpy()) == 1


DOUBLED = {
    "sigmoid twice": (bh.Sigmoid(), bh.BinaryCrossEntropyLoss(), "takes logits.*Sigmoid.*: leave"),
    "softmax twice": (bh.Softmax(), bh.CrossEntropyLoss(), "takes logits.*Softmax.*: leave it out"),
    "no logarithm": (bh.Softmax(), bh.NLLLoss(), "logarithms of shares.*end in LogSoftmax"),
    "weighted": (
        bh.Sequential([bh.Sigmoid()]),
        bh.Weighted(bh.BinaryCrossEntropyLoss()),
        "takes logits",
    ),
}


@pytest.mark.parametrize("name", DOUBLED)
def test_an_ending_that_the_loss_has_already_is_said_where_it_was_written(name) -> None:
    ending, loss, says = DOUBLED[name]
    one = network(ending, outputs=2)
    with pytest.warns(UserWarning, match=says) as said:
        bh.TrainingStep(one, loss)
    assert [each.filename for each in said] == [__file__]
    targets = torch.zeros(60).long() if name in ("softmax twice", "no logarithm") else None
    for record in (True, False) if targets is not None else ():
        with pytest.warns(UserWarning, match=says) as said:
            bh.fit(one, loss, (TRAIN.inputs, targets), epochs=1, record=record)
        assert [each.filename for each in said] == [__file__]


def test_a_right_ending_is_passed_over() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bh.TrainingStep(network(bh.Sigmoid()), bh.MSELoss())
        bh.TrainingStep(network(bh.LogSoftmax()), bh.NLLLoss())
        bh.TrainingStep(network(), bh.BinaryCrossEntropyLoss())


def test_a_history_prints_as_a_short_table() -> None:
    history = fitted(network(), epochs=100, validation=0.3, learning_rate=0.5, test=TEST)
    lines = repr(history).splitlines()
    assert str(history) == repr(history)
    assert lines[0].startswith("100 epochs in ")
    assert lines[0].endswith(f"by Replay(); the weights are those of epoch {history.best_epoch}")
    head = "epoch|steps|learning rate|seconds|loss|validation loss|test loss".split("|")
    assert [each.strip() for each in lines[1].split("  ") if each.strip()] == head
    assert len(lines) <= 2 + 11
    numbers = [line.split()[0] for line in lines[2:]]
    assert numbers[0].strip("*") == "1"
    assert numbers[-1].strip("*") == "100"
    assert f"{history.best_epoch}*" in numbers
    assert len({len(line) for line in lines[1:]}) == 1
    assert repr(bh.History()) == "no epochs"


def test_a_history_is_a_data_frame_and_a_figure() -> None:
    pyplot.switch_backend("agg")
    history = fitted(network(), test=TEST, validation=0.5, metrics={"right": bh.accuracy(0.5)})
    frame = history.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.index) == [1, 2, 3, 4, 5, 6]
    assert list(frame["test_right"]) == history.column("test_right")
    figure = history.plot()
    left, right = figure.axes
    lines = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert lines["training steps"] == history.column("loss")
    assert lines["validation loss"] == history.column("validation_loss")
    assert list(right.lines[0].get_ydata()) == history.column("validation_right")
    pyplot.close(figure)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(file: io.StringIO, asked_for: bool | None, monkeypatch, pause: float) -> str:
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    line = Progress(3, asked_for, file)
    for number in (1, 2, 3):
        clock[0] += pause
        line.tell(
            Epoch(
                number,
                8 * number,
                0.1,
                clock[0],
                0.5 / number,
                {"test": {"loss": 0.25, "right": 1.0}},
            )
        )
    line.end()
    return file.getvalue()


def test_progress_is_one_line_in_a_terminal_where_it_takes_a_while(monkeypatch) -> None:
    text = told(Terminal(), None, monkeypatch, 0.8)
    assert text.count("\r") == 2  # the first epoch was over before a second was
    assert text.endswith("\repoch 3/3  2.4 s  loss 0.167  test loss 0.25 right 1\x1b[K\n")
    assert told(Terminal(), None, monkeypatch, 0.1) == ""
    assert told(Terminal(), False, monkeypatch, 5.0) == ""
    assert told(io.StringIO(), None, monkeypatch, 50.0) == ""
    asked = told(io.StringIO(), True, monkeypatch, 0.8)
    assert asked.splitlines() == [
        "epoch 1/3  0.8 s  loss 0.5  test loss 0.25 right 1",
        "epoch 3/3  2.4 s  loss 0.167  test loss 0.25 right 1",
    ]
    monkeypatch.setenv("COLUMNS", "20")
    assert told(Terminal(), True, monkeypatch, 3.0).endswith("\repoch 3/3  9.0 s  l\x1b[K\n")


def test_fit_tells_its_progress_on_stderr_and_ends_the_line_where_it_fails(capsys) -> None:
    fitted(network(), epochs=2)
    assert capsys.readouterr() == ("", "")
    fitted(network(), epochs=2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("epoch 1/2  ")
    assert err.splitlines()[-1].startswith("epoch 2/2  ")

    def fail(epoch: Epoch) -> None:
        raise KeyError(epoch.number)

    with pytest.raises(KeyError):
        fitted(network(), progress=True, on_epoch=fail)
    assert capsys.readouterr().err.endswith("\n")


def test_nothing_of_it_loads_pandas_or_matplotlib() -> None:
    code = (
        "import sys, backhand as bh; h = bh.fit(bh.FullyConnected(2, 1), bh.MSELoss(), "
        "bh.data.disc(9, 0), epochs=1, record=False); print(h); print(sorted(set(sys.modules) & "
        "{'pandas', 'matplotlib', 'rich', 'polars'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
