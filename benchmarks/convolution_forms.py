"""A convolution's two derivatives, formed in several ways, beside PyTorch's own backward.

Usage: python benchmarks/convolution_forms.py
"""

from __future__ import annotations

import torch
from timing import interleaved
from torch import Tensor

from backhand.layers.convolution import weight_gradient

SHAPES = [
    # batch, channels, side, outputs, kernel, padding, stride
    (32, 1, 28, 6, 5, 2, 1),
    (32, 6, 14, 16, 5, 0, 1),
    (128, 6, 14, 16, 5, 0, 1),
    (32, 3, 32, 16, 3, 1, 1),
    (32, 64, 16, 64, 3, 1, 1),
    (32, 16, 16, 32, 3, 1, 2),
    (32, 64, 8, 64, 1, 0, 1),
]


def forms(batch: int, channels: int, side: int, outputs: int, k: int, p: int, s: int):
    """What is timed, by name."""
    x, w = torch.randn(batch, channels, side, side), torch.randn(outputs, channels, k, k)
    leaves = x.clone().requires_grad_(), w.clone().requires_grad_()
    y = torch.conv2d(*leaves, None, s, p)
    e = torch.randn_like(y)
    unused = side - ((y.shape[-1] - 1) * s - 2 * p + k)

    def unfolded() -> Tensor:
        padded = torch.constant_pad_nd(x, (p, p, p, p))
        windows = padded.unfold(2, k, s).unfold(3, k, s).permute(1, 4, 5, 0, 2, 3)
        columns = windows.reshape(channels * k * k, -1)
        return (e.transpose(0, 1).reshape(outputs, -1) @ columns.t()).view_as(w)

    def by_torch(*of: Tensor):
        return lambda: torch.autograd.grad(y, of, e, retain_graph=True)

    return {
        "input error, PyTorch": by_torch(leaves[0]),
        "transposed convolution": lambda: torch.conv_transpose2d(e, w, None, s, p, unused),
        "weight, PyTorch": by_torch(leaves[1]),
        "convolution with the error": lambda: weight_gradient(
            x, e, (k, k), (s, s), (p, p), (1, 1), 1
        ),
        "unfolded": unfolded,
    }


def main() -> None:
    """Print a table, milliseconds, one thread."""
    torch.set_num_threads(1)
    for shape in SHAPES:
        timed = interleaved(forms(*shape), rounds=9, seconds=0.02)
        print(shape, "  ".join(f"{name} {1e3 * t:.2f}" for name, t in timed.items()))


if __name__ == "__main__":
    main()
