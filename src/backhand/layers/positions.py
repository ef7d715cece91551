"""Positions: what tells a layer that looks at a whole sequence where in it a row stands."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import finite, instance, truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.initializers import Initializer, Normal
from backhand.learning.parameter import Parameter


class PositionalEmbedding(Layer):
    """output[…, t, :] = input[…, t, :] + weight[t]: a learned row for each position.

    Shapes: input and output (*batch, time, features), weight (length, features).
    Backward: input error = error; the first `time` rows learn the error summed over the batch.
    Gehring et al., "Convolutional Sequence to Sequence Learning" (2017), section 3.1.

    Args:
        length: the longest time; at least 1.
        features: at least 1.
        initializer: makes the weight; default normal of deviation 0.02.

    Raises:
        ValueError: an argument is less than 1.
        LayerError: (at a call) the input is longer, has other features or another dtype.
    """

    def __init__(self, length: int, features: int, initializer: Initializer = Normal(0.02)) -> None:
        name = "PositionalEmbedding"
        self.length = whole(name, "length", length)
        self.features = whole(name, "features", features)
        self.initializer = instance(name, "initializer", initializer, Initializer)
        self.weight = Parameter(initializer(length, features))

    def forward(
        self, input: Float[Tensor, "*batch time features"], training: bool
    ) -> tuple[Float[Tensor, "*batch time features"], None]:
        self.expect_features(input, self.features, self.weight.value)
        if input.dim() < 2 or input.shape[-2] > self.length:
            raise LayerError(
                f"{self!r} expected input (batch, time, {self.features}) with time up to "
                f"{self.length}, got {tuple(input.shape)}"
            )
        return input + self.weight.value[: input.shape[-2]], None

    def propagate(
        self, error: Float[Tensor, "*batch time features"], memory: None, learning_rate: float
    ) -> Float[Tensor, "*batch time features"]:
        time = error.shape[-2]
        summed = error.reshape(-1, time, self.features).sum(0)
        positions = torch.arange(time, device=error.device)
        self.weight.learn_rows(positions, summed, learning_rate)
        return error


class SinusoidalPositions(Layer):
    """output[…, t, :] = input[…, t, :] + the sines and cosines of t at `features` / 2 wavelengths.

    Feature 2i gets sin(t / base^(2i / features)), feature 2i + 1 its cosine. Nothing learns.
    Vaswani et al., "Attention Is All You Need" (2017), section 3.5.
    Shapes: input and output (*batch, time, features).
    Backward: input error = error.

    Args:
        features: even, at least 2.
        base: above 0; default 10,000.

    Raises:
        ValueError: features is not even, or base not above 0.
        LayerError: (at a call) the input has other features.
    """

    def __init__(self, features: int, base: float = 10_000.0) -> None:
        expect_even("SinusoidalPositions", features, base)
        self.features = int(features)
        self.base = float(base)

    def forward(
        self, input: Float[Tensor, "*batch time features"], training: bool
    ) -> tuple[Float[Tensor, "*batch time features"], None]:
        expect_sequence(self, input, self.features)
        angles = position_angles(input, self.base)
        waves = torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)
        return input + waves.to(input.dtype), None

    def propagate(
        self, error: Float[Tensor, "*batch time features"], memory: None, learning_rate: float
    ) -> Float[Tensor, "*batch time features"]:
        return error


class RotaryEmbedding(Layer):
    """Each pair of features turned by an angle that grows with the position: no weights.

    With θ = t / base^(2i / features), pair i at position t becomes
    (a cos θ - b sin θ, a sin θ + b cos θ); the product of two turned rows then depends on the
    distance of their positions only. Su et al., "RoFormer" (2021), eq. 34.
    Shapes: input and output (*batch, time, features).
    Backward: the error turned back, by -θ.

    Args:
        features: of a head, even, at least 2.
        base: above 0; default 10,000.
        interleaved: whether pair i is features 2i and 2i + 1, as in the paper; False: features i
            and i + features / 2, as in GPT-NeoX and Llama. Default True.

    Raises:
        ValueError: features is not even, or base not above 0.
        LayerError: (at a call) the input has other features.
    """

    def __init__(self, features: int, base: float = 10_000.0, interleaved: bool = True) -> None:
        expect_even("RotaryEmbedding", features, base)
        self.features = int(features)
        self.base = float(base)
        self.interleaved = truth("RotaryEmbedding", "interleaved", interleaved)

    def forward(
        self, input: Float[Tensor, "*batch time features"], training: bool
    ) -> tuple[Float[Tensor, "*batch time features"], None]:
        expect_sequence(self, input, self.features)
        return self._turned(input, 1.0), None

    def propagate(
        self, error: Float[Tensor, "*batch time features"], memory: None, learning_rate: float
    ) -> Float[Tensor, "*batch time features"]:
        return self._turned(error, -1.0)

    def _turned(self, values: Tensor, direction: float) -> Tensor:
        angles = position_angles(values, self.base)
        cos = angles.cos().to(values.dtype)
        sin = (angles.sin() * direction).to(values.dtype)
        axis = -1 if self.interleaved else -2
        pairs = (self.features // 2, 2) if self.interleaved else (2, self.features // 2)
        a, b = values.reshape(*values.shape[:-1], *pairs).unbind(axis)
        return torch.stack([a * cos - b * sin, a * sin + b * cos], axis).flatten(-2)


def expect_sequence(layer: Layer, input: Tensor, features: int) -> None:
    """Refuse an input that is not (*batch, time, features) of floats."""
    layer.expect_tensor(input)
    if input.dim() < 2 or input.shape[-1] != features:
        raise LayerError(
            f"{layer!r} expected input (batch, time, {features}), got {tuple(input.shape)}"
        )


def position_angles(values: Tensor, base: float) -> Tensor:
    """T / base^(2i / features) for each position t and pair i: (time, features / 2), in float64."""
    time, features = values.shape[-2:]
    positions = torch.arange(time, dtype=torch.float64, device=values.device)
    powers = torch.arange(0, features, 2, dtype=torch.float64, device=values.device) / features
    return positions.unsqueeze(-1) * torch.pow(base, -powers)


def expect_even(name: str, features: int, base: float) -> None:
    """Refuse features that are not even, and a base that is not above 0."""
    if whole(name, "features", features, 2) % 2:
        raise ValueError(f"{name}: expected an even number of features, got {features}")
    if finite(name, "base", base) <= 0:
        raise ValueError(f"{name}: expected a base above 0, got {base}")
