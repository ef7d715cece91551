"""The last linear layer of a large vocabulary joined to its cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from backhand.arguments import finite, instance, truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.initializers import Initializer, XavierUniform
from backhand.learning.parameter import Parameter


class LinearCrossEntropy(Layer):
    """output = each row's cross-entropy, by logits z = hidden · weightᵀ + bias, never all at once.

    With p = (1 - s) onehot(target) + s / classes, output = -Σ p log softmax(z). The logits are
    formed for some rows at a time, in backward once more, so there are never more than
    chunk · classes of them; everything is exact. Train it with the loss `Itself`: the mean of the
    output is then CrossEntropyLoss(s, None, ignore_index) of FullyConnected's logits.
    Shapes: input (hidden, target), hidden (*batch, inputs), target (*batch) of int64 class
    indices; output (*batch, 1); weight (classes, inputs), bias (classes,).
    Backward: e = error · (softmax(z) - p) of some rows; hidden error = e · weight; weight learns
    Σ eᵀ · hidden over the chunks, formed one after another, or not at all where one is enough;
    bias learns e summed over the rows. The target has no derivative.
    As Liger-Kernel's fused linear cross-entropy (Hsu et al. 2024), but for forming its gradients
    in backward.

    Args:
        inputs, classes: how many features come in, and how many classes there are; at least 1.
        bias: whether there is one; default True. It begins at 0.
        label_smoothing: s, in [0, 1); default 0.
        ignore_index: a target whose row counts for nothing: its output is 0, and the others' grow
            by rows / rows that count, so that their mean is theirs alone; default none.
        chunk: how many rows have logits at a time; default None: as many as there are inputs, whose
            logits take as much memory as the weight.
        initializer: makes the weight; default Xavier uniform.

    Raises:
        TypeError, ValueError: an argument of another type or outside its range.
        LayerError: (at a call) the input is no pair, a tensor of other shape or dtype, or a
            class out of range.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        bias: bool = True,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        chunk: int | None = None,
        initializer: Initializer = XavierUniform(),
    ) -> None:
        name = "LinearCrossEntropy"
        self.inputs = whole(name, "inputs", inputs)
        self.classes = whole(name, "classes", classes)
        self.label_smoothing = finite(name, "label_smoothing", label_smoothing)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"{name}: expected label_smoothing in [0, 1), got {label_smoothing}")
        if ignore_index is not None:
            ignore_index = whole(name, "ignore_index", ignore_index, least=-math.inf)
        self.ignore_index = ignore_index
        self.chunk = None if chunk is None else whole(name, "chunk", chunk)
        self.initializer = instance(name, "initializer", initializer, Initializer)
        has_bias = truth(name, "bias", bias)
        self.weight = Parameter(self.initializer(self.classes, self.inputs))
        self.bias = Parameter(torch.zeros(self.classes)) if has_bias else None

    def settings(self) -> dict[str, object]:
        return super().settings() | {"bias": self.bias is not None}

    def check_values(self, input: Any) -> None:
        _, target = self._expect_pair(input)
        known = target if self.ignore_index is None else target[target != self.ignore_index]
        if known.numel() and not (int(known.min()) >= 0 and int(known.max()) < self.classes):
            wrong = int(known.min()) if int(known.min()) < 0 else int(known.max())
            raise LayerError(
                f"{self!r} expected class indices from 0 to {self.classes - 1}, got {wrong}"
            )

    def logits(self, hidden: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch classes"]:
        """All logits of these rows, as to sample from after training."""
        self.expect_features(hidden, self.inputs, self.weight.value)
        rows = hidden.reshape(-1, self.inputs)
        return self._logits(rows).reshape(*hidden.shape[:-1], self.classes)

    def forward(self, input: Any, training: bool) -> tuple[Float[Tensor, "*batch 1"], Any]:
        hidden, target = self._expect_pair(input)
        losses = []
        for rows, index in self._chunks(hidden, target):
            logarithms = torch.log_softmax(self._logits(rows), 1)
            loss = self._gathered(logarithms, index, input) * (self.label_smoothing - 1)
            if self.label_smoothing:
                loss = loss - logarithms.mean(1, keepdim=True) * self.label_smoothing
            losses.append(loss)
        output = self._counted(torch.cat(losses), target)
        return output.reshape(*target.shape, 1), (hidden, target)

    def _gathered(self, logarithms: Tensor, index: Tensor, input: Any) -> Tensor:
        """Those of the targets' classes."""
        try:
            return logarithms.gather(1, index)
        except (IndexError, RuntimeError):
            with suppress(RuntimeError):  # nothing can be read while a step is recorded
                self.check_values(input)
            raise

    def propagate(
        self,
        error: Float[Tensor, "*batch 1"],
        memory: tuple[Float[Tensor, "*batch inputs"], Int64[Tensor, "*batch"]],
        learning_rate: float,
    ) -> tuple[Float[Tensor, "*batch inputs"], None]:
        hidden, target = memory
        chunks = self._chunks(hidden, target)
        errors = torch.split(self._counted(error.reshape(-1, 1), target), len(chunks[0][0]) or 1)
        if len(chunks) == 1:
            rows, _ = chunks[0]
            of_logits = self._error(*chunks[0], errors[0])
            input_error = torch.mm(of_logits, self.weight.value)
            self.weight.learn_product(of_logits.t(), rows, learning_rate)
            if self.bias is not None:
                self.bias.learn_sum(of_logits, learning_rate)
        else:
            input_error = self._learn_by_chunks(chunks, errors, learning_rate)
        return input_error.reshape(hidden.shape), None

    def _learn_by_chunks(
        self,
        chunks: Sequence[tuple[Tensor, Tensor]],
        errors: Sequence[Tensor],
        learning_rate: float,
    ) -> Tensor:
        """The gradients as sums over the chunks, so that all input errors see the old weight."""
        parts = []
        of_weight = torch.zeros_like(self.weight.value)
        of_bias = of_weight.new_zeros(self.classes)
        for (rows, index), error in zip(chunks, errors, strict=True):
            of_logits = self._error(rows, index, error)
            parts.append(torch.mm(of_logits, self.weight.value))
            of_weight.addmm_(of_logits.t(), rows)
            of_bias.add_(of_logits.sum(0))
        self.weight.learn(of_weight, learning_rate)
        if self.bias is not None:
            self.bias.learn(of_bias, learning_rate)
        return torch.cat(parts)

    def _chunks(self, hidden: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The rows some at a time, with the class of each; one chunk where there are no rows."""
        rows, index = hidden.reshape(-1, self.inputs), target.reshape(-1, 1)
        if self.ignore_index is not None:
            index = index.where(index != self.ignore_index, 0)
        size = self.chunk or self.inputs
        return list(zip(torch.split(rows, size), torch.split(index, size), strict=True))

    def _logits(self, rows: Tensor) -> Tensor:
        if self.bias is None:
            return torch.mm(rows, self.weight.transposed)
        return torch.addmm(self.bias.value, rows, self.weight.transposed)

    def _error(self, rows: Tensor, index: Tensor, error: Tensor) -> Tensor:
        """The error of some rows' logits: error · (softmax - p)."""
        softmax = torch.exp(torch.log_softmax(self._logits(rows), 1))
        if self.label_smoothing:
            softmax = softmax - self.label_smoothing / self.classes
        own = torch.full_like(index, self.label_smoothing - 1, dtype=rows.dtype)
        return softmax.scatter_add(1, index, own) * error

    def _counted(self, each: Tensor, target: Tensor) -> Tensor:
        """A number for each row, 0 for those that are ignored and the others' larger for it."""
        if self.ignore_index is None:
            return each
        kept = target.reshape(-1, 1) != self.ignore_index
        count = kept.to(each.dtype).sum().clamp(min=1)
        return torch.where(kept, each * (len(each) / count), 0.0)

    def _expect_pair(self, input: Any) -> tuple[Tensor, Tensor]:
        if not isinstance(input, tuple) or len(input) != 2:
            raise LayerError(
                f"{self!r} expected a pair (hidden, target), got {type(input).__name__}"
            )
        hidden, target = input
        self.expect_features(hidden, self.inputs, self.weight.value)
        self.expect_tensor(target, floats=False)
        self.expect_beside(target, hidden)
        if target.shape != hidden.shape[:-1]:
            raise LayerError(
                f"{self!r} expected targets {tuple(hidden.shape[:-1])} for hidden "
                f"{tuple(hidden.shape)}, got {tuple(target.shape)}"
            )
        if target.dtype is not torch.int64:
            raise LayerError(f"{self!r} expected targets of int64, got {target.dtype}")
        return hidden, target
