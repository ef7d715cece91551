"""Attention, with memory linear in the length of the sequence.

The weights of a block of queries are formed, used and forgotten, and formed again in backward:
Dao et al., "FlashAttention" (2022), algorithms 1 and 4, with all keys in one block. Derived in
docs/math/attention.md.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import truth, whole
from backhand.layer import Layer, LayerError


class Attention(Layer):
    """output = P · value with P = softmax(query · keyᵀ / √features), row by row, head by head.

    Shapes: the input is (query, key, value) or (query, key, value, present): query (batch, heads,
    time, features), key (batch, kv_heads, keys, features), value (batch, kv_heads, keys, values);
    output (batch, heads, time, values). kv_heads divides heads: each serves as many queries' heads
    (Ainslie et al., "GQA", 2023). present (batch, keys) of bool: False hides a key (padding); a
    query to which every key is hidden gets 0.
    Backward, with S = query · keyᵀ / √features and P formed again for each block of queries:
    value error = Pᵀ · error;  P error = error · valueᵀ;  S error = P ∘ (P error - D), where D is
    the row sum of P ∘ P error;  query error = S error · key / √features;  key error =
    S errorᵀ · query / √features. Vaswani et al., "Attention Is All You Need" (2017), eq. 1.

    Args:
        causal: whether query t sees the keys up to t only; default False.
        block_size: queries whose weights are held at once; default 128. Memory grows with
            block_size · keys, not with time · keys.

    Raises:
        ValueError: block_size is less than 1.
        LayerError: (at a call) the shapes do not fit each other.
    """

    def __init__(self, causal: bool = False, block_size: int = 128) -> None:
        self.causal = truth("Attention", "causal", causal)
        self.block_size = whole("Attention", "block_size", block_size)

    def forward(self, input: tuple[Tensor, ...], training: bool) -> tuple[Tensor, Any]:
        query, key, value, present = self._expect(input)
        grouped, keys, values = _grouped(query, key), key.flatten(0, 1), value.flatten(0, 1)
        blocks = []
        for begin, end, seen in self._blocks(query, key):
            weights = self._weights(grouped[:, :, begin:end], keys[:, :seen], present, begin)
            outputs = torch.bmm(weights, values[:, :seen])
            blocks.append(outputs.reshape(*grouped.shape[:2], end - begin, value.shape[-1]))
        output = torch.cat(blocks, 2) if len(blocks) > 1 else blocks[0]
        return output.reshape(*query.shape[:-1], value.shape[-1]), input

    def propagate(
        self, error: Float[Tensor, "batch heads time values"], input: Any, learning_rate: float
    ) -> tuple[Tensor | None, ...]:
        query, key, value, present = self._expect(input)
        scale = 1 / math.sqrt(query.shape[-1])
        grouped, keys, values = _grouped(query, key), key.flatten(0, 1), value.flatten(0, 1)
        errors = _grouped(error, value)
        query_errors = []
        key_error, value_error = torch.zeros_like(keys), torch.zeros_like(values)
        for begin, end, seen in self._blocks(query, key):
            queries = grouped[:, :, begin:end]
            weights = self._weights(queries, keys[:, :seen], present, begin)
            error_block = errors[:, :, begin:end].flatten(1, 2)
            value_error[:, :seen].baddbmm_(weights.transpose(1, 2), error_block)
            along = torch.bmm(error_block, values[:, :seen].transpose(1, 2)) * weights
            scores = torch.addcmul(along, weights, along.sum(-1, keepdim=True), value=-1)
            found = torch.bmm(scores, keys[:, :seen]) * scale
            query_errors.append(found.reshape(queries.shape))
            key_error[:, :seen].baddbmm_(scores.transpose(1, 2), queries.flatten(1, 2), alpha=scale)
        query_error = torch.cat(query_errors, 2) if len(query_errors) > 1 else query_errors[0]
        found_errors: list[Tensor | None] = [
            query_error.reshape(query.shape),
            key_error.reshape(key.shape),
            value_error.reshape(value.shape),
        ]
        return tuple(found_errors + [None] * (len(input) - 3))

    def _blocks(self, query: Tensor, key: Tensor) -> list[tuple[int, int, int]]:
        """Where each block of queries begins and ends, and how many keys it may see."""
        time, keys = query.shape[-2], key.shape[-2]
        found = []
        for begin in range(0, max(time, 1), self.block_size):
            end = min(begin + self.block_size, time)
            found.append((begin, end, min(end, keys) if self.causal else keys))
        return found

    def _weights(self, query: Tensor, key: Tensor, present: Tensor | None, begin: int) -> Tensor:
        """P of a block: (batch · kv_heads, heads of a group · queries, keys), as `present` is."""
        count, seen = query.shape[2], key.shape[1]
        hidden = query.new_zeros(())
        if present is not None:
            shown = present[:, :seen]
            lowest = torch.finfo(query.dtype).min
            hidden = (~shown).to(query.dtype).mul(lowest).unsqueeze(1)
        scale = 1 / math.sqrt(query.shape[-1])
        scores = torch.baddbmm(hidden, query.flatten(1, 2), key.transpose(1, 2), alpha=scale)
        if self.causal and seen > begin + 1:
            # Of the keys before the block none is hidden, and a mask of all keys for every block
            # would grow with the square of the time.
            later = query.new_full((count, seen - begin), -math.inf).triu(1)
            scores[:, :, begin:].add_(later.repeat(query.shape[1], 1))
        weights = torch.softmax(scores, -1)
        return weights if present is None else weights * shown.to(weights.dtype).unsqueeze(1)

    def _expect(self, input: Any) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        if not isinstance(input, tuple) or len(input) not in (3, 4):
            raise LayerError(f"{self!r} expected (query, key, value) or (…, present)")
        query, key, value = input[:3]
        for each in input:
            self.expect_tensor(each, floats=False)
            self.expect_beside(each, query)
        for each in (query, key, value):
            self.expect_tensor(each)
            self.expect_like(each, query)
        shapes = ", ".join(str(tuple(each.shape)) for each in input)
        fits = (
            query.dim() == key.dim() == value.dim() == 4
            and len(query) == len(key) == len(value)
            and key.shape[1:3] == value.shape[1:3]
            and query.shape[-1] == key.shape[-1]
            and query.shape[1] % key.shape[1] == 0
        )
        if not fits:
            raise LayerError(
                f"{self!r} expected query (batch, heads, time, features), key (batch, kv_heads, "
                f"keys, features) and value (batch, kv_heads, keys, values), got {shapes}"
            )
        present: Tensor | None = input[3] if len(input) == 4 else None
        if present is not None and (
            present.dtype is not torch.bool or present.shape != (len(key), key.shape[2])
        ):
            raise LayerError(
                f"{self!r} expected present as bool of shape {(len(key), key.shape[2])}, "
                f"got {present.dtype} of shape {tuple(present.shape)}"
            )
        if present is not None:
            present = present.repeat_interleave(key.shape[1], 0)
        return query, key, value, present


def _grouped(query: Tensor, key: Tensor) -> Tensor:
    """(batch · kv_heads, heads of a group, time, features): the queries that share a key's head."""
    batch, heads, time, features = query.shape
    kv_heads = key.shape[1]
    return query.reshape(batch * kv_heads, heads // kv_heads, time, features)
