"""Rows: layers over sequences: shapes, embeddings, positions, attention, recurrence."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import nn

import backhand as bh
from backhand.layers.recurrent.cells import (
    GatedRecurrence,
    LongShortTermMemory,
    PlainRecurrence,
    RectifiedRecurrence,
)
from cases.case import Case, floats, integers, several


def mask(keys: int):
    """Where a key is present (batch, keys); one sequence has none."""

    def made(batch: int, dtype: torch.dtype) -> torch.Tensor:
        shown = torch.rand(batch, keys) < 0.7
        shown[:1] = False
        return shown

    return made


def lengths(time: int):
    return lambda batch, dtype: torch.randint(1, time + 1, (batch,))


def attention(
    heads: int, group: int, time: int, keys: int, causal: bool, block: int, masked: bool
) -> Case:
    inputs = [floats(heads * group, time, 2), floats(heads, keys, 2), floats(heads, keys, 3)]
    return Case(
        f"Attention, {heads} x {group} heads, {time} by {keys}, causal={causal}, block={block}",
        lambda: bh.Attention(causal, block),
        several(*inputs, *[mask(keys)] * masked),
    )


def multi_head(settings: dict, *inputs) -> Case:
    return Case(
        f"MultiHeadAttention, {settings}",
        lambda: bh.MultiHeadAttention(4, 2, **settings),
        inputs[0] if len(inputs) == 1 else several(*inputs),
        long=True,
    )


CELLS = {
    PlainRecurrence: 1,
    RectifiedRecurrence: 1,
    LongShortTermMemory: 2,
    GatedRecurrence: 1,
}


def cell(kind) -> Case:
    states = CELLS[kind]

    def variant(time: int, bias: bool, reverse: bool, ends: bool) -> Case:
        return Case(
            f"{kind.__name__}, time {time}, bias={bias}, reverse={reverse}, ends={ends}",
            lambda: kind(2, 3, bias, reverse),
            several(floats(time, 2), *[floats(3)] * states, *[lengths(time)] * ends),
            long=True,
        )

    drawn = st.builds(variant, st.integers(1, 4), st.booleans(), st.booleans(), st.booleans())
    usual = several(floats(3, 2), *[floats(3)] * states)
    return Case(kind.__name__, lambda: kind(2, 3), usual, variants=drawn, long=True)


class Unpacked(nn.Module):
    """PyTorch's recurrent module over whole sequences, its states batch first."""

    def __init__(self, module: nn.Module, state: bool) -> None:
        super().__init__()
        self.module = module
        self.state = state

    def forward(self, x, *rest):
        ends = rest[-1] if rest and not rest[-1].is_floating_point() else None
        states = [each.transpose(0, 1) for each in rest if each.is_floating_point()]
        if ends is not None:
            x = nn.utils.rnn.pack_padded_sequence(x, ends, True, False)
        given = (states[0] if len(states) == 1 else tuple(states)) if states else None
        output, after = self.module(x, given)
        if ends is not None:
            output, _ = nn.utils.rnn.pad_packed_sequence(output, True, total_length=4)
        if not self.state:
            return output
        after = after if isinstance(after, tuple) else (after,)
        return (output, *(each.transpose(0, 1) for each in after))


def recurrent_twin(layer) -> nn.Module:
    settings = {"nonlinearity": layer.nonlinearity} if isinstance(layer, bh.RNN) else {}
    module = getattr(nn, type(layer).__name__)(
        layer.input_size, layer.hidden_size, layer.num_layers, bias=layer.bias,
        batch_first=True, bidirectional=layer.bidirectional, **settings,
    )  # fmt: skip
    return Unpacked(module, layer.return_state)


NAMES = {
    f"l{depth}{way}.{name}": f"module.{name}_l{depth}{way}"
    for depth in range(2)
    for way in ("", "_reverse")
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
}
"""A parameter's path here, and its name in PyTorch."""


def recurrent(name: str) -> Case:
    kind, states = getattr(bh, name), 2 if name == "LSTM" else 1

    def variant(layers: int, both: bool, bias: bool, state: bool, given: bool, ends: bool) -> Case:
        settings = {"num_layers": layers, "bidirectional": both, "bias": bias}
        before = [floats(layers * (1 + both), 3)] * states * given
        inputs = [floats(4, 2), *before, *[lengths(4)] * ends]
        return Case(
            f"{name}, {settings}, states out {state}, in {given}, lengths {ends}",
            lambda: kind(2, 3, return_state=state, **settings),
            inputs[0] if len(inputs) == 1 else several(*inputs),
            twin=recurrent_twin,
            twin_names=NAMES,
            long=True,
            smallest=1,
        )

    options = [st.integers(1, 2)] + [st.booleans()] * 5
    return Case(
        name,
        lambda: kind(2, 3),
        floats(4, 2),
        variants=st.builds(variant, *options),
        twin=recurrent_twin,
        twin_names=NAMES,
        long=True,
        smallest=1,
    )


CASES = [
    Case("Flatten", bh.Flatten, floats(2, 3), twin=lambda layer: nn.Flatten()),
    Case(
        "Flatten, some axes", lambda: bh.Flatten(2, 3), floats(2, 3, 2),
        twin=lambda layer: nn.Flatten(2, 3),
    ),
    Case(
        "Reshape", lambda: bh.Reshape((3, 2)), floats(2, 3),
        twin=lambda layer: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 2))),
    ),
    Case("Transpose", lambda: bh.Transpose(1, 2), floats(2, 3)),
    Case(
        "Embedding", lambda: bh.Embedding(7, 3), integers(7, 4), derivative=False,
        twin=lambda layer: nn.Embedding(7, 3),
    ),
    Case(
        "Embedding with padding", lambda: bh.Embedding(5, 2, padding_idx=1), integers(5, 4),
        derivative=False,
    ),
    Case("PositionalEmbedding", lambda: bh.PositionalEmbedding(6, 3), floats(4, 3)),
    Case("SinusoidalPositions", lambda: bh.SinusoidalPositions(4), floats(5, 4)),
    Case("RotaryEmbedding", lambda: bh.RotaryEmbedding(4), floats(2, 5, 4)),
    Case(
        "RotaryEmbedding by halves", lambda: bh.RotaryEmbedding(4, interleaved=False),
        floats(2, 5, 4),
    ),
    Case(
        "Attention",
        lambda: bh.Attention(block_size=2),
        several(floats(2, 3, 2), floats(2, 4, 2), floats(2, 4, 3)),
        variants=st.builds(
            attention, st.integers(1, 2), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4),
            st.booleans(), st.integers(1, 5), st.booleans(),
        ),
    ),
    multi_head({}, floats(3, 4)),
    multi_head({"causal": True, "block_size": 2}, floats(3, 4), mask(3)),
    multi_head(
        {"num_kv_heads": 1, "kdim": 3, "vdim": 3, "bias": False}, floats(3, 4), floats(2, 3)
    ),
    multi_head(
        {"kdim": 2, "vdim": 3}, floats(3, 4), floats(5, 2), floats(5, 3), mask(5)
    ),
    multi_head({"rotary": bh.RotaryEmbedding(2)}, floats(3, 4)),
    Case("SplitHeads", lambda: bh.networks.heads.SplitHeads(2), floats(3, 4)),
    Case("JoinHeads", bh.networks.heads.JoinHeads, floats(2, 3, 2)),
    Case("LastStep", bh.LastStep, floats(3, 2)),
    *map(cell, CELLS),
    *map(recurrent, ("RNN", "LSTM", "GRU")),
    Case(
        "GRU, truncated", lambda: bh.GRU(2, 3, truncation=10), floats(4, 2), long=True,
        smallest=1,
    ),
]  # fmt: skip
