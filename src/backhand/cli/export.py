"""`backhand export`: a saved network as C."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backhand.program.export.c_files import CFiles
    from backhand.values import Value

LOSSES = ("mse", "binary-cross-entropy", "cross-entropy")


def export(
    network: Annotated[Path, typer.Argument(help="A network that Backhand saved.")],
    c: Annotated[bool, typer.Option("--c", help="As C99; the only form there is.")] = False,
    loss: Annotated[
        str | None,
        typer.Option(help=f"Write a training step too, with this loss: {', '.join(LOSSES)}."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows of a training step.")] = 1,
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Shape of one example, as 1,28,28; default the vector that the weights tell.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="In C; default the file's.")] = None,
    ram: Annotated[
        str | None, typer.Option(help="Bytes of static memory allowed, as 32768 or 32k.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
) -> None:
    """Write a network as one C file and its header: to predict and, with --loss, to train."""
    if not c:
        raise ValueError("export: say --c for C99")
    files = _export(network, loss, batch_size, _shape(input_shape), name, _bytes(ram))
    files.write(out)
    typer.echo(
        f"{out / files.name}.c, {out / files.name}.h: {files.flash:,} bytes of numbers, "
        f"{files.ram:,} bytes of RAM"
    )


def _export(
    file: Path,
    loss: str | None,
    batch_size: int,
    shape: tuple[int, ...] | None,
    name: str | None,
    ram: int | None,
) -> CFiles:
    import torch

    from backhand.losses import BinaryCrossEntropyLoss, CrossEntropyLoss, MSELoss
    from backhand.networks.probing import zeros_for
    from backhand.networks.saving import load_about
    from backhand.program.engines.native import NotNative
    from backhand.program.export.c import export_c

    if batch_size < 1:
        raise ValueError(f"batch size: expected 1 or more, got {batch_size}")
    network, about = load_about(file)
    if "table" in about:
        raise ValueError(
            f"{file}: a model of a table, whose columns are encoded outside the network; export "
            "takes a network of numbers, such as its network_, saved by itself"
        )
    try:
        one = zeros_for(network, shape)
    except ValueError as problem:
        raise ValueError(f"{file}: {problem}; say its shape, such as --input 1,28,28") from None
    inputs = one.repeat(batch_size, *[1] * (one.dim() - 1))
    target: Value = ()
    kinds = (MSELoss(), BinaryCrossEntropyLoss(), CrossEntropyLoss())
    losses = dict(zip(LOSSES, kinds, strict=True))
    if loss is not None:
        if loss not in losses:
            raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")
        like = torch.zeros_like(network.predict(inputs))
        target = like[..., 0].to(torch.int64) if loss == "cross-entropy" else like
    chosen = None if loss is None else losses[loss]
    c_name = name or re.sub(r"\W", "_", file.stem, flags=re.ASCII)
    try:
        return export_c(network, inputs, chosen, target, name=c_name, ram=ram)
    except NotNative as problem:
        raise ValueError(f"{file}: {problem}") from None


def _shape(text: str | None) -> tuple[int, ...] | None:
    """1,28,28 as a shape."""
    if text is None:
        return None
    sizes = text.split(",")
    if not all(re.fullmatch(r"[1-9]\d{0,8}", each, re.ASCII) for each in sizes):
        raise ValueError(f"input: expected a shape of one example such as 1,28,28, got {text!r}")
    return tuple(map(int, sizes))


def _bytes(text: str | None) -> int | None:
    """32768, 32k or 1M as a number of bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)\s*([kKmM]?)[bB]?", text)
    if match is None:
        raise ValueError(f"ram: expected a number of bytes such as 32768 or 32k, got {text!r}")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1 << 20}[match[2].lower()]
