"""What C does not know, torch does between two compiled segments; nothing of ours needs it."""

from __future__ import annotations

import copy
import itertools
import re
from zlib import crc32

import pytest
import torch

import backhand as bh
from backhand.program.engines.native import Native, NotNative, emit, scheduled
from backhand.program.engines.native.compile import vector_bytes
from backhand.program.engines.native.emit import write_c
from backhand.program.engines.native.segmented import Segmented
from cases import LAYERS, LOSSES, RULES, every_repeatable_native_layer
from cases.case import randn_like
from program.engines.native_steps import ROWS, train_both, worst

pytestmark = pytest.mark.usefixtures("quick_compiler")


class Spectrum(bh.Layer):
    """Half of each row's Fourier transform, weighted: complex numbers, which have no type in C."""

    def __init__(self, features: int) -> None:
        self.weight = bh.Parameter(torch.rand(features // 2 + 1, dtype=torch.float64))
        self.features = features

    def forward(self, input, training):
        spectrum = torch.fft.rfft(input)
        return torch.fft.irfft(spectrum * self.weight.value, self.features), spectrum

    def propagate(self, error, spectrum, learning_rate):
        found = torch.fft.rfft(error)
        twice = torch.full_like(self.weight.value, 2.0)
        twice[0] = 1.0
        if self.features % 2 == 0:
            twice[-1] = 1.0
        input_error = torch.fft.irfft(found * self.weight.value, self.features)
        both = torch.view_as_real(found) * torch.view_as_real(spectrum)
        product = both.sum((0, 2)) * twice / self.features
        self.weight.learn(product, learning_rate)
        return input_error


class Sorted(bh.Layer):
    """Each row in order: two results of one call."""

    def forward(self, input, training):
        return torch.sort(input, dim=-1)

    def propagate(self, error, places, learning_rate):
        return torch.zeros_like(error).scatter(1, places, error)


class Jittered(bh.Layer):
    """Multiplied by random numbers that only torch draws."""

    def forward(self, input, training):
        factors = torch.empty_like(input).exponential_() if training else torch.ones_like(input)
        return input * factors, factors

    def propagate(self, error, factors, learning_rate):
        return error * factors


def network_with(layer: bh.Layer) -> bh.Sequential:
    return bh.Sequential(
        [bh.FullyConnected(3, 6), bh.Tanh(), layer, bh.Tanh(), bh.FullyConnected(6, 2)]
    ).to(torch.float64)


every_stranger = pytest.mark.parametrize(
    "make",
    [lambda: Spectrum(6), Sorted, lambda: bh.Residual(Sorted())],
    ids=["fft", "sort", "deep"],
)
every_rule = pytest.mark.parametrize("rule", [bh.SGD, bh.Adam], ids=["SGD", "Adam"])


@every_rule
@every_stranger
def test_a_network_with_islands_trains_as_plainly(make, rule) -> None:
    network = network_with(make()).learn_with(rule())
    inputs, targets = torch.randn(ROWS, 3).double(), torch.randn(ROWS, 2).double()
    step = bh.TrainingStep(network, bh.MSELoss(), Native()).record(inputs[:8], targets[:8])
    assert isinstance(step.latest.bound, Segmented)
    network, twin, losses, expected = train_both(
        network, bh.MSELoss(), inputs, targets, 200, rate=0.01
    )
    assert worst(network, twin) < 1e-10
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-14)


@every_stranger
def test_called_run_and_in_place_they_are_the_same_step(make) -> None:
    inputs, targets = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    networks = [network_with(make()).learn_with(bh.Adam())]
    networks += [copy.deepcopy(networks[0]) for _ in range(2)]
    called, run, placed = (bh.TrainingStep(each, bh.MSELoss(), Native()) for each in networks)
    losses = [float(called(inputs, targets, 0.1)) for _ in range(5)]
    in_one = run.run(inputs, targets, torch.arange(4).repeat(5), [0.1] * 5, 4)
    in_place = placed.in_place(inputs, targets)
    assert in_one.tolist() == losses == [float(in_place(0.1)) for _ in range(5)]
    assert worst(networks[0], networks[1]) == worst(networks[0], networks[2]) == 0
    for each in networks[0].parameters().values():
        assert each.updates == 5


def test_the_text_shows_them_and_names_their_layers() -> None:
    step = bh.TrainingStep(network_with(Sorted()), bh.MSELoss(), Native())
    step.record(torch.randn(4, 3).double(), torch.randn(4, 2).double())
    between = str(step).partition("Between the calls, by torch")[2]
    assert re.search(r"sort\(.*2: Sorted\(\)", between)
    assert "FullyConnected" not in between.partition("static")[0]


def test_random_numbers_that_torch_draws_are_torchs() -> None:
    network = network_with(Jittered())
    twin = copy.deepcopy(network)
    inputs, targets = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    step = bh.TrainingStep(network, bh.MSELoss(), Native()).record(inputs, targets)
    for seed in range(3):
        torch.manual_seed(seed)
        step(inputs, targets, 0.1)
        torch.manual_seed(seed)
        twin.backward(bh.MSELoss().backward(twin(inputs), targets), 0.1)
    assert worst(network, twin) < 1e-12


def test_a_weight_that_is_another_is_trained() -> None:
    network = network_with(Spectrum(6))
    inputs, targets = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    step = bh.TrainingStep(network, bh.MSELoss(), Native())
    step(inputs, targets, 0.1)
    network[2].weight.value = torch.rand(4, dtype=torch.float64)
    twin = copy.deepcopy(network)
    step(inputs, targets, 0.1)
    twin.backward(bh.MSELoss().backward(twin(inputs), targets), 0.1)
    assert worst(network, twin) < 1e-12


class Table(bh.Layer):
    """Looks numbers up, by torch.take, which nothing is learnt through."""

    def __init__(self) -> None:
        self.numbers = bh.Buffer(torch.arange(4.0))

    def forward(self, input, training):
        return torch.take(self.numbers.value, input.long()), None

    def propagate(self, error, memory, learning_rate):
        return torch.zeros_like(error)


def test_what_fails_in_an_island_says_where_and_the_next_step_is_taken() -> None:
    network = bh.Sequential([bh.ReLU(), Table(), bh.FullyConnected(2, 2)])
    step = bh.TrainingStep(network, bh.MSELoss(), Native())
    inputs, targets = torch.tensor([[3.0, 0.0]]), torch.zeros(1, 2)
    step(inputs, targets, 0.1)
    assert isinstance(step.latest.bound, Segmented)
    twin = copy.deepcopy(network)
    with pytest.raises(IndexError) as refused:
        step(inputs + 1, targets, 0.1)
    assert any("1: Table()" in note for note in refused.value.__notes__)
    assert worst(network, twin) == 0
    step(inputs, targets, 0.1)
    twin.backward(bh.MSELoss().backward(twin(inputs), targets), 0.1)
    assert worst(network, twin) < 1e-6


def test_of_nothing_but_islands_nothing_is_written() -> None:
    step = bh.TrainingStep(bh.Sequential([Sorted()]), bh.MSELoss(), bh.Replay())
    plan = step.record(torch.randn(3, 3), torch.randn(3, 3)).latest.plan
    plan.operations[:] = [each for each in plan.operations if each.name == "sort"]
    with pytest.raises(NotNative, match=r"sort in the forward of 0: Sorted\(\)"):
        Native().bind(plan, {}, "training_step")


def test_a_prediction_has_none_for_its_rows_keep_their_bits() -> None:
    network, inputs = network_with(Sorted()), torch.randn(3, 3).double()
    plan = bh.Prediction(network, bh.Replay()).record(inputs).latest.plan
    with pytest.raises(NotNative, match=r"sort in the forward of 2: Sorted\(\)"):
        Native().bind(plan, {}, "prediction")


def test_the_engine_is_chosen_by_what_stays_in_c() -> None:
    inputs, targets = torch.randn(8, 3), torch.randn(8, 6)
    step = bh.TrainingStep(network_with(Sorted()).to(torch.float32), bh.MSELoss())
    assert type(step.record(inputs, targets[:, :2]).engine) is Native
    waves = bh.Sequential([bh.FullyConnected(3, 6), *(Waves() for _ in range(20))])
    assert type(bh.TrainingStep(waves, bh.MSELoss()).record(inputs, targets).engine) is bh.Replay


class Waves(bh.Layer):
    """A call of torch forward and another one back."""

    def forward(self, input, training):
        return torch.special.bessel_j0(input).neg_(), input

    def propagate(self, error, input, learning_rate):
        return torch.special.bessel_j1(input).mul_(error)


@pytest.fixture
def every_other_is_unknown(request, monkeypatch) -> None:
    """As if C did not know every second piece of a step: from the first or second on, by test."""
    count, known = itertools.count(crc32(request.node.name.encode())), scheduled.write_group

    def write_group(writer, group) -> None:
        if next(count) % 2:
            writer.begin(group.operations[0], group.begin)
            raise writer.refuse("is unknown")
        known(writer, group)

    monkeypatch.setattr(scheduled, "write_group", write_group)
    monkeypatch.setattr(emit, "MOST_IN_ONE", 0)


@pytest.mark.usefixtures("every_other_is_unknown")
@every_repeatable_native_layer
def test_any_operation_of_a_layer_may_be_one(case) -> None:
    network, inputs = case.in_network(), case.given(ROWS)
    targets = randn_like(network.predict(inputs))
    step = bh.TrainingStep(network, bh.MSELoss(), Native()).record(inputs, targets)
    assert isinstance(step.latest.bound, Segmented)
    network, twin, losses, expected = train_both(network, bh.MSELoss(), inputs, targets, 5)
    exact = case.dtype is torch.float64
    assert worst(network, twin) < (1e-10 if exact else 2e-5)
    bounds = {"rtol": 1e-9, "atol": 1e-14} if exact else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(losses, expected, **bounds)


@pytest.mark.usefixtures("every_other_is_unknown")
@pytest.mark.parametrize("gate", [bh.Gate, bh.Accumulation], ids=["clipped", "accumulated"])
@pytest.mark.parametrize("rule", [x for x in RULES if x.kind and x.smooth], ids=str)
def test_any_operation_of_a_rule_and_a_gate_may_be_one(rule, gate) -> None:
    made = gate(max_norm=0.05) if gate is bh.Gate else gate(every=3)
    layers = [bh.FullyConnected(3, 6), bh.Tanh(), bh.FullyConnected(6, 2)]
    network = bh.Sequential(layers).to(torch.float64).learn_with(rule.rule()).gate_with(made)
    inputs, targets = torch.randn(ROWS, 3).double(), torch.randn(ROWS, 2).double()
    network, twin, losses, expected = train_both(
        network, bh.MSELoss(), inputs, targets, 20, rate=0.01
    )
    assert worst(network, twin) < 1e-10
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-14)
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        assert one.updates == other.updates


def islands_of(network, loss, inputs, targets) -> tuple:
    step = bh.TrainingStep(network, loss, bh.Replay()).record(inputs, targets)
    return write_c(step.latest.plan, "step", vector_bytes(), most_in_one=0).islands


@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_no_layer_of_ours_needs_one(case) -> None:
    network, inputs = case.in_network(), case.given(4)
    targets = randn_like(network.predict(inputs))
    assert islands_of(network, bh.MSELoss(), inputs, targets) == ()


@pytest.mark.parametrize("case", [x for x in LOSSES if x.towers == 1], ids=str)
def test_no_loss_of_ours_needs_one(case) -> None:
    outputs = case.outputs or 4
    network = bh.FullyConnected(3, outputs)
    target = case.target(4, outputs, torch.float32)
    assert islands_of(network, case.loss(), torch.randn(4, 3), target) == ()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_no_rule_of_ours_needs_one(rule) -> None:
    network = bh.FullyConnected(3, 2).learn_with(rule.rule())
    assert islands_of(network, bh.MSELoss(), torch.randn(4, 3), torch.randn(4, 2)) == ()


@pytest.mark.parametrize("index", [[0, 2, -1], [[1, -3], [2, 0]], []], ids=str)
def test_rows_by_number_are_looked_up_in_c(index) -> None:
    class Rows(bh.Layer):
        def __init__(self) -> None:
            self.index = bh.Buffer(torch.tensor(index, dtype=torch.int64))

        def forward(self, input, training):
            return input[self.index.value], None

    network, inputs = bh.Sequential([Rows(), bh.Scale(2)]), torch.randn(3, 2)
    prediction = bh.Prediction(network, Native())
    assert torch.equal(prediction(inputs), network.predict(inputs))
    assert not isinstance(prediction.latest.bound, Segmented)
    if index:
        network[0].index.value[0] = 3
        with pytest.raises(IndexError, match=r"__getitem__ in the forward of 0: Rows\(\)"):
            prediction(inputs)
