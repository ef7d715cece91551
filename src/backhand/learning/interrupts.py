"""Interrupts: what Ctrl-C shall not cut in half.

Python hands Ctrl-C on after a call, at the beginning of a function and at the end of a turn of a
loop, as an exception. So `with` of a class written in Python may be cut in half, and so may any
work that takes more than one call; a `with` of a class written in C may not, nor an assignment
without a call in it, nor what `try` … `finally` puts right by such assignments.
"""

from __future__ import annotations

import threading
from _signal import getsignal, signal  # type: ignore[import-not-found] # signal's, unwrapped
from _thread import get_ident
from collections.abc import Callable
from signal import SIGINT
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")

InferenceMode: Any = torch._C._InferenceMode
"""`with InferenceMode(True):` as torch.inference_mode, but written in C; see the module."""

_MAIN = threading.main_thread().ident
_held: list[int] = []


def uninterrupted(work: Callable[..., Result], *arguments: Any) -> Result:
    """Do the work; Ctrl-C that is pressed meanwhile comes after it, pressed twice it comes at once.

    Only the main thread is interrupted ever, so elsewhere this is the work alone; so it is inside
    other such work, and where Ctrl-C is not Python's to handle.
    """
    if get_ident() != _MAIN:
        return work(*arguments)
    handler = getsignal(SIGINT)
    if handler is _hold or not callable(handler):
        return work(*arguments)
    signal(SIGINT, _hold)
    try:
        return work(*arguments)
    finally:
        try:
            signal(SIGINT, handler)
        finally:  # pressed again just now, it is no reason to leave the first one for later work
            if _held:
                _held.clear()
                handler(SIGINT, None)


def interrupted() -> bool:
    """Whether Ctrl-C waits for work to end; work that can, ends early then."""
    return bool(_held)


def _hold(number: int, frame: object) -> None:
    if _held:
        raise KeyboardInterrupt
    _held.append(number)
