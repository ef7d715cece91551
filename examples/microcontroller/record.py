"""Writes motions.csv from the data set BasicMotions, as the package aeon ships it.

    python record.py FOLDER    # that of BasicMotions_TRAIN.ts: aeon/datasets/data/BasicMotions

Four students wore a smart watch and stood, walked, ran or played badminton: 80 recordings of ten
seconds, ten readings a second, 40 of them to train on. Kept are the three axes of the
accelerometer, in hundredths.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

AXES = 3


def main() -> None:
    """Write a row for each recording: its split, its activity, its readings axis by axis."""
    with Path("motions.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for split in ("train", "test"):
            text = (Path(sys.argv[1]) / f"BasicMotions_{split.upper()}.ts").read_text()
            for line in text.splitlines():
                if line.strip() and line[0] not in "#@":
                    *axes, activity = line.split(":")
                    readings = [float(x) for axis in axes[:AXES] for x in axis.split(",")]
                    writer.writerow([split, activity, *(round(100 * x) for x in readings)])


if __name__ == "__main__":
    main()
