"""Layers and losses with one mistake each, for the gradient check to find."""

from __future__ import annotations

import numpy as np
import torch

import backhand as bh


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


class MeanOfFive(bh.MSELoss):
    def backward(self, prediction, target):
        return super().backward(prediction, target) * (len(target) / 5)


class Notes(bh.MSELoss):
    def backward(self, prediction, target):
        self.seen = prediction
        return super().backward(prediction, target)


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
