"""`backhand cache`: the compiled steps that are kept."""

from __future__ import annotations

from typing import Annotated

import typer


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all of them, and what was measured.")
    ] = False,
) -> None:
    """Show compiled steps, and what was measured on this machine; or clear the folder."""
    from backhand.program.engines.native import cache as kept
    from backhand.program.engines.native import measured

    if clear:
        typer.echo(f"removed {kept.clear()} compiled steps from {kept.folder()}")
        return
    sizes = [path.stat().st_size for path in kept.libraries()]
    typer.echo(f"{kept.folder()}: {len(sizes)} compiled steps, {sum(sizes):,} bytes")
    for name, costs in measured.kept().items():
        size = costs.library_from
        what = "never" if size == float("inf") else f"from {size:,} multiplications on"
        typer.echo(f"measured on {name}: products are left to the BLAS {what}")
    for name, threads in kept.noted("threads").items():
        typer.echo(f"measured on {name}: {threads} {'pays' if threads == 1 else 'pay'}")
