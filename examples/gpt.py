"""A character GPT on any text file: trains, shows its loss as a picture, and writes on by itself.

Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), small: layers of
causal attention and a gated unit of two, on residual paths, with tied embeddings.
Needs matplotlib: pip install 'backhand[examples]'.

Usage: python examples/gpt.py TEXT [--steps N] [--width N] [--prompt WORDS] [--picture FILE] …
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

import backhand as bh
from backhand.drawing import write
from backhand.training import one_cycle


def block(width: int, heads: int) -> bh.Sequential:
    """Attention, then a network of each position alone; both on residual paths."""
    attention = bh.MultiHeadAttention(width, heads, causal=True)
    wide, back = bh.FullyConnected(width, 4 * width), bh.FullyConnected(4 * width, width)
    return bh.Sequential(
        [
            bh.Residual(bh.Sequential([bh.LayerNorm(width), attention])),
            bh.Residual(bh.Sequential([bh.LayerNorm(width), wide, bh.GELU("tanh"), back])),
        ]
    )


def gpt(tokens: int, length: int, width: int, heads: int, depth: int) -> bh.Sequential:
    """Tokens (batch, time) to logits of the next ones (batch, time, tokens).

    The table that tokens are read from is also the last layer's weight: it learns by the sum.
    """
    table = bh.Embedding(tokens, width, initializer=bh.Normal(0.02))
    logits = bh.FullyConnected(width, tokens, bias=False)
    logits.weight = table.weight
    blocks = [block(width, heads) for _ in range(depth)]
    position = bh.PositionalEmbedding(length, width)
    return bh.Sequential([table, position, *blocks, bh.LayerNorm(width), logits])


def windows(
    text: Tensor, length: int, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pieces of the text drawn anywhere, and each one's next characters."""
    starts = torch.randint(len(text) - length, (count,), generator=generator)
    places = starts.unsqueeze(1) + torch.arange(length + 1)
    return text[places[:, :-1]], text[places[:, 1:]]


def write_on(
    network: bh.Layer, prompt: list[int], count: int, length: int, heat: float
) -> list[int]:
    """The prompt, and so many characters drawn one after another."""
    written = list(prompt)
    for _ in range(count):
        seen = torch.tensor([written[-length:]])
        chances = torch.softmax(network.predict(seen)[0, -1] / heat, 0)
        written.append(int(torch.multinomial(chances, 1)))
    return written


def picture(losses: list[float], validation: list[tuple[int, float]]) -> Figure:
    """The losses, in bits a character, over the steps."""
    figure = Figure(figsize=(7, 4), dpi=90, layout="constrained")
    axes = figure.subplots()
    axes.plot([loss / math.log(2) for loss in losses], lw=0.7, label="training, each step")
    steps, held_out = zip(*validation, strict=True)
    axes.plot(steps, [loss / math.log(2) for loss in held_out], "o-", label="held-out text")
    axes.set_xlabel("step")
    axes.set_ylabel("bits a character")
    axes.legend()
    return figure


def main() -> float:
    """Train, print the loss on held-out text and a sample; returns that loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--picture", type=Path, default=Path("gpt-losses.png"))
    parser.add_argument("--prompt", default="\n")
    parser.add_argument("--sample", type=int, default=300, help="characters to write on")
    parser.add_argument("--heat", type=float, default=0.8, help="of the draw; 1 as learnt")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--length", type=int, default=64, help="characters seen at once")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    try:
        text = options.text.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        parser.error(f"{options.text}: {getattr(problem, 'strerror', None) or 'not UTF-8'}")
    alphabet = sorted(set(text) | set(options.prompt))
    number = {character: i for i, character in enumerate(alphabet)}
    tokens = torch.tensor([number[character] for character in text])
    train, held_out = tokens[: len(tokens) * 9 // 10], tokens[len(tokens) * 9 // 10 :]
    if len(held_out) <= options.length:
        needed = 10 * options.length
        parser.error(f"{options.text} has {len(text)} characters; expected more than {needed}")
    network = gpt(len(alphabet), options.length, options.width, options.heads, options.depth)
    network.learn_with(bh.AdamW()).gate_with(bh.Gate(max_norm=1.0))
    loss, schedule = bh.CrossEntropyLoss(), one_cycle(options.rate, peak=0.1)
    step = bh.TrainingStep(network, loss)
    check = windows(held_out, options.length, 64, generator)
    losses: list[float] = []
    validation: list[tuple[int, float]] = []
    begun = time.perf_counter()
    for i in range(options.steps):
        batch = windows(train, options.length, options.batch, generator)
        losses.append(float(step(*batch, schedule(i, options.steps))))
        if i % 100 == 99 or i + 1 == options.steps:
            validation.append((i, float(loss(network.predict(check[0]), check[1]))))
            print(f"step {i + 1}: {validation[-1][1] / math.log(2):.3f} bits a character, held out")
    seconds = time.perf_counter() - begun
    print(f"{options.steps} steps in {seconds:.1f} s, {1e3 * seconds / options.steps:.1f} ms each")
    prompt = [number[character] for character in options.prompt]
    written = write_on(network, prompt, options.sample, options.length, options.heat)
    print("".join(alphabet[token] for token in written))
    write(picture(losses, validation), options.picture)
    return validation[-1][1]


if __name__ == "__main__":
    main()
