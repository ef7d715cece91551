"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backhand.cli.cache import cache
from backhand.cli.export import export
from backhand.cli.predict import predict
from backhand.cli.tables.commands import evaluate, train

app = typer.Typer(
    name="backhand",
    help="Neural networks whose every backward pass is written by hand.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # loading rich takes longer than all else that help needs
    pretty_exceptions_enable=False,
)

Hidden = Annotated[
    str, typer.Option(help="Neurons of each hidden layer, separated by commas.", metavar="N,N")
]
Activation = Annotated[str, typer.Option(help="Of the hidden layers: relu, sigmoid or tanh.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training points.")]
BatchSize = Annotated[int, typer.Option(help="Points in a batch.")]
Rate = Annotated[
    float, typer.Option("--learning-rate", help="At the beginning; falls to 0 along a cosine.")
]
Seeds = Annotated[int, typer.Option(help="How many times to train, each from another seed.")]
Out = Annotated[Path, typer.Option(help="Folder to write the report to.")]
Train = Annotated[
    Path | None,
    typer.Option(
        help="Your own points, a CSV file with the columns x, y, label: a fifth is held out."
    ),
]
ShowStep = Annotated[
    bool, typer.Option("--show-step", help="Print the training step that runs, and stop.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from backhand import __version__

        typer.echo(f"backhand {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Neural networks whose every backward pass is written by hand."""


@app.command()
def disc(
    hidden: Hidden = "25,25",
    activation: Activation = "tanh",
    epochs: Epochs = 60,
    batch_size: BatchSize = 8,
    learning_rate: Rate = 2.0,
    seeds: Seeds = 20,
    points: Annotated[
        int | None, typer.Option(help="How many points to draw and train on; default 1000.")
    ] = None,
    train: Train = None,
    out: Out = Path("disc"),
    show_step: ShowStep = False,
) -> None:
    """Train a network on the disc in the unit square, and write a report."""
    from backhand.cli.points import run
    from backhand.experiments import DISC, Settings

    if train is not None and points is not None:
        raise ValueError("points: with --train there are the file's; leave one of them out")
    drawn = 1000 if points is None else points
    settings = Settings(_sizes(hidden), activation, epochs, batch_size, learning_rate, drawn)
    run(DISC, settings, seeds, out, train, show_step)


@app.command()
def xor(
    hidden: Hidden = "25,25",
    activation: Activation = "tanh",
    epochs: Epochs = 60,
    batch_size: BatchSize = 1,
    learning_rate: Rate = 0.5,
    seeds: Seeds = 20,
    out: Out = Path("xor"),
    show_step: ShowStep = False,
) -> None:
    """Train a network on XOR, and write a report."""
    from backhand.cli.points import run
    from backhand.experiments import XOR, Settings

    settings = Settings(_sizes(hidden), activation, epochs, batch_size, learning_rate, points=4)
    run(XOR, settings, seeds, out, None, show_step)


app.command()(train)
app.command()(evaluate)
app.command()(predict)
app.command()(cache)
app.command()(export)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ValueError(
            f"hidden: expected whole numbers separated by commas, got {text!r}"
        ) from None
