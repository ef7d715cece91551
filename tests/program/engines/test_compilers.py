"""Compilers that hang, die, talk nonsense, or are none: one warning, and Replay goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import backhand as bh
from backhand.program import CannotCompile, Native
from backhand.program.engines import choice
from backhand.program.engines.native import cache, child
from backhand.program.engines.native import compile as compiling
from backhand.program.recorded import KEPT

INPUT = torch.linspace(-1, 1, 12).view(4, 3)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(choice, "_said", set())


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Makes a shell script the C compiler."""

    def make(script: str) -> None:
        path = tmp_path / f"cc{len(list(tmp_path.glob('cc*')))}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))

    return make


def network() -> bh.Sequential:
    return bh.Sequential([bh.FullyConnected(3, 2), bh.Tanh()])


def replays(message: str) -> None:
    """One warning with this message, and the plain step's bits."""
    made = network()
    prediction = bh.Prediction(made)
    with pytest.warns(UserWarning, match=message) as said:
        found = prediction(INPUT)
    assert len(said) == 1
    assert len(str(said[0].message)) < 3000
    prediction(INPUT[:2])  # another shape, and no other warning: it would fail here
    assert isinstance(prediction.engine, bh.Replay)
    assert torch.equal(found, made.predict(INPUT))


FAILURES = {
    "says no UTF-8": (r"printf 'caf\351 \377\376' >&2; exit 1", "caf\ufffd"),
    "says megabytes": ("yes 'an error' | head -c 20000000 >&2; exit 1", "an error"),
    "is killed": ("kill -9 $$", "ended by signal 9"),
    "crashes": ("kill -SEGV $$", "ended by signal 11"),
    "makes nothing": ("exit 0", "exit code 0"),
    "makes nonsense": (
        'while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"',
        "cannot be loaded",
    ),
    "makes something else": (
        'while [ "$1" != -o ]; do shift; done; '
        'echo "int other;" | gcc -shared -fPIC -x c - -o "$2"',
        "cannot be loaded: there is no backhand_run in it",
    ),
    "is no program": ("\0", "cc"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_compiler_that_fails(what, compiler) -> None:
    script, message = FAILURES[what]
    compiler(script)
    replays(message)
    assert cache.libraries() == []


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("gcc 'unbalanced", "No closing quotation"),
        ('"', "No closing quotation"),
        ("/tmp", "there is no such program"),
        ("/dev/null", "there is no such program"),
        (os.fsdecode(b"caf\xe9"), "there is no such program"),
    ],
)
def test_a_variable_that_names_no_compiler(variable, message, monkeypatch) -> None:
    monkeypatch.setenv("CC", variable)
    replays(message)


@pytest.mark.parametrize("variable", ["", "   "])
def test_an_empty_variable_names_none(variable, monkeypatch) -> None:
    monkeypatch.setenv("CC", variable)
    prediction = bh.Prediction(network()).record(INPUT)
    assert isinstance(prediction.engine, Native)


def test_a_path_that_is_no_utf8(tmp_path, monkeypatch) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = folder / "cc"
    path.write_text('#!/bin/sh\nexec gcc "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    prediction = bh.Prediction(network()).record(INPUT)
    assert isinstance(prediction.engine, Native)


# The children of a compiler end with it.

HANGS = "sleep 300 & echo $! >> {pids}; echo $$ >> {pids}; sleep 300 & wait"


def pids(path: Path) -> list[int]:
    """The processes of a compiler that hangs, once there are both."""
    for _ in range(1200):
        if path.exists() and len(found := path.read_text().split()) >= 2:
            return [int(each) for each in found]
        time.sleep(0.05)
    raise AssertionError("the compiler was not called")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def all_ended(path: Path) -> bool:
    waiting = pids(path)
    for _ in range(40):
        if not any(map(alive, waiting)):
            return True
        time.sleep(0.05)
    for pid in waiting:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    return False


def test_at_the_time_limit(compiler, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(compiling, "SECONDS", 0.5)
    compiler(HANGS.format(pids=tmp_path / "pids"))
    begun = time.monotonic()
    replays(r"did not end within 0\.5 s")
    assert time.monotonic() - begun < 20
    assert all_ended(tmp_path / "pids")
    assert not child._running


def test_a_child_that_holds_the_output_is_not_waited_for(compiler, tmp_path) -> None:
    compiler(f"sleep 300 & echo $! > {tmp_path / 'pids'}; echo $! >> {tmp_path / 'pids'}; exit 1")
    replays("exit code 1")
    assert all_ended(tmp_path / "pids")


def test_a_time_limit_counts_once(compiler, tmp_path, monkeypatch) -> None:
    """Not again without OpenMP."""
    monkeypatch.setattr(compiling, "SECONDS", 0.2)
    compiler(HANGS.format(pids=tmp_path / "pids"))
    with pytest.raises(CannotCompile, match="did not end"):
        compiling.load_library("#pragma omp parallel for\n")
    assert len(pids(tmp_path / "pids")) == 2


SCRIPT = """
import sys, threading, time, torch, backhand as bh
from backhand.program import Native
network = bh.Sequential([bh.FullyConnected(3, 2), bh.Tanh()])
predict = lambda: bh.Prediction(network, Native())(torch.ones(4, 3))
if sys.argv[1] == "exit":
    threading.Thread(target=predict, daemon=True).start()
    while not __import__("os").path.exists(sys.argv[2]):
        time.sleep(0.05)
    time.sleep(0.2)
else:
    predict()
"""


def test_when_the_process_ends(compiler, tmp_path) -> None:
    running = {}
    for how in ("interrupt", "exit"):
        path = tmp_path / how
        compiler(HANGS.format(pids=path))
        command = [sys.executable, "-c", SCRIPT, how, str(path)]
        running[how] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for how, process in running.items():
        pids(tmp_path / how)
        if how == "interrupt":
            process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert all_ended(tmp_path / how)
        assert ("KeyboardInterrupt" in said) == (how == "interrupt"), said


# Libraries that nobody uses are unloaded.


def mappings() -> int:
    text = Path("/proc/self/maps").read_text()
    return len(re.findall(rf"{re.escape(str(cache.folder()))}/\w+\.so", text))


def test_libraries_do_not_add_up(compiler) -> None:
    compiler('exec gcc "$@" -O0')  # what it makes does not matter, and is made sooner
    prediction = bh.Prediction(bh.Sequential([bh.ReLU()]), Native())
    prediction(INPUT)
    each = mappings()
    assert 1 <= each <= 6
    for rows in range(1, 51):
        assert prediction(torch.zeros(rows, 3)).shape == (rows, 3)
    assert len(cache.libraries()) == 50
    assert mappings() == KEPT * each
    in_place = prediction.in_place(INPUT)
    expected = in_place().clone()
    del prediction
    assert torch.equal(in_place(), expected)
    del in_place
    assert mappings() == 0


def test_a_library_with_threads_is_unloaded_too() -> None:
    for width in (300, 310):
        made = bh.Sequential([bh.FullyConnected(width, width)])
        rows = torch.randn(200, width)
        prediction = bh.Prediction(made, Native())
        torch.set_num_threads(2)
        torch.testing.assert_close(prediction(rows), made.predict(rows))
        assert "#pragma omp" in str(prediction)
        del prediction
        assert mappings() == 0
