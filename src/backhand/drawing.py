"""Drawing: how every plot looks, its colours, size and fonts, and how it is written."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from backhand.files import written_whole

TRAIN, TEST, INK, PALE = "#d1495b", "#00798c", "#30343f", "#e8e8ee"

COLOURS = (TEST, TRAIN, "#e09f3e", "#5f6caf", "#4f8a5b", "#8a5a83")
"""Of lines beside each other."""

WIDTH, HEIGHT = 5.6, 4.2
"""Of a picture, in inches: all have one width."""

WORLD = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans", "Noto Sans Arabic", "Noto Sans Hebrew",
    "Noto Sans Devanagari", "Noto Sans Thai", "Arial Unicode MS", "Hiragino Sans", "PingFang SC",
    "Microsoft YaHei", "Malgun Gothic", "Yu Gothic", "WenQuanYi Micro Hei",
)  # fmt: skip
"""Fonts with scripts that DejaVu Sans lacks, used where they are installed."""


def blank(width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """A figure with axes on which nothing is drawn yet."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE)
    axes.set_axisbelow(True)
    return figure, axes


@contextmanager
def drawing() -> Iterator[None]:
    """Text in any script: as text in an SVG, in a PNG by the fonts there are."""
    known = set(font_manager.get_font_names())
    family = ["DejaVu Sans", *(name for name in WORLD if name in known)]
    settings: dict[Any, Any] = {
        "font.family": family,
        "svg.fonttype": "none",
        "svg.hashsalt": "backhand",
    }
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with written_whole(path, binary=True) as file, drawing():
        figure.savefig(file, format="png")


def svg(figure: Figure) -> str:
    """A figure as an SVG element for a page: its text as text, its ground the page's."""
    written = io.StringIO()
    with drawing():
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    return text[text.index("<svg") :]
