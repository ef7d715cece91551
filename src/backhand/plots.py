"""Plots: what a person looks at. Each function returns a matplotlib Figure; none shows one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import PercentFormatter
from PIL import Image
from torch import Tensor

from backhand.data import DISC_CENTRE, DISC_RADIUS, Data
from backhand.files import written_whole
from backhand.layer import Layer
from backhand.training import History

TRAIN, TEST, INK, QUIET, PALE = "#d1603d", "#1c6e8c", "#262b36", "#7b8291", "#e9ebf0"
SURFACE = LinearSegmentedColormap.from_list("output", ["#b9d8e4", "#ffffff", "#f5cdbf"])

COLOURS = 128
"""In a picture's palette: enough for smooth bands, and a third of the bytes."""


def curves(
    histories: Sequence[History],
    measure: str,
    title: str,
    log: bool = False,
    percent: bool = False,
    claim: tuple[float, str] | None = None,
) -> Figure:
    """One measure on train and test points over the epochs: the median, in a band over the runs.

    The band reaches from the 10th to the 90th percentile, hairlines mark the extremes, and each
    median's last value stands at its end.

    Args:
        histories: of runs alike, one a seed; epochs that not all of them reached are left out.
        measure: "loss", "accuracy" …: as in the histories, without "train_" or "test_".
        title: above the plot.
        log: a logarithmic axis.
        percent: the measure is a share, shown in per cent.
        claim: a value to draw as a dashed line, and what to call it.
    """
    figure, axes = _figure(7.4, 4.3)
    length = min(len(history) for history in histories)
    ends: dict[str, float] = {}
    for data, colour in (("train", TRAIN), ("test", TEST)):
        columns = [history.column(f"{data}_{measure}")[:length] for history in histories]
        ends[colour] = _band(axes, torch.tensor(columns, dtype=torch.float64), colour, data)
    if claim is not None:
        value, name = claim
        axes.axhline(value, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            name, (0, value), (4, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", color=QUIET, fontsize=9,
        )  # fmt: skip
    if log:
        axes.set_yscale("log")
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    for colour, above in _apart(ends).items():
        shown = f"{ends[colour]:.1%}" if percent else f"{ends[colour]:.2g}"
        axes.annotate(
            shown, (length, ends[colour]), (6, 6 if above else -6), textcoords="offset points",
            color=colour, fontweight="bold", fontsize=9.5, va="center",
        )  # fmt: skip
    axes.set_xlim(0, 1.09 * length)
    axes.set_xlabel("epoch")
    axes.set_ylabel(measure)
    _title(axes, title, f"median, 10th to 90th percentile and extremes of {len(histories)} seeds")
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    return figure


def _band(axes: Axes, values: Tensor, colour: str, label: str) -> float:
    """Draw the rows of (runs, epochs) as a median in its band; returns the median at the end."""
    epochs = range(1, values.shape[1] + 1)
    shares = torch.tensor([0.1, 0.5, 0.9], dtype=values.dtype)
    low, middle, high = values.quantile(shares, dim=0).tolist()
    axes.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
    for extreme in (values.amin(0), values.amax(0)):
        axes.plot(epochs, extreme.tolist(), color=colour, linewidth=0.5, alpha=0.35)
    axes.plot(epochs, middle, color=colour, linewidth=2.2, label=label, solid_capstyle="round")
    return float(middle[-1])


def _apart(ends: dict[str, float]) -> dict[str, bool]:
    """Which end's number stands above its point, so that two that meet do not overlap."""
    higher = max(ends, key=lambda colour: ends[colour])
    return {colour: colour == higher for colour in ends}


def boundary(network: Layer, data: Data, circle: bool = True, resolution: int = 300) -> Figure:
    """A network's output over the unit square, labelled points, and the true circle.

    The thick line is where the output is 0.5; points on the wrong side of it are ringed.

    Args:
        network: takes points (rows, 2), gives one output each.
        data: points to show, with labels 0 and 1.
        circle: draw the disc's true circle.
        resolution: of the surface, in points a side.
    """
    figure, axes = _figure(6.2, 5.9)
    margin = 0.0 if circle else 0.12
    ticks = torch.linspace(-margin, 1 + margin, resolution)
    surface = network.predict(torch.cartesian_prod(ticks, ticks))
    surface = surface.reshape(resolution, resolution).t().numpy()
    extent = (-margin, 1 + margin, -margin, 1 + margin)
    image = axes.imshow(
        surface, extent=extent, origin="lower", cmap=SURFACE, vmin=0, vmax=1, interpolation="none"
    )
    axes.contour(ticks.numpy(), ticks.numpy(), surface, levels=[0.5], colors=[INK], linewidths=2.2)
    axes.plot([], [], color=INK, linewidth=2.2, label="decision boundary")
    if circle:
        axes.add_patch(
            Circle(
                DISC_CENTRE, DISC_RADIUS, fill=False, color=INK, linewidth=1.1,
                linestyle=(0, (5, 3)), label="true circle",
            )
        )  # fmt: skip
    wrong = _scatter(axes, data, network.predict(data.inputs))
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    axes.grid(False)
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    _title(axes, "Decision boundary", f"{len(data.inputs)} points, {wrong} on the wrong side")
    axes.legend(
        frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.06),
        columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=28, pad=0.02, ticks=[0, 0.5, 1])
    bar.set_label("output", color=QUIET)
    bar.outline.set_visible(False)
    return figure


def _scatter(axes: Axes, data: Data, prediction: Tensor) -> int:
    """Draw the points, ring the mistakes, and count them."""
    x, y = data.inputs[:, 0], data.inputs[:, 1]
    one = data.targets[:, 0] > 0.5
    wrong = one != (prediction[:, 0] > 0.5)
    size = 10 if len(x) > 100 else 90
    for which, colour, label in ((one, TRAIN, "label 1"), (~one, TEST, "label 0")):
        axes.scatter(
            x[which].numpy(), y[which].numpy(), s=size, color=colour, linewidths=0, label=label
        )
    if wrong.any():
        axes.scatter(
            x[wrong].numpy(), y[wrong].numpy(), s=7 * size, facecolors="none", edgecolors=INK,
            linewidths=1.3, label="mistake",
        )  # fmt: skip
    return int(wrong.sum())


def images(
    pictures: Tensor, captions: Sequence[str], title: str, subtitle: str, columns: int = 10
) -> Figure:
    """Small grey pictures in a grid, each with a caption below.

    Args:
        pictures: (count, height, width); the least value is drawn white, the greatest dark.
        captions: one for each.
        title, subtitle: above all of them.
        columns: in a row of the grid.
    """
    rows = max(1, -(-len(pictures) // columns))
    figure = Figure(figsize=(0.95 * columns, 1.25 * rows + 0.8), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}: {subtitle}", x=0.01, ha="left", color=INK, fontsize=12)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture, caption in zip(grid.flat, pictures, captions, strict=False):
        axes.imshow(picture.numpy(), cmap="Greys", interpolation="nearest")
        axes.text(
            0.5, -0.06, caption, transform=axes.transAxes, ha="center", va="top", fontsize=9,
            color=INK,
        )  # fmt: skip
    return figure


def write(figure: Figure, path: Path) -> None:
    """Write a figure as a small PNG, whole or not at all."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(canvas.buffer_rgba()).convert("RGB")  # type: ignore[arg-type]
    small = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    with written_whole(path, binary=True) as file:
        small.save(file, format="PNG", optimize=True)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(colors=QUIET, length=0, which="both", labelsize=9.5)
    axes.xaxis.label.set_color(QUIET)
    axes.yaxis.label.set_color(QUIET)
    axes.grid(color=PALE)
    axes.set_axisbelow(True)
    return figure, axes


def _title(axes: Axes, title: str, subtitle: str) -> None:
    axes.set_title(f"{title}\n", loc="left", color=INK, fontsize=13, fontweight="bold")
    axes.annotate(
        subtitle, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points",
        color=QUIET, fontsize=9.5,
    )  # fmt: skip
