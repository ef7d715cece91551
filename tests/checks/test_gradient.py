"""The gradient checker passes what is right and names what is wrong."""

from __future__ import annotations

import pytest
import torch
from mistaken import (
    WRONG,
    FallsOnOtherBatches,
    LearnsFirst,
    MeanOfFive,
    Notes,
    OneWrong,
    OtherGenerator,
    OtherOnceSeen,
    Tires,
    Writes,
    WritesItsInput,
    WritesItsOutput,
    WritesItsTarget,
    WrongInputError,
    around,
)

import backhand as bh
from backhand import GradientMismatch, gradient_check
from cases import LAYERS
from cases.case import everything, same, snapshot

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.parametrize("case", [case for case in LAYERS if case.derivative], ids=str)
def test_passes_every_layer(case) -> None:
    layer = case.made(torch.float32)
    before = snapshot(layer)
    input = case.given(4, torch.float32)
    generator = torch.random.get_rng_state()
    found = gradient_check(layer, input)
    assert found.compared >= 12
    assert torch.equal(generator, torch.random.get_rng_state())
    assert same(tuple(before.values()), tuple(everything(layer).values()))


def test_passes_losses_and_networks_with_losses() -> None:
    target = torch.randint(0, 3, (4,))
    assert gradient_check(bh.CrossEntropyLoss(), torch.randn(4, 3), target).compared == 12
    network = bh.Sequential([bh.FullyConnected(2, 3), bh.Dropout(0.5)])
    found = gradient_check(network, torch.randn(4, 2), target, loss=bh.CrossEntropyLoss())
    assert str(found).startswith("17 derivatives agree; worst ")
    with pytest.raises(ValueError, match="needs a target"):
        gradient_check(network, torch.randn(4, 2), loss=bh.MSELoss())


def test_names_the_worst_element_its_layer_and_both_numbers() -> None:
    network = bh.Sequential([bh.FullyConnected(2, 3), OneWrong(3, 2)])
    with pytest.raises(GradientMismatch) as caught:
        gradient_check(network, torch.randn(4, 2))
    message = str(caught.value)
    assert message.startswith("1.weight of OneWrong(3, 2)[1, 2]: backward says ")
    says = float(message.split("backward says ")[1].split(",")[0])
    numeric = float(message.split("finite differences ")[1].split(" ")[0])
    assert says - numeric == pytest.approx(0.01, abs=1e-4)


def test_finds_a_wrong_input_error_and_a_written_argument() -> None:
    with pytest.raises(GradientMismatch, match=r"^input\["):
        gradient_check(WrongInputError(), torch.randn(3, 2))
    with pytest.raises(GradientMismatch, match="propagate changed one of its arguments"):
        gradient_check(Writes(), torch.randn(3, 2))


def test_samples_large_tensors() -> None:
    assert gradient_check(bh.FullyConnected(30, 30), torch.randn(2, 30), samples=10).compared == 30


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "inside a network"])
def test_each_kind_of_mistake_is_caught_by_name(kind, inside) -> None:
    make, says = WRONG[kind]
    alone = bh.Sequential([bh.Scale(4), make()]) if kind is OtherOnceSeen else make()
    layer, width = (around(make()), 3) if inside else (alone, 4)
    with pytest.raises(GradientMismatch, match=says) as caught:
        gradient_check(layer, torch.randn(5, width))
    if kind in (LearnsFirst, OtherGenerator, WritesItsInput, WritesItsOutput):
        assert f"{kind.__name__}(" in str(caught.value)
        assert str(caught.value).startswith("1.branch: " if inside else kind.__name__)


def test_a_backward_that_falls_on_another_batch_size_is_no_refusal() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"):
        gradient_check(FallsOnOtherBatches(), torch.randn(5, 4))


def test_losses_are_right_for_every_batch_size_and_remember_nothing() -> None:
    arguments = torch.randn(5, 2), torch.randn(5, 2)
    with pytest.raises(GradientMismatch, match=r"^of a batch of 4, input\["):
        gradient_check(MeanOfFive(), *arguments)
    with pytest.raises(GradientMismatch, match=r"backward changed seen; "):
        gradient_check(Notes(), *arguments)


def test_what_takes_one_batch_size_only_is_checked_for_that() -> None:
    class OfFour(bh.Tanh):
        def forward(self, input, training):
            if len(input) != 4:
                raise bh.LayerError(f"{self!r} expected 4 rows, got {len(input)}")
            return super().forward(input, training)

    assert gradient_check(OfFour(), torch.randn(4, 2)).compared == 8


def test_losses_leave_their_arguments_alone_and_say_the_same_twice() -> None:
    arguments = torch.randn(3, 2), torch.randn(3, 2)
    with pytest.raises(GradientMismatch, match=r"backward changed .*: it wrote to the target"):
        gradient_check(WritesItsTarget(), *arguments)
    with pytest.raises(GradientMismatch, match="backward gave something else when it was"):
        gradient_check(Tires(), *arguments)


def test_what_cannot_be_recorded_is_checked_for_the_rest() -> None:
    class Largest(bh.Layer):
        def forward(self, input, training):
            scale = 2.0 if input.sum().item() > 0 else 3.0
            return input * scale, scale

        def propagate(self, error, scale, learning_rate):
            return error * scale

    assert gradient_check(Largest(), torch.rand(3, 2) + 1).compared == 6


def test_a_network_with_buffers_rules_and_gates_passes_and_keeps_them() -> None:
    from test_buffers import Centred

    network = bh.Sequential([Centred(3), bh.FullyConnected(3, 2)]).learn_with(bh.Adam())
    network.gate_with(bh.Accumulation(2, max_norm=0.1))
    before = snapshot(network)
    gradient_check(network, torch.randn(4, 3), torch.randn(4, 2), loss=bh.MSELoss())
    assert same(tuple(before.values()), tuple(everything(network).values()))
