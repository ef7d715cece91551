"""By Native, a prediction of a row has the same bits whatever rows stand beside it."""

from __future__ import annotations

import copy
import platform

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import backhand as bh
from backhand.estimators.tables.members import make_members
from backhand.program import Native
from backhand.training.threads import running_on
from backhand.values import rows_of, tensors
from cases import native_layers

ROWS = 24


class Multiplied(bh.Layer):
    """input @ weight: the weight lies the other way round."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weight = bh.Parameter(torch.randn(inputs, outputs))

    def forward(self, input, training):
        return input @ self.weight.value, None


class Turned(Multiplied):
    """(weightᵀ @ inputᵀ)ᵀ: rows of the batch are columns of the product."""

    def forward(self, input, training):
        return (self.weight.value.t() @ input.t()).t(), None


class TurnedRows(Multiplied):
    """As Turned, of a weight that lies as FullyConnected's."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weight = bh.Parameter(torch.randn(outputs, inputs))

    def forward(self, input, training):
        return (self.weight.value @ input.t()).t(), None


class Made(TurnedRows):
    """As TurnedRows, of a weight that is computed in the prediction itself."""

    def forward(self, input, training):
        weight = self.weight.value / (self.weight.value.square().sum() ** 0.5)
        return (weight @ input.t()).t(), None


class Pairs(bh.Layer):
    """Products of two matrices that both come from the row, whose elements lie a batch apart."""

    def forward(self, input, training):
        both = torch.cat([input.t(), input.t().square()]).view(2, input.shape[1], -1)
        both = both.permute(2, 0, 1)
        return torch.bmm(torch.bmm(both, both.transpose(1, 2)), both).flatten(1), None


class Pooled(bh.Layer):
    """Sums along a middle axis, and along the first of an array whose last axis is the batch."""

    def forward(self, input, training):
        three = torch.cat([input, input.square(), input.tanh()], 1).view(len(input), 3, -1)
        return three.mean(1) * input.t().contiguous().sum(0).unsqueeze(1), None


class Sums(bh.Layer):
    """Sums, means and softmax along a row; sums of products, which compilers like to contract."""

    def forward(self, input, training):
        centred = input - input.mean(-1, keepdim=True)
        scaled = centred / (centred.square().sum(-1, keepdim=True) + 1e-3) ** 0.5
        return scaled * 0.7 + torch.softmax(input, -1) * input + input.sum(-1, keepdim=True), None


def perceptron(inputs: int, width: int) -> bh.Sequential:
    return bh.Sequential(
        [bh.FullyConnected(inputs, width), bh.Tanh(), bh.FullyConnected(width, 3), bh.Sigmoid()]
    )


def of_layers(*kinds):
    def made(inputs: int, width: int) -> bh.Sequential:
        middle = kinds[0](inputs, width), bh.Mish(), kinds[1](width, 3), Sums()
        return bh.Sequential(list(middle))

    return made


def paired(inputs: int, width: int) -> bh.Sequential:
    return bh.Sequential([Pairs(), bh.FullyConnected(2 * inputs, width), Pooled()])


def scaled(inputs: int, width: int) -> bh.Sequential:
    """Products and sums of numbers, in one loop or in two."""
    return bh.Sequential(
        [
            bh.Residual(bh.Scale(inputs)),
            bh.FullyConnected(inputs, width),
            bh.Residual(bh.Scale(width)),
        ]
    )


NETWORKS = {
    "scaled": scaled,
    "perceptron": perceptron,
    "members, Mish": lambda inputs, width: make_members(inputs, (width,), 1, 2, False),
    "members, SELU": lambda inputs, width: make_members(inputs, (width,), 3, 1, True),
    "multiplied": of_layers(Multiplied, bh.FullyConnected),
    "turned": of_layers(Turned, TurnedRows),
    "turned rows": of_layers(TurnedRows, Turned),
    "made": of_layers(Made, Made),
    "paired": paired,
}


def native(network: bh.Layer) -> bh.Prediction:
    return bh.Prediction(network, Native())


def alone(prediction: bh.Prediction, inputs) -> torch.Tensor:
    """The prediction of each row by itself."""
    rows = [prediction(rows_of(inputs, slice(i, i + 1))) for i in range(len(tensors(inputs)[0]))]
    assert isinstance(prediction.engine, Native)
    return torch.cat(rows)


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=2, phases=[Phase.generate])
@given(
    inputs=st.integers(1, 70),
    width=st.integers(1, 90),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    sizes=st.lists(st.integers(2, 50), min_size=2, max_size=2),
    order=st.randoms(use_true_random=False),
)
def test_alone_and_in_any_batch(name, inputs, width, dtype, sizes, order) -> None:
    torch.manual_seed(inputs + width)
    network = NETWORKS[name](inputs, width).to(dtype)
    for parameter in network.parameters().values():
        parameter.value.copy_(torch.randn(parameter.value.shape))
    prediction = native(network)
    data = torch.randn(ROWS, inputs).to(dtype) * 2
    expected = alone(prediction, data)
    for size in sizes:
        rows = torch.tensor([order.randrange(ROWS) for _ in range(size)])
        assert torch.equal(prediction(data[rows]), expected[rows]), size
        assert torch.equal(prediction.run(data[rows], batch_size=7), expected[rows]), size


LOOKS_AT_THE_BATCH = ("Standardized", "Reconstruction")
"""Their mathematics takes statistics of the rows at hand."""


@pytest.mark.parametrize(
    "case", [x for x in native_layers if x.values[0].name not in LOOKS_AT_THE_BATCH]
)
def test_every_layer(case) -> None:
    network, inputs = case.in_network(), case.given(ROWS)
    prediction = native(network)
    expected = alone(prediction, inputs)
    rows = torch.randperm(ROWS)[:13]
    assert torch.equal(prediction(rows_of(inputs, rows)), expected[rows])
    torch.testing.assert_close(
        expected, network.predict(inputs), rtol=1e-4, atol=1e-6, check_dtype=False
    )


def test_on_any_number_of_threads() -> None:
    torch.manual_seed(0)
    network = perceptron(300, 200)
    data = torch.randn(240, 300)
    expected = alone(native(network), data)
    for threads in (1, 2, 3):
        with running_on(threads):
            prediction = native(network)
            assert torch.equal(prediction(data), expected)
            assert "#pragma omp" in str(prediction)


def test_with_a_compiler_that_knows_fewer_vectors(monkeypatch) -> None:
    """Than the processor has, and no fused products."""
    fewer = " -mno-avx -mno-fma" if platform.machine() in ("x86_64", "AMD64") else ""
    monkeypatch.setenv("CC", f"gcc{fewer}")
    network, data = perceptron(37, 14), torch.randn(ROWS, 37)
    prediction = native(network)
    assert torch.equal(prediction(data), alone(prediction, data))
    torch.testing.assert_close(prediction(data), network.predict(data))


def test_after_training_and_in_a_copy() -> None:
    network = perceptron(5, 9).learn_with(bh.Adam())
    data, targets = torch.randn(ROWS, 5), torch.rand(ROWS, 3)
    prediction = native(network)
    prediction(data)
    bh.TrainingStep(network, bh.MSELoss(), Native()).run(
        data, targets, torch.arange(ROWS), [0.1] * 3, 8
    )
    expected = alone(native(copy.deepcopy(network)), data)
    assert torch.equal(prediction(data), expected)


def test_a_file_of_c_predicts_a_row_alike_beside_a_training_step(tmp_path) -> None:
    """Exported C predicts one row at a time; that function is the same in either file."""
    network = perceptron(5, 9)
    rows, targets = torch.randn(8, 5), torch.rand(8, 3)
    step = bh.TrainingStep(network, bh.MSELoss(), bh.Replay()).record(rows, targets)
    by_step = step.to_c("network").source
    by_prediction = bh.Prediction(network, bh.Replay()).record(rows).to_c("network").source

    def function(source: str) -> str:
        begin = source.index("int network_predict(")
        return source[begin : source.index("\n}", begin)]

    assert function(by_step) == function(by_prediction)
