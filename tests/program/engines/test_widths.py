"""What Native writes for vectors of every width, and for 64-bit Arm, beside the plain step.

Every layer, loss and rule, in float32 and float64, as one function and as calls of kernels: what
they train and predict is compared with the plain step in float64.
"""

from __future__ import annotations

import copy
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import torch
from torch import Tensor

import backhand as bh
from backhand.losses import Weighted
from backhand.program.engines.native.compile import FLAGS, find_compiler
from backhand.values import rows_of
from cases import LAYERS, LOSSES, RULES
from cases.case import Case, Towers, mapped, randn_like
from cases.losses import LossCase
from program.engines.elsewhere import Asked, Job, run_elsewhere
from program.engines.native_steps import tensors_of, worst

ROWS, SIZE, STEPS = 24, 6, 10

WITHOUT = {16: "-mno-avx", 32: "-mno-avx512f", 64: "-mno-avx512f"}
"""Vectors' bytes, and for x86 what a compiler is told that the processor has not."""

FORMS = {"one function": 1000, "kernels": 0}
"""Groups of operations up to which a step is one function."""

DTYPES = (torch.float32, torch.float64)

AWAY = ("-shared", "-fPIC", "-march=native")

Setting = tuple[bh.Layer, bh.Loss, Any, Any]
"""A network, a loss, inputs and targets."""


# What is trained.


def settings() -> Iterator[tuple[str, Callable[[torch.dtype], Setting]]]:
    """Each layer, loss and rule that draws nothing, by name."""
    for case in LAYERS:
        if not case.draws and case.only is None:
            yield str(case), partial(_of_layer, case)
    for case in LOSSES:
        if case.kind:
            yield str(case), partial(_of_loss, case)
            if case.rows and case.towers == 1:
                yield f"weighted {case}", partial(_of_loss, case, weighted=True)
    for rule in RULES:
        if rule.kind:
            yield str(rule), partial(_of_rule, rule.rule)


def _of_layer(case: Case, dtype: torch.dtype) -> Setting:
    network, inputs = case.in_network(dtype), case.given(ROWS, dtype)
    return network, bh.MSELoss(), inputs, randn_like(network.predict(inputs))


def _of_loss(case: LossCase, dtype: torch.dtype, weighted: bool = False) -> Setting:
    towers = [Towers(case.towers)] if case.towers > 1 else []
    network = bh.Sequential([_small(2 * case.towers), *towers])
    target, loss = case.target(ROWS, 2, dtype), case.loss()
    if weighted:
        target, loss = (target, torch.rand(ROWS, dtype=dtype)), Weighted(loss)
    return network.to(dtype), loss, torch.randn(ROWS, 3, dtype=dtype), target


def _of_rule(rule: Callable[[], bh.UpdateRule], dtype: torch.dtype) -> Setting:
    network = _small(2).to(dtype).learn_with(rule())
    inputs, targets = torch.randn(ROWS, 3, dtype=dtype), torch.randn(ROWS, 2, dtype=dtype)
    return network, bh.MSELoss(), inputs, targets


def _small(outputs: int) -> bh.Sequential:
    return bh.Sequential([bh.FullyConnected(3, 7), bh.Tanh(), bh.FullyConnected(7, outputs)])


@dataclass
class Trained:
    """A network that is to train elsewhere, and twins that have trained plainly.

    Attributes:
        jobs: its steps, and its predictions before them, where those are one tensor.
        exact: in float64.
        plain: in the network's own dtype.
        expected: what the jobs should give, in float64.
    """

    name: str
    network: bh.Layer
    jobs: list[Job]
    exact: bh.Layer
    plain: bh.Layer
    expected: list[Tensor]

    def check(self) -> None:
        """All is as it was plainly, to rounding; a float32 weight as near as the plain one is."""
        near = max(2e-5, 4 * worst(self.plain, self.exact))
        single = self.jobs[0].results[0].dtype is torch.float32
        assert worst(self.network, self.exact) < (near if single else 1e-10), self.name
        bounds = {"rtol": 1e-4, "atol": 1e-6} if single else {"rtol": 1e-9, "atol": 1e-14}
        for job, expected in zip(self.jobs, self.expected, strict=True):
            found = job.results[0].double()
            torch.testing.assert_close(found, expected, **bounds, msg=lambda m: f"{self.name}: {m}")


def trained(name: str, make: Callable[[torch.dtype], Setting], dtype: torch.dtype) -> Trained:
    """A setting, trained plainly and asked for elsewhere."""
    torch.manual_seed(1)
    network, loss, inputs, targets = make(dtype)
    exact = copy.deepcopy(network).to(torch.float64)
    plain = copy.deepcopy(network) if dtype is torch.float32 else exact
    order = torch.randperm(ROWS).repeat(STEPS)[: SIZE * STEPS]
    rates = [0.02 / (1 + 0.1 * at) for at in range(STEPS)]
    batches = [rows_of(_exactly(inputs), rows) for rows in torch.arange(ROWS).split(SIZE)]
    predictions = [exact.predict(batch) for batch in batches]
    asked = Asked()
    bh.TrainingStep(network, loss, asked).run(inputs, targets, order, rates, SIZE)
    expected = [_train(exact, loss, _exactly(inputs), _exactly(targets), order, rates)]
    if plain is not exact:
        _train(plain, loss, inputs, targets, order, rates)
    if isinstance(predictions[0], Tensor) and predictions[0].shape[:1] == (SIZE,):
        bh.Prediction(network, asked).run(inputs, SIZE)
        expected.append(torch.stack(predictions))
    return Trained(name, network, asked.jobs, exact, plain, expected)


def _exactly(value: Any) -> Any:
    return mapped(lambda each: each.double() if each.is_floating_point() else each, value)


def _train(
    network: bh.Layer, loss: bh.Loss, inputs: Any, targets: Any, order: Tensor, rates: list[float]
) -> Tensor:
    losses = []
    for rows, rate in zip(order.split(SIZE), rates, strict=True):
        prediction, target = network(rows_of(inputs, rows)), rows_of(targets, rows)
        losses.append(loss(prediction, target))
        network.backward(loss.backward(prediction, target), rate)
    return torch.stack(losses)


@cache
def all_trained(dtype: torch.dtype) -> list[Trained]:
    """Every setting."""
    return [trained(name, make, dtype) for name, make in settings()]


# Where.


def run_and_check(
    these: Sequence[Trained],
    folder: Path,
    command: Sequence[str],
    under: Sequence[str] = (),
    vector_bytes: int = 16,
    most_in_one: int = 0,
) -> None:
    jobs = [job for each in these for job in each.jobs]
    run_elsewhere(jobs, folder, command, under, vector_bytes, most_in_one)
    for each in these:
        each.check()


def own_compiler(width: int) -> list[str]:
    """This machine's, for a processor with vectors of no more bytes."""
    without = [WITHOUT[width]] if platform.machine() in ("x86_64", "AMD64") else []
    return [*find_compiler().command, *(x for x in FLAGS if x not in AWAY[:2]), *without]


def for_arm() -> tuple[list[str], list[str]]:
    """A compiler for 64-bit Arm, and what runs its programs."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static"]
    flags = [each for each in FLAGS if each not in AWAY]
    if platform.machine() in ("aarch64", "arm64"):
        return [*command, *flags], []
    if shutil.which("qemu-aarch64") is None:
        pytest.fail("there is no qemu-aarch64: install Debian's qemu-user", pytrace=False)
    return [*command, *flags], ["qemu-aarch64"]


# The tests.


@pytest.mark.parametrize("width", WITHOUT)
@pytest.mark.parametrize("form", FORMS)
def test_each_layer_loss_and_rule_in_one_width_and_form(width, form, tmp_path) -> None:
    """Each in one dtype, too: all of them in all are left to `make soak`."""
    at = list(FORMS).index(form) + len(FORMS) * list(WITHOUT).index(width)
    these = []
    for name, make in settings():
        hashed = crc32(name.encode())
        if hashed % 6 == at:
            these.append(trained(name, make, DTYPES[hashed // 6 % 2]))
    assert len(these) > 10
    quickly = [*own_compiler(width), "-O0"]
    run_and_check(these, tmp_path, quickly, vector_bytes=width, most_in_one=FORMS[form])


@pytest.mark.soak
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", WITHOUT)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_layer_loss_and_rule_in_every_width_and_form(dtype, width, form, tmp_path) -> None:
    run_and_check(
        all_trained(dtype), tmp_path, own_compiler(width),
        vector_bytes=width, most_in_one=FORMS[form],
    )  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_layer_loss_and_rule_on_64_bit_arm(dtype, form, tmp_path) -> None:
    command, under = for_arm()
    run_and_check(all_trained(dtype), tmp_path, command, under, most_in_one=FORMS[form])


@pytest.mark.soak
@pytest.mark.parametrize("case", [each for each in LAYERS if each.draws], ids=str)
def test_what_draws_draws_the_same_on_64_bit_arm(case, tmp_path) -> None:
    networks, losses = [], []
    for command, under in ((own_compiler(16), []), for_arm()):
        torch.manual_seed(1)
        network, loss, inputs, targets = _of_layer(case, torch.float64)
        asked = Asked()
        step = bh.TrainingStep(network, loss, asked)
        step.run(inputs, targets, torch.arange(ROWS), [0.02] * (ROWS // SIZE), SIZE)
        run_elsewhere(asked.jobs, tmp_path, command, under)
        networks.append(network)
        losses.append(asked.jobs[0].results[0])
    torch.testing.assert_close(*losses, rtol=1e-9, atol=1e-14)
    assert tensors_of(networks[0])
    assert worst(*networks) < 1e-10
