"""The fully connected layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import instance, truth, whole
from backhand.layer import Layer
from backhand.layers.initializers import Initializer, XavierUniform
from backhand.learning.parameter import Parameter


class FullyConnected(Layer):
    """output = input · weightᵀ + bias, over the last axis.

    Shapes: input (*batch, inputs), output (*batch, outputs), weight (outputs, inputs),
    bias (outputs,).
    Backward: input error = error · weight; weight learns errorᵀ · input, bias learns the error
    summed over the batch.

    Args:
        inputs, outputs: how many features go in and come out; at least 1.
        bias: whether there is one; default True. It begins at 0.
        initializer: makes the weight; default Xavier uniform (Glorot & Bengio 2010, eq. 16).

    Raises:
        TypeError: an argument is of another type.
        ValueError: inputs or outputs less than 1.
        LayerError: (at a call) the input's last axis is not `inputs`, or its dtype another.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = True,
        initializer: Initializer = XavierUniform(),
    ) -> None:
        self.inputs = whole("FullyConnected", "inputs", inputs)
        self.outputs = whole("FullyConnected", "outputs", outputs)
        has_bias = truth("FullyConnected", "bias", bias)
        self.initializer = instance("FullyConnected", "initializer", initializer, Initializer)
        self.weight = Parameter(self.initializer(self.outputs, self.inputs))
        self.bias = Parameter(torch.zeros(self.outputs)) if has_bias else None

    def settings(self) -> dict[str, object]:
        return super().settings() | {"bias": self.bias is not None}

    def forward(
        self, input: Float[Tensor, "*batch inputs"], training: bool
    ) -> tuple[Float[Tensor, "*batch outputs"], Float[Tensor, "*batch inputs"]]:
        weight = self.weight.value
        self.expect_features(input, self.inputs, weight)
        rows = input if input.dim() == 2 else input.reshape(-1, self.inputs)
        if self.bias is None:
            output = torch.mm(rows, self.weight.transposed)
        else:
            output = torch.addmm(self.bias.value, rows, self.weight.transposed)
        return (output if rows is input else _unrow(output, input)), input

    def propagate(
        self,
        error: Float[Tensor, "*batch outputs"],
        input: Float[Tensor, "*batch inputs"],
        learning_rate: float,
    ) -> Float[Tensor, "*batch inputs"]:
        if input.dim() != 2:
            rows = error.reshape(-1, self.outputs), input.reshape(-1, self.inputs)
            return _unrow(self.propagate(*rows, learning_rate), input)
        input_error = torch.mm(error, self.weight.value)
        self.weight.learn_product(error.t(), input, learning_rate)
        if self.bias is not None:
            self.bias.learn_sum(error, learning_rate)
        return input_error


def _unrow(rows: Tensor, like: Tensor) -> Tensor:
    """The rows under the leading axes of `like` again."""
    return rows.reshape(*like.shape[:-1], rows.shape[-1])
