"""Recording changes nothing, freezes nothing, and refuses what is no straight line."""

from __future__ import annotations

import copy
import fractions
import gc
import math
import pickle
import random
import threading
import weakref

import numpy
import pytest
import torch

import backhand as bh
from backhand.program import FrozenScalar, NotRecordable

BATCH = (torch.randn(6, 3), torch.randn(6, 2))


class Identity(bh.Layer):
    """What the layers below do more than this is what they are about."""

    def forward(self, input, training):
        return input, None

    def propagate(self, error, memory, learning_rate):
        return error


def network_with(layer: bh.Layer) -> bh.Sequential:
    return bh.Sequential([bh.FullyConnected(3, 2), layer])


def forward_that(does) -> bh.Layer:
    class Peculiar(Identity):
        def forward(self, input, training):
            return does(self, input), None

        def __repr__(self) -> str:
            return "Peculiar()"

    return Peculiar()


def _count(layer, input):
    layer.calls = getattr(layer, "calls", 0) + 1
    return input * layer.calls


REFUSED = {
    "item": lambda layer, input: input * input.sum().item(),
    "bool": lambda layer, input: input if input.sum() > 0 else -input,
    "float": lambda layer, input: input * float(input.sum()),
    "int": lambda layer, input: input * int(input.sum()),
    "tolist": lambda layer, input: input * input.tolist()[0][0],
    "numpy": lambda layer, input: input * input.numpy()[0, 0].item(),
    "equal": lambda layer, input: input if torch.equal(input, input) else -input,
    "data": lambda layer, input: input.data,
    "nonzero": lambda layer, input: input * input.nonzero().shape[0],
    "a boolean mask": lambda layer, input: input * input[input > 0].numel(),
    "from_numpy": lambda layer, input: input * torch.from_numpy(numpy.ones(2, numpy.float32)),
    "torch.Tensor": lambda layer, input: input * torch.Tensor([1.0, 2.0]),
    "a Python counter": _count,
    "Python's random": lambda layer, input: input * random.random(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_is_no_straight_line_and_names_the_layer(name) -> None:
    network = network_with(forward_that(REFUSED[name]))
    before = copy.deepcopy(network)
    with pytest.raises(NotRecordable, match=r"1: Peculiar\(\)"):
        bh.TrainingStep(network, bh.MSELoss(), bh.Replay())(*BATCH, 0.1)
    assert torch.equal(network.layers[0].weight.value, before.layers[0].weight.value)


def test_fit_trains_such_a_network_plainly_and_says_so_once() -> None:
    network = network_with(forward_that(REFUSED["item"]))
    twin = copy.deepcopy(network)
    settings = {"epochs": 3, "batch_size": 2, "learning_rate": 0.001}
    with pytest.warns(UserWarning, match="runs plainly") as caught:
        bh.fit(network, bh.MSELoss(), BATCH, engine=bh.Replay(), **settings)
    assert len(caught) == 1
    bh.fit(twin, bh.MSELoss(), BATCH, record=False, **settings)
    assert torch.equal(network.layers[0].weight.value, twin.layers[0].weight.value)


def test_changes_nothing() -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.Dropout(0.5), bh.FullyConnected(4, 2)])
    network.learn_with(bh.Adam()).gate_with(bh.Accumulation(2))
    before = copy.deepcopy(network)
    generator = torch.random.get_rng_state()
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay()).record(*BATCH)
    assert torch.equal(generator, torch.random.get_rng_state())
    assert step.memory.total > 0
    pairs = zip(network.parameters().values(), before.parameters().values(), strict=True)
    for one, other in pairs:
        assert torch.equal(one.value, other.value)
        assert one.updates == 0
        assert isinstance(one.updates, int)
        assert one.gate is not None
        assert one.gate.phase == 0
        assert not one.gate.tensors(one)["sum"].any()
        assert all(not tensor.any() for tensor in one.state.values())
    assert network.last_input is None


def test_holds_no_intermediate_value() -> None:
    kept: list[weakref.ref[object]] = []

    def remember(layer, input):
        output = input * 2
        kept.append(weakref.ref(output))
        return output

    step = bh.TrainingStep(network_with(forward_that(remember)), bh.MSELoss(), bh.Replay()).record(
        *BATCH
    )
    gc.collect()
    assert step.memory.total > 0
    assert len(kept) == 2
    assert all(reference() is None for reference in kept)


class Scaled(bh.UpdateRule):
    """SGD whose rate goes through some expression."""

    def __init__(self, expression) -> None:
        self.expression = expression

    def update(self, parameter, gradient, learning_rate) -> None:
        rate = self.expression(learning_rate, parameter.updates)
        parameter.value.add_(gradient * rate, alpha=-1)


EXPRESSIONS = {
    "-lr": lambda lr, t: -lr,
    "+lr": lambda lr, t: +lr,
    "lr * 2": lambda lr, t: lr * 2,
    "2 * lr": lambda lr, t: 2 * lr,
    "lr + 1": lambda lr, t: lr + 1,
    "1 + lr": lambda lr, t: 1 + lr,
    "1 - lr": lambda lr, t: 1 - lr,
    "lr / 3": lambda lr, t: lr / 3,
    "1 / (1 + lr)": lambda lr, t: 1 / (1 + lr),
    "lr ** 0.5": lambda lr, t: lr**0.5,
    "0.9 ** t": lambda lr, t: 0.9**t,
    "lr / (1 - 0.9 ** t)": lambda lr, t: lr / (1 - 0.9**t),
    "sum([lr, t])": lambda lr, t: sum([lr, t]),
    "torch.tensor(lr)": lambda lr, t: torch.tensor(lr),
    "torch.full": lambda lr, t: torch.full((), lr),
    "math.sqrt": lambda lr, t: math.sqrt(lr),
    "math.exp": lambda lr, t: math.exp(-lr),
    "math.pow": lambda lr, t: math.pow(0.9, t),
    "math.floor": lambda lr, t: math.floor(lr),
    "math.fsum": lambda lr, t: math.fsum([lr, 1]),
    "math.sqrt compared": lambda lr, t: 1 if math.sqrt(lr) > 0.2 else 2,
    "max": lambda lr, t: max(lr, 0.15),
    "min": lambda lr, t: min(lr, 0.15),
    "abs": lambda lr, t: abs(lr),
    "float": lambda lr, t: float(lr),
    "int": lambda lr, t: int(t),
    "round": lambda lr, t: round(lr, 1),
    "==": lambda lr, t: 1 if t == 1 else 2,
    "<": lambda lr, t: 1 if lr < 0.15 else 2,
    "lr or 1": lambda lr, t: lr or 1,
    "not lr": lambda lr, t: 1 if not lr else 2,
    "%": lambda lr, t: t % 2,
    "//": lambda lr, t: t // 2,
    "divmod": lambda lr, t: divmod(t, 2)[0],
    "format": lambda lr, t: float(f"{lr:.3f}"),
    "str": lambda lr, t: float(str(lr)),
    "a dict's key": lambda lr, t: {0.1: 1.0}.get(lr, 2.0),
    "numpy.sqrt": lambda lr, t: float(numpy.sqrt(lr)),
    "numpy.float64": lambda lr, t: numpy.float64(lr),
    "numpy.asarray": lambda lr, t: float(numpy.asarray(lr)),
    "complex": lambda lr, t: complex(lr).real,
    "Fraction": lambda lr, t: float(fractions.Fraction(lr)),
    "hex": lambda lr, t: float.fromhex(lr.hex()),
    "real": lambda lr, t: lr.real,
    "pickle": lambda lr, t: pickle.loads(pickle.dumps(lr)),
    "copy": lambda lr, t: copy.deepcopy(lr),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_no_learning_rate_or_step_number_is_frozen_in_silence(name) -> None:
    rule = Scaled(EXPRESSIONS[name])
    network = bh.FullyConnected(3, 2).learn_with(rule)
    twin = copy.deepcopy(network)
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    try:
        step.record(*BATCH)
    except (FrozenScalar, NotRecordable):
        return
    for rate in (0.1, 0.2, 0.3):
        step(*BATCH, rate)
        prediction = twin(BATCH[0])
        twin.backward(bh.MSELoss().backward(prediction, BATCH[1]), rate)
    assert torch.equal(network.weight.value, twin.weight.value)


@pytest.mark.parametrize("name", list(EXPRESSIONS)[:15])
def test_arithmetic_stays_live(name) -> None:
    network = bh.FullyConnected(3, 2).learn_with(Scaled(EXPRESSIONS[name]))
    bh.TrainingStep(network, bh.MSELoss(), bh.Replay()).record(*BATCH)


CHANGES = {
    "a weight replaced": lambda n: setattr(n.layers[0].weight, "value", torch.ones(4, 3)),
    "another rule": lambda n: n.learn_with(bh.Momentum()),
    "a gate": lambda n: n.gate_with(bh.Gate(0.01)),
    "a layer frozen": lambda n: n.layers[0].freeze(),
    "a layer added": lambda n: n.layers.append(bh.FullyConnected(2, 2)),
    "a layer taken out": lambda n: n.layers.pop(1),
    "a setting changed": lambda n: setattr(n.layers[1], "rate", 0.9),
    "a step number of its own": lambda n: setattr(n.layers[0].weight, "updates", 7),
    "a state replaced": lambda n: n.layers[0].weight.state.update(mean=torch.ones(4, 3)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_notices_what_changes(name) -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.Dropout(0.5), bh.FullyConnected(4, 2)])
    network.learn_with(bh.Adam())
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    for _ in range(3):
        step(*BATCH, 0.1)
    CHANGES[name](network)
    twin = copy.deepcopy(network)
    for i in range(3):
        torch.manual_seed(i)
        step(*BATCH, 0.1)
        torch.manual_seed(i)
        prediction = twin(BATCH[0])
        twin.backward(bh.MSELoss().backward(prediction, BATCH[1]), 0.1)
    pairs = zip(network.parameters().values(), twin.parameters().values(), strict=True)
    assert all(torch.equal(one.value, other.value) for one, other in pairs)


def test_a_weight_edited_in_place_is_used_without_recording_again() -> None:
    network = bh.FullyConnected(3, 2)
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    step(*BATCH, 0.1)
    program = step.latest
    network.weight.value.zero_()
    network.predict(BATCH[0])
    network(BATCH[0])  # a plain call meanwhile is no change
    value = step(*BATCH, 0.1)
    assert step.latest is program
    plain = bh.MSELoss()(network.bias.value.expand(6, 2), BATCH[1])
    assert not torch.equal(value, plain)


def test_keeps_a_bounded_number_of_recordings() -> None:
    step = bh.TrainingStep(bh.FullyConnected(3, 2), bh.MSELoss(), bh.Replay())
    for rows in range(1, 30):
        step(torch.randn(rows, 3), torch.randn(rows, 2), 0.1)
    assert len(step._programs) == 16


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_a_bad_rate_is_refused_at_the_door(rate) -> None:
    network = bh.FullyConnected(3, 2)
    before = network.weight.value.clone()
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    with pytest.raises(ValueError, match="learning rate"):
        step(*BATCH, rate)
    with pytest.raises(ValueError, match="learning rate"):
        step.run(*BATCH, torch.arange(6), [0.1, rate])
    assert torch.equal(network.weight.value, before)


def test_batches_that_do_not_fit_are_refused() -> None:
    step = bh.TrainingStep(bh.FullyConnected(3, 2), bh.MSELoss(), bh.Replay())
    with pytest.raises(bh.LayerError, match=r"expected input \(batch, 3\), got \(6, 4\)"):
        step(torch.randn(6, 4), BATCH[1], 0.1)
    with pytest.raises(bh.LayerError, match=r"torch.float64"):
        step(BATCH[0].double(), BATCH[1], 0.1)
    with pytest.raises(ValueError, match="got a batch on meta"):
        step(BATCH[0].to("meta"), BATCH[1], 0.1)
    with pytest.raises(ValueError, match="6 rows in batches of 4 make 2 steps, got 3"):
        step.run(*BATCH, torch.arange(6), [0.1] * 3, batch_size=4)
    with pytest.raises(RuntimeError, match="recorded nothing yet"):
        print(step)


def test_copies_and_pickles_record_for_themselves() -> None:
    step = bh.TrainingStep(bh.FullyConnected(3, 2), bh.MSELoss(), bh.Replay())
    step(*BATCH, 0.1)
    for other in (copy.deepcopy(step), pickle.loads(pickle.dumps(step))):
        assert torch.equal(other.network.weight.value, step.network.weight.value)
        other(*BATCH, 0.1)
    step(*BATCH, 0.1)
    assert torch.equal(other.network.weight.value, step.network.weight.value)


def test_two_threads_train_two_networks() -> None:
    networks = [bh.FullyConnected(3, 2) for _ in range(2)]
    twins = copy.deepcopy(networks)

    def train(network) -> None:
        step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
        for _ in range(50):
            step(*BATCH, 0.1)

    threads = [threading.Thread(target=train, args=(each,)) for each in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for twin in twins:
        train(twin)
    assert all(
        torch.equal(a.weight.value, b.weight.value) for a, b in zip(networks, twins, strict=True)
    )
