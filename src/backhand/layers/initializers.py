"""Initializers: the first values of a weight, of shape (outputs, inputs).

They draw from torch's generator: `torch.manual_seed` makes a network again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import finite


class Initializer:
    """What every initializer keeps: called with (outputs, inputs), it returns a weight."""

    def __call__(self, outputs: int, inputs: int) -> Float[Tensor, "outputs inputs"]:
        raise NotImplementedError(f"{type(self).__name__} makes no weight")


def _uniform(outputs: int, inputs: int, deviation: float) -> Tensor:
    bound = math.sqrt(3.0) * deviation
    return torch.empty(outputs, inputs).uniform_(-bound, bound)


def _normal(outputs: int, inputs: int, deviation: float) -> Tensor:
    return torch.empty(outputs, inputs).normal_(0.0, deviation)


@dataclass(frozen=True)
class _Scaled(Initializer):
    """One whose deviation is a multiple of `gain`.

    Raises:
        TypeError, ValueError: the gain is no finite number.
    """

    gain: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite(type(self).__name__, "gain", self.gain))


@dataclass(frozen=True)
class XavierUniform(_Scaled):
    """Uniform with variance gain² · 2 / (inputs + outputs).

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
    networks" (2010), eq. 16. Fits tanh and sigmoid. Default gain 1.
    """

    gain: float = 1.0

    def __call__(self, outputs: int, inputs: int) -> Float[Tensor, "outputs inputs"]:
        return _uniform(outputs, inputs, self.gain * math.sqrt(2.0 / (inputs + outputs)))


@dataclass(frozen=True)
class XavierNormal(_Scaled):
    """Normal with variance gain² · 2 / (inputs + outputs); see XavierUniform. Default gain 1."""

    gain: float = 1.0

    def __call__(self, outputs: int, inputs: int) -> Float[Tensor, "outputs inputs"]:
        return _normal(outputs, inputs, self.gain * math.sqrt(2.0 / (inputs + outputs)))


@dataclass(frozen=True)
class KaimingUniform(_Scaled):
    """Uniform with variance gain² / inputs; the default gain √2 is ReLU's.

    He et al., "Delving Deep into Rectifiers" (2015), eq. 10.
    """

    gain: float = math.sqrt(2.0)

    def __call__(self, outputs: int, inputs: int) -> Float[Tensor, "outputs inputs"]:
        return _uniform(outputs, inputs, self.gain / math.sqrt(inputs))


@dataclass(frozen=True)
class KaimingNormal(_Scaled):
    """Normal with variance gain² / inputs; see KaimingUniform. The default gain √2 is ReLU's."""

    gain: float = math.sqrt(2.0)

    def __call__(self, outputs: int, inputs: int) -> Float[Tensor, "outputs inputs"]:
        return _normal(outputs, inputs, self.gain / math.sqrt(inputs))
