"""CFiles: a network as the text of a C file and its header, to be written into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backhand.files import written_together


@dataclass(frozen=True)
class CFiles:
    """A network as C.

    Attributes:
        name: of the network in C: the files are name.c and name.h.
        source, header: their texts.
        flash: bytes of numbers that the program holds: weights, state, constants.
        ram: bytes of static memory that is written to.
    """

    name: str
    source: str
    header: str
    flash: int
    ram: int

    def write(self, folder: Path | str) -> None:
        """Write name.c and name.h into a folder, which is made where it is not there.

        Both are written before either replaces an old one: they belong together.

        Raises:
            OSError: the folder cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{self.name}.{suffix}" for suffix in "ch"]
        with written_together(paths) as files:
            for file, text in zip(files, (self.source, self.header), strict=True):
                file.write(text)
