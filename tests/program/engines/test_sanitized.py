"""The C that the native engine runs, under the address and undefined-behaviour sanitizers.

Every block of memory is allocated at its exact size, so a read or write past its end is seen.
"""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings

import backhand as bh
from backhand.values import row_count
from cases import LAYERS
from cases.case import Case
from drawn.networks import Drawer
from program.engines.elsewhere import Asked, Job, run_elsewhere

COMMAND = [
    "gcc", "-std=gnu11", "-O0", "-march=native", "-fno-strict-aliasing",
    "-fsanitize=address,undefined", "-fno-sanitize-recover",
]  # fmt: skip

QUICKLY = [*COMMAND, "-fno-sanitize=alignment,null,object-size,pointer-overflow"]
"""In half the time: without what is asked at every read and write beside its address."""

EACH = 40
"""Networks to a program."""

TESTED = 120
"""Some hundred are left of these without the layers that take long to compile."""
SOAK = 2_000

WIDTHS, FORMS = (16, 32, 64), (0, 1000)
"""Bytes of vectors, and groups of operations up to which a step is one function."""

STEPS = 3


def test_every_layer_is_among_the_first() -> None:
    tested = [layer_of(number) for number in range(TESTED) if is_soon_compiled(number)]
    assert len(tested) > 100
    assert {each for each in LAYERS if not each.long} == set(tested) - {None}


@pytest.mark.parametrize("first", range(0, TESTED, EACH))
def test_a_hundred_drawn_networks_take_steps(first, tmp_path) -> None:
    numbers = filter(is_soon_compiled, range(first, first + EACH))
    run_sanitized([jobs_of(number)[0] for number in numbers], first // EACH, tmp_path, QUICKLY)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, SOAK, EACH))
def test_thousands_of_drawn_networks_take_steps_and_predict(first, tmp_path) -> None:
    jobs = [job for number in range(first, first + EACH) for job in jobs_of(number)]
    run_sanitized(jobs, first // EACH, tmp_path, COMMAND)


def run_sanitized(jobs, turn: int, folder, command) -> None:
    """Run them as one program; programs take turns in width and form."""
    width, form = WIDTHS[turn % 3], FORMS[turn % 2]
    run_elsewhere(jobs, folder, command, vector_bytes=width, most_in_one=form)


def is_soon_compiled(number: int) -> bool:
    layer = layer_of(number)
    return layer is None or not layer.long


def layer_of(number: int) -> Case | None:
    """Each layer in turn; none for every sixth number."""
    return LAYERS[(number - number // 6 - 1) % len(LAYERS)] if number % 6 else None


def jobs_of(number: int) -> list[Job]:
    """Some steps and a prediction of a network: a drawn one, or one with that layer in it, in
    drawn shapes and options, which learns in drawn ways."""
    random, asked = Random(number), Asked()
    torch.manual_seed(number)
    drawer = Drawer(random, exact=False)
    layer = layer_of(number)
    if layer is None:
        learner = drawer.learner()
        dtype = random.choice((torch.float32, torch.float64))
        learner.network.to(dtype)
        inputs, targets = learner.batch(random.randint(1, 9), dtype)
        network, loss = learner.network, learner.loss
    else:
        network, loss, inputs, targets = in_training(drawn(layer, number), drawer, random)
    rows = row_count(inputs)
    bh.TrainingStep(network, loss, asked).run(
        inputs, targets, torch.randperm(rows).repeat(STEPS), [0.01] * STEPS, rows
    )
    bh.Prediction(network, asked)(inputs)
    return asked.jobs


def in_training(case: Case, drawer: Drawer, random: Random):
    """The layer's network, a loss, and a batch."""
    dtype = case.only or random.choice((torch.float32, torch.float64))
    network = case.in_network(dtype).learn_with(drawer.rule())
    network.gate_with(random.choice((None, bh.Gate(max_norm=0.1))))
    inputs = case.given(max(random.choice((5, 5, 5, 1, 8)), case.smallest), dtype)
    of_loss = random.choice(drawer.losses(2))
    prediction = network.predict(inputs)
    shape = prediction.shape[:-1]
    target = of_loss.target(shape.numel(), 2, dtype)
    return network, of_loss.loss(), inputs, target.reshape(*shape, *target.shape[1:])


def drawn(case: Case, number: int) -> Case:
    """The layer in shapes and options that a number draws, given rows, and making numbers."""
    found = [case]

    @seed(number)
    @settings(
        max_examples=5, phases=[Phase.generate], derandomize=False, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case.drawn)
    def draw(each: Case) -> None:
        prediction = each.in_network().predict(each.given(max(2, each.smallest)))
        if prediction.dim() > 1 and prediction.numel():
            found.append(each)

    draw()
    return found[-1]  # the first that is drawn is always the simplest
