"""Pages: HTML that holds its charts, and opens without a network connection."""

from __future__ import annotations

import platform
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import jinja2
import torch
from markupsafe import Markup
from matplotlib.figure import Figure

import backhand
from backhand import drawing

COLOURS = {
    "#000000": "ink",
    drawing.INK: "ink",
    drawing.PALE: "line",
    drawing.TRAIN: "red",
    drawing.TEST: "teal",
}
"""Of charts, by the page's names for them: it has others of these names in the dark."""


def page(template: str, figures: Mapping[str, Figure], **values: Any) -> str:
    """A template of `templates/` filled in; it also knows charts, versions and threads.

    Args:
        template: its file's name.
        figures: by name, which may end in .png.
        values: what else it asks for.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("backhand.cli"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    charts = {
        name.removesuffix(".png"): _chart(name.removesuffix(".png"), figure)
        for name, figure in figures.items()
    }
    versions = (
        f"Backhand {backhand.__version__}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
    threads = torch.get_num_threads()
    return environment.get_template(template).render(
        charts=charts, versions=versions, threads=threads, **values
    )


def _chart(name: str, figure: Figure) -> Markup:
    """A figure in the page's colours, its names for its own parts set apart from other charts'."""
    text = drawing.svg(figure)
    text = re.sub(r'\bid="|url\(#|xlink:href="#', rf"\g<0>{name}-", text)
    for colour, variable in COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{variable})")
    return Markup(text)


def command() -> str:
    """The command line that is running, as a person would type it."""
    return shlex.join(["backhand", *sys.argv[1:]])
