"""The gradient checker: a backward written by hand against central finite differences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from backhand.checks.conduct import (
    Read,
    Step,
    Weighing,
    expect_calls_apart,
    expect_lawful_forward,
    expect_lawful_learning,
    expect_same_when_recorded,
    random_like,
    read_gradients,
    seeded,
)
from backhand.checks.element import Element, GradientCheck
from backhand.checks.mismatch import GradientMismatch
from backhand.checks.remembered import expect_unchanged, remembered
from backhand.checks.values import copied, same
from backhand.given import REFUSALS, Given, from_numbers
from backhand.layer import Layer
from backhand.losses import Loss
from backhand.values import Value, rows_of, tensors, together

FEW = 20
"""Elements compared of each tensor on another batch size: a mistake there is in all of them."""


def gradient_check(
    subject: Layer | Loss,
    input: Given,
    target: Given | None = None,
    *,
    loss: Loss | None = None,
    step: float = 1e-6,
    tolerance: float = 1e-6,
    samples: int = 200,
    seed: int = 0,
) -> GradientCheck:
    """Compare every derivative of a backward with (f(x + h) - f(x - h)) / 2h, in float64.

    f is the loss, where there is one; else the sum of the outputs, each times a random number.
    Works on a copy, so nothing of yours changes. Layers that draw get the same draws each time.
    Away from a kink (ReLU at 0) only: there the two differ, and neither is wrong.

    Where all but the last row are a batch too, some derivatives are compared on these as well: a
    backward may be right for one batch size only.

    Beside the derivatives, a layer's conduct: forward changes nothing that the layer holds, however
    deep, and gives the same when it is called again; nothing writes to its arguments; two calls
    whose backwards come in reverse do not disturb each other; the input error with learning on is
    that without, from the old weights; SGD moves every weight by -rate · gradient; and three
    recorded steps, where the layer can be recorded, are the plain ones to the bit. What `predict`
    gives is not compared with anything: with training=False a layer may be another function.

    Args:
        subject: a layer, a network, or a loss (then `input` is the prediction).
        input: a batch; a tensor or a tuple of them. Integer inputs are not differentiated.
        target: for a loss.
        loss: to check a network together with a loss.
        step: h; default 1e-6.
        tolerance: of |difference| / max(1, |backward|, |numeric|); default 1e-6.
        samples: elements compared of each tensor, drawn where there are more; default 200.
        seed: of what is drawn; default 0.

    Raises:
        GradientMismatch: a derivative is off, the input error is of another shape, or the
            conduct is not as above; names the layer and what it does.
        ValueError: a loss without a target.
    """
    with torch.random.fork_rng(devices=[]):
        check = _Check(subject, input, target, loss, seed)
        return check.run(step, tolerance, samples)


class _Check:
    def __init__(
        self,
        subject: Layer | Loss,
        input: Given,
        target: Given | None,
        loss: Loss | None,
        seed: int,
    ) -> None:
        if isinstance(subject, Loss):
            loss, network = subject, None
        else:
            network = copy.deepcopy(subject).to(torch.float64).freeze(False)
        if loss is not None and target is None:
            raise ValueError(f"gradient_check: {loss!r} needs a target")
        self.network = network
        self.loss = loss
        self.seed = seed
        input = from_numbers(input) if network is None else network.as_input(input)
        self.inputs = [_double(each) for each in tensors(input)]
        self.tupled = isinstance(input, tuple)
        if target is not None:
            target = together([_double(each) for each in tensors(self._as_target(target))])
        self.target = target
        self.directions: list[Tensor] = []
        self.read: Read | None = None

    def _as_target(self, given: Given) -> Any:
        if self.loss is None:
            return from_numbers(given)

        def first() -> Any:
            return rows_of(self._prediction(), slice(1))

        return self.loss.as_target(given, torch.float64, first)

    def run(self, step: float, tolerance: float, samples: int) -> GradientCheck:
        if self.network is not None:
            expect_lawful_forward(self.network, self._given(), self.seed)
        derivatives = self._backward()
        found = self._compare(derivatives, step, tolerance, samples)
        if self.network is not None:
            assert self.read is not None
            expect_lawful_learning(self.network, self._given(), self._error, self.read, self.seed)
            apart = self._given(), _rolled(self._given(), 1)
            expect_calls_apart(self.network, *apart, self.seed)
            expect_same_when_recorded(self.network, *self._steps(), self.seed)
        self._check_fewer(step, tolerance, min(samples, FEW))
        return found

    def _check_fewer(self, step: float, tolerance: float, samples: int) -> None:
        """Compare some derivatives on all rows but the last, where these are a batch, too."""
        given = [*self.inputs, *([] if self.target is None else tensors(self.target))]
        rows = {len(each) if each.dim() else 0 for each in given}
        if len(rows) != 1 or not min(rows) > 1:
            return
        fewer, least = copy.copy(self), min(rows) - 1
        fewer.inputs = [each[:least].clone() for each in self.inputs]
        if self.target is not None:
            fewer.target = together([each[:least].clone() for each in tensors(self.target)])
        if fewer._is_taken():
            derivatives = [
                (f"of a batch of {least}, {name}", values, slopes)
                for name, values, slopes in fewer._backward()
            ]
            fewer._compare(derivatives, step, tolerance, samples)

    def _steps(self) -> tuple[Loss, list[Step]]:
        """The loss, and batches for it: the rows given, and these in other orders."""
        loss, target = self.loss, self.target
        if loss is None:
            loss, target = Weighing(), together(self.directions)
        assert target is not None
        return loss, [(_rolled(self._given(), by), _rolled(target, by)) for by in range(3)]

    def _is_taken(self) -> bool:
        """Whether the layer and the loss take this batch and make numbers of it."""
        try:
            prediction = self._prediction()
            value = prediction if self.loss is None else self.loss.forward(prediction, self.target)
        except REFUSALS:
            return False
        return all(bool(each.isfinite().all()) for each in tensors(value))

    def _compare(
        self,
        derivatives: list[tuple[str, Tensor, Tensor]],
        step: float,
        tolerance: float,
        samples: int,
    ) -> GradientCheck:
        generator = torch.Generator().manual_seed(self.seed)
        worst: Element | None = None
        compared = 0
        for name, values, derivative in derivatives:
            flat, slopes = values.reshape(-1), derivative.reshape(-1)
            chosen = torch.randperm(flat.numel(), generator=generator)[:samples]
            for place in sorted(chosen.tolist()):
                numeric = self._difference(flat, place, step)
                index = tuple(
                    int(i) for i in torch.unravel_index(torch.tensor(place), values.shape)
                )
                element = Element(name, index, float(slopes[place]), numeric)
                compared += 1
                if worst is None or not element.difference <= worst.difference:
                    worst = element
        if worst is not None and not worst.difference <= tolerance:
            raise GradientMismatch(f"{worst} (relative difference {worst.difference:.1e})")
        return GradientCheck(compared, worst)

    def _value(self) -> float:
        """F at the values as they are now."""
        prediction = self._prediction()
        if self.loss is not None:
            return float(self.loss.forward(prediction, self.target))
        outputs = prediction if isinstance(prediction, tuple) else (prediction,)
        weighed = zip(outputs, self.directions, strict=True)
        return float(sum((output * direction).sum() for output, direction in weighed))

    def _prediction(self) -> Any:
        if self.network is None:
            return self._given()
        return seeded(self.seed, self.network.forward, self._given(), True)[0]

    def _given(self) -> Any:
        return tuple(self.inputs) if self.tupled else self.inputs[0]

    def _difference(self, flat: Tensor, place: int, step: float) -> float:
        kept = float(flat[place])
        flat[place] = kept + step
        above = self._value()
        flat[place] = kept - step
        below = self._value()
        flat[place] = kept
        return (above - below) / (2 * step)

    def _backward(self) -> list[tuple[str, Tensor, Tensor]]:
        """What is differentiated by: a name, the values, and what backward says."""
        if self.network is None:
            return self._by_inputs(self._error_of_loss())
        network = self.network
        self.read = read_gradients(network, self._given(), self._error, self.seed)
        found = self._by_inputs(self.read.input_error)
        layers = {path: repr(layer) for path, layer in network.layers_by_path()}
        for path, parameter in network.parameters().items():
            name = f"{path} of {layers[path.rpartition('.')[0]]}"
            gradient = self.read.gradients[path]
            _expect_shape(name, gradient, parameter.value)
            found.append((name, parameter.value, gradient))
        return found

    def _error_of_loss(self) -> Any:
        assert self.loss is not None
        given = (self.inputs[0], self.target)
        seen = {"prediction": self.inputs[0], "target": self.target}
        before = remembered(self.loss)
        for name, call in (("forward", self.loss.forward), ("backward", self.loss.backward)):
            result = _unchanged(name, call, given, **seen)
            if not same(result, call(*given), 0.0):
                raise GradientMismatch(
                    f"{self.loss!r}: {name} gave something else when it was called again"
                )
            expect_unchanged(f"{self.loss!r}: {name}", before, remembered(self.loss))
        return result

    def _error(self, prediction: Any) -> Any:
        if self.loss is not None:
            return self.loss.backward(prediction, self.target)
        error = random_like(prediction, self.seed)
        self.directions = list(error) if isinstance(error, tuple) else [error]
        return error

    def _by_inputs(self, error: Any) -> list[tuple[str, Tensor, Tensor]]:
        errors = error if self.tupled else (error,)
        found = []
        for i, (values, slope) in enumerate(zip(self.inputs, errors, strict=True)):
            name = f"input {i}" if self.tupled else "input"
            if values.is_floating_point():
                _expect_shape(name, slope, values)
                found.append((name, values, slope))
            elif slope is not None:
                raise GradientMismatch(f"{name} holds integers: expected None for its error")
        return found


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float64 if tensor.is_floating_point() else tensor.dtype).clone()


def _expect_shape(name: str, derivative: Any, values: Tensor) -> None:
    if not isinstance(derivative, Tensor) or derivative.shape != values.shape:
        got = tuple(derivative.shape) if isinstance(derivative, Tensor) else derivative
        raise GradientMismatch(
            f"{name}: expected a derivative of shape {tuple(values.shape)}, got {got}"
        )


def _rolled(value: Value, by: int) -> Value:
    """The rows in another order."""
    rolled: Value = together([x.roll(by, 0) if x.dim() else x for x in tensors(value)])
    return rolled


def _unchanged(name: str, call: Callable[..., Any], arguments: tuple[Any, ...], **seen: Any) -> Any:
    """What a call returns, where it leaves the values it has seen as they are."""
    before = {what: copied(value) for what, value in seen.items()}
    result = call(*arguments)
    for what, value in seen.items():
        if not same(before[what], value, 0.0):
            raise GradientMismatch(f"{name} changed one of its arguments: it wrote to the {what}")
    return result
