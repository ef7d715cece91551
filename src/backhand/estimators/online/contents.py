"""Contents: what an online estimator is made of, as bytes: safetensors and JSON, no pickle."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from backhand.networks.saving import NetworkFileError

FORMAT = 1
"""The version of the format that this Backhand writes, and the newest it reads."""

KEY = "backhand online"

PLAIN = (str, int, float, bool, type(None))
"""The types of names and labels that JSON gives back as they were."""


@dataclass(frozen=True)
class Contents:
    """Tensors by path, and everything else as JSON has it."""

    tensors: Mapping[str, Tensor]
    rest: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """As the bytes of a safetensors file."""
        tensors = {name: each.contiguous() for name, each in self.tensors.items()}
        header = json.dumps({"format": FORMAT, **self.rest})
        content: bytes = save_tensors(tensors, {KEY: header})
        return content

    @classmethod
    def from_bytes(cls, content: bytes, path: str | Path) -> Contents:
        """The other way; `path` is for messages.

        Raises:
            NetworkFileError: cut short, not an online estimator, or of a newer format.
        """
        try:
            tensors = load_tensors(content)
            size = int.from_bytes(content[:8], "little")
            metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
        except (safetensors.SafetensorError, ValueError) as problem:
            raise NetworkFileError(
                f"{path}: not a whole safetensors file, perhaps cut short ({problem})"
            ) from None
        if KEY not in metadata:
            raise NetworkFileError(
                f"{path}: a safetensors file, but not an online estimator saved by Backhand"
            )
        rest = json.loads(metadata[KEY])
        if rest["format"] > FORMAT:
            raise NetworkFileError(
                f"{path}: written in format {rest['format']}; this Backhand reads up to "
                f"{FORMAT}, a newer one is needed"
            )
        return cls(tensors, rest)


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
