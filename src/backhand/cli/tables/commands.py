"""`backhand train` and `backhand evaluate`: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Table = Annotated[Path, typer.Argument(help="A table: CSV, Parquet, JSON or Excel.")]
Encoding = Annotated[
    str | None, typer.Option(help="Of a text file: latin-1, utf-16 …; default utf-8.")
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        help="A word or number that stands for no value; COLUMN=WORD of one column only.",
        metavar="WORD",
    ),
]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--id",
        help="A column to put before the predictions; not learnt from. May be given again.",
    ),
]
Force = Annotated[bool, typer.Option(help="Write over a file that is read, if it comes to that.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        help="What a column holds: number, category, boolean, date, time, or the format of its "
        "dates (since=%d/%m/%Y).",
        metavar="COLUMN=KIND",
    ),
]


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
    test_share: Annotated[
        float | None, typer.Option(help="Of the rows, kept for the test; default 0.2.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    compare: Annotated[
        bool, typer.Option(help="Fit scikit-learn's models on the same rows too.")
    ] = True,
    importance: Annotated[
        bool, typer.Option(help="Measure the importance of columns, for ten seconds at most.")
    ] = True,
    encoding: Encoding = None,
    missing: Missing = None,
    types: Types = None,
    ids: Ids = None,
    order: Annotated[
        str | None, typer.Option(help="A column of dates or numbers: its last rows are the test.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="A column whose rows of one value stay together; not learnt from."),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="A table of your own test rows; all others are trained on.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Of cross-validation; 1 is none.")] = 1,
    force: Force = False,
) -> None:
    """Train a model on a table, test it, and write it with a report."""
    needs_scikit_learn()
    from backhand.cli.tables.reading import HowToRead
    from backhand.cli.tables.split import Splitting
    from backhand.cli.tables.train import Wanted, train_table
    from backhand.cli.tables.training import Options

    options = Options(epochs, members, seed)
    how = HowToRead(encoding, missing or [], types or [])
    splitting = Splitting(test_share, order, group, folds, test)
    wanted = Wanted(target, task, drop or [], ids or [], compare, importance, force)
    folder = out or Path(table.name.split(".")[0] or "model")
    train_table(table, folder, wanted, options, how, splitting)


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
    encoding: Encoding = None,
    ids: Ids = None,
    force: Force = False,
) -> None:
    """Say how good a trained model is on another table."""
    needs_scikit_learn()
    from backhand.cli.tables.applying import Applying, evaluate_table

    applying = Applying(encoding, ids or [], force=force)
    evaluate_table(model, table, target, out, importance, applying)


def needs_scikit_learn() -> None:
    """Say what to install where it is missing.

    Raises:
        ValueError: it is.
    """
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        raise ValueError("tables need scikit-learn: pip install 'backhand[cli,tables]'")
