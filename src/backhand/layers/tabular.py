"""Layers for tables: those of RealMLP.

Holzmüller, Grinsztajn, Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
Tabular Data" (NeurIPS 2024), section 3.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import truth, whole
from backhand.layer import Layer
from backhand.learning.parameter import Parameter


class Scale(Layer):
    """output = input · scale, a learned factor for each feature; it begins at 1.

    Shapes: input and output (*batch, features), scale (features,).
    Backward: input error = error · scale; scale learns error · input summed over the batch.

    Args:
        features: how many; at least 1.

    Raises:
        TypeError: features is no whole number.
        ValueError: features less than 1.
        LayerError: (at a call) the input's last axis is not `features`, or its dtype another.
    """

    def __init__(self, features: int) -> None:
        self.features = whole("Scale", "features", features)
        self.scale = Parameter(torch.ones(self.features))

    def forward(
        self, input: Float[Tensor, "*batch features"], training: bool
    ) -> tuple[Float[Tensor, "*batch features"], Float[Tensor, "*batch features"]]:
        self.expect_features(input, self.features, self.scale.value)
        return input * self.scale.value, input

    def propagate(
        self,
        error: Float[Tensor, "*batch features"],
        input: Float[Tensor, "*batch features"],
        learning_rate: float,
    ) -> Float[Tensor, "*batch features"]:
        input_error = error * self.scale.value
        self.scale.learn_sum((error * input).reshape(-1, self.features), learning_rate)
        return input_error


class NeuralTangentLinear(Layer):
    """output = input · weightᵀ / √inputs + bias: a fully connected layer, its scale outside.

    In the neural tangent parametrization the weights begin of size 1 whatever the width, and one
    learning rate fits all widths (Jacot et al. 2018, section 2).
    Shapes: input (*batch, inputs), output (*batch, outputs), weight (outputs, inputs),
    bias (outputs,).
    Backward: with e = error / √inputs, input error = e · weight; weight learns eᵀ · input, bias
    learns the error summed over the batch.

    Args:
        inputs, outputs: how many features go in and come out; at least 1.
        zero: begin with weights and biases of 0, as an output layer may; default: both drawn from
            a normal distribution of variance 1.

    Raises:
        TypeError: an argument is of another type.
        ValueError: inputs or outputs less than 1.
        LayerError: (at a call) the input's last axis is not `inputs`, or its dtype another.
    """

    def __init__(self, inputs: int, outputs: int, zero: bool = False) -> None:
        self.inputs = whole("NeuralTangentLinear", "inputs", inputs)
        self.outputs = whole("NeuralTangentLinear", "outputs", outputs)
        self.zero = truth("NeuralTangentLinear", "zero", zero)
        draw = torch.zeros if self.zero else torch.randn
        self.weight = Parameter(draw(self.outputs, self.inputs))
        self.bias = Parameter(draw(self.outputs))

    def forward(
        self, input: Float[Tensor, "*batch inputs"], training: bool
    ) -> tuple[Float[Tensor, "*batch outputs"], Float[Tensor, "rows inputs"]]:
        self.expect_features(input, self.inputs, self.weight.value)
        rows = (input * (1 / math.sqrt(self.inputs))).reshape(-1, self.inputs)
        output = torch.addmm(self.bias.value, rows, self.weight.transposed)
        return output.reshape(*input.shape[:-1], self.outputs), rows

    def propagate(
        self,
        error: Float[Tensor, "*batch outputs"],
        scaled: Float[Tensor, "rows inputs"],
        learning_rate: float,
    ) -> Float[Tensor, "*batch inputs"]:
        rows = error.reshape(-1, self.outputs)
        input_error = torch.mm(rows, self.weight.value) * (1 / math.sqrt(self.inputs))
        self.weight.learn_product(rows.t(), scaled, learning_rate)
        self.bias.learn_sum(rows, learning_rate)
        return input_error.reshape(*error.shape[:-1], self.inputs)
