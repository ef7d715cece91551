"""Files written whole or not at all: beside their place first, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

if sys.platform != "win32":
    import fcntl

PREFIX, SUFFIX = ".backhand-", ".part"
"""Of the files beside: short names of their own, so that the longest name can be saved to."""


@contextmanager
def written_whole(path: Path, binary: bool = False) -> Iterator[IO[Any]]:
    """A file to write to that takes its place only when all is written.

    A run that is killed, or an error, leaves the old file as it was. An old file's permissions
    are kept; where the path is a symbolic link, what it points to is replaced. What writers that
    were killed left in the folder is removed.

    Raises:
        OSError: the folder cannot be written, or the path is a folder.
    """
    with written_together([path], binary) as (file,):
        yield file


@contextmanager
def written_together(paths: Iterable[Path], binary: bool = False) -> Iterator[list[IO[Any]]]:
    """Several such files, which take their places one right after the other, when all are written.

    Raises:
        OSError: as for written_whole.
    """
    beside: list[_Beside] = []
    try:
        for path in paths:
            beside.append(_Beside(path, binary))
        yield [each.file for each in beside]
        for each in beside:
            each.finish()
        try:
            for each in beside:
                each.take_place()
        except KeyboardInterrupt:  # all is written, and some have taken theirs: the rest too
            for each in beside:
                with contextlib.suppress(FileNotFoundError):
                    each.take_place()
            raise
    finally:
        for each in beside:
            each.discard()


class _Beside:
    """A file that is written beside its place.

    For as long as its writer lives, it is locked: another writer removes those that are not. The
    system takes the lock away from a process that is killed, on whatever machine it ran.
    """

    def __init__(self, path: Path, binary: bool) -> None:
        self._part: Path | None = None
        old = _status(path)
        if old is not None and not stat.S_ISREG(old.st_mode) and not stat.S_ISDIR(old.st_mode):
            self.file = _opened(os.open(path, os.O_WRONLY), binary)  # a pipe or a device: no place
            return
        self._place = Path(os.path.realpath(path))
        if self._place.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if old is not None and stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        self._mode = None if old is None else stat.S_IMODE(old.st_mode)
        _remove_leftovers(self._place.parent)
        descriptor, self._part = _create_locked(self._place.parent, 0o666 if old is None else 0o600)
        self.file = _opened(descriptor, binary)

    def finish(self) -> None:
        """See to it that all that was written is on the disk."""
        self.file.flush()
        if self._part is not None:
            if self._mode is not None:
                self._part.chmod(self._mode)
            os.fsync(self.file.fileno())

    def take_place(self) -> None:
        """Replace the old file."""
        if self._part is None:
            return
        if sys.platform == "win32":
            self.file.close()  # an open file cannot be renamed there
        self._part.replace(self._place)
        _sync_folder(self._place.parent)

    def discard(self) -> None:
        """Close the file and remove it, if it has not taken its place."""
        if self._part is not None:
            self._part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # of what is thrown away; else it was flushed before
            self.file.close()


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _opened(descriptor: int, binary: bool) -> IO[Any]:
    if binary:
        return os.fdopen(descriptor, "wb")
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _create_locked(folder: Path, mode: int) -> tuple[int, Path]:
    """A new file in a folder, its writer's alone; the umask takes from its mode as ever."""
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, mode)
        # Between the two calls another writer may have taken it for a leftover.
        if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return descriptor, path
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether the lock was free and is ours now; None where files cannot be locked."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_leftovers(folder: Path) -> None:
    """Remove the files beside that no living writer holds; what cannot be removed is left."""
    try:
        found = list(folder.glob(f"{PREFIX}*{SUFFIX}"))
    except OSError:  # a folder that may be written to, but not read
        return
    for path in found:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if _lock(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Write down the new name; not every system can, and the file is whole without it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
