"""Files are written whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import backhand.files
from backhand.files import written_together, written_whole


def test_the_new_file_takes_the_place_of_the_old_only_when_all_is_written(tmp_path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("old")
    with written_whole(path) as file:
        file.write("new, é\n")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_bytes() == "new, é\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def write_half(path: Path, problem: BaseException) -> None:
    with written_whole(path, binary=True) as file:
        file.write(b"half of the n")
        raise problem


@pytest.mark.parametrize("problem", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, problem) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(type(problem)):
        write_half(path, problem)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_write_that_fails_leaves_no_file(tmp_path) -> None:
    with pytest.raises(OSError, match="disk full"):
        write_half(tmp_path / "new", OSError("disk full"))
    assert not list(tmp_path.iterdir())


def test_others_may_read_it_as_far_as_the_umask_lets_them(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        with written_whole(tmp_path / "shared") as file:
            file.write("all")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o640


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "none" / "file"):
        pass


WRITER = f"""
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("files", {backhand.files.__file__!r})
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
with files.written_whole(pathlib.Path(sys.argv[1])) as file:
    file.write("half")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def writer_of(path: Path) -> subprocess.Popen[str]:
    """A process that is in the middle of writing a file; a line lets it end."""
    command = [sys.executable, "-c", WRITER, str(path)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout.readline() == "writing\n"
    return process


def test_what_killed_writers_left_is_removed_by_the_next_and_a_living_one_keeps_its_own(
    tmp_path,
) -> None:
    with writer_of(tmp_path / "live") as live:
        for name in ("same", "other"):
            with writer_of(tmp_path / name) as killed:
                killed.send_signal(signal.SIGKILL)
        assert len(list(tmp_path.iterdir())) == 2  # the second removed what the first left
        with written_whole(tmp_path / "same") as file:
            file.write("all")
        assert len(list(tmp_path.iterdir())) == 2
        live.communicate("\n")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "same": "all",
        "live": "half",
    }


def test_ctrl_c_just_after_the_replacement_is_ctrl_c(tmp_path, monkeypatch) -> None:
    real = Path.replace

    def replace_and_interrupt(self: Path, target: Path) -> None:
        real(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", replace_and_interrupt)
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "n") as file:
        file.write("new")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("mode", [0o600, 0o440, 0o755])
def test_the_permissions_of_an_old_file_are_kept(mode, tmp_path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(mode)
    with written_whole(path) as file:
        (beside,) = set(tmp_path.iterdir()) - {path}
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600
        file.write("new")
    assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (mode, "new")


def test_a_symbolic_link_stays_one(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "latest"
    link.symlink_to("there/run-1")
    for text in ("first", "second"):
        with written_whole(link) as file:
            file.write(text)
        assert link.is_symlink()
        assert (tmp_path / "there" / "run-1").read_text() == text
    assert len(list((tmp_path / "there").iterdir())) == 1
    link.unlink()
    link.symlink_to("latest")
    with pytest.raises(OSError, match="symbolic links"), written_whole(link):
        pass


def test_the_longest_name_will_do_and_a_folder_will_not(tmp_path) -> None:
    with written_whole(tmp_path / ("n" * 255)) as file:
        file.write("all")
    with pytest.raises(IsADirectoryError), written_whole(tmp_path):
        pass


def test_a_device_is_written_to_and_stays_one() -> None:
    with written_whole(Path(os.devnull)) as file:
        file.write("all")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_the_folder_is_on_the_disk_too(tmp_path, monkeypatch) -> None:
    synced = []
    real = os.fsync

    def seen(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", seen)
    with written_whole(tmp_path / "n"):
        pass
    assert synced == [False, True]


def test_two_files_are_both_new_or_both_old(tmp_path, monkeypatch) -> None:
    paths = [tmp_path / "net.c", tmp_path / "net.h"]

    def write(words: str, problem: BaseException | None = None) -> None:
        with written_together(paths) as files:
            for file in files:
                file.write(words)
                if problem:
                    raise problem

    write("old")
    with pytest.raises(OSError, match="disk full"):
        write("new", OSError("disk full"))
    assert [path.read_text() for path in paths] == ["old", "old"]

    real = Path.replace

    def interrupt(self: Path, target: Path) -> None:
        monkeypatch.setattr(Path, "replace", real)
        real(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write("new")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "net.c": "new",
        "net.h": "new",
    }
