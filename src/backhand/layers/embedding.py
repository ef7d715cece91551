"""Embeddings: a row of numbers for each token."""

from __future__ import annotations

from contextlib import suppress

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from backhand.arguments import instance, whole
from backhand.layer import Layer, LayerError
from backhand.layers.initializers import Initializer, Normal
from backhand.learning.parameter import Parameter


class Embedding(Layer):
    """output = weight[index]: the row of each token, 0 for padding.

    Shapes: input (*batch) of int64 tokens, output (*batch, embedding_dim), weight
    (num_embeddings, embedding_dim).
    Backward: the rows that were used learn their errors, summed over their uses; tokens have no
    derivative, so there is no input error.
    Bengio et al., "A Neural Probabilistic Language Model" (2003), section 2.

    Args:
        num_embeddings: how many tokens there are; at least 1.
        embedding_dim: numbers in a row; at least 1.
        padding_idx: a token whose output is 0 and whose row does not learn; default None.
        initializer: makes the weight; default normal of deviation 1.

    Raises:
        ValueError: an argument is out of range.
        LayerError: (at a call) the input is not int64, or has a token out of range.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        initializer: Initializer = Normal(1.0),
    ) -> None:
        name = "Embedding"
        self.num_embeddings = whole(name, "num_embeddings", num_embeddings)
        self.embedding_dim = whole(name, "embedding_dim", embedding_dim)
        if padding_idx is not None:
            padding_idx = whole(name, "padding_idx", padding_idx, 0)
            if padding_idx >= num_embeddings:
                last = num_embeddings - 1
                raise ValueError(
                    f"Embedding: expected padding_idx from 0 to {last}, got {padding_idx}"
                )
        self.padding_idx = padding_idx
        self.initializer = instance(name, "initializer", initializer, Initializer)
        self.weight = Parameter(initializer(num_embeddings, embedding_dim))
        if padding_idx is not None:
            self.weight.value[padding_idx] = 0

    def check_values(self, input: Int64[Tensor, "*batch"]) -> None:
        if input.numel():
            lowest, highest = int(input.min()), int(input.max())
            if lowest < 0 or highest >= self.num_embeddings:
                wrong = lowest if lowest < 0 else highest
                raise LayerError(
                    f"{self!r} expected tokens from 0 to {self.num_embeddings - 1}, got {wrong}"
                )

    def forward(
        self, input: Int64[Tensor, "*batch"], training: bool
    ) -> tuple[Float[Tensor, "*batch features"], Int64[Tensor, "*batch"]]:
        self.expect_tensor(input, floats=False)
        self.expect_beside(input, self.weight.value)
        if input.dtype is not torch.int64:
            raise LayerError(f"{self!r} expected int64 tokens, got {input.dtype}")
        index = input.reshape(-1)
        try:
            rows = self.weight.value.index_select(0, index)
        except IndexError:  # torch looks at each token; it does not say which is out of range
            with suppress(RuntimeError):  # nothing can be read while a step is recorded
                self.check_values(input)
            raise
        rows = self._without_padding(rows, index)
        return rows.reshape(*input.shape, self.embedding_dim), input

    def propagate(
        self,
        error: Float[Tensor, "*batch features"],
        input: Int64[Tensor, "*batch"],
        learning_rate: float,
    ) -> None:
        index = input.reshape(-1)
        rows = self._without_padding(error.reshape(-1, self.embedding_dim), index)
        self.weight.learn_rows(index, rows, learning_rate)

    def _without_padding(self, rows: Tensor, index: Tensor) -> Tensor:
        """The rows, 0 where the token is padding."""
        if self.padding_idx is None:
            return rows
        return rows * (index != self.padding_idx).to(rows.dtype).unsqueeze(-1)
