"""Gates: exact against the two-phase textbook result, for every rule."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import mse_loss

import backhand as bh
from backhand.program import Native, Replay
from cases import every_kind_of_rule
from cases.compositions import gated_unit, siamese, used_twice
from oracle import close, gradients_by_autograd

NETWORKS = {
    "plain": lambda: bh.Sequential([bh.FullyConnected(3, 5), bh.Tanh(), bh.FullyConnected(5, 2)]),
    "used twice": lambda: bh.Sequential([used_twice(3), bh.FullyConnected(3, 2)]),
    "Siamese": lambda: bh.Sequential([siamese(3), bh.FullyConnected(6, 2)]),
    "gated unit": lambda: bh.Sequential([gated_unit(3), bh.FullyConnected(3, 2)]),
}
GATES = {
    "none": (lambda: None, 1, None),
    "clip": (lambda: bh.Gate(max_norm=0.05), 1, 0.05),
    "clip, never reached": (lambda: bh.Gate(max_norm=1e6), 1, 1e6),
    "accumulate": (lambda: bh.Accumulation(every=3), 3, None),
    "accumulate and clip": (lambda: bh.Accumulation(every=3, max_norm=0.05), 3, 0.05),
}


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("network", NETWORKS)
@every_kind_of_rule
@pytest.mark.usefixtures("doubles")
def test_equals_the_two_phase_textbook_result(rule, network, gate) -> None:
    make_gate, every, max_norm = GATES[gate]
    ours = NETWORKS[network]().to(torch.float64).learn_with(rule.rule())
    twin = copy.deepcopy(ours)
    ours.gate_with(make_gate())
    loss = bh.MSELoss()
    leaves = {path: each.value for path, each in twin.parameters().items()}
    for value in leaves.values():
        value.requires_grad_()
    optimizer = rule.twin(list(leaves.values()), 0.1)
    for _ in range(4):
        optimizer.zero_grad()
        for _ in range(every):
            input = torch.randn(4, 3, dtype=torch.float64)
            target = torch.randn(4, 2, dtype=torch.float64)
            prediction = ours(input)
            ours.backward(loss.backward(prediction, target), 0.1)
            (mse_loss(twin.forward(input, True)[0], target) / every).backward()
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(leaves.values()), max_norm)
        optimizer.step()
    for path, parameter in ours.parameters().items():
        assert close(parameter.value, leaves[path].detach()), path
        assert parameter.updates == 4


@pytest.mark.parametrize("engine", [None, bh.Replay(), Native()], ids=repr)
@pytest.mark.parametrize("max_norm", [None, 0.05], ids=["", "clip"])
def test_what_is_frozen_between_micro_batches_stays_and_is_no_part_of_the_norm(
    engine, max_norm
) -> None:
    ours = NETWORKS["plain"]().to(torch.float64).learn_with(bh.Momentum())
    first, last = ours.layers[0], ours.layers[2]
    ours.gate_with(bh.Accumulation(every=2, max_norm=max_norm))
    loss, batches = bh.MSELoss(), [
        (torch.randn(4, 3).double(), 10 * torch.randn(4, 2).double()) for _ in range(4)
    ]  # fmt: skip
    recorded = bh.TrainingStep(ours, loss, engine) if engine is not None else None

    def step(at: int) -> None:
        input, target = batches[at]
        if recorded is not None:
            recorded(input, target, 0.1)
        else:
            ours.backward(loss.backward(ours(input), target), 0.1)

    def mean_of(*at: int) -> dict[str, torch.Tensor]:
        every = [gradients_by_autograd(ours, mse_loss, *batches[i]) for i in at]
        return {path: sum(each[path] for each in every) / 2 for path in every[0]}

    def clipped(gradients: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        norm = torch.stack([each.norm() for each in gradients.values()]).norm()
        scale = 1.0 if max_norm is None else min(1.0, max_norm / (float(norm) + 1e-6))
        return {path: scale * each for path, each in gradients.items()}

    before = {path: each.clone() for path, each in ours.lasting_tensors().items()}
    expected = mean_of(0, 1)
    step(0)
    first.freeze()
    step(1)
    mine = clipped({path: each for path, each in expected.items() if path.startswith("2.")})
    now = ours.lasting_tensors()
    for path in now:
        if path.startswith("0."):
            assert torch.equal(now[path], 0 * now[path] if "gate" in path else before[path]), path
    for path, gradient in mine.items():
        assert close(now[path], before[path] - 0.1 * gradient), path
    assert [each.updates for each in first.parameters().values()] == [0, 0]
    assert [each.updates for each in last.parameters().values()] == [1, 1]
    first.freeze(False)
    expected = clipped(mean_of(2, 3))
    before = {path: each.clone() for path, each in ours.lasting_tensors().items()}
    step(2)
    step(3)
    assert close(first.weight.value, before["0.weight"] - 0.1 * expected["0.weight"])


@pytest.mark.parametrize("engine", [None, bh.Replay()], ids=repr)
def test_what_has_left_an_accumulation_is_none_of_its_updates(engine) -> None:
    network = NETWORKS["plain"]().gate_with(bh.Accumulation(every=2))
    loss, input, target = bh.MSELoss(), torch.randn(4, 3), torch.randn(4, 2)
    recorded = bh.TrainingStep(network, loss, engine) if engine is not None else None

    def step(rate: float, plainly: bool = False) -> None:
        if recorded is not None and not plainly:
            recorded(input, target, rate)
        else:
            network.backward(loss.backward(network(input), target), rate)

    step(0.1)
    first = network.layers[0].gate_with(None)
    once = copy.deepcopy(first)
    gradients = bh.gradients(network, loss, input, target)
    step(0.1)  # learns at once, and not by the micro-batch before
    assert close(first.weight.value, once.weight.value - 0.1 * gradients["0.weight"], 1e-6)
    first.learn_with(bh.SGD(weight_decay=0.5)).gate_with(network.layers[2].weight.gate)
    step(0.1, plainly=True)
    step(0.1)
    network.layers[0] = bh.FullyConnected(3, 5).gate_with(first.weight.gate)
    before = first.weight.value.clone()
    step(0.1)
    step(0.1)
    assert torch.equal(first.weight.value, before)


RECORDED = pytest.mark.parametrize(
    ("engine", "bounds"),
    [(Replay(), {"rtol": 0, "atol": 0}), (Native(), {"rtol": 1e-5, "atol": 1e-6})],
    ids=["Replay", "Native"],
)


@RECORDED
def test_a_prediction_is_no_micro_batch(engine, bounds) -> None:
    network = NETWORKS["plain"]().gate_with(bh.Accumulation(every=2))
    twin, first = copy.deepcopy(network), network.layers[0].weight
    loss, input, target = bh.MSELoss(), torch.randn(4, 3), torch.randn(4, 2)
    step, predict = bh.TrainingStep(network, loss, engine), bh.Prediction(network, engine)
    for updates in (1, 2, 3):
        for phase in (1, 0):
            step(input, target, 0.1)
            twin.backward(loss.backward(twin(input), target), 0.1)
            for _ in range(3):
                predict(input)
                predict.run(input, 3)
                assert first.gate.phase == phase
        assert first.updates == updates
    for path, tensor in twin.lasting_tensors().items():
        torch.testing.assert_close(network.lasting_tensors()[path], tensor, **bounds)


@RECORDED
def test_a_validation_set_leaves_an_accumulation_its_count(engine, bounds) -> None:
    recorded = NETWORKS["plain"]().gate_with(bh.Accumulation(every=2))
    input = torch.randn(20, 3)
    plain, data = copy.deepcopy(recorded), (input, input[:, :2] * 0.5)  # each epoch is the best
    for network, how in ((recorded, {"engine": engine}), (plain, {"record": False})):
        bh.fit(
            network,
            bh.MSELoss(),
            data,
            epochs=4,
            batch_size=5,
            learning_rate=0.05,
            validation=0.25,
            **how,
        )
        assert {each.updates for each in network.parameters().values()} == {6}
    for path, tensor in plain.lasting_tensors().items():
        torch.testing.assert_close(recorded.lasting_tensors()[path], tensor, **bounds)


class TwiceInSecret(bh.Layer):
    """Uses a layer twice and does not say so."""

    def __init__(self, inner: bh.Layer) -> None:
        self.inner = inner

    def forward(self, input, training):
        middle, first = self.inner.forward(input, training)
        output, second = self.inner.forward(middle, training)
        return output, (first, second)

    def propagate(self, error, memory, learning_rate):
        first, second = memory
        error = self.inner.propagate(error, second, learning_rate)
        return self.inner.propagate(error, first, learning_rate)


class TwiceDeclared(TwiceInSecret):
    def __init__(self, inner: bh.Layer) -> None:
        super().__init__(bh.share(inner))


def test_a_second_use_in_secret_is_refused_and_a_declared_one_is_exact() -> None:
    network = TwiceInSecret(bh.FullyConnected(3, 3))
    network(torch.randn(2, 3))
    with pytest.raises(RuntimeError, match="call share"):
        network.backward(torch.ones(2, 3), 0.1)
    network = TwiceDeclared(bh.FullyConnected(3, 3)).to(torch.float64)
    input, target = torch.randn(2, 3).double(), torch.randn(2, 3).double()
    expected = gradients_by_autograd(network, mse_loss, input, target)
    found = bh.gradients(network, bh.MSELoss(), input, target)
    assert all(close(found[path], expected[path]) for path in expected)
    before = network.inner.weight.value.clone()
    prediction = network(input)
    network.backward(bh.MSELoss().backward(prediction, target), 0.1)
    assert close(network.inner.weight.value, before - 0.1 * expected["inner.weight"])


def test_a_backward_that_fails_leaves_nothing_held() -> None:
    class Fails(bh.Layer):
        def forward(self, input, training):
            return input, None

        def propagate(self, error, memory, learning_rate):
            raise ArithmeticError("no")

    gate = bh.Gate(max_norm=1.0)
    network = bh.Sequential([Fails(), bh.FullyConnected(3, 2)]).gate_with(gate)
    before = network.layers[1].weight.value.clone()
    network(torch.randn(2, 3))
    with pytest.raises(ArithmeticError) as caught:
        network.backward(torch.ones(2, 2), 0.1)
    assert caught.value.__notes__ == ["in layer 0: Fails()"]
    assert torch.equal(network.layers[1].weight.value, before)
    network.layers.pop(0)
    network(torch.zeros(2, 3))
    network.backward(torch.zeros(2, 2), 0.1)
    assert torch.equal(network.layers[0].weight.value, before)


class FailsWhenTold(bh.SGD):
    """Learns, or fails, as it is told."""

    failing = True

    def update(self, parameter, gradient, learning_rate):
        if type(self).failing:
            raise ArithmeticError("told to")
        super().update(parameter, gradient, learning_rate)

    update_product = bh.UpdateRule.update_product
    update_sum = bh.UpdateRule.update_sum


@pytest.mark.parametrize("gate", [bh.Gate(max_norm=1.0), bh.Accumulation(1)], ids=["clip", "sum"])
def test_a_rule_that_fails_as_the_gate_settles_leaves_nothing_held(gate, monkeypatch) -> None:
    layer = bh.FullyConnected(3, 2).learn_with(FailsWhenTold()).gate_with(gate)
    before = layer.weight.value.clone()
    layer(torch.randn(4, 3))
    with pytest.raises(ArithmeticError, match="told to"):
        layer.backward(torch.ones(4, 2), 0.1)
    monkeypatch.setattr(FailsWhenTold, "failing", False)
    layer(torch.zeros(4, 3))
    layer.backward(torch.zeros(4, 2), 0.1)
    assert torch.equal(layer.weight.value, before)


def test_a_conversion_keeps_the_micro_batches_summed_so_far() -> None:
    layer = bh.FullyConnected(3, 2).gate_with(bh.Accumulation(every=2))
    weight, input = layer.weight.value.double(), torch.randn(4, 3)
    layer(input)
    layer.backward(torch.ones(4, 2), 0.1)
    layer.to(torch.float64)
    layer(torch.zeros(4, 3, dtype=torch.float64))
    layer.backward(torch.zeros(4, 2, dtype=torch.float64), 0.1)
    expected = weight - 0.1 * (torch.ones(2, 4) @ input).double() / 2
    assert close(layer.weight.value, expected, 1e-6)


def test_gradients_carry_no_autograd_history_of_the_callers_tensors() -> None:
    input, target = torch.randn(4, 3, requires_grad=True), torch.randn(4, 2, requires_grad=True)
    found = bh.gradients(bh.FullyConnected(3, 2), bh.MSELoss(), input, target)
    assert all(gradient.grad_fn is None for gradient in found.values())


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_are_autograds_and_change_nothing(network) -> None:
    ours = NETWORKS[network]().to(torch.float64).learn_with(bh.Adam())
    ours.gate_with(bh.Accumulation(3, max_norm=1e-3))
    input, target = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    before = copy.deepcopy(ours)
    generator = torch.random.get_rng_state()
    found = bh.gradients(ours, bh.MSELoss(), input, target)
    expected = gradients_by_autograd(ours, mse_loss, input, target)
    assert found.keys() == expected.keys()
    for path, gradient in found.items():
        assert close(gradient, expected[path]), path
    assert torch.equal(generator, torch.random.get_rng_state())
    pairs = zip(ours.parameters().values(), before.parameters().values(), strict=True)
    for parameter, old in pairs:
        assert torch.equal(parameter.value, old.value)
        assert parameter.updates == 0
        assert parameter.gate is not None
        assert not any(tensor.any() for tensor in parameter.state.values())
        assert not parameter.gate.tensors(parameter)["sum"].any()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bh.Gate(max_norm=0.0), "max_norm"),
        (lambda: bh.Accumulation(every=0), "every"),
    ],
)
def test_options_out_of_range_are_refused(make, says) -> None:
    with pytest.raises(ValueError, match=says):
        make()
