"""`backhand predict`: a saved network on somebody's own points."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch

from backhand.data import read_points
from backhand.networks import load


def predict_points(network_file: Path, points_file: Path) -> None:
    """Print x, y, the output and the class of every point, as CSV.

    Raises:
        ValueError: a file cannot be used, or the network does not take points and give one output.
        OSError: a file cannot be read.
    """
    network = load(network_file)
    points = read_points(points_file)
    try:
        outputs = network.predict(points)
    except ValueError as problem:
        raise ValueError(f"{network_file}: does not take points (x, y): {problem}") from None
    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != (len(points), 1):
        raise ValueError(f"{network_file}: expected a network with one output for each point")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["x", "y", "output", "class"])
    for (x, y), output in zip(points.tolist(), outputs[:, 0].tolist(), strict=True):
        writer.writerow([f"{x:.7g}", f"{y:.7g}", f"{output:.6f}", int(output > 0.5)])
