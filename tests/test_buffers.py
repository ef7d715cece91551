"""Buffers: what a layer remembers that no rule touches goes wherever weights go."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor

import backhand as bh
from backhand.program import Native
from cases import every_kind_of_rule


class Centred(bh.Layer):
    """output = input - the running mean of what came before; counts its batches."""

    def __init__(self, features: int) -> None:
        self.features = features
        self.mean = bh.Buffer(torch.zeros(features))
        self.total = bh.Buffer(torch.zeros(features, dtype=torch.float64), keeps_dtype=True)
        self.batches = bh.Buffer(torch.zeros((), dtype=torch.int64))

    def forward(self, input, training):
        return input - self.mean.value, input

    def propagate(self, error, input, learning_rate):
        self.mean.follow(input.mean(0), 0.1)
        self.total.become(self.total.value + input.sum(0))
        self.batches.become(self.batches.value + 1)
        return error


def network() -> bh.Sequential:
    torch.manual_seed(3)
    return bh.Sequential([Centred(3), bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)])


BUFFERS = ["0.mean", "0.total", "0.batches"]
DATA = (torch.randn(24, 3) + 2, torch.randn(24, 2))


def train(one: bh.Layer, step=None, steps: int = 4) -> None:
    loss = bh.MSELoss()
    dtype = next(iter(one.parameters().values())).value.dtype
    for input, target in list(zip(*(each.to(dtype).split(6) for each in DATA), strict=True))[
        :steps
    ]:
        if step is None:
            one.backward(loss.backward(one(input), target), 0.1)
        else:
            step(input, target, 0.1)


def copied(one: bh.Layer) -> dict[str, Tensor]:
    return {path: tensor.clone() for path, tensor in one.lasting_tensors().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[path], other[path]) and one[path].dtype is other[path].dtype for path in one
    )


def test_backward_alone_changes_it_by_the_layers_own_words() -> None:
    one = network()
    before = copied(one)
    one(DATA[0])
    one.predict(DATA[0])
    assert same(copied(one), before)
    train(one)
    mean = torch.zeros(3)
    for rows in DATA[0].split(6):
        mean.lerp_(rows.mean(0), 0.1)
    buffers = one.buffers()
    assert list(buffers) == BUFFERS
    assert torch.equal(buffers["0.mean"].value, mean)
    torch.testing.assert_close(buffers["0.total"].value, DATA[0].double().sum(0), rtol=1e-6, atol=0)
    assert buffers["0.batches"].value == 4


def test_every_lasting_tensor_has_a_path() -> None:
    one = network().learn_with(bh.Adam())
    one.layers[3].gate_with(bh.Accumulation(2))
    assert set(one.lasting_tensors()) == {
        *BUFFERS,
        *(f"{i}.{own}{more}" for i in (1, 3) for own in ("weight", "bias")
          for more in ("", ".mean", ".square")),
        "3.weight.gate.sum",
        "3.bias.gate.sum",
    }  # fmt: skip
    shared = Centred(3)
    assert list(bh.Sequential([shared, bh.Tanh(), shared]).buffers()) == BUFFERS


@pytest.mark.parametrize("engine", [None, bh.Replay(), Native()], ids=repr)
@every_kind_of_rule
def test_a_recorded_step_changes_it_too(engine, rule) -> None:
    plain, other = (network().to(torch.float64).learn_with(rule.rule()) for _ in range(2))
    train(plain)
    train(other, bh.TrainingStep(other, bh.MSELoss(), engine))
    exact = isinstance(engine, bh.Replay)
    for path, tensor in plain.lasting_tensors().items():
        found = other.lasting_tensors()[path]
        torch.testing.assert_close(found, tensor, **({"rtol": 0, "atol": 0} if exact else {}))
    assert other.layers[0].batches.value == 4


def test_a_recording_notices_one_replaced_or_frozen() -> None:
    one = network()
    step = bh.TrainingStep(one, bh.MSELoss(), bh.Replay())
    train(one, step)
    one.layers[0].mean.value = torch.full((3,), 7.0)
    train(one, step, steps=1)
    assert one.layers[0].mean.value[0] == pytest.approx(6.3 + 0.1 * DATA[0][:6, 0].mean().item())
    one.layers[0].freeze()
    before = copied(one.layers[0])
    train(one, step)
    assert same(copied(one.layers[0]), before)


def test_it_is_saved_and_loaded_with_its_dtype_and_whether_it_is_frozen(tmp_path) -> None:
    one = network()
    train(one)
    one.layers[0].mean.frozen = True
    bh.save(one, tmp_path / "one.safetensors")
    other = bh.load(tmp_path / "one.safetensors", layers=[Centred])
    assert same(copied(one), copied(other))
    assert [each.frozen for each in other.buffers().values()] == [True, False, False]
    train(one)
    train(other)
    assert same(copied(one), copied(other))


@pytest.mark.parametrize(
    "copy_of", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_copies_have_their_own(copy_of) -> None:
    one = network()
    train(one)
    other, before = copy_of(one), copied(one)
    assert same(copied(other), before)
    train(other)
    assert same(copied(one), before)
    train(one)
    assert same(copied(one), copied(other))


def test_conversion_is_for_floating_point_and_leaves_those_that_keep_their_dtype() -> None:
    one = network()
    train(one)
    before = copied(one)
    one.to(torch.float64)
    assert [each.value.dtype for each in one.buffers().values()] == [
        torch.float64, torch.float64, torch.int64,
    ]  # fmt: skip
    one.to(torch.float32)
    assert same(copied(one), before)
    assert [each.value.device.type for each in one.to("meta").buffers().values()] == ["meta"] * 3


def test_what_fit_goes_back_to_holds_it() -> None:
    one = network()
    bh.fit(one, bh.MSELoss(), DATA, epochs=2, batch_size=8, learning_rate=0.1)
    before = copied(one)
    bad = DATA[1].clone()
    bad[-1] = 1e30
    with pytest.raises(bh.NonFiniteLoss):
        bh.fit(one, bh.MSELoss(), (DATA[0], bad), epochs=1, batch_size=8, learning_rate=0.1)
    assert same(copied(one), before)


def test_a_buffer_that_is_not_finite_stops_fit() -> None:
    class Overflowing(Centred):
        def propagate(self, error, input, learning_rate):
            self.mean.become(self.mean.value * 0 + torch.inf)
            return error

        def forward(self, input, training):
            return input * 1, input

    one = bh.Sequential([Overflowing(3), bh.FullyConnected(3, 2)])
    with pytest.raises(bh.NonFiniteLoss):
        bh.fit(one, bh.MSELoss(), DATA, epochs=1, batch_size=8, learning_rate=0.1)
    assert not one.layers[0].mean.value.any()


def test_reading_gradients_and_checking_them_leave_it_alone() -> None:
    one = network()
    train(one)
    one.gate_with(bh.Accumulation(2))
    before = copied(one)
    bh.gradients(one, bh.MSELoss(), *DATA)
    bh.gradient_check(one, DATA[0])
    assert same(copied(one), before)
    train(one, steps=2)
    assert not same(copied(one), before)


def test_a_frozen_one_stays() -> None:
    one = network()
    train(one)
    one.freeze()
    before = copied(one)
    train(one)
    assert same(copied(one), before)
    one.freeze(False)
    train(one)
    assert one.layers[0].batches.value == 8


def test_memory_counts_it_and_the_plan_names_it() -> None:
    one = network()
    step = bh.TrainingStep(one, bh.MSELoss(), bh.Replay()).record(DATA[0][:6], DATA[1][:6])
    assert step.memory.state == 3 * 4 + 3 * 8 + 8
    assert "mean_0.lerp_(" in str(step)


def test_what_does_not_fit_is_refused() -> None:
    floats, counts = bh.Buffer(torch.zeros(3)), bh.Buffer(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"Buffer\(3,\): expected a new value of its shape, got"):
        floats.become(torch.zeros(1))
    with pytest.raises(TypeError, match=r"int64 holds no torch\.float32"):
        counts.become(torch.zeros(3))
    with pytest.raises(TypeError, match="expected floating-point tensors"):
        counts.follow(torch.zeros(3), 0.1)
