"""Steps of larger architectures beside PyTorch eager: plain, by Replay and as chosen.

LeNet-5, a residual block, a GRU and an LSTM over 100 steps, a character GPT; and the peak memory
of a network of GPT-2 small's size. Writes ARCHITECTURES.md.

Usage: python benchmarks/architectures.py [--quick] [--out FILE] [--memory ours|pytorch]
"""

from __future__ import annotations

import argparse
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from memory import highest, resident
from pages import grid, where
from timing import interleaved
from torch import Tensor, nn

import backhand as bh

HERE = Path(__file__).parent
RATE = 1e-3
gpt = runpy.run_path(str(HERE.parent / "examples" / "gpt.py"))["gpt"]


@dataclass
class Work:
    """The same training step, ours and PyTorch's."""

    name: str
    ours: bh.Layer
    loss: bh.Loss
    module: nn.Module
    torch_loss: Callable[[Tensor, Tensor], Tensor]
    input: Tensor
    target: Tensor

    def steps(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name."""
        recorded = bh.TrainingStep(self.ours, self.loss, bh.Replay(), losses=False)
        chosen = bh.TrainingStep(self.ours, self.loss, losses=False)
        optimizer = torch.optim.SGD(self.module.parameters(), RATE)

        def plain() -> None:
            error = self.loss.backward(self.ours(self.input), self.target)
            self.ours.backward(error, RATE)

        def eager() -> None:
            optimizer.zero_grad(set_to_none=True)
            self.torch_loss(self.module(self.input), self.target).backward()
            optimizer.step()

        return {
            "plain": plain,
            "Replay": lambda: recorded(self.input, self.target, RATE),
            "chosen": lambda: chosen(self.input, self.target, RATE),
            "PyTorch eager": eager,
        }


def lenet(batch: int) -> Work:
    """LeNet-5 on 28 × 28 (LeCun et al. 1998), with tanh and average pooling."""
    ours = bh.Sequential(
        [
            bh.Conv2d(1, 6, 5, padding=2), bh.Tanh(), bh.AvgPool2d(2),
            bh.Conv2d(6, 16, 5), bh.Tanh(), bh.AvgPool2d(2), bh.Flatten(),
            bh.FullyConnected(400, 120), bh.Tanh(), bh.FullyConnected(120, 84), bh.Tanh(),
            bh.FullyConnected(84, 10),
        ]
    )  # fmt: skip
    module = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
        nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip
    images, labels = torch.randn(batch, 1, 28, 28), torch.randint(10, (batch,))
    return Work(f"LeNet-5, batch {batch}", ours, bh.CrossEntropyLoss(), module,
                nn.functional.cross_entropy, images, labels)  # fmt: skip


class TorchBlock(nn.Module):
    """ReLU(x + branch(x)), a basic residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = [nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)]
        layers += [nn.ReLU(), nn.Conv2d(channels, channels, 3, 1, 1, bias=False)]
        self.branch = nn.Sequential(*layers, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


def residual_block() -> Work:
    """64 channels, 16 × 16, batch 32, squared error."""
    layers = [bh.Conv2d(64, 64, 3, padding=1, bias=False), bh.BatchNorm2d(64), bh.ReLU()]
    layers += [bh.Conv2d(64, 64, 3, padding=1, bias=False), bh.BatchNorm2d(64)]
    ours = bh.Sequential([bh.Residual(bh.Sequential(layers)), bh.ReLU()])
    images, target = torch.randn(2, 32, 64, 16, 16)
    return Work("ResNet block, 64 channels, 16 × 16, batch 32", ours, bh.MSELoss(),
                TorchBlock(64), nn.functional.mse_loss, images, target)  # fmt: skip


class First(nn.Module):
    """A recurrent module's output alone."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)[0]


def recurrent(name: str, hidden: int) -> Work:
    """100 steps, batch 32, as many inputs as hidden features, squared error at every step."""
    x, target = torch.randn(2, 32, 100, hidden)
    module = First(getattr(nn, name)(hidden, hidden, batch_first=True))
    return Work(f"{name}, 100 steps, batch 32, {hidden} hidden",
                getattr(bh, name)(hidden, hidden), bh.MSELoss(), module,
                nn.functional.mse_loss, x, target)  # fmt: skip


class TorchBlocks(nn.Module):
    """A GPT by torch.nn with its own scaled_dot_product_attention and a tied table."""

    def __init__(self, tokens: int, length: int, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.heads = heads
        self.table = nn.Embedding(tokens, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        nn.init.normal_(self.table.weight, std=0.02)

        def block() -> nn.ModuleDict:
            return nn.ModuleDict(
                {
                    "norm": nn.LayerNorm(width), "into": nn.Linear(width, 3 * width),
                    "out": nn.Linear(width, width), "norm2": nn.LayerNorm(width),
                    "wide": nn.Linear(width, 4 * width), "back": nn.Linear(4 * width, width),
                }
            )  # fmt: skip

        self.blocks = nn.ModuleList(block() for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, time = tokens.shape
        hidden = self.table(tokens) + self.positions[:time]
        for block in self.blocks:
            parts = block["into"](block["norm"](hidden)).view(batch, time, 3, self.heads, -1)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            attended = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            hidden = hidden + block["out"](attended.transpose(1, 2).flatten(2))
            wide = nn.functional.gelu(block["wide"](block["norm2"](hidden)), approximate="tanh")
            hidden = hidden + block["back"](wide)
        return self.norm(hidden) @ self.table.weight.t()


def torch_loss(logits: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())


def transformer(batch: int, time: int, settings: tuple[int, ...], name: str) -> Work:
    tokens, target = torch.randint(settings[0], (2, batch, time))
    return Work(name, gpt(*settings), bh.CrossEntropyLoss(), TorchBlocks(*settings), torch_loss,
                tokens, target)  # fmt: skip


def every_work() -> Iterator[Work]:
    yield lenet(32)
    yield lenet(128)
    yield residual_block()
    for name in ("GRU", "LSTM"):
        yield recurrent(name, 32)
        yield recurrent(name, 128)
    yield transformer(12, 64, (65, 64, 128, 4, 4), "GPT, 4 layers, 4 heads, 128 wide, 12 × 64")


def peak(kind: str) -> None:
    """Print the peak of a step of GPT-2 small's size above the idle process, and its weights."""
    torch.set_num_threads(2)
    settings = (50257, 1024, 768, 12, 12)
    tokens, target = torch.randint(settings[0], (2, 1, 256))
    work: bh.Layer | nn.Module
    if kind == "ours":
        work = gpt(*settings)
        tensors = [each.value for each in work.parameters().values()]
        taken = bh.TrainingStep(work, bh.CrossEntropyLoss(), bh.Replay(), losses=False)
        run = lambda: taken(tokens, target, RATE)  # noqa: E731
    elif kind == "plain":
        work, loss = gpt(*settings), bh.CrossEntropyLoss()
        tensors = [each.value for each in work.parameters().values()]
        run = lambda: work.backward(loss.backward(work(tokens), target), RATE)  # noqa: E731
    else:
        work = TorchBlocks(*settings)
        tensors = list(work.parameters())
        optimizer = torch.optim.SGD(tensors, RATE, foreach=False)

        def run() -> None:
            optimizer.zero_grad(set_to_none=True)
            torch_loss(work(tokens), target).backward()
            optimizer.step()

    weights = sum(each.numel() * 4 for each in tensors)
    Path("/proc/self/clear_refs").write_text("5")
    idle = resident()
    for _ in range(3):
        run()
    print(highest() - idle, weights)


def memory_table() -> str:
    rows = []
    for kind, name in (("pytorch", "PyTorch eager"), ("plain", "plain"), ("ours", "Replay")):
        command = [sys.executable, str(HERE / "architectures.py"), "--memory", kind]
        found = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        above, weights = map(int, found.split())
        share = (above + weights) / weights
        rows.append([name, f"{above / 2**20:.0f}", f"{weights / 2**20:.0f}", f"{share:.2f}"])
    title = "Peak memory: GPT-2 small's size (124M weights), one sequence of 256 tokens, SGD"
    head = ["", "MiB above idle", "MiB of weights", "peak / weights"]
    return grid(title, head, rows, "Three steps in a process of its own, recording included.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", choices=["ours", "plain", "pytorch"])
    parser.add_argument("--out", type=Path, default=HERE / "ARCHITECTURES.md")
    options = parser.parse_args()
    if options.memory:
        peak(options.memory)
        return
    rounds = 3 if options.quick else 11
    head = ["SGD, ms a step", "threads", "plain", "Replay", "calls", "chosen", "", "PyTorch eager"]
    head += ["PyTorch / Replay", "PyTorch / chosen"]
    rows = []
    for work in every_work():
        steps = work.steps()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            times = interleaved(steps, rounds, 0.1)
            chosen = bh.TrainingStep(work.ours, work.loss, losses=False)
            engine = type(chosen.record(work.input, work.target).engine).__name__
            recorded = bh.TrainingStep(work.ours, work.loss, bh.Replay(), losses=False)
            calls = len(recorded.record(work.input, work.target).latest.plan.operations)
            eager = times["PyTorch eager"]
            row = [work.name, str(threads)]
            row += [f"{1e3 * times[name]:.2f}" for name in ("plain", "Replay")]
            row += [str(calls), f"{1e3 * times['chosen']:.2f}", engine, f"{1e3 * eager:.2f}"]
            row += [f"{eager / times[name]:.2f}" for name in ("Replay", "chosen")]
            rows.append(row)
            print(*row, flush=True)
    intro = (
        "# Architectures\n\nMade by `python benchmarks/architectures.py`: medians of one "
        f"interleaved run; compare within a row.\n\n{where(('torch',))}."
    )
    note = (
        "calls: of torch, that Replay makes in a step. At a microsecond or two each they are what "
        "a step of a narrow recurrent network takes by Replay, where PyTorch makes one call for "
        "all times, forward, and one backward."
    )
    step = grid("One training step", head, rows, note)
    text = "\n\n".join([intro, step, memory_table()]) + "\n"
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
