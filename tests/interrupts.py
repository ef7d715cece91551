"""Ctrl-C where a test wants it, and what must be as ever after it."""

from __future__ import annotations

import contextlib
import inspect
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType

import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

import backhand as bh
from backhand.learning import interrupts, settling
from backhand.program import line

OURS = str(Path(bh.__file__).parent)


def in_our_code(code: CodeType) -> bool:
    """Whether code is Backhand's."""
    return code.co_filename.startswith(OURS)


def interrupted_at(
    moment: int,
    work: Callable[[], object],
    *,
    times: int = 1,
    where: Callable[[CodeType], bool] = in_our_code,
    meanwhile: Callable[[], object] = lambda: None,
) -> int:
    """Do the work, with Ctrl-C at one moment of it, counted from 1; how many there were.

    Moments are those at which Python hands a signal on: a function begins, or a call of C has
    returned and what it returned is not yet kept.

    Args:
        times: Ctrl-C comes again at so many moments less one that follow.
        where: the code whose moments count.
        meanwhile: is done while the exception is still there, and so are the frames it came by.
    """
    moments = 0

    def watch(frame, event, argument):
        nonlocal moments
        code = frame.f_code
        begins = event == "call" and not code.co_flags & inspect.CO_GENERATOR  # nor is closed
        if (begins or event == "c_return") and where(code):
            moments += 1
            if moment <= moments < moment + times:
                signal.raise_signal(signal.SIGINT)

    sys.setprofile(watch)
    try:
        work()
    except KeyboardInterrupt:
        sys.setprofile(None)
        meanwhile()
    finally:
        sys.setprofile(None)
    return moments


@contextlib.contextmanager
def alarms_interrupt() -> Iterator[Callable[[float], None]]:
    """Within it, what is called with seconds has Ctrl-C come after them."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def until_interrupted(work: Callable[[], object], sent_by: Callable[[], object]) -> None:
    """Do the work again and again, until Ctrl-C ends it, which is sent by what is done first."""
    last = time.monotonic() + 60
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, it comes in any of the turns
        sent_by()
        while time.monotonic() < last:
            work()


def assert_healthy(gradients: bool = True) -> None:
    """Nothing that lasts beyond a step is stuck: no mode, no depth, no lock, no handler.

    Args:
        gradients: whether autograd's gradients were enabled before.
    """
    assert_not_stuck(gradients)
    here = settling._under_way
    assert (here.gates, here.learnt) == ({}, set())


def assert_not_stuck(gradients: bool = True) -> None:
    """As assert_healthy, but gates may hold what the next backward forgets before it begins."""
    here = settling._under_way
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled() == gradients
    assert not _get_current_function_mode_stack()
    assert here.depth == 0
    assert here.reading is None
    assert here.rehearsal is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not interrupts.interrupted()
    assert free_elsewhere(line._ALONE)


def free_elsewhere(lock) -> bool:
    """Whether another thread could take a lock."""
    found = []

    def take() -> None:
        found.append(lock.acquire(blocking=False))
        if found[0]:
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return bool(found[0])


def learnt_by(network: bh.Layer) -> dict[str, torch.Tensor]:
    """All that a network has learnt: weights, rules' states, gates' sums, buffers, counts."""
    found = {name: each.clone() for name, each in network.lasting_tensors().items()}
    for path, parameter in network.parameters().items():
        assert type(parameter.updates) is int, parameter.updates
        found[f"{path} updates"] = torch.tensor(parameter.updates)
        if parameter.gate is not None:
            found[f"{path} phase"] = torch.tensor(parameter.gate.phase)
    return found


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """To the bit, and named where not."""
    assert found.keys() == expected.keys()
    differing = [name for name in expected if not torch.equal(found[name], expected[name])]
    assert not differing, differing
