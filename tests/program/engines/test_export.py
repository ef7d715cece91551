"""The exported C compiles strictly, runs clean under sanitizers, and computes the same steps."""

from __future__ import annotations

import copy
import subprocess

import pytest
import torch

import backhand as bh
from backhand.program.engines.native import NotNative
from backhand.program.export.c import export_c
from program.engines.exported_c import array, run_in_c
from program.engines.native_steps import tensors_of

NETWORKS = {
    "disc": lambda: bh.Sequential(
        [bh.FullyConnected(3, 9), bh.Tanh(), bh.FullyConnected(9, 4), bh.Sigmoid()]
    ),
    "residual": lambda: bh.Sequential(
        [bh.Residual(bh.FullyConnected(3, 3)), bh.ReLU(), bh.FullyConnected(3, 4)]
    ),
    "branches": lambda: bh.Sequential(
        [
            bh.Concatenate([bh.FullyConnected(3, 2), bh.FullyConnected(3, 3)]),
            bh.FullyConnected(5, 4),
        ]
    ),
}
CASES = [
    ("disc", bh.SGD(), bh.MSELoss(), None),
    ("disc", bh.Adam(), bh.BinaryCrossEntropyLoss(), None),
    ("residual", bh.Momentum(0.9, nesterov=True), bh.CrossEntropyLoss(), None),
    ("branches", bh.AdamW(), bh.CrossEntropyLoss(), bh.Gate(max_norm=0.1)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "rule", "loss", "gate"), CASES)
def test_c_takes_the_same_steps(name, rule, loss, gate, dtype, tmp_path) -> None:
    network = NETWORKS[name]().to(dtype).learn_with(rule).gate_with(gate)
    classes = isinstance(loss, bh.CrossEntropyLoss)
    batches = [
        (
            torch.randn(5, 3).to(dtype),
            torch.randint(4, (5,)) if classes else torch.rand(5, 4).to(dtype),
        )
        for _ in range(6)
    ]
    before = {name: tensor.clone() for name, tensor in tensors_of(network).items()}
    files = export_c(network, batches[0][0], loss, batches[0][1], name="net")
    for path, tensor in tensors_of(network).items():
        assert torch.equal(tensor, before[path])
    found = run_in_c(files, batches, 0.05, tmp_path)
    expected = []
    for input, target in batches:
        prediction = network(input)
        expected.append(loss(prediction, target).reshape(1))
        network.backward(loss.backward(prediction, target), 0.05)
        expected.append(network.predict(input[:1])[0])
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype is torch.float32 else {}
    torch.testing.assert_close(torch.tensor(found, dtype=dtype), torch.cat(expected), **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_predicts_alike_alone_and_in_any_order(name, dtype, tmp_path) -> None:
    kind = {torch.float32: "float", torch.float64: "double"}[dtype]
    rows = torch.randn(6, 3).to(dtype) * 3
    export_c(NETWORKS[name]().to(dtype), rows, name="net").write(tmp_path)
    (tmp_path / "main.c").write_text(
        f"""#include <stdio.h>
#include <stdlib.h>
#include "net.h"
{array("rows", rows)}
int main(int count, char **words) {{
    for (int at = 1; at < count; at++) {{
        {kind} prediction[4];
        if (net_predict(rows + 3 * atoi(words[at]), prediction)) return 1;
        for (int i = 0; i < 4; i++) printf("%a ", prediction[i]);
        puts("");
    }}
    return 0;
}}
"""
    )
    command = ["gcc", "-O3", "-march=native", "main.c", "net.c", "-o", "net", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)

    def predicted(order: list[int]) -> list[str]:
        words = [tmp_path / "net", *map(str, order)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return said.splitlines()

    alone = [predicted([row])[0] for row in range(6)]
    assert len(set(alone)) == 6
    for order in (list(range(6)), [5, 3, 3, 0, 1, 5, 2, 4]):
        assert predicted(order) == [alone[row] for row in order]


def test_training_goes_on_from_where_the_network_is(tmp_path) -> None:
    network = NETWORKS["disc"]().to(torch.float64).learn_with(bh.Adam())
    input, target = torch.randn(5, 3).double(), torch.rand(5, 4).double()
    step = bh.TrainingStep(network, bh.MSELoss())
    for _ in range(7):
        step(input, target, 0.05)
    twin = copy.deepcopy(network)
    files = export_c(network, input, bh.MSELoss(), target, name="net")
    found = run_in_c(files, [(input, target)] * 2, 0.05, tmp_path)
    step = bh.TrainingStep(twin, bh.MSELoss())
    for at in (0, 5):
        assert found[at] == pytest.approx(float(step(input, target, 0.05)), rel=1e-12)


def test_dropout_is_exported_with_its_generator(tmp_path) -> None:
    network = bh.Sequential([bh.FullyConnected(3, 200, bias=False), bh.Dropout(0.5)])
    input, target = torch.randn(5, 3), torch.zeros(5, 200)
    files = export_c(network, input, bh.MSELoss(), target, name="net")
    assert "extern uint64_t net_seed;" in files.header
    found = run_in_c(files, [(input, target)] * 3, 0.0, tmp_path)
    plain = float(bh.MSELoss()(network.predict(input), target))
    losses = [found[at] for at in (0, 201, 402)]
    assert len(set(losses)) == 3
    assert all(1.4 * plain < each < 2.6 * plain for each in losses)


def test_prediction_alone_keeps_its_weights_constant() -> None:
    files = export_c(NETWORKS["disc"](), torch.zeros(1, 3), name="net")
    assert "const float net_weight_0[27] = {" in files.source
    assert "train_step" not in files.source
    assert files.ram < 200
    assert files.flash == (3 * 9 + 9 + 9 * 4 + 4) * 4


def test_too_little_ram_says_how_much_is_needed() -> None:
    network, batch = NETWORKS["disc"](), torch.zeros(64, 3)
    need = export_c(network, batch, bh.MSELoss(), torch.zeros(64, 4)).ram
    assert export_c(network, batch, bh.MSELoss(), torch.zeros(64, 4), ram=need).ram == need
    with pytest.raises(ValueError, match=f"network needs {need} bytes of RAM, and {need - 1} are"):
        export_c(network, batch, bh.MSELoss(), torch.zeros(64, 4), ram=need - 1)


@pytest.mark.parametrize("name", ["", "2nd", "a-b", "naïve", "x;y"])
def test_a_name_that_is_none_in_c_is_refused(name) -> None:
    with pytest.raises(ValueError, match="name: expected letters, digits and underscores"):
        export_c(NETWORKS["disc"](), torch.zeros(1, 3), name=name)


def test_an_operation_that_c_does_not_know_is_named() -> None:
    class Sorted(bh.Layer):
        def forward(self, input, training):
            return torch.sort(input).values, None

    with pytest.raises(NotNative, match=r"sort in the forward of 0: Sorted\(\)"):
        export_c(bh.Sequential([Sorted()]), torch.zeros(1, 3))
