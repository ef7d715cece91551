"""Architectures made of layers, beside PyTorch's modules with the same weights: loss and gradients.

The compositions stand in examples/ (gpt, residual) and here (the two-layer bidirectional LSTM).
"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import backhand as bh
from oracle import close

EXAMPLES = Path(__file__).parent.parent / "examples"
gpt = runpy.run_path(str(EXAMPLES / "gpt.py"))["gpt"]
residual = runpy.run_path(str(EXAMPLES / "images.py"))["residual"]


class TorchGPT(nn.Module):
    """PyTorch's transformer layers, norm first, with tied embeddings."""

    def __init__(self, tokens: int, length: int, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, width)
        self.positions = nn.Parameter(torch.randn(length, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, 0.0, lambda x: nn.functional.gelu(x, approximate="tanh"),
                batch_first=True, norm_first=True,
            )
            for _ in range(depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        time = tokens.shape[1]
        hidden = self.table(tokens) + self.positions[:time]
        mask = nn.Transformer.generate_square_subsequent_mask(time, dtype=hidden.dtype)
        for block in self.blocks:
            hidden = block(hidden, src_mask=mask)
        return self.norm(hidden) @ self.table.weight.t()


def gpt_pairs(network: bh.Sequential, module: TorchGPT) -> list[tuple[bh.Parameter, Tensor, slice]]:
    """Our parameter, PyTorch's, and which of its rows: its projections stand in one matrix."""
    every = slice(None)
    pairs = [
        (network.layers[0].weight, module.table.weight, every),
        (network.layers[1].weight, module.positions, every),
        (network.layers[-2].weight, module.norm.weight, every),
        (network.layers[-2].bias, module.norm.bias, every),
    ]
    for ours, theirs in zip(network.layers[2:-2], module.blocks, strict=True):
        (norm, attention), (norm2, wide, _, back) = (each.branch.layers for each in ours.layers)
        mine = theirs.self_attn
        width = attention.embed_dim
        for i, part in enumerate((attention.query, attention.key, attention.value)):
            rows = slice(i * width, (i + 1) * width)
            pairs += [(part.layers[0].weight, mine.in_proj_weight, rows)]
            pairs += [(part.layers[0].bias, mine.in_proj_bias, rows)]
        for layer, twin in (
            (norm, theirs.norm1), (attention.output.layers[1], mine.out_proj),
            (norm2, theirs.norm2), (wide, theirs.linear1), (back, theirs.linear2),
        ):  # fmt: skip
            pairs += [(layer.weight, twin.weight, every), (layer.bias, twin.bias, every)]
    return pairs


def test_a_gpt_has_the_loss_and_all_gradients_of_pytorchs_transformer() -> None:
    torch.manual_seed(0)
    settings = (11, 7, 8, 2, 2)
    network, module = gpt(*settings).to(torch.float64), TorchGPT(*settings).double()
    pairs = gpt_pairs(network, module)
    assert len({id(ours) for ours, _, _ in pairs}) == len(network.parameters())
    for ours, theirs, rows in pairs:
        ours.value.copy_(theirs.detach()[rows])
    tokens, target = torch.randint(11, (3, 6)), torch.randint(11, (3, 6))
    loss = nn.functional.cross_entropy(module(tokens).flatten(0, 1), target.flatten())
    loss.backward()
    ours_loss = bh.CrossEntropyLoss()
    assert close(ours_loss(network.predict(tokens), target), loss.detach(), 1e-12)
    found = bh.gradients(network, ours_loss, tokens, target)
    paths = {id(each): path for path, each in network.parameters().items()}
    for ours, theirs, rows in pairs:
        path = paths[id(ours)]
        assert close(found[path], theirs.grad[rows], 1e-9), path


class TorchBlock(nn.Module):
    def __init__(self, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
            nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        changes = stride != 1 or channels != outputs
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        ) if changes else nn.Identity()  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def test_a_residual_network_has_the_loss_and_all_gradients_of_pytorchs() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        TorchBlock(4, 4, 1), TorchBlock(4, 8, 2), TorchBlock(8, 16, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5),
    ).double()  # fmt: skip
    network = residual(classes=5, channels=3, width=4).to(torch.float64)
    theirs = list(module.parameters())
    for ours, other in zip(network.parameters().values(), theirs, strict=True):
        ours.value.copy_(other.detach())
    images, target = torch.randn(6, 3, 9, 8, dtype=torch.float64), torch.randint(5, (6,))
    loss = nn.functional.cross_entropy(module(images), target)
    loss.backward()
    ours_loss = bh.CrossEntropyLoss()
    assert close(ours_loss(network(images), target), loss.detach(), 1e-12)
    found = bh.gradients(network, ours_loss, images, target)
    for (path, gradient), other in zip(found.items(), theirs, strict=True):
        assert close(gradient, other.grad, 1e-9), path
    network.backward(ours_loss.backward(network.predict(images), target), 0.0)
    assert close(network.predict(images), module.eval()(images).detach(), 1e-12)


class TaggedSequence(bh.Layer):
    """A class for each step of sequences of several lengths: embedding, LSTM both ways, logits."""

    def __init__(self, tokens: int, width: int, hidden: int, classes: int) -> None:
        self.table = bh.Embedding(tokens, width)
        self.lstm = bh.LSTM(width, hidden, num_layers=2, bidirectional=True)
        self.logits = bh.FullyConnected(2 * hidden, classes)

    def forward(self, input, training):
        tokens, lengths = input
        rows, looked_up = self.table.forward(tokens, training)
        states, remembered = self.lstm.forward((rows, lengths), training)
        output, memory = self.logits.forward(states, training)
        return output, (looked_up, remembered, memory)

    def propagate(self, error, memory, learning_rate):
        looked_up, remembered, last = memory
        error = self.logits.propagate(error, last, learning_rate)
        error, _ = self.lstm.propagate(error, remembered, learning_rate)
        return self.table.propagate(error, looked_up, learning_rate), None


@pytest.mark.parametrize("engine", [None, bh.Replay()])
def test_a_bidirectional_lstm_over_lengths_has_the_loss_and_all_gradients_of_pytorchs(engine):
    torch.manual_seed(0)
    network = TaggedSequence(9, 3, 4, 5).to(torch.float64)
    table, logits = nn.Embedding(9, 3).double(), nn.Linear(8, 5).double()
    lstm = nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True).double()
    theirs = {
        "table.weight": table.weight,
        "logits.weight": logits.weight,
        "logits.bias": logits.bias,
    }
    for path, parameter in network.parameters().items():
        if path.startswith("lstm"):
            _, cell, name = path.split(".")
            theirs[path] = getattr(lstm, f"{name}_{cell}")
        parameter.value.copy_(theirs[path].detach())
    tokens, target = torch.randint(9, (4, 6)), torch.randint(5, (4, 6))
    lengths = torch.tensor([6, 1, 4, 3])
    packed = nn.utils.rnn.pack_padded_sequence(table(tokens), lengths, True, False)
    states, _ = nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], True, total_length=6)
    loss = nn.functional.cross_entropy(logits(states).flatten(0, 1), target.flatten())
    loss.backward()
    ours_loss = bh.CrossEntropyLoss()
    if engine is None:
        found = bh.gradients(network, ours_loss, (tokens, lengths), target)
    else:
        before = {path: each.value.clone() for path, each in network.parameters().items()}
        value = bh.TrainingStep(network, ours_loss, engine)((tokens, lengths), target, 1.0)
        assert close(value, loss.detach(), 1e-12)
        found = {path: before[path] - each.value for path, each in network.parameters().items()}
    for path, other in theirs.items():
        assert close(found[path], other.grad, 1e-9), path
