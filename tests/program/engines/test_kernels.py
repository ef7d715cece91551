"""A large step as calls of kernels: the C grows with what differs, and does what plain steps do."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import backhand as bh
from backhand.program import Native
from backhand.program.calls import Scalar, View
from backhand.program.engines.native.compile import vector_bytes
from backhand.program.engines.native.compiled import Compiled
from backhand.program.engines.native.emit import MOST_IN_ONE, write_c
from backhand.program.engines.native.kernels import _clusters
from backhand.program.engines.native.layout import Bytes
from backhand.program.plan import OUTSIDE, TEMPORARY, Operation, Plan, Storage
from program.engines.native_steps import tensors_of, train_both, worst

LOSS = bh.MSELoss()
GATES = {
    "none": lambda: None,
    "clip": lambda: bh.Gate(max_norm=0.1),
    "accumulate": lambda: bh.Accumulation(3),
}


def tied(depth: int) -> bh.Sequential:
    layer, activation = bh.FullyConnected(6, 6), bh.Tanh()
    return bh.Sequential([layer, activation] * depth)


def blocks(depth: int) -> bh.Sequential:
    def block() -> bh.Residual:
        return bh.Residual(
            bh.Sequential([bh.LayerNorm(6), bh.MultiHeadAttention(6, 2, causal=True)])
        )

    return bh.Sequential([block() for _ in range(depth)])


def recurrent(time: int) -> bh.Sequential:
    return bh.Sequential([bh.LSTM(6, 6)])


def code_of(network, input):
    step = bh.TrainingStep(network, LOSS, bh.Replay())
    plan = step.record(input, torch.zeros_like(network.predict(input))).latest.plan
    return write_c(plan, "step", vector_bytes())


@pytest.mark.parametrize(
    ("make", "shape"), [(tied, (4, 6)), (blocks, (4, 5, 6))], ids=["tied", "blocks"]
)
def test_the_c_is_the_same_for_a_network_twice_as_deep(make, shape) -> None:
    shallow, deep = (code_of(make(depth), torch.randn(shape)) for depth in (20, 40))
    assert shallow.schedule
    assert len(deep.schedule) > 1.8 * len(shallow.schedule)
    assert abs(len(deep.text) - len(shallow.text)) < 0.05 * len(shallow.text)


def test_the_c_is_the_same_for_a_series_twice_as_long() -> None:
    short, long = (code_of(recurrent(time), torch.randn(4, time, 6)) for time in (40, 80))
    assert long.text.count("kernel_") < 1.1 * short.text.count("kernel_")
    assert len(long.text) < 1.2 * len(short.text)


def test_a_small_step_is_one_function() -> None:
    code = code_of(tied(2), torch.randn(4, 6))
    assert not code.schedule
    assert "kernel_" not in code.text


@pytest.mark.parametrize("rule", [bh.SGD(), bh.Adam(), bh.Momentum()], ids=str)
@pytest.mark.parametrize("gate", GATES)
def test_a_deep_network_trains_as_plainly(rule, gate) -> None:
    network = bh.Sequential(
        [layer for _ in range(30) for layer in (bh.Residual(bh.FullyConnected(5, 5)), bh.Tanh())]
    ).to(torch.float64)
    network.learn_with(rule)
    network.gate_with(GATES[gate]())
    inputs, targets = torch.randn(2, 64, 5).double()
    step = bh.TrainingStep(copy.deepcopy(network), LOSS, Native()).record(inputs[:8], targets[:8])
    assert "kernel_" in step.latest.bound.text
    network, twin, losses, expected = train_both(network, LOSS, inputs, targets, steps=40)
    assert worst(network, twin) < 1e-9
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-14)


def test_the_same_bits_in_every_run_and_in_calls_of_one_step() -> None:
    networks = []
    for many in (True, False):
        torch.manual_seed(0)
        network = tied(30)
        inputs, targets = torch.randn(2, 32, 6)
        step = bh.TrainingStep(network, LOSS, Native())
        if many:
            step.run(inputs, targets, torch.arange(32), [0.1] * 4, 8)
        else:
            for rows in torch.arange(32).split(8):
                step(inputs[rows], targets[rows], 0.1)
        networks.append(network)
    for one, other in zip(*(tensors_of(each).values() for each in networks), strict=True):
        assert torch.equal(one, other)


def test_every_random_call_of_a_deep_step_draws_its_own_numbers() -> None:
    dropouts = [bh.Dropout(0.5) for _ in range(MOST_IN_ONE + 2)]
    network = bh.Sequential([bh.Sum([each, each]) for each in dropouts[:30]])
    step = bh.TrainingStep(network, LOSS, Native())
    step.record(torch.ones(400, 1), torch.ones(400, 1))
    assert "kernel_" in step.latest.bound.text
    numbers = [
        int(call[3])
        for call in _calls(step.latest.bound._code.schedule)
        if "bernoulli" in _kernel_text(step.latest.bound.text, call[1])
    ]
    assert len(numbers) == len(set(numbers)) == 60


def test_a_row_out_of_range_names_the_layer_in_a_deep_step() -> None:
    network = bh.Sequential([bh.Embedding(7, 6), *tied(30).layers])
    step = bh.Prediction(network, Native())
    rows = torch.zeros(3, dtype=torch.int64)
    step(rows)
    in_place = step.in_place(rows)
    in_place.input[1] = 7
    with pytest.raises(IndexError, match="Embedding"):
        in_place()


def _calls(schedule):
    while schedule:
        yield schedule[: schedule[0]]
        schedule = schedule[schedule[0] :]


def _kernel_text(text: str, number: int) -> str:
    begin = text.index(f"static int64_t kernel_{number}(")
    return text[begin : text.index("\n}\n", begin)]


class Line:
    """A plan by hand, on vectors of four elements."""

    def __init__(self) -> None:
        self.operations, self.storages = [], {}

    def vector(self, name: str, kind: str = OUTSIDE) -> View:
        number = len(self.storages)
        self.storages[number] = Storage(number, 32, kind, f"{name}_{number}", 64 * number)
        return View(number, torch.float64, (4,), (1,), 0)

    def add(self, name: str, *operands, kind: str = TEMPORARY) -> View:
        target = self.vector("result", kind)
        self.operations.append(
            Operation(name, "out", operands, {}, (target,), torch.add, False, "backward", "", "",
                      "")
        )  # fmt: skip
        return target

    def run(self, values: dict[View, torch.Tensor], **scalars: float) -> dict[int, torch.Tensor]:
        outside = {
            number: torch.zeros(4, dtype=torch.float64)
            for number, storage in self.storages.items()
            if storage.kind == OUTSIDE
        }
        for view, value in values.items():
            outside[view.storage].copy_(value)
        plan = Plan(self.operations, [], self.storages, {}, {}, {}, 64 * len(self.storages))
        code = write_c(plan, "step", vector_bytes(), most_in_one=0)
        Compiled(plan, outside, code).run(*(scalars[name] for name in code.scalar_names))
        self.kernels = code.text.count("static int64_t kernel_")
        return outside


def test_what_is_read_later_is_kept_though_an_equal_loop_keeps_it_to_itself() -> None:
    line = Line()
    a = line.vector("a")
    ends = []
    for is_read_later in (False, True):
        inner = line.add("mul", a, 2.0)
        end = line.add("add", inner, 1.0, kind=OUTSIDE)
        total = line.add("dot", end, end, kind=OUTSIDE)  # it parts the loops
        ends.append((end, total))
        if is_read_later:
            ends.append((line.add("sub", inner, 3.0, kind=OUTSIDE), total))
    found = line.run({a: torch.arange(4.0)})
    for end, expected in zip([each for each, _ in ends], ([1, 3, 5, 7],) * 2 + ([-3, -1, 1, 3],),
                             strict=True):  # fmt: skip
        assert found[end.storage].tolist() == expected


def test_two_scalars_are_not_one_twice() -> None:
    line = Line()
    a = line.vector("a")
    ends = []
    for first, second in (("lr", "lr"), ("lr", "decay"), ("decay", "lr")):
        inner = line.add("mul", a, Scalar(first))
        end = line.add("add", inner, Scalar(second), kind=OUTSIDE)
        line.add("dot", end, end, kind=OUTSIDE)
        ends.append(end)
    found = line.run({a: torch.ones(4)}, lr=2.0, decay=5.0)
    assert [found[end.storage][0].item() for end in ends] == [4.0, 7.0, 7.0]
    assert line.kernels == 3  # one for a scalar twice, one for two, one for the products


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(1, 12)), max_size=8))
@example([(0, 0, 10), (0, 2, 1), (0, 5, 1)])
def test_what_lies_on_common_bytes_has_one_pointer_and_nothing_else_has(given) -> None:
    places = [Bytes(space, begin, begin + size) for space, begin, size in given]
    found = _clusters({View(at, torch.uint8, (), (), 0): x for at, x in enumerate(places)})
    numbers = {view.storage: number for view, number in found.items()}
    together = list(range(len(places)))
    for one, place in enumerate(places):
        for other, theirs in enumerate(places):
            if place.meets(theirs):
                both = together[one], together[other]
                together = [min(both) if each in both else each for each in together]
    assert len({*zip(together, map(numbers.get, range(len(places))), strict=True)}) == len(
        set(together)
    )
    assert len(set(numbers.values())) == len(set(together))
