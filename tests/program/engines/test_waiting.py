"""Threads that wait for work sleep, in a process that nobody told how they shall wait."""

import os
import subprocess
import sys

BURNT = """
import statistics, threading, time, torch
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
with running_on({threads}):
    pass
print(before, burnt(), len(threading.enumerate()))
"""
VARIABLES = ("OMP_", "GOMP_", "MKL_")


def in_a_process(threads: int, **variables: str) -> tuple[float, float, int]:
    """Burnt before and after a fit's number of threads was set; Python's threads."""
    bare = {name: each for name, each in os.environ.items() if not name.startswith(VARIABLES)}
    code = BURNT.format(threads=threads)
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=bare | variables,
    ).stdout.split()
    return float(said[0]), float(said[1]), int(said[2])


def test_threads_sleep_once_they_have_trained() -> None:
    before, after, _ = in_a_process(2)
    assert after < 5e-4 < before


def test_one_thread_changes_nothing_for_others() -> None:
    before, after, threads = in_a_process(1)
    assert threads == 1
    assert min(before, after) > 5e-4


def test_who_says_how_to_wait_is_obeyed() -> None:
    before, after, threads = in_a_process(2, OMP_WAIT_POLICY="active")
    assert threads == 1
    assert min(before, after) > 5e-4
