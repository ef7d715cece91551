"""Multi-head attention: projections, an `Attention` over the heads, and a projection back."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backhand.arguments import instance, truth, whole
from backhand.layer import Layer, LayerError
from backhand.layers.attention import Attention
from backhand.layers.linear import FullyConnected
from backhand.networks.branches import add_errors
from backhand.networks.parts import forward_child, propagate_child
from backhand.networks.sequential import Sequential
from backhand.networks.sharing import share_repeated


class MultiHeadAttention(Layer):
    """output = concatenated heads · W_oᵀ + b_o, each head an `Attention` over projections.

    Queries, keys and values are projected (x · Wᵀ + b) and cut into heads side by side along the
    features. Vaswani et al., "Attention Is All You Need" (2017), section 3.2.2.
    Shapes: the input is x (batch, time, embed_dim) for self-attention; (x, context) with context
    (batch, keys, kdim) for cross-attention; or (query, key, value); and each of these with a mask
    of bool (batch, keys) at the end, in which False hides a key (padding). Output (batch, time,
    embed_dim).
    Backward: that of its parts; what the input was used for several times gets the sum.

    Args:
        embed_dim: features that come in as queries and go out; divisible by num_heads.
        num_heads: at least 1.
        num_kv_heads: heads of keys and values, a divisor of num_heads; default num_heads.
        bias: whether the projections have biases; default True.
        causal: whether position t sees the keys up to t only; default False.
        kdim, vdim: features of keys and of values; default embed_dim.
        rotary: a layer (RotaryEmbedding) that queries and keys go through, head by head; default
            none.
        block_size: queries whose weights are held at once; see Attention; default 128.

    Raises:
        ValueError: heads do not divide the features, or kv heads the heads.
        LayerError: (at a call) a shape or dtype does not fit; the part is named.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        bias: bool = True,
        causal: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        rotary: Layer | None = None,
        block_size: int = 128,
    ) -> None:
        name = type(self).__name__
        kv_heads = _expect_heads(embed_dim, num_heads, num_kv_heads)
        self.embed_dim, self.num_heads = int(embed_dim), int(num_heads)
        self.num_kv_heads = None if num_kv_heads is None else kv_heads
        self.bias = truth(name, "bias", bias)
        self.causal = truth(name, "causal", causal)
        self.kdim = None if kdim is None else whole(name, "kdim", kdim)
        self.vdim = None if vdim is None else whole(name, "vdim", vdim)
        self.rotary = None if rotary is None else instance(name, "rotary", rotary, Layer)
        self.block_size = whole(name, "block_size", block_size)
        turned = [] if rotary is None else [rotary]
        self.query = self._projected(embed_dim, num_heads, *turned)
        self.key = self._projected(kdim or embed_dim, kv_heads, *turned)
        self.value = self._projected(vdim or embed_dim, kv_heads)
        self.attention = Attention(causal, block_size)
        self.output = Sequential([JoinHeads(), FullyConnected(embed_dim, embed_dim, bias)])
        share_repeated(self)

    def _projected(self, inputs: int, heads: int, *turned: Layer) -> Sequential:
        """From features to so many heads."""
        outputs = heads * (self.embed_dim // self.num_heads)
        return Sequential([FullyConnected(inputs, outputs, self.bias), SplitHeads(heads), *turned])

    def forward(self, input: Any, training: bool) -> tuple[Tensor, Any]:
        sources, masks = self._sources(input)
        memories, heads = [], []
        for part, source in zip(("query", "key", "value"), sources, strict=True):
            head, memory = forward_child(getattr(self, part), part, source, training)
            heads.append(head)
            memories.append(memory)
        joined, attended = forward_child(self.attention, "attention", (*heads, *masks), training)
        output, memory = forward_child(self.output, "output", joined, training)
        given = 0 if isinstance(input, Tensor) else len(input) - len(masks)
        return output, (*memories, attended, memory, given)

    def propagate(
        self, error: Float[Tensor, "batch time features"], memory: Any, learning_rate: float
    ) -> Any:
        *memories, attended, outward, given = memory
        joined = propagate_child(self.output, "output", error, outward, learning_rate)
        heads = propagate_child(self.attention, "attention", joined, attended, learning_rate)
        errors = [
            propagate_child(getattr(self, part), part, head, memory, learning_rate)
            for part, head, memory in zip(("query", "key", "value"), heads, memories, strict=False)
        ]
        masks = (None,) * (len(heads) - 3)
        if given == 3:
            return (*errors, *masks)
        if given == 2:
            return (errors[0], add_errors(errors[1], errors[2]), *masks)
        own = add_errors(add_errors(errors[0], errors[1]), errors[2])
        return (own, *masks) if given else own

    def _sources(self, input: Any) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, ...]]:
        """What queries, keys and values are made of, and the mask where there is one."""
        given = list(input) if isinstance(input, tuple) and input else [input]
        for each in given:
            self.expect_tensor(each, floats=False)
        masks = (given.pop(),) if len(given) > 1 and given[-1].dtype is torch.bool else ()
        if not 1 <= len(given) <= 3 or any(each.dim() != 3 for each in given):
            shapes = ", ".join(str(tuple(each.shape)) for each in given)
            raise LayerError(
                f"{self!r} expected x (batch, time, {self.embed_dim}), (x, context) or "
                f"(query, key, value), each perhaps with a mask of bool, got {shapes}"
            )
        query, key, value = given if len(given) == 3 else (given[0], given[-1], given[-1])
        return (query, key, value), masks


def _expect_heads(embed_dim: int, num_heads: int, num_kv_heads: int | None) -> int:
    """Refuse heads that do not divide the features, or each other; how many keys have."""
    name = "MultiHeadAttention"
    kv_heads = num_heads if num_kv_heads is None else whole(name, "num_kv_heads", num_kv_heads)
    if whole(name, "embed_dim", embed_dim) % whole(name, "num_heads", num_heads):
        raise ValueError(
            f"{name}: expected embed_dim divisible by num_heads, got "
            f"embed_dim={embed_dim}, num_heads={num_heads}"
        )
    if num_heads % kv_heads:
        raise ValueError(
            f"{name}: expected num_heads divisible by num_kv_heads, got "
            f"num_heads={num_heads}, num_kv_heads={num_kv_heads}"
        )
    return int(kv_heads)


class SplitHeads(Layer):
    """output = the features cut into heads: (batch, time, num_heads · width) to (batch, num_heads,
    time, width). Backward: the error's heads side by side again.

    Args:
        num_heads: at least 1.

    Raises:
        ValueError: num_heads less than 1.
        LayerError: (at a call) it does not divide the features.
    """

    def __init__(self, num_heads: int) -> None:
        self.num_heads = whole("SplitHeads", "num_heads", num_heads)

    def forward(
        self, input: Float[Tensor, "batch time features"], training: bool
    ) -> tuple[Float[Tensor, "batch heads time width"], None]:
        self.expect_tensor(input)
        if input.dim() != 3:
            raise LayerError(
                f"{self!r} expected input (batch, time, features), got {tuple(input.shape)}"
            )
        batch, time, features = input.shape
        if features % self.num_heads:
            raise LayerError(
                f"{self!r} expected features divisible by {self.num_heads}, "
                f"got input {tuple(input.shape)}"
            )
        width = features // self.num_heads
        return input.reshape(batch, time, self.num_heads, width).transpose(1, 2), None

    def propagate(
        self, error: Float[Tensor, "batch heads time width"], memory: None, learning_rate: float
    ) -> Float[Tensor, "batch time features"]:
        return error.transpose(1, 2).flatten(2)


class JoinHeads(Layer):
    """output = the heads side by side: (batch, heads, time, width) to (batch, time, heads · width).

    Backward: the error cut into heads again.
    """

    def forward(
        self, input: Float[Tensor, "batch heads time width"], training: bool
    ) -> tuple[Float[Tensor, "batch time features"], int]:
        self.expect_tensor(input)
        if input.dim() != 4:
            raise LayerError(
                f"{self!r} expected input (batch, heads, time, width), got {tuple(input.shape)}"
            )
        return input.transpose(1, 2).flatten(2), input.shape[1]

    def propagate(
        self, error: Float[Tensor, "batch time features"], heads: int, learning_rate: float
    ) -> Float[Tensor, "batch heads time width"]:
        batch, time, features = error.shape
        return error.reshape(batch, time, heads, features // heads).transpose(1, 2)
