"""Plans by themselves: what must hold of every plan, whatever the network."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import backhand as bh
from backhand.program.line import record_prediction, record_training
from backhand.program.plan import ALIGNMENT, ARGUMENT, CONSTANT, OUTSIDE, TEMPORARY, Plan
from backhand.program.planning import plan_line

RULES = [bh.SGD(), bh.Momentum(nesterov=True), bh.Adam(), bh.AdamW()]


def drawn_network(draw: random.Random, inputs: int, outputs: int, depth: int) -> bh.Layer:
    """A network of drawn shape, from so many inputs to so many outputs."""

    def inner(outputs: int) -> bh.Layer:
        return drawn_network(draw, inputs, outputs, depth - 1)

    kind = draw.choice(["line", "sum", "product", "concatenate", "residual", "twice"])
    if depth == 0 or kind == "line":
        width = draw.randint(1, 5)
        act = draw.choice([bh.ReLU, bh.Tanh, bh.Sigmoid, bh.Dropout])
        into, out_of = bh.FullyConnected(inputs, width), bh.FullyConnected(width, outputs)
        return bh.Sequential([into, act(), out_of])
    if kind == "concatenate" and outputs > 1:
        return bh.Concatenate([inner(1), inner(outputs - 1)])
    if kind == "residual":
        return bh.Sequential([bh.Residual(inner(inputs)), bh.FullyConnected(inputs, outputs)])
    if kind == "twice":
        one = bh.FullyConnected(inputs, inputs)
        return bh.Sequential([one, bh.Tanh(), one, bh.FullyConnected(inputs, outputs)])
    branches = [inner(outputs), inner(outputs)]
    return bh.Product(branches) if kind == "product" else bh.Sum(branches)


def drawn_plan(seed: int) -> tuple[Plan, list[str]]:
    """The plan of a drawn network's step, and what its caller wants of it."""
    draw = random.Random(seed)
    network = drawn_network(draw, 3, 2, depth=2).learn_with(draw.choice(RULES))
    network.gate_with(draw.choice([None, bh.Gate(0.1)]))
    wanted = draw.choice([[], ["loss"]])
    return planned(network, wanted, rows=draw.randint(1, 6)), wanted


seeds = st.integers(0, 10**6)


def overlap(plan: Plan, one: int, other: int) -> bool:
    a, b = plan.storages[one], plan.storages[other]
    return a.place < b.place + b.size and b.place < a.place + a.size


@settings(max_examples=15)
@given(seeds)
def test_no_two_live_values_overlap(seed) -> None:
    plan, _ = drawn_plan(seed)
    spans = plan.lifetimes()
    for one, (first, last) in spans.items():
        storage = plan.storages[one]
        assert storage.place % ALIGNMENT == 0
        assert storage.place + storage.size <= plan.arena
        for other, (begun, ended) in spans.items():
            if one == other or not overlap(plan, one, other):
                continue
            assert not (first < ended and begun < last), (storage.name, plan.storages[other].name)
            if last == begun:  # born where the other dies: one elementwise operation, in place
                operation = plan.operations[last]
                assert operation.target.storage == other
                assert plan.storages[other].place == storage.place
                reads = [view for view in operation.reads() if view.storage == one]
                target = operation.target
                for view in reads:
                    assert (view.shape, view.stride, view.offset, view.dtype) == (
                        target.shape,
                        target.stride,
                        target.offset,
                        target.dtype,
                    )


@settings(max_examples=15)
@given(seeds)
def test_nothing_is_read_before_it_is_written(seed) -> None:
    plan, _ = drawn_plan(seed)
    written = {n for n, each in plan.storages.items() if each.kind in (ARGUMENT, OUTSIDE)}
    for operation in (*plan.preparations, *plan.operations):
        assert {view.storage for view in operation.reads()} <= written, operation.name
        written |= {view.storage for view in operation.targets}
    assert {view.storage for view in plan.results.values()} <= written


@settings(max_examples=15)
@given(seeds)
def test_every_operation_serves_something_that_lasts(seed) -> None:
    plan, wanted = drawn_plan(seed)
    assert list(plan.results) == wanted
    needed = {view.storage for view in plan.results.values()}
    for operation in reversed(plan.operations):
        targets = {view.storage for view in operation.targets}
        lasting = any(plan.storages[number].kind == OUTSIDE for number in targets)
        assert lasting or operation.random or targets & needed, operation.name
        needed |= {view.storage for view in operation.reads()}
    assert not any(
        plan.storages[view.storage].kind in (ARGUMENT, CONSTANT)
        for operation in plan.operations
        for view in operation.targets
    )


def planned(network: bh.Layer, wanted: list[str], rows: int = 4) -> Plan:
    batch = [torch.randn(rows, 3)], [torch.randn(rows, 2)]
    line = record_training(network, bh.MSELoss(), *batch)
    return plan_line(line, wanted)


def names(plan: Plan) -> list[str]:
    return [operation.name for operation in plan.operations]


def test_dead_work_disappears_and_random_calls_never() -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)])
    assert names(planned(network, [])).count("mm") == 1  # not the first layer's input error
    assert "dot" in names(planned(network, ["loss"]))
    assert "dot" not in names(planned(network, []))
    frozen = bh.Sequential([bh.Dropout(0.5), bh.FullyConnected(3, 2)]).freeze()
    assert names(planned(frozen, [])) == ["bernoulli_"]


def test_repeated_work_is_done_once() -> None:
    network = bh.FullyConnected(3, 2)
    assert names(planned(network, ["loss"])).count("sub") == 1


def test_rules_work_side_by_side_where_their_states_do() -> None:
    network = bh.Sequential([bh.FullyConnected(3, 4), bh.Tanh(), bh.FullyConnected(4, 2)])
    assert names(planned(network.learn_with(bh.Adam()), [])).count("lerp") == 1
    for parameter in network.parameters().values():
        parameter.learn_with(bh.Adam())  # each state in a storage of its own
    assert names(planned(network, [])).count("lerp") == 4


def test_storage_is_shared() -> None:
    deep = bh.Sequential([bh.FullyConnected(3, 3), bh.ReLU()] * 1)
    for _ in range(10):
        deep.layers += [bh.FullyConnected(3, 3), bh.Tanh()]
    deep.layers.append(bh.FullyConnected(3, 2))
    line = record_prediction(deep, [torch.randn(100, 3)])
    plan = plan_line(line, ["prediction"])
    alive = sum(each.size for each in plan.storages.values() if each.kind == TEMPORARY)
    assert plan.arena < alive / 5


PRINTED = """\
arena 64 bytes
  input: argument, 24 bytes
  weight: outside, 24 bytes
  bias: outside, 8 bytes
  output: temporary, 16 bytes lives 0-1 at 0
step
  output[2, 2] <- addmm(bias[2], input[2, 3], weight[3, 2])
give prediction: output[2, 2]"""


def test_a_plan_prints() -> None:
    line = record_prediction(bh.FullyConnected(3, 2), [torch.randn(2, 3)])
    printed = str(plan_line(line, ["prediction"])).splitlines()
    assert [each for each in printed if each != "prepare"] == PRINTED.splitlines()


class MadeAgain(bh.Layer):
    """tanh(input), which its propagate makes again, so as not to keep it."""

    def forward(self, input, training):
        return torch.tanh(input) * 2, input

    def propagate(self, error, memory, learning_rate):
        output = torch.tanh(memory)
        return error * 2 * (1 - output * output)


@pytest.mark.parametrize(("rows", "times"), [(8, 1), (2000, 2)])
def test_what_is_large_and_made_again_is_not_kept_for_the_way_back(rows, times) -> None:
    network = bh.Sequential([bh.FullyConnected(4, 200), MadeAgain(), bh.FullyConnected(200, 2)])
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay())
    step.record(torch.randn(rows, 4), torch.randn(rows, 2))
    assert sum(each.name == "tanh" for each in step.latest.plan.operations) == times
