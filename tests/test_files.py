"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from backhand.files import written_whole


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
