"""Initializers: the first values of a weight, of shape (outputs, inputs, *kernel).

A kernel's elements count as so many more inputs and outputs. They draw from torch's generator:
`torch.manual_seed` makes a network again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import finite


class Initializer:
    """What every initializer keeps: called with a weight's shape, it returns the weight."""

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        raise NotImplementedError(f"{type(self).__name__} makes no weight")


def _uniform(shape: tuple[int, ...], deviation: float) -> Tensor:
    bound = math.sqrt(3.0) * deviation
    return torch.empty(shape).uniform_(-bound, bound)


def _normal(shape: tuple[int, ...], deviation: float) -> Tensor:
    return torch.empty(shape).normal_(0.0, deviation)


def _inputs(inputs: int, kernel: tuple[int, ...]) -> int:
    """How many numbers an output is a sum over."""
    return inputs * math.prod(kernel)


def _mean_of_both(outputs: int, inputs: int, kernel: tuple[int, ...]) -> float:
    """The mean of how many numbers come in and go out."""
    return (outputs + inputs) * math.prod(kernel) / 2


def _keep_finite(initializer: Initializer, name: str) -> None:
    """Keep an attribute as a float; refuse it where it is no finite number."""
    number = finite(type(initializer).__name__, name, getattr(initializer, name))
    object.__setattr__(initializer, name, number)


@dataclass(frozen=True)
class _Scaled(Initializer):
    """One whose deviation is a multiple of `gain`.

    Raises:
        TypeError, ValueError: the gain is no finite number.
    """

    gain: float

    def __post_init__(self) -> None:
        _keep_finite(self, "gain")


@dataclass(frozen=True)
class XavierUniform(_Scaled):
    """Uniform with variance gain² · 2 / (inputs + outputs).

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
    networks" (2010), eq. 16. Fits tanh and sigmoid. Default gain 1.
    """

    gain: float = 1.0

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        deviation = self.gain / math.sqrt(_mean_of_both(outputs, inputs, kernel))
        return _uniform((outputs, inputs, *kernel), deviation)


@dataclass(frozen=True)
class XavierNormal(_Scaled):
    """Normal with variance gain² · 2 / (inputs + outputs); see XavierUniform. Default gain 1."""

    gain: float = 1.0

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        deviation = self.gain / math.sqrt(_mean_of_both(outputs, inputs, kernel))
        return _normal((outputs, inputs, *kernel), deviation)


@dataclass(frozen=True)
class KaimingUniform(_Scaled):
    """Uniform with variance gain² / inputs; the default gain √2 is ReLU's.

    He et al., "Delving Deep into Rectifiers" (2015), eq. 10.
    """

    gain: float = math.sqrt(2.0)

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        deviation = self.gain / math.sqrt(_inputs(inputs, kernel))
        return _uniform((outputs, inputs, *kernel), deviation)


@dataclass(frozen=True)
class KaimingNormal(_Scaled):
    """Normal with variance gain² / inputs; see KaimingUniform. The default gain √2 is ReLU's."""

    gain: float = math.sqrt(2.0)

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        deviation = self.gain / math.sqrt(_inputs(inputs, kernel))
        return _normal((outputs, inputs, *kernel), deviation)


@dataclass(frozen=True)
class LeCunUniform(Initializer):
    """Uniform with variance 1 / inputs. LeCun et al., "Efficient BackProp" (1998), eq. 16."""

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        return _uniform((outputs, inputs, *kernel), 1 / math.sqrt(_inputs(inputs, kernel)))


@dataclass(frozen=True)
class LeCunNormal(Initializer):
    """Normal with variance 1 / inputs; see LeCunUniform. Fits SELU (Klambauer et al. 2017)."""

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        return _normal((outputs, inputs, *kernel), 1 / math.sqrt(_inputs(inputs, kernel)))


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal with this standard deviation, 0 or more, whatever the shape; default 1."""

    deviation: float = 1.0

    def __post_init__(self) -> None:
        _keep_finite(self, "deviation")
        if self.deviation < 0:
            raise ValueError(f"Normal: expected a deviation of 0 or more, got {self.deviation}")

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        return _normal((outputs, inputs, *kernel), self.deviation)


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal of this deviation, but for what lies over two deviations from 0: drawn anew.

    As the inverse of the distribution's function at a number uniform between its values at ±2
    deviations. What is left has a deviation of 0.8796 times the given one. Default 0.02 (BERT,
    Devlin et al. 2019).
    """

    deviation: float = 0.02

    def __post_init__(self) -> None:
        _keep_finite(self, "deviation")
        if self.deviation < 0:
            given = self.deviation
            raise ValueError(f"TruncatedNormal: expected a deviation of 0 or more, got {given}")

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        reach = math.erf(math.sqrt(2.0))  # of the middle, out to two deviations
        uniform = torch.empty(outputs, inputs, *kernel).uniform_(-reach, reach)
        drawn = torch.erfinv(uniform) * (math.sqrt(2.0) * self.deviation)
        return drawn.clamp(-2 * self.deviation, 2 * self.deviation)


@dataclass(frozen=True)
class Orthogonal(_Scaled):
    """Rows, or columns where there are fewer of them, orthogonal and of length gain.

    The weight counts as a matrix (outputs, inputs · kernel). Saxe, McClelland, Ganguli, "Exact
    solutions to the nonlinear dynamics of learning in deep linear networks" (2014). Default
    gain 1.
    """

    gain: float = 1.0

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        columns = _inputs(inputs, kernel)
        dtype = torch.get_default_dtype()
        drawn = dtype if dtype.itemsize >= 4 else torch.float32  # half floats have no factors
        shape = (max(outputs, columns), min(outputs, columns))
        tall = torch.empty(shape, dtype=drawn).normal_()
        basis, triangle = torch.linalg.qr(tall)
        scaled: Tensor = basis * (self.gain * triangle.diagonal().sign())  # uniform over all bases
        matrix = scaled if outputs >= columns else scaled.t()
        return matrix.reshape(outputs, inputs, *kernel).to(dtype)


@dataclass(frozen=True)
class Constant(Initializer):
    """One number everywhere; default 0."""

    value: float = 0.0

    def __post_init__(self) -> None:
        _keep_finite(self, "value")

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        return torch.full((outputs, inputs, *kernel), self.value)


@dataclass(frozen=True)
class Zeros(Initializer):
    """0 everywhere: for the last layer of a residual branch, say."""

    def __call__(self, outputs: int, inputs: int, *kernel: int) -> Float[Tensor, "..."]:
        return torch.zeros(outputs, inputs, *kernel)
