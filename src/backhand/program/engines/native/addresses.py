"""Where the functions of the BLAS that torch brings are in memory."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path

import torch

NAMES = {torch.float32: "sgemm_", torch.float64: "dgemm_"}
"""Fortran's: C = alpha · op(A) op(B) + beta · C, columns one after the other."""

USE = "backhand_use"
"""The function of a compiled step that is told where they are."""


@functools.cache
def blas_addresses() -> tuple[int, ...] | None:
    """Where the functions in NAMES are, in that order; None where torch's library shows none."""
    for path in _libraries():
        try:
            library = ctypes.CDLL(str(path))
            found = (getattr(library, name) for name in NAMES.values())
            return tuple(ctypes.cast(each, ctypes.c_void_p).value or 0 for each in found)
        except (OSError, AttributeError):
            continue
    return None


def _libraries() -> Iterator[Path]:
    folder = Path(torch.__file__).parent / "lib"
    for pattern in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        yield folder / pattern
