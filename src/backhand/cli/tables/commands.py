"""`backhand train` and `backhand evaluate`: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Table = Annotated[Path, typer.Argument(help="A table: CSV or Parquet.")]


def train(
    table: Table,
    target: Annotated[str, typer.Option(help="The column to predict.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; default the table's name.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="classification or regression; default what the target looks like."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given again.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the rows; default 128, for large tables fewer.")
    ] = None,
    members: Annotated[int, typer.Option(help="Networks trained side by side and averaged.")] = 1,
    test_share: Annotated[float, typer.Option(help="Of the rows, kept for the test.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    compare: Annotated[
        bool, typer.Option(help="Fit scikit-learn's models on the same rows too.")
    ] = True,
    importance: Annotated[
        bool, typer.Option(help="Measure the importance of columns, for ten seconds at most.")
    ] = True,
) -> None:
    """Train a model on a table, test it, and write it with a report."""
    needs_scikit_learn()
    from backhand.cli.tables.train import train_table
    from backhand.cli.tables.training import Options

    options = Options(epochs, members, test_share, seed)
    folder = out or Path(table.stem)
    train_table(table, target, folder, task, drop or [], compare, importance, options)


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model that `backhand train` wrote.")],
    table: Table,
    target: Annotated[
        str | None, typer.Option(help="The column to compare with; default the model's target.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write a report to.")] = None,
    importance: Annotated[
        bool, typer.Option(help="Measure the importance of columns for the report.")
    ] = True,
) -> None:
    """Say how good a trained model is on another table."""
    needs_scikit_learn()
    from backhand.cli.tables.applying import evaluate_table

    evaluate_table(model, table, target, out, importance)


def needs_scikit_learn() -> None:
    """Say what to install where it is missing.

    Raises:
        ValueError: it is.
    """
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        raise ValueError("tables need scikit-learn: pip install 'backhand[cli,tables]'")
