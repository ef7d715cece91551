"""What comes in at a recorded step's door: no other device, no sign kept aside, rows as int64."""

from __future__ import annotations

import copy

import numpy
import pytest
import torch

import backhand as bh
from backhand.program import Native

ENGINES = [bh.Replay(), Native()]
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=repr)


def stepped(engine):
    torch.manual_seed(0)
    network = bh.Sequential([bh.FullyConnected(4, 3), bh.Tanh(), bh.FullyConnected(3, 2)])
    step = bh.TrainingStep(network, bh.MSELoss(), engine)
    step(torch.randn(8, 4), torch.randn(8, 2), 0.1)
    return network, step


def negative(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, in a view that keeps their sign aside."""
    view = torch.imag(torch.conj(torch.complex(torch.zeros_like(tensor), -tensor)))
    assert view.is_neg()
    assert torch.equal(view, tensor)
    return view


@every_engine
def test_a_batch_elsewhere_is_refused_though_its_shape_is_known(engine) -> None:
    network, step = stepped(engine)
    prediction = bh.Prediction(network, engine)
    prediction(torch.randn(8, 4))
    for call in (
        lambda: step(torch.randn(8, 4, device="meta"), torch.randn(8, 2), 0.1),
        lambda: step(torch.randn(8, 4), torch.randn(8, 2, device="meta"), 0.1),
        lambda: prediction(torch.randn(8, 4, device="meta")),
    ):
        with pytest.raises(ValueError, match="runs on the CPU, got a batch on meta"):
            call()


@every_engine
def test_a_sign_kept_aside_is_read(engine) -> None:
    x, y = torch.randn(8, 4), torch.randn(8, 2)
    found = []
    for change in (torch.clone, negative):
        network, step = stepped(engine)
        step(change(x), change(y), 0.1)
        step.run(change(x), change(y), torch.arange(8), [0.1], 8)
        predicted = bh.Prediction(network, engine)(change(x))
        found.append([predicted, *(each.value for each in network.parameters().values())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@every_engine
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bool, torch.int32])
def test_an_order_is_of_int64(engine, dtype) -> None:
    network, step = stepped(engine)
    before = network.layers[0].weight.value.clone()
    with pytest.raises(TypeError, match="expected an order of int64 rows"):
        step.run(torch.randn(8, 4), torch.randn(8, 2), torch.arange(8).to(dtype), [0.1], 8)
    assert torch.equal(network.layers[0].weight.value, before)


PLAIN_TOO = [None, *ENGINES]


@pytest.mark.parametrize("engine", PLAIN_TOO, ids=repr)
@pytest.mark.parametrize("rate", [1e39, 1e300, float("inf"), float("nan"), -0.1])
def test_a_rate_that_float32_does_not_hold_is_refused_before_anything_moves(engine, rate) -> None:
    network, x, y = bh.FullyConnected(4, 2), torch.randn(8, 4), torch.randn(8, 2)
    network.learn_with(bh.SGD(weight_decay=0.1))
    before = network.weight.value.clone()
    calls = [lambda: network.backward(bh.MSELoss().backward(network(x), y), rate)]
    if engine is not None:
        step = bh.TrainingStep(network, bh.MSELoss(), engine)
        place = step.in_place(x, y)
        calls = [
            lambda: step(x, y, rate),
            lambda: step.run(x, y, torch.arange(8), [0.1, rate]),
            lambda: place(rate),
        ]
    for call in calls:
        with pytest.raises(ValueError, match="which float32 holds"):
            call()
    assert torch.equal(network.weight.value, before)


@pytest.mark.parametrize("engine", PLAIN_TOO, ids=repr)
@pytest.mark.parametrize("made", [torch.tensor, lambda rate: torch.tensor([rate])], ids=[0, 1])
def test_a_rate_may_be_a_tensor_of_one_number(engine, made) -> None:
    torch.manual_seed(0)
    one, x, y = bh.FullyConnected(4, 2), torch.randn(8, 4), torch.randn(8, 2)
    one.learn_with(bh.SGD(weight_decay=0.1))
    other, loss = copy.deepcopy(one), bh.MSELoss()
    for network, rate in ((one, made(0.25)), (other, 0.25)):
        if engine is None:
            network.backward(loss.backward(network(x), y), rate)
        else:
            step = bh.TrainingStep(network, loss, engine)
            step(x, y, rate)
            step.run(x, y, torch.arange(8), [rate, rate])
    assert torch.equal(one.weight.value, other.weight.value)


@every_engine
@pytest.mark.parametrize(
    "made",
    [
        tuple,
        numpy.array,
        lambda rates: torch.tensor(rates, dtype=torch.float64),
        lambda rates: torch.tensor(rates, dtype=torch.float64).repeat_interleave(2)[::2],
    ],
    ids=["tuple", "array", "tensor", "every second"],
)
def test_the_rates_of_a_run_may_be_an_array(engine, made) -> None:
    torch.manual_seed(0)
    one, x, y = bh.FullyConnected(4, 2).learn_with(bh.Adam()), torch.randn(7, 4), torch.randn(7, 2)
    other, rates = copy.deepcopy(one), [0.1, 0.07, 0.3, 1e-5]
    steps = [bh.TrainingStep(each, bh.MSELoss(), engine) for each in (one, other)]
    expected = steps[0].run(x, y, torch.arange(7), rates, 2)
    assert torch.equal(steps[1].run(x, y, torch.arange(7), made(rates), 2), expected)
    assert torch.equal(one.weight.value, other.weight.value)
    assert one.weight.updates == other.weight.updates == 4


@every_engine
@pytest.mark.parametrize(
    "rates", [torch.ones(2, 2), 0.1, ["a", "b"], [0.1, None], torch.ones(2) * 1j, "ab"], ids=str
)
def test_what_is_no_row_of_rates_is_refused(engine, rates) -> None:
    network, step = stepped(engine)
    before = network.layers[0].weight.value.clone()
    with pytest.raises(TypeError, match="expected a learning rate for each step, got"):
        step.run(torch.randn(8, 4), torch.randn(8, 2), torch.arange(8), rates, 4)
    assert torch.equal(network.layers[0].weight.value, before)


@every_engine
@pytest.mark.parametrize("part", [slice(None), slice(1, 4)], ids=["whole", "rows"])
def test_a_weight_given_as_the_batch_is_taken_as_it_was(engine, part) -> None:
    torch.manual_seed(0)
    network = bh.Sequential([bh.FullyConnected(4, 4), bh.Tanh(), bh.FullyConnected(4, 4)])
    twin, loss = copy.deepcopy(network), bh.MSELoss()
    target = torch.randn(4, 4)[part]
    step, other = (bh.TrainingStep(each, loss, engine) for each in (network, twin))
    order = torch.arange(len(target))
    for _ in range(3):
        step(network.layers[2].weight.value[part], target, 0.5)
        other(twin.layers[2].weight.value[part].clone(), target, 0.5)
    step.run(network.layers[2].weight.value[part], target, order, [0.5], len(order))
    other.run(twin.layers[2].weight.value[part].clone(), target, order, [0.5], len(order))
    for one, its in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        assert torch.equal(one.value, its.value)


@every_engine
def test_a_sparse_batch_is_refused_by_name(engine) -> None:
    network = bh.FullyConnected(4, 2)
    step, prediction = (
        bh.TrainingStep(network, bh.MSELoss(), engine),
        bh.Prediction(network, engine),
    )
    x, y = torch.eye(4), torch.randn(4, 2)
    step(x, y, 0.1), prediction(x)
    for call in (lambda: step(x.to_sparse(), y, 0.1), lambda: prediction(x.to_sparse())):
        with pytest.raises(TypeError, match="takes dense batches, got one of"):
            call()


@every_engine
def test_a_loss_that_does_not_look_at_its_target_takes_an_empty_one(engine) -> None:
    network = bh.Sequential([bh.FullyConnected(4, 1)])
    step, before = bh.TrainingStep(network, bh.Itself(), engine), network[0].weight.value.clone()
    with pytest.raises(TypeError, match="an empty tuple, where the loss does not look at it"):
        step(torch.ones(8, 4), None, 0.1)
    loss = step(torch.ones(8, 4), (), 0.1)
    assert torch.allclose(loss, before.sum())
    assert torch.allclose(network[0].weight.value, before - 0.1)
    step.run(torch.ones(8, 4), (), torch.arange(8), [0.1])
    assert torch.allclose(network[0].weight.value, before - 0.2)


PERMUTED = {
    "images": lambda: torch.randn(24, 4, 4, 3).permute(0, 3, 1, 2),
    "series": lambda: torch.randn(24, 16, 3).transpose(1, 2),
}


@every_engine
@pytest.mark.parametrize("name", PERMUTED)
def test_data_that_lie_another_way_are_the_same_data(engine, name) -> None:
    torch.manual_seed(0)
    laid, y = PERMUTED[name](), torch.randn(24, 2)
    layers = [bh.Reshape((3, 16)), bh.Transpose(1, 2), bh.LayerNorm(3), bh.Flatten()]
    network = bh.Sequential([*layers, bh.FullyConnected(48, 2)])
    twin, plain = copy.deepcopy(network), copy.deepcopy(network)
    assert not laid.is_contiguous()
    found = bh.Prediction(network, engine).run(laid, batch_size=8)
    torch.testing.assert_close(found, network.predict(laid), rtol=1e-5, atol=1e-6)
    order, loss = torch.randperm(24), bh.MSELoss()
    bh.TrainingStep(network, loss, engine).run(laid, y, order, [0.1] * 3, 8)
    bh.TrainingStep(twin, loss, engine).run(laid.contiguous(), y, order, [0.1] * 3, 8)
    for rows in order.split(8):
        plain.backward(loss.backward(plain(laid[rows]), y[rows]), 0.1)
    for one, same, other in zip(
        *(each.parameters().values() for each in (network, twin, plain)), strict=True
    ):
        assert torch.equal(one.value, same.value)
        torch.testing.assert_close(one.value, other.value, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Replay runs the step, not Native")
@pytest.mark.parametrize("engine", [None, *ENGINES], ids=repr)
def test_a_weight_that_is_the_negative_of_its_memory_is_read_with_its_sign(engine) -> None:
    def negative() -> torch.Tensor:
        return torch.randn(3, 3, dtype=torch.complex64).conj().imag

    network = bh.Sequential([bh.FullyConnected(3, 3), bh.Tanh(), bh.FullyConnected(3, 3)])
    network.layers[0].weight = bh.Parameter(negative())
    x = torch.randn(6, 3)
    prediction = bh.Prediction(network, engine)
    torch.testing.assert_close(prediction(x), network.predict(x))
    network.layers[2].weight.value = negative()
    torch.testing.assert_close(prediction(x), network.predict(x))
    twin, loss = copy.deepcopy(network), bh.MSELoss()
    step = bh.TrainingStep(network, loss, engine)
    for _ in range(3):
        step(x, x, 0.1)
        twin.backward(loss.backward(twin(x), x), 0.1)
    for one, other in zip(network.parameters().values(), twin.parameters().values(), strict=True):
        torch.testing.assert_close(one.value, other.value)


def test_another_network_or_loss_is_recorded_anew() -> None:
    one, other = bh.FullyConnected(3, 2), bh.FullyConnected(3, 2)
    x, y = torch.randn(4, 3), torch.randn(4, 2)
    prediction = bh.Prediction(one)
    prediction(x)
    prediction.network = other
    torch.testing.assert_close(prediction(x), other.predict(x))
    step = bh.TrainingStep(one, bh.MSELoss())
    step(x, y, 0.0)
    step.network, step.loss = other, bh.L1Loss()
    torch.testing.assert_close(step(x, y, 0.0), bh.L1Loss()(other.predict(x), y))
    step.losses = False
    assert step(x, y, 0.0) is None


@every_engine
def test_the_tensors_of_a_step_in_place_are_filled_never_replaced(engine) -> None:
    network, x, y = bh.FullyConnected(3, 2), torch.randn(4, 3), torch.randn(4, 2)
    learn = bh.TrainingStep(network, bh.MSELoss(), engine).in_place(x, y)
    predict = bh.Prediction(network, engine).in_place(x)
    for replace in (
        lambda: setattr(learn, "input", x),
        lambda: setattr(learn, "target", y),
        lambda: setattr(predict, "input", x),
        lambda: setattr(predict, "output", y),
    ):
        with pytest.raises(AttributeError):
            replace()


def of_classes(engine):
    """A network of three classes, its step, and a batch whose targets are fine."""
    torch.manual_seed(0)
    network = bh.Sequential([bh.FullyConnected(4, 3)])
    step = bh.TrainingStep(network, bh.CrossEntropyLoss(), engine)
    return network, step, torch.randn(4, 4), torch.tensor([0, 2, 1, 2])


def target_doors(network, step, x, y):
    """Whatever a user gives a target to; a call, the door, and one that knows its shape."""
    loss = step.loss
    return {
        "first call": lambda: step(x, y, 0.1),
        "run": lambda: step.run(x, y, torch.arange(4), [0.1]),
        "record": lambda: step.record(x, y),
        "in place": lambda: step.in_place(x, y),
        "evaluate": lambda: bh.evaluate(network, loss, (x, y)),
        "gradients": lambda: bh.gradients(network, loss, x, y),
        "loss": lambda: loss(network.predict(x), y),
        "backward": lambda: loss.backward(network.predict(x), y),
        "rows": lambda: loss.rows(network.predict(x), y),
    }


DOORS = list(target_doors(*of_classes(bh.Replay())))


@every_engine
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("wrong", [3, -1, -100])
def test_a_class_out_of_range_is_refused_by_the_loss(engine, door, wrong) -> None:
    network, step, x, y = of_classes(engine)
    before, bad = network[0].weight.value.clone(), torch.where(y == 1, wrong, y)
    says = rf"CrossEntropyLoss\(\) expected class indices from 0 to 2, got {wrong}"
    says += "; .*ignore_index=-100" if wrong == -100 else "$"
    with pytest.raises(ValueError, match=says):
        target_doors(network, step, x, bad)[door]()
    assert torch.equal(network[0].weight.value, before)


@every_engine
@pytest.mark.parametrize("wrong", [3, -1])
def test_a_class_out_of_range_is_refused_by_a_step_that_knows_the_shape(engine, wrong) -> None:
    network, step, x, y = of_classes(engine)
    step(x, y, 0.1)
    step.run(x, y, torch.arange(4), [0.1, 0.1])
    before = network[0].weight.value.clone()
    bad = torch.where(y == 1, wrong, y)
    for call in (
        lambda: step(x, bad, 0.1),
        lambda: step.run(x, bad, torch.arange(4), [0.1, 0.1]),
        lambda: step.run(x, bad, torch.arange(4), [0.1]),
    ):
        with pytest.raises(ValueError, match=f"expected class indices from 0 to 2, got {wrong}"):
            call()
    assert torch.equal(network[0].weight.value, before)


@pytest.mark.parametrize("wrong", [5, -1])
def test_a_token_out_of_range_is_refused_by_its_layer(wrong) -> None:
    network = bh.Sequential([bh.Embedding(5, 3)])
    for use in (network, network.predict, bh.Prediction(network)):
        with pytest.raises(bh.LayerError, match=rf"0: Embedding\(5, 3\) .* 0 to 4, got {wrong}"):
            use(torch.tensor([0, wrong]))
    joined, hidden = bh.LinearCrossEntropy(4, 5), torch.randn(2, 4)
    for use in (joined, joined.predict, bh.Prediction(joined)):
        with pytest.raises(bh.LayerError, match=f"class indices from 0 to 4, got {wrong}"):
            use((hidden, torch.tensor([0, wrong])))


@every_engine
def test_data_that_are_the_negative_of_their_memory_predict_with_their_sign(engine) -> None:
    network, data = bh.FullyConnected(4, 2), torch._neg_view(torch.randn(8, 4))
    found = bh.Prediction(network, engine).run(data, batch_size=4)
    torch.testing.assert_close(found, network.predict(data))
