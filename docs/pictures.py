"""The pictures that the README shows, made again: `make pictures`.

Runs the disc job and the digits example into a temporary folder, and keeps their plots, in few
colours so that they are small, under docs/images.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
COLOURS = 96


def main() -> None:
    """Make every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, "-c", "from backhand.cli import main; main()"]
        subprocess.run([*command, "disc", "--out", str(out)], check=True)
        digits = ROOT / "examples" / "digits.py"
        subprocess.run([sys.executable, str(digits), str(out / "digits-mistakes.png")], check=True)
        for name in ("losses", "accuracies", "boundary", "digits-mistakes"):
            picture = Image.open(out / f"{name}.png").convert("RGB").quantize(COLOURS)
            picture.save(IMAGES / f"{name}.png", optimize=True)
            print(f"{name}.png: {(IMAGES / f'{name}.png').stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
