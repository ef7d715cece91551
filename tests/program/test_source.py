"""The printed step is what runs; its memory is known before; errors point into it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import traceback

import pytest
import torch

import backhand as bh


def network() -> bh.Sequential:
    torch.manual_seed(0)
    layers = [bh.FullyConnected(2, 5), bh.ReLU(), bh.Residual(bh.FullyConnected(5, 5))]
    return bh.Sequential([*layers, bh.FullyConnected(5, 1)]).learn_with(bh.Adam())


INPUT, TARGET = torch.randn(8, 2), torch.randn(8, 1)


def test_the_printed_text_gives_the_same_bits() -> None:
    one, other = network(), network()
    ran, printed = (
        bh.TrainingStep(one, bh.MSELoss(), bh.Replay()),
        bh.TrainingStep(other, bh.MSELoss(), bh.Replay()),
    )
    printed.record(INPUT, TARGET)
    names = printed.namespace
    exec(str(printed), names)
    for t in range(1, 6):
        value = ran(INPUT, TARGET, 0.1)
        assert torch.equal(value, names["training_step"](INPUT, TARGET, 0.1, t))
    pairs = zip(one.parameters().values(), other.parameters().values(), strict=True)
    assert all(torch.equal(a.value, b.value) for a, b in pairs)


def test_names_come_from_the_network_and_shapes_stand_beside() -> None:
    text = str(bh.TrainingStep(network(), bh.MSELoss(), bh.Replay()).record(INPUT, TARGET))
    parts = [line.strip() for line in text.splitlines() if line.strip().startswith("# ")]
    assert parts == ["# forward", "# loss", "# backward"]
    assert "weight_2_branch.addcdiv_(" in text
    assert "# output_1 (8, 5)  1: ReLU()" in text
    assert "2.branch: FullyConnected(5, 5)" in text


def test_a_traceback_shows_the_line_and_names_the_layer() -> None:
    made = network()
    step = bh.TrainingStep(made, bh.MSELoss(), bh.Replay())
    step(INPUT, TARGET, 0.1)
    try:
        step.latest.run([INPUT, TARGET[:5]], 0.1)  # past the check of shapes
    except RuntimeError as problem:
        shown = "".join(traceback.format_exception(problem))
    assert ".sub_(target)" in shown
    assert "in the loss" in shown


def test_memory_is_known_before_it_runs_and_adds_up() -> None:
    made = network()
    step = bh.TrainingStep(made, bh.MSELoss(), bh.Replay())
    with pytest.raises(RuntimeError, match="recorded nothing yet"):
        step.memory  # noqa: B018
    memory = step.record(INPUT, TARGET).memory
    weights = sum(each.value.nbytes for each in made.parameters().values())
    assert memory.weights == weights == (15 + 30 + 6) * 4
    assert memory.state == 2 * weights
    assert memory.batch == 8 * 3 * 4
    parts = [memory.weights, memory.state, memory.batch, memory.activations, memory.scratch]
    assert memory.total == sum(parts)
    assert memory.activations + memory.scratch >= step.latest.plan.arena
    assert memory.activations >= 8 * 5 * 4
    assert f"{memory.total:,} bytes" in str(memory)


def test_works_after_a_fork() -> None:
    code = """
        import os, torch, backhand as bh
        torch.set_num_threads(1)
        step = bh.TrainingStep(bh.FullyConnected(2, 1), bh.MSELoss(), bh.Replay())
        batch = torch.ones(4, 2), torch.zeros(4, 1)
        step(*batch, 0.1)
        child = os.fork()
        step(*batch, 0.1)
        os.write(1, f"{step.network.weight.value.tolist()}\\n".encode())
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    one, other = ran.stdout.splitlines()
    assert one == other
