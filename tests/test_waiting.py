"""Threads that wait for work sleep, in a process that nobody told how they shall wait."""

import os
import subprocess
import sys

import pytest

BURNT = """
import statistics, threading, time, torch
import backhand as bh
from backhand.training.threads import running_on

def burnt():
    "Seconds of processor that a hundredth of a second of doing nothing costs, the median."
    tensor, seconds = torch.ones(1 << 20), []
    for _ in range(31):
        tensor.add_(1)
        before = time.process_time()
        time.sleep(0.01)
        seconds.append(time.process_time() - before)
    return statistics.median(seconds)

torch.set_num_threads(2)
before = burnt()
{work}
print(before, burnt(), len(threading.enumerate()))
"""
FIT = "with running_on(2): pass"
CALL = "bh.FullyConnected(2, 1)(torch.ones(1, 2))"
PREDICTION = "bh.FullyConnected(2, 1).predict(torch.ones(1, 2))"
VARIABLES = ("OMP_", "GOMP_", "MKL_")


def in_a_process(work: str, **variables: str) -> tuple[float, float, int]:
    """Burnt before some work, and after it; and how many threads of Python's there are."""
    bare = {name: each for name, each in os.environ.items() if not name.startswith(VARIABLES)}
    code = BURNT.format(work=work)
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=bare | variables,
    ).stdout.split()
    return float(said[0]), float(said[1]), int(said[2])


@pytest.mark.parametrize("work", [FIT, CALL, PREDICTION])
def test_threads_sleep_once_something_was_computed(work) -> None:
    for _ in range(5):
        before, after, _ = in_a_process(work)
        assert after < 5e-4
        if before > 5e-4:  # where others compute, a thread that spins may get no processor at all
            break
    else:
        pytest.fail(f"threads did not spin before, so nothing is shown: {before} s")


def test_one_thread_changes_nothing_for_others() -> None:
    before, after, threads = in_a_process(FIT.replace("2", "1"))
    assert threads == 1
    assert min(before, after) > 5e-4


def test_who_says_how_to_wait_is_obeyed() -> None:
    before, after, threads = in_a_process(FIT, OMP_WAIT_POLICY="active")
    assert threads == 1
    assert min(before, after) > 5e-4
