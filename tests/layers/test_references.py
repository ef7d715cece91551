"""Layers that no module of PyTorch stands for, or options of theirs: beside plain formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import backhand as bh
from oracle import by_hand, close, leaf

double = torch.float64


def plain_attention(query, key, value, present: Tensor | None, causal: bool) -> Tensor:
    """Vaswani et al. (2017), eq. 1, a head at a time; a query that sees no key gets 0."""
    group = query.shape[1] // key.shape[1]
    outputs = torch.zeros(*query.shape[:-1], value.shape[-1], dtype=query.dtype)
    for batch in range(len(query)):
        for head in range(query.shape[1]):
            keys, values = key[batch, head // group], value[batch, head // group]
            for t in range(query.shape[2]):
                seen = torch.arange(len(keys)) <= (t if causal else len(keys))
                seen &= True if present is None else present[batch]
                if seen.any():
                    scores = keys[seen] @ query[batch, head, t] / math.sqrt(query.shape[-1])
                    outputs[batch, head, t] = torch.softmax(scores, 0) @ values[seen]
    return outputs


@given(
    sizes=st.tuples(*[st.integers(1, 2)] * 2, *[st.integers(1, 5)] * 2, st.integers(1, 6)),
    causal=st.booleans(),
    masked=st.booleans(),
)
# Blocks that begin in the middle and have a mask of their own, which few draws make.
@example(sizes=(1, 1, 4, 4, 2), causal=True, masked=False)
@example(sizes=(1, 2, 5, 5, 2), causal=True, masked=True)
@example(sizes=(2, 2, 5, 4, 3), causal=True, masked=False)
@example(sizes=(1, 2, 4, 5, 2), causal=True, masked=False)
def test_attention_is_the_formula_in_blocks_of_any_size(sizes, causal, masked) -> None:
    heads, group, time, keys, block = sizes
    query = torch.randn(2, heads * group, time, 3, dtype=double)
    key, value = (torch.randn(2, heads, keys, n, dtype=double) for n in (3, 2))
    present = torch.rand(2, keys) < 0.6 if masked else None
    given_leaves = tuple(map(leaf, (query, key, value)))
    expected = plain_attention(*given_leaves, present, causal)
    error = torch.randn_like(expected)
    if expected.requires_grad:
        expected.backward(error)
    layer = bh.Attention(causal, block)
    input = (query, key, value, *([] if present is None else [present]))
    assert close(layer.predict(input), expected.detach(), 1e-12)
    for found, each in zip(by_hand(layer, input, error)[0], given_leaves, strict=False):
        assert close(found, torch.zeros_like(each) if each.grad is None else each.grad, 1e-12)


class Largest(TorchFunctionMode):
    """The most bytes of any tensor that a call makes."""

    bytes = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.bytes = max(self.bytes, result.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_takes_memory_in_proportion_to_the_time(causal, masked) -> None:
    planned, plain = [], []
    for time in (128, 256, 512):
        layer = bh.MultiHeadAttention(4, 2, causal=causal, block_size=16)
        x = torch.randn(1, time, 4)
        input = (x, torch.ones(1, time, dtype=torch.bool)) if masked else x
        step = bh.TrainingStep(layer, bh.MSELoss(), bh.Replay())
        step(input, x, 0.1)
        planned.append(step.memory.total)
        with Largest() as seen:
            layer.backward(torch.ones_like(layer(input)), 0.1)
        plain.append(seen.bytes)
    for sizes in (planned, plain):
        assert sizes[2] < 2.1 * sizes[1] < 2.1 * 2.1 * sizes[0]


def angle(t: int, pair: int, features: int, base: float) -> float:
    return t / base ** (2 * pair / features)


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary_turns_each_pair_by_its_angle(interleaved) -> None:
    layer, x = bh.RotaryEmbedding(6, 50.0, interleaved), torch.randn(2, 5, 6, dtype=double)
    found = layer.predict(x)
    for t in range(5):
        for i in range(3):
            one, other = (2 * i, 2 * i + 1) if interleaved else (i, i + 3)
            cos, sin = (f(angle(t, i, 6, 50.0)) for f in (math.cos, math.sin))
            a, b = x[:, t, one], x[:, t, other]
            assert close(found[:, t, one], a * cos - b * sin, 1e-12)
            assert close(found[:, t, other], a * sin + b * cos, 1e-12)


def test_sinusoidal_positions_are_sines_and_cosines() -> None:
    found = bh.SinusoidalPositions(6, 50.0).predict(torch.zeros(1, 5, 6, dtype=double))[0]
    for t in range(5):
        for i in range(3):
            assert float(found[t, 2 * i]) == pytest.approx(math.sin(angle(t, i, 6, 50.0)))
            assert float(found[t, 2 * i + 1]) == pytest.approx(math.cos(angle(t, i, 6, 50.0)))


def test_positions_learnt_are_rows_of_the_weight() -> None:
    layer = bh.PositionalEmbedding(7, 3)
    x = torch.randn(2, 5, 3)
    assert torch.equal(layer.predict(x), x + layer.weight.value[:5])


def test_padding_gives_nothing_and_learns_nothing() -> None:
    layer = bh.Embedding(5, 2, padding_idx=1)
    assert not layer.weight.value[1].any()
    layer.weight.value.fill_(3.0)
    tokens = torch.tensor([[1, 2, 1]])
    assert torch.equal(layer(tokens), torch.tensor([[[0.0, 0.0], [3.0, 3.0], [0.0, 0.0]]]))
    layer.backward(torch.ones(1, 3, 2), 1.0)
    assert layer.weight.value.tolist() == [[3.0] * 2, [3.0] * 2, [2.0] * 2, [3.0] * 2, [3.0] * 2]


KINDS = {"RNN": 1, "LSTM": 2, "GRU": 1}


def cut_at(kind: str, layer: bh.Layer, x: Tensor, every: int):
    """PyTorch's module of the same weights, in pieces between which no derivative passes."""
    module = getattr(nn, kind)(3, 4, batch_first=True).double()
    for name, parameter in layer.parameters().items():
        getattr(module, f"{name.removeprefix('l0.')}_l0").data.copy_(parameter.value)
    outputs, state = [], None
    for begin in range(0, x.shape[1], every):
        output, state = module(x[:, begin : begin + every], state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        outputs.append(output)
    return torch.cat(outputs, 1), module


@pytest.mark.parametrize("every", [1, 2, 3, 7, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_truncation_stops_errors_at_every_multiple_of_it(kind, every) -> None:
    layer = getattr(bh, kind)(3, 4, truncation=every).to(double)
    x, error = torch.randn(2, 7, 3, dtype=double), torch.randn(2, 7, 4, dtype=double)
    given_leaf = leaf(x)
    output, module = cut_at(kind, layer, given_leaf, every)
    output.backward(error)
    assert close(layer.predict(x), output.detach(), 1e-12)
    input_error, gradients = by_hand(layer, x, error)
    assert close(input_error, given_leaf.grad, 1e-12)
    for name, gradient in gradients.items():
        expected = getattr(module, f"{name.removeprefix('l0.')}_l0").grad
        assert close(gradient, expected, 1e-12), name


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_stands_between_recurrent_layers_and_not_after_the_last(kind) -> None:
    layer = getattr(bh, kind)(3, 4, num_layers=2, dropout=0.5).to(double)
    first, second = layer.children().values()
    x, error = torch.randn(2, 5, 3, dtype=double), torch.randn(2, 5, 4, dtype=double)
    zeros = (torch.zeros(2, 4, dtype=double),) * KINDS[kind]

    def by_parts(x: Tensor, training: bool):
        (between, *_), below = first.forward((x, *zeros), training)
        dropped, mask = bh.Dropout(0.5).forward(between, training)
        (output, *_), above = second.forward((dropped, *zeros), training)
        return output, below, mask, above

    assert torch.equal(layer.predict(x), by_parts(x, False)[0])
    torch.manual_seed(1)
    output, below, mask, above = by_parts(x, True)
    torch.manual_seed(1)
    assert torch.equal(layer.forward(x, True)[0], output)
    assert 0 < int((mask == 0).sum()) < mask.numel()
    found, _ = by_hand(layer, x, error, seed=1)
    within = second.propagate((error, *zeros), above, 0.0)[0] * mask
    assert torch.equal(found, first.propagate((within, *zeros), below, 0.0)[0])


def test_a_forget_gate_begins_open() -> None:
    for cell in bh.LSTM(3, 4, 2, bidirectional=True).children().values():
        assert cell.bias_ih.value.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
        assert not cell.bias_hh.value.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_sees_one_product_over_all_times_for_each_weight(kind) -> None:
    seen = []

    class Seen(bh.SGD):
        def update_product(self, parameter, left, right, learning_rate):
            seen.append((id(parameter), left.shape[1]))
            super().update_product(parameter, left, right, learning_rate)

    layer = getattr(bh, kind)(3, 4, 2, bidirectional=True).learn_with(Seen())
    layer.backward(torch.ones_like(layer(torch.randn(2, 7, 3))), 0.1)
    weights = [each for each in layer.parameters().values() if each.value.dim() == 2]
    assert sorted(seen) == sorted((id(each), 2 * 7) for each in weights)


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (3, 3, 2, 4)])
def test_running_statistics_follow_pytorchs(shape, momentum) -> None:
    name = "BatchNorm2d" if len(shape) == 4 else "BatchNorm1d"
    layer = getattr(bh, name)(3, 1e-2, momentum).to(double)
    module = getattr(nn, name)(3, 1e-2, momentum).double()
    for step in range(5):
        x = torch.randn(shape, dtype=double) * (step + 1) + step
        module.train()(x)
        layer.backward(torch.zeros_like(layer(x)), 0.0)
        assert close(layer.running_mean.value, module.running_mean, 1e-12)
        assert close(layer.running_var.value, module.running_var, 1e-12)
        assert close(layer.predict(x), module.eval()(x).detach(), 1e-12)


@pytest.mark.parametrize("layer", [bh.BatchNorm1d(3), bh.BatchNorm2d(3)], ids=repr)
def test_one_value_a_channel_has_no_deviation_in_training(layer) -> None:
    one = torch.randn(1, 3, *[1] * (2 if isinstance(layer, bh.BatchNorm2d) else 0))
    with pytest.raises(bh.LayerError, match="more than one value a channel in training, got"):
        layer(one)
    assert torch.equal(layer.predict(one), one / math.sqrt(1 + 1e-5))
