"""A copy or a pickle of a network learns as the original does, and is as large as its tensors."""

from __future__ import annotations

import copy
import pickle

import polars
import pytest
import torch

import backhand as bh
from backhand.estimators import TableClassifier
from backhand.program import Native
from cases import every_rule

pytestmark = pytest.mark.usefixtures("unchecked")

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}
INPUT, TARGET = torch.randn(40, 3), torch.randn(40, 2)
copies = pytest.mark.parametrize("how", COPIES)


def network(rule: bh.UpdateRule, width: int = 6) -> bh.Sequential:
    torch.manual_seed(4)
    layers = [bh.FullyConnected(3, width), bh.Tanh(), bh.NeuralTangentLinear(width, width)]
    return bh.Sequential([*layers, bh.Tanh(), bh.FullyConnected(width, 2)]).learn_with(rule)


def train(one: bh.Layer, steps: int = 200) -> None:
    loss = bh.MSELoss()
    for at in range(steps):
        rows = slice(8 * (at % 5), 8 * (at % 5) + 8)
        one.backward(loss.backward(one(INPUT[rows]), TARGET[rows]), 0.05)


def same(one: bh.Layer, other: bh.Layer) -> bool:
    mine, theirs = one.lasting_tensors(), other.lasting_tensors()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[p], theirs[p]) for p in mine)


@copies
@every_rule
def test_a_copy_of_a_called_network_learns_on_bit_for_bit(rule, how) -> None:
    one = network(rule.rule())
    train(one, 3)
    other = COPIES[how](one)
    train(other)
    assert not same(one, other)
    train(one)
    assert same(one, other)
    assert torch.equal(one.predict(INPUT), other.predict(INPUT))


@copies
@pytest.mark.parametrize("engine", [bh.Replay(), Native()], ids=repr)
def test_a_copy_of_a_step_runs_on_bit_for_bit(how, engine) -> None:
    step = bh.TrainingStep(network(bh.Adam()), bh.MSELoss(), engine)
    step(INPUT, TARGET, 0.1)
    other = COPIES[how](step)
    for _ in range(20):
        assert torch.equal(step(INPUT, TARGET, 0.1), other(INPUT, TARGET, 0.1))
    assert same(step.network, other.network)
    assert torch.equal(other.network(INPUT), other.network.predict(INPUT))


def test_a_pickle_is_as_large_as_its_tensors() -> None:
    one = network(bh.Adam(), width=80)
    train(one, 3)
    one.last_input = None  # a batch of the caller's
    held = sum(each.nbytes for each in one.lasting_tensors().values())
    assert len(pickle.dumps(one)) <= 1.2 * held
    layer = one.layers[2]
    held = sum(each.nbytes for each in layer.lasting_tensors().values())
    assert len(pickle.dumps(layer.weight)) <= 1.2 * held
    for parameter in copy.deepcopy(one.layers[2]).parameters().values():
        for tensor in parameter.tensors().values():
            assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_a_pickled_table_model_is_as_large_as_its_tensors() -> None:
    table = polars.DataFrame({f"x{i}": torch.randn(340).tolist() for i in range(5)})
    labels = ["a", "b"] * 170
    one = TableClassifier(members=4, epochs=2, random_state=0).fit(table, labels)
    held = sum(each.nbytes for each in one.network_.lasting_tensors().values())
    assert len(pickle.dumps(one)) <= 1.2 * held
    again = pickle.loads(pickle.dumps(one))
    assert (again.predict_proba(table) == one.predict_proba(table)).all()


@copies
def test_a_step_on_a_copy_finds_its_states_side_by_side(how) -> None:
    one = network(bh.Adam())
    other = COPIES[how](one)
    bh.TrainingStep(other, bh.MSELoss())
    for name in ("mean", "square"):
        states = [each.state[name] for each in other.parameters().values()]
        assert len({each.untyped_storage().data_ptr() for each in states}) == 1
    before = {path: each.data_ptr() for path, each in other.lasting_tensors().items()}
    bh.TrainingStep(other, bh.MSELoss())
    assert before == {path: each.data_ptr() for path, each in other.lasting_tensors().items()}


def test_a_transpose_follows_a_value_put_elsewhere() -> None:
    layer = bh.FullyConnected(3, 2, bias=False)
    layer(INPUT)
    value = torch.randn(2, 3)
    layer.weight.value.data = value.clone()
    assert torch.allclose(layer(INPUT), INPUT @ value.t())
    layer.weight.value.set_((2 * value).clone())
    assert torch.allclose(layer(INPUT), 2 * INPUT @ value.t())
