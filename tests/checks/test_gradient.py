"""The gradient checker passes what is right and names what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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


class OneWrong(bh.FullyConnected):
    """A fully connected layer with a mistake in the gradient of one weight."""

    def propagate(self, error, input, learning_rate):
        mistake = torch.zeros_like(self.weight.value)
        mistake[1, 2] = 0.01
        self.weight.learn(error.t() @ input + mistake, learning_rate)
        self.bias.learn_sum(error, learning_rate)
        return error @ self.weight.value


class WrongInputError(bh.Tanh):
    def propagate(self, error, output, learning_rate):
        return error * (1 - output)


class Writes(bh.Tanh):
    def propagate(self, error, output, learning_rate):
        return error.mul_(1 - output * output)


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


class LearnsFirst(bh.FullyConnected):
    """Forms its input error from the weights that have learnt."""

    def propagate(self, error, input, learning_rate):
        self.weight.learn_product(error.t(), input, learning_rate)
        self.bias.learn_sum(error, learning_rate)
        return error @ self.weight.value


class FasterThanTold(bh.FullyConnected):
    def propagate(self, error, input, learning_rate):
        return super().propagate(error, input, 2 * learning_rate)


class AnyRate(bh.FullyConnected):
    def propagate(self, error, input, learning_rate):
        return super().propagate(error, input, 0.1)


class Decays(bh.Scale):
    """Moves its weight behind the rule's back."""

    def propagate(self, error, input, learning_rate):
        input_error = super().propagate(error, input, learning_rate)
        self.scale.value.mul_(0.99)
        return input_error


class CountsInForward(bh.Tanh):
    def __init__(self) -> None:
        self.calls = bh.Buffer(torch.zeros(()))

    def forward(self, input, training):
        self.calls.become(self.calls.value + 1)
        return super().forward(input, training)


class PlainTensorInForward(bh.Tanh):
    def __init__(self) -> None:
        self.largest = torch.zeros(())

    def forward(self, input, training):
        self.largest = torch.maximum(self.largest, input.abs().max())
        return super().forward(input, training)


class PlainTensorInPropagate(bh.Tanh):
    def __init__(self) -> None:
        self.seen = torch.zeros(())

    def propagate(self, error, output, learning_rate):
        self.seen += 1
        return super().propagate(error, output, learning_rate)


class NudgesInForward(bh.Scale):
    def forward(self, input, training):
        result = super().forward(input * 1, training)
        if not training:
            self.scale.value.add_(0.01)
        return result


class OtherGenerator(bh.Layer):
    def __init__(self) -> None:
        self.generator = torch.Generator()

    def forward(self, input, training):
        noise = torch.randn(input.shape, dtype=input.dtype, generator=self.generator)
        return input * noise, noise

    def propagate(self, error, noise, learning_rate):
        return error * noise


class CountsInPython(bh.Tanh):
    def __init__(self) -> None:
        self.backwards = 0

    def propagate(self, error, output, learning_rate):
        self.backwards += 1
        return super().propagate(error, output, learning_rate)


class OtherOnceSeen(bh.Layer):
    """Does another thing in its first step than ever after, which a recording does not see."""

    passing = frozenset({"known"})

    def __init__(self) -> None:
        self.known = {"seen": False}

    def forward(self, input, training):
        factor = 2.0 if self.known["seen"] else 1.0
        return input * factor, factor

    def propagate(self, error, factor, learning_rate):
        self.known["seen"] = True
        return error * factor


class NotesInADict(OtherOnceSeen):
    """The same, and says of nothing that it goes from call to call."""

    def __init__(self) -> None:
        self.noted = self.known = {"seen": False}


class Square(bh.Layer):
    """output = input², by a memory that is kept on the layer: each `keep` is a way to do so."""

    def forward(self, input, training):
        self.keep(input)
        return input * input, None

    def propagate(self, error, memory, learning_rate):
        return error * (2 * self.kept_input())


class KeptAnew(Square):
    def keep(self, input):
        self.kept = input

    def kept_input(self):
        return self.kept


class KeptInPlaceOfNone(KeptAnew):
    def __init__(self) -> None:
        self.kept = None


class KeptInPlaceOfTheClasss(KeptAnew):
    kept = None


class KeptInAList(Square):
    def __init__(self) -> None:
        self.stack = []

    def keep(self, input):
        self.stack[:] = [input]

    def kept_input(self):
        return self.stack[-1]


class KeptInADict(KeptInAList):
    def __init__(self) -> None:
        self.stack = {"of": {-1: None}}

    def keep(self, input):
        self.stack["of"][-1] = input

    def kept_input(self):
        return self.stack["of"][-1]


class Holder:
    held = None


class KeptOnAnObject(Square):
    def __init__(self) -> None:
        self.holder = Holder()

    def keep(self, input):
        self.holder.held = input

    def kept_input(self):
        return self.holder.held


class KeptInAnArray(Square):
    def __init__(self) -> None:
        self.array = np.zeros((5, 4))

    def keep(self, input):
        self.array[:] = input.numpy()

    def kept_input(self):
        return torch.from_numpy(self.array).clone()


class CountsInASet(bh.Tanh):
    def __init__(self) -> None:
        self.shapes = set()

    def forward(self, input, training):
        self.shapes.add(input.shape)
        return super().forward(input, training)


class KeptAsPassing(KeptAnew):
    """Says that it goes from call to call: so it does, and the last call's is all there is."""

    passing = frozenset({"kept"})


class KeptForItsGradient(bh.Scale):
    passing = frozenset({"kept"})

    def forward(self, input, training):
        self.kept = input
        return super().forward(input, training)

    def propagate(self, error, memory, learning_rate):
        input_error = error * self.scale.value
        self.scale.learn_sum(error * self.kept, learning_rate)
        return input_error


class ForBatchesOfFive(bh.Tanh):
    def propagate(self, error, output, learning_rate):
        return super().propagate(error, output, learning_rate) * (len(output) / 5)


class FallsOnOtherBatches(bh.Tanh):
    def propagate(self, error, output, learning_rate):
        return super().propagate(error, output, learning_rate) * torch.ones(5, 1).double()


class WritesItsInput(bh.Tanh):
    def forward(self, input, training):
        return super().forward(input.mul_(1.5), training)


class WritesItsOutput(bh.Tanh):
    def propagate(self, error, output, learning_rate):
        return error * output.square_().neg_().add_(1)


class WritesItsTarget(bh.MSELoss):
    def backward(self, prediction, target):
        return target.sub_(prediction).mul_(-2 / target.numel())


class Tires(bh.MSELoss):
    calls = 0

    def backward(self, prediction, target):
        self.calls += 1
        return super().backward(prediction, target) / self.calls


def around(layer: bh.Layer) -> bh.Layer:
    return bh.Sequential([bh.FullyConnected(3, 4), bh.Residual(layer), bh.FullyConnected(4, 2)])


WRONG = {
    LearnsFirst: (lambda: LearnsFirst(4, 4), "the input error is another where the weights learn"),
    FasterThanTold: (
        lambda: FasterThanTold(4, 4),
        r"weight of .*: by SGD at a rate of .* an element went from",
    ),
    AnyRate: (lambda: AnyRate(4, 4), r"weight of .*: by SGD at a rate of"),
    Decays: (lambda: Decays(4), r"propagate, .*only read, changed .*scale"),
    CountsInForward: (CountsInForward, r"^forward changed .*calls; .* is a Buffer"),
    PlainTensorInForward: (PlainTensorInForward, r"^forward changed .*largest; .* is a Buffer"),
    PlainTensorInPropagate: (PlainTensorInPropagate, r"^propagate, .* changed .*seen; .* Buffer"),
    NudgesInForward: (lambda: NudgesInForward(4), r"^forward changed .*scale"),
    OtherGenerator: (OtherGenerator, "forward gave another output when it was called again"),
    CountsInPython: (CountsInPython, r"^propagate, .* changed .*backwards; .* is a Buffer"),
    OtherOnceSeen: (OtherOnceSeen, r"the recorded step gives it other values .*, at step 1"),
    NotesInADict: (NotesInADict, r"^propagate, .*only read, changed .*noted\['seen'\]; .* Buffer"),
    KeptAnew: (KeptAnew, r"^forward changed (1\.branch\.)?kept; what propagate needs of a call"),
    KeptInPlaceOfNone: (KeptInPlaceOfNone, r"^forward changed (1\.branch\.)?kept; what"),
    KeptInPlaceOfTheClasss: (KeptInPlaceOfTheClasss, r"^forward changed (1\.branch\.)?kept; what"),
    KeptInAList: (KeptInAList, r"^forward changed (1\.branch\.)?stack; what"),
    KeptInADict: (KeptInADict, r"^forward changed (1\.branch\.)?stack\['of'\]\[-1\]; what"),
    KeptOnAnObject: (KeptOnAnObject, r"^forward changed (1\.branch\.)?holder(\.held)?; what"),
    KeptInAnArray: (KeptInAnArray, r"^forward changed (1\.branch\.)?array; what"),
    CountsInASet: (CountsInASet, r"^forward changed (1\.branch\.)?shapes; what"),
    KeptAsPassing: (
        KeptAsPassing,
        r"KeptAsPassing\(\): the input error .* was called again",
    ),
    KeptForItsGradient: (
        lambda: KeptForItsGradient(4),
        r"^(1\.branch\.)?scale: its gradient is another where the layer was called again",
    ),
    ForBatchesOfFive: (ForBatchesOfFive, r"^of a batch of 4, (input|0.weight of .*)\["),
    WritesItsInput: (WritesItsInput, "forward changed one of its arguments"),
    WritesItsOutput: (WritesItsOutput, "propagate changed one of its arguments"),
}


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


class MeanOfFive(bh.MSELoss):
    def backward(self, prediction, target):
        return super().backward(prediction, target) * (len(target) / 5)


class Notes(bh.MSELoss):
    def backward(self, prediction, target):
        self.seen = prediction
        return super().backward(prediction, target)


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
