"""The cache of compiled steps, and what happens where compiling fails."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
import torch

import backhand as bh
from backhand.program import CannotCompile
from backhand.program.engines import choice
from backhand.program.engines.native import Native, cache
from backhand.program.engines.replay import Replay

INPUT = torch.linspace(-1, 1, 12).view(4, 3)


SCRIPT = """
import torch, backhand as bh
from backhand.program.engines.native import Native
torch.manual_seed(0)
network = bh.Sequential([bh.FullyConnected(3, 2), bh.Tanh()])
print(bh.Prediction(network, Native())(torch.ones(4, 3)).sum().item())
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def network() -> bh.Sequential:
    torch.manual_seed(0)
    return bh.Sequential([bh.FullyConnected(3, 2), bh.Tanh()])


def predict(expected_files: int = 1) -> None:
    net = network()
    torch.testing.assert_close(bh.Prediction(net, Native())(INPUT), net.predict(INPUT))
    assert len(cache.libraries()) == expected_files


def test_a_step_is_compiled_once() -> None:
    predict()
    (path,) = cache.libraries()
    made = path.stat()
    predict()
    assert path.stat().st_mtime_ns == made.st_mtime_ns
    assert path.stat().st_ino == made.st_ino


def test_no_half_written_files_are_left(folder) -> None:
    predict()
    assert sorted(path.suffix for path in folder.iterdir()) == [".sha256", ".so"]


@pytest.mark.parametrize(
    "damage", ["cut short", "one bit", "no checksum", "empty", "not a library"]
)
def test_a_damaged_file_is_compiled_again(damage) -> None:
    predict()
    (path,) = cache.libraries()
    whole = path.read_bytes()
    data = bytearray(whole)
    path.unlink()
    match damage:
        case "cut short":
            path.write_bytes(data[: len(data) // 2])
        case "one bit":
            data[len(data) // 2] ^= 4
            path.write_bytes(data)
        case "no checksum":
            path.write_bytes(data)
            path.with_suffix(".sha256").unlink()
        case "empty":
            path.write_bytes(b"")
        case "not a library":  # as from another kind of machine: whole, but of no use here
            path.write_bytes(b"something else")
            path.with_suffix(".sha256").write_text(hashlib.sha256(b"something else").hexdigest())
    if damage == "not a library":  # this process has loaded the whole one by that name
        subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True)
    else:
        predict()
    assert path.read_bytes() == whole
    assert path.with_suffix(".sha256").read_text() == hashlib.sha256(whole).hexdigest()


def test_other_flags_or_another_machine_are_another_file(monkeypatch) -> None:
    predict()
    from backhand.program.engines.native import compile as compiling

    monkeypatch.setattr(compiling, "FLAGS", (*compiling.FLAGS, "-DOTHER"))
    predict(expected_files=2)
    monkeypatch.setattr(compiling, "_machine", lambda: "another machine")
    predict(expected_files=3)


def test_a_folder_that_cannot_be_written_costs_only_time(folder) -> None:
    folder.write_text("a file where the folder should be")
    net = network()
    torch.testing.assert_close(bh.Prediction(net, Native())(INPUT), net.predict(INPUT))
    assert folder.read_text() == "a file where the folder should be"


def test_a_full_disk_costs_only_time(monkeypatch, folder) -> None:
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    predict(expected_files=0)


def test_clear_removes_all() -> None:
    predict()
    cache.note("threads", "this machine", 2)
    assert cache.clear() == 1
    assert cache.libraries() == []
    assert cache.noted("threads") == {}
    assert cache.clear() == 0


def test_several_processes_at_once(folder) -> None:
    commands = [sys.executable, "-c", SCRIPT]
    running = [subprocess.Popen(commands, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(set(said)) == 1
    (path,) = cache.libraries()
    assert cache.find(path.stem) == path
    assert len(list(folder.iterdir())) == 2


@pytest.fixture
def planned():
    program = bh.Prediction(network(), Replay()).record(INPUT).latest
    return program.plan


def bind(engine, plan):
    net = network()
    outside = {
        view.storage: net.parameters()[path].value
        for path in ("0.weight", "0.bias")
        for view in plan.names
        if plan.names[view] == "_".join(reversed(path.split(".")))
    }
    return choice.bind(engine, plan, outside, "prediction"), net


@pytest.mark.parametrize(
    ("compiler", "message"),
    [("false", "false failed: exit code 1"), ("no-such-compiler", "there is no such program")],
)
@pytest.mark.parametrize("engine", [None, Native()], ids=["chosen", "asked for"])
def test_a_compiler_that_fails_is_named_and_replay_goes_on(
    engine, compiler, message, planned, monkeypatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setattr(choice, "_said", set())
    with pytest.warns(UserWarning, match=message):
        (used, bound), net = bind(engine, planned)
    bind(engine, planned)  # says nothing again: a warning would fail here
    assert isinstance(used, Replay)
    torch.testing.assert_close(bound.run(INPUT), net.predict(INPUT))


def test_what_the_compiler_says_is_shown(monkeypatch, tmp_path) -> None:
    script = tmp_path / "cc"
    script.write_text("#!/bin/sh\necho 'the disk is on fire' >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(CannotCompile, match="the disk is on fire"):
        Native().bind(bh.Prediction(network(), Replay()).record(INPUT).latest.plan, {}, "f")


def test_small_steps_are_native_and_large_ones_replayed(planned) -> None:
    assert isinstance(choice.choose(planned), Native)
    assert sum(each.multiplications for each in planned.operations) == 4 * 3 * 2
    wide = bh.Sequential([bh.FullyConnected(2000, 2000) for _ in range(3)])
    large = bh.Prediction(wide, Replay()).record(torch.zeros(200, 2000)).latest.plan
    assert sum(each.multiplications for each in large.operations) == 3 * 200 * 2000 * 2000
    assert isinstance(choice.choose(large), Replay)
    (used, bound), net = bind(None, planned)
    assert isinstance(used, Native)
    torch.testing.assert_close(bound.run(INPUT), net.predict(INPUT))
