"""Exported C of large steps: what repeats is written once and called from a table."""

from __future__ import annotations

import re
import subprocess

import pytest
import torch

import backhand as bh
from backhand.program.engines.native import emit
from backhand.program.export.c import export_c
from program.engines.exported_c import SANITIZED, STRICT, array, run_in_c

LOSS = bh.MSELoss()


def plainly(network, batches, rate: float) -> list[float]:
    """What run_in_c gives, by plain steps."""
    expected = []
    for input, target in batches:
        prediction = network(input)
        expected.append(LOSS(prediction, target).reshape(1))
        network.backward(LOSS.backward(prediction, target), rate)
        expected.append(network.predict(input[:1]).flatten())
    return torch.cat(expected).tolist()


def recurrent(kind) -> bh.Sequential:
    return bh.Sequential([kind(3, 8), bh.LastStep(), bh.FullyConnected(8, 4)])


def series(time: int, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, time, 3), torch.randn(rows, 4)


def size_of(files, folder) -> int:
    """Bytes of code and constants, as a microcontroller's compiler lays them out."""
    files.write(folder)
    flags = ["-Os", "-fno-pie", "-fno-asynchronous-unwind-tables", "-Wframe-larger-than=512"]
    command = [*STRICT[:6], *flags, "-c", f"{files.name}.c"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    listed = subprocess.run(["size", f"{files.name}.o"], cwd=folder, capture_output=True, text=True)
    return int(listed.stdout.split()[6])


@pytest.mark.parametrize("kind", [bh.LSTM, bh.GRU])
def test_a_series_three_times_as_long_takes_few_numbers_more(kind, tmp_path) -> None:
    network = recurrent(kind)
    short, long = (
        export_c(network, *series(time)[:1], LOSS, series(time)[1], name="net") for time in (20, 60)
    )
    steps = 40
    assert short.source.count("static int net_train_step_") == long.source.count(
        "static int net_train_step_"
    )
    table = long.flash - short.flash
    assert table < 400 * steps  # some 250 bytes for a step of time, forward and back
    # The code is the same: only numbers are more, of which some became wide.
    assert size_of(long, tmp_path) - size_of(short, tmp_path) < table + 600


@pytest.mark.parametrize("kind", [bh.RNN, bh.LSTM, bh.GRU])
def test_a_long_series_trains_as_plainly(kind, tmp_path) -> None:
    network = recurrent(kind).to(torch.float64)
    batches = [tuple(each.double() for each in series(20)) for _ in range(4)]
    files = export_c(network, batches[0][0], LOSS, batches[0][1], name="net")
    assert "net_train_step_calls" in files.source
    assert "net_predict_calls" in files.source
    found = run_in_c(files, batches, 0.05, tmp_path)
    assert found == pytest.approx(plainly(network, batches, 0.05), rel=1e-10)


@pytest.mark.parametrize("rule", [bh.SGD(), bh.Adam()], ids=str)
def test_deep_blocks_train_as_plainly(rule, tmp_path) -> None:
    block = [bh.FullyConnected(3, 3), bh.Tanh()]
    network = (
        bh.Sequential([bh.Residual(bh.Sequential([bh.LayerNorm(3), *block])) for _ in range(12)])
        .to(torch.float64)
        .learn_with(rule)
    )
    batches = [tuple(torch.randn(2, 2, 3).double()) for _ in range(4)]
    files = export_c(network, batches[0][0], LOSS, batches[0][1], name="net")
    assert "net_train_step_calls" in files.source
    found = run_in_c(files, batches, 0.05, tmp_path)
    assert found == pytest.approx(plainly(network, batches, 0.05), rel=1e-10)


def test_a_deeper_transformer_has_the_same_kernels_and_a_small_stack(tmp_path) -> None:
    def transformer(depth: int) -> bh.Sequential:
        blocks = [
            bh.Residual(bh.Sequential([bh.LayerNorm(4), inner]))
            for _ in range(depth)
            for inner in (bh.MultiHeadAttention(4, 2, causal=True), bh.FullyConnected(4, 4))
        ]
        return bh.Sequential([bh.Embedding(5, 4), *blocks, bh.FullyConnected(4, 5)])

    tokens = torch.randint(0, 5, (1, 6))
    shallow, deep = (
        export_c(transformer(depth), tokens, bh.CrossEntropyLoss(), tokens, name="net")
        for depth in (3, 6)
    )
    kernels = [each.source.count("static int net_train_step_") for each in (shallow, deep)]
    assert kernels[0] == kernels[1]
    # Tables, and what the compiler makes of weights with names of their own.
    assert size_of(deep, tmp_path) < 1.7 * size_of(shallow, tmp_path)


def test_memory_beyond_16_bits_takes_wide_numbers(tmp_path) -> None:
    layer = bh.FullyConnected(40, 40)
    network = bh.Sequential([layer, bh.Tanh()] * 30).to(torch.float64)
    batches = [tuple(torch.randn(2, 64, 40).double()) for _ in range(2)]
    files = export_c(network, batches[0][0], LOSS, batches[0][1], name="net")
    assert "typedef uint32_t net_train_step_Number;" in files.source
    assert "typedef uint16_t net_predict_Number;" in files.source
    found = run_in_c(files, batches, 0.05, tmp_path)
    assert found == pytest.approx(plainly(network, batches, 0.05), rel=1e-9)


def test_masks_in_repeated_calls_differ(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(emit, "MOST_IN_ONE", 0)
    network = bh.Sequential([bh.Sum([bh.Dropout(0.5) for _ in range(3)]), bh.Scale(200)])
    input, target = torch.ones(20, 200), torch.zeros(20, 200)
    files = export_c(network, input, LOSS, target, name="net")
    assert re.search(r"3 calls.*\nstatic int \w+bernoulli", files.source)
    found = run_in_c(files, [(input, target)] * 2, 0.0, tmp_path)
    # The square of three masks' sum is 12 in the mean where masks of 0 and 2 are drawn apart, 14
    # where two of them are the same.
    losses = [found[0], found[201]]
    assert losses[0] != losses[1]
    assert all(11.2 < each < 12.8 for each in losses)


def test_an_index_out_of_range_is_told_by_its_operation(monkeypatch, tmp_path) -> None:
    class Looked(bh.Layer):
        def __init__(self) -> None:
            self.tables = [bh.Embedding(5, 3), bh.Embedding(5, 3), bh.Embedding(5, 3)]

        def forward(self, input, training):
            found = [each.forward(input[:, at], False)[0] for at, each in enumerate(self.tables)]
            return found[0] + found[1] + found[2], None

    said = []
    for most in (0, 1000):
        monkeypatch.setattr(emit, "MOST_IN_ONE", most)
        files = export_c(Looked(), torch.zeros(1, 3, dtype=torch.int64), name="net")
        assert ("net_predict_calls" in files.source) == (most == 0)
        files.write(tmp_path)
        rows = array("rows", torch.tensor([[4, 4, 4], [5, 0, 0], [0, -1, 0], [0, 0, 5]]))
        (tmp_path / "main.c").write_text(
            f'#include <stdio.h>\n#include "net.h"\n{rows}\nint main(void) {{\n'
            "    float prediction[3];\n    for (int i = 0; i < 4; i++)\n"
            '        printf("%d ", net_predict(rows + 3 * i, prediction));\n    return 0;\n}\n'
        )
        command = [*STRICT, "main.c", "net.c", "-o", "net", "-lm"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        done = subprocess.run([tmp_path / "net"], capture_output=True, text=True, check=True)
        said.append([int(word) for word in done.stdout.split()])
    assert said[0] == said[1]
    assert said[0][0] == 0
    assert len(set(said[0])) == 4


def test_kernels_on_what_the_step_is_given(monkeypatch, tmp_path) -> None:
    class Mixed(bh.Layer):
        def forward(self, input, training):
            found = [*input, input[0] + input[1], input[0] - input[1]]
            return sum(torch.softmax(each.cumsum(1), 1) for each in found), None

    monkeypatch.setattr(emit, "MOST_IN_ONE", 0)
    one, other = torch.randn(2, 1, 3)
    files = export_c(Mixed(), (one, other), name="net")
    assert "net_predict_calls" in files.source
    files.write(tmp_path)
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "net.h"\n{array("one", one)}\n{array("other", other)}\n'
        "int main(void) {\n    float found[3];\n    if (net_predict(one, other, found)) return 1;\n"
        '    for (int i = 0; i < 3; i++) printf("%.9g ", (double)found[i]);\n    return 0;\n}\n'
    )
    command = [*STRICT, *SANITIZED, "main.c", "net.c", "-o", "net", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    said = subprocess.run([tmp_path / "net"], capture_output=True, text=True, check=True).stdout
    expected = Mixed().predict((one, other))[0].tolist()
    assert [float(word) for word in said.split()] == pytest.approx(expected, rel=1e-5)


def test_a_small_step_stands_in_one_function() -> None:
    network = bh.Sequential([bh.FullyConnected(3, 9), bh.Tanh(), bh.FullyConnected(9, 4)])
    files = export_c(network, torch.zeros(5, 3), LOSS, torch.zeros(5, 4), name="net")
    assert "_calls" not in files.source


def test_c_plus_plus_links_with_it(tmp_path) -> None:
    export_c(bh.FullyConnected(3, 3), torch.zeros(1, 3), name="net").write(tmp_path)
    (tmp_path / "main.cpp").write_text(
        '#include "net.h"\nint main() { float p[3] = {}; return net_predict(net_bias, p); }\n'
    )
    for command in (
        [*STRICT[:6], "-c", "net.c", "-o", "net.o"],
        "g++ -std=c++11 -Wall -Wextra -Werror -pedantic main.cpp net.o -lm -o linked".split(),
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_a_rule_that_remembers_takes_no_copies_of_what_it_remembers() -> None:
    # Working all parameters side by side, as the compiled step does, would take 1,200 bytes more.
    network = bh.Sequential(
        [bh.FullyConnected(2, 25), bh.Tanh(), bh.FullyConnected(25, 25), bh.FullyConnected(25, 1)]
    ).learn_with(bh.Adam())
    files = export_c(network, torch.zeros(8, 2), LOSS, torch.zeros(8, 1), name="net")
    numbers = sum(each.value.numel() for each in network.parameters().values())
    assert files.ram - 3 * 4 * numbers < 5600
