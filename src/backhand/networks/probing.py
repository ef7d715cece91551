"""Probing: what a network takes, found by trying."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backhand.given import REFUSALS
from backhand.layer import Layer


def zeros_for(network: Layer, shape: Sequence[int] | None = None) -> Tensor:
    """A batch of one example of zeros that the network predicts.

    Args:
        network: any Layer with one tensor as input.
        shape: of the example, without the batch axis. By default the one vector is found that
            the network takes, of a length that is in the shape of one of its weights.

    Returns:
        (1, *shape), of the weights' dtype; of int64 where the network takes that alone (tokens).

    Raises:
        ValueError: the network refuses the shape, and why; or, without one, takes no vector or
            several.
    """
    tensors = [part.value for part in network.parts().values()]
    dtype = network.float_dtype()
    if shape is not None:
        return _example(network, shape, dtype)
    lengths = dict.fromkeys(size for each in tensors for size in each.shape)
    taken = [each for each in lengths if _takes(network, torch.zeros(1, each, dtype=dtype))]
    if len(taken) != 1:
        raise ValueError("its weights do not tell the shape of one example")
    return torch.zeros(1, *taken, dtype=dtype)


def _example(network: Layer, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    example = torch.zeros(1, *shape, dtype=dtype)
    try:
        network.predict(example)
    except REFUSALS as problem:
        tokens = example.to(torch.int64)
        if _takes(network, tokens):
            return tokens
        raise ValueError(
            f"it does not take an example of shape {tuple(shape)}: {problem}"
        ) from None
    return example


def _takes(network: Layer, input: Tensor) -> bool:
    try:
        network.predict(input)
    except REFUSALS:
        return False
    return True
