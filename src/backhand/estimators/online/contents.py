"""Contents: what an online estimator is made of, as bytes: safetensors and JSON, no pickle."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from backhand.arguments import shown, whole
from backhand.tensor_file import Kind, Malformed, expect, from_bytes, to_bytes

ONLINE = Kind("backhand online", "an online estimator", newest=1)

PLAIN = (str, int, float, bool, type(None))
"""The types of names and labels that JSON gives back as they were."""


@dataclass(frozen=True)
class Contents:
    """Tensors by path, and everything else as JSON has it."""

    tensors: Mapping[str, Tensor]
    rest: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """As the bytes of a safetensors file."""
        return to_bytes(ONLINE, self.tensors, self.rest)

    @classmethod
    def from_bytes(cls, content: bytes, path: str | Path) -> Contents:
        """The other way; `path` is for messages.

        Raises:
            NetworkFileError: cut short, not an online estimator, or of a newer format.
        """
        return cls(*from_bytes(ONLINE, content, path))


def distinct(name: str, found: Any, most: int) -> list[Any]:
    """A list of names or labels, each once.

    Raises:
        TypeError: one of them is a list or an object.
        Malformed: it is something else, or of more than so many.
    """
    expect(name, found, list)
    if len(set(found)) != len(found) or len(found) > most:
        raise Malformed(f"{name}: expected at most {most} different ones, got {shown(found)}")
    return list(found)


def checked_seed(seed: Any) -> int:
    """A seed that torch's generator takes, also with the numbers of inputs and updates added.

    Raises:
        TypeError, ValueError: it is none.
    """
    return whole("the estimator", "seed", seed, least=-(2**62), most=2**62)


def plain(name: Hashable, among: str) -> Any:
    """A feature's name or a label as JSON can keep it.

    Raises:
        TypeError: it cannot.
    """
    if isinstance(name, np.generic):
        name = name.item()
    if isinstance(name, PLAIN):
        return name
    raise TypeError(
        f"save: {name!r}, among the {among}, is of type {type(name).__name__}; "
        "expected text, a number or a truth value"
    )
