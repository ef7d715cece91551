"""Numbers: the elements of a tensor as C."""

from __future__ import annotations

import torch
from torch import Tensor

ON_A_LINE = 6


def numbers_of(tensor: Tensor) -> str:
    """The elements of a vector, each as C text that reads back as the same number, in lines."""
    words = [_number(each, tensor.dtype) for each in tensor.tolist()]
    lines = [words[at : at + ON_A_LINE] for at in range(0, len(words), ON_A_LINE)]
    return ",\n".join(f"    {', '.join(line)}" for line in lines)


def _number(value: float, dtype: torch.dtype) -> str:
    if dtype is torch.float32:
        text = f"{torch.tensor(value, dtype=dtype).numpy()!s}f"
    else:
        text = repr(value) if dtype.is_floating_point else str(int(value))
    if "inf" in text or "nan" in text:
        return {"i": "INFINITY", "-": "-INFINITY", "n": "NAN"}[text[0]]
    return text
