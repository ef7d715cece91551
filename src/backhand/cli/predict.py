"""`backhand predict`: a saved network or model on somebody's own rows."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[
        Path, typer.Argument(help="A model that `backhand train` wrote, or a network of points.")
    ],
    table: Annotated[
        Path,
        typer.Argument(help="CSV, Parquet, JSON or Excel; for a network of points, CSV with x, y."),
    ],
    out: Annotated[Path | None, typer.Option(help="A file to write to, not the screen.")] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="A column to put before the predictions; may be given again."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Put all columns there.")] = False,
    encoding: Annotated[str, typer.Option(help="Of a text file: latin-1, utf-16 …")] = "utf-8",
    force: Annotated[bool, typer.Option("--force", help="Write over the table itself.")] = False,
) -> None:
    """Predict every row of a table: prints the predictions as CSV."""
    from backhand.cli.output import check_file
    from backhand.networks.saving import load_about

    check_file(out, [model, table], force)
    _, about = load_about(model)
    if "table" in about:
        from backhand.cli.tables.applying import Applying, predict_table
        from backhand.cli.tables.commands import needs_scikit_learn

        needs_scikit_learn()
        predict_table(model, table, out, Applying(encoding, ids or [], keep, force))
    elif ids or keep or encoding != "utf-8":
        raise ValueError(f"{model}: a network of points takes no --id, --keep or --encoding")
    else:
        _predict_points(model, table, out)


def _predict_points(network_file: Path, points_file: Path, out: Path | None) -> None:
    """Print x, y, the output and the class of every point, as CSV.

    Raises:
        ValueError: a file cannot be used, or the network does not take points and give one output.
        OSError: a file cannot be read.
    """
    import torch

    from backhand.cli.output import written_or_printed
    from backhand.data import read_points
    from backhand.networks import load

    network = load(network_file)
    points = read_points(points_file)
    try:
        outputs = network.predict(points)
    except ValueError as problem:
        raise ValueError(f"{network_file}: does not take points (x, y): {problem}") from None
    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != (len(points), 1):
        raise ValueError(f"{network_file}: expected a network with one output for each point")
    with written_or_printed(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["x", "y", "output", "class"])
        for (x, y), output in zip(points.tolist(), outputs[:, 0].tolist(), strict=True):
            writer.writerow([f"{x:.7g}", f"{y:.7g}", f"{output:.6f}", int(output > 0.5)])
