"""Plots: what a person looks at. Each function returns a matplotlib Figure; none shows one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from backhand.data import DISC_CENTRE, DISC_RADIUS, Data
from backhand.files import written_whole
from backhand.layer import Layer
from backhand.training import History

TRAIN, TEST, INK, PALE = "#d1495b", "#00798c", "#30343f", "#e8e8ee"


def curves(histories: Sequence[History], measure: str, title: str, log: bool = False) -> Figure:
    """One measure on train and test points over the epochs: the median, in a band over the runs.

    The band reaches from the 10th to the 90th percentile; a thin line marks the extremes.
    """
    figure, axes = _figure(7.2, 4.2)
    for data, colour in (("train", TRAIN), ("test", TEST)):
        length = min(len(history) for history in histories)
        columns = [history.column(f"{data}_{measure}")[:length] for history in histories]
        values = torch.tensor(columns)
        epochs = range(1, length + 1)
        low, middle, high = values.quantile(torch.tensor([0.1, 0.5, 0.9]), dim=0).tolist()
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
        for extreme in (values.amin(0), values.amax(0)):
            axes.plot(epochs, extreme.tolist(), color=colour, linewidth=0.5, alpha=0.5)
        axes.plot(epochs, middle, color=colour, linewidth=2, label=f"{data} (median)")
    if log:
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel(measure)
    axes.set_title(f"{title}, {len(histories)} seeds" if len(histories) > 1 else title, loc="left")
    axes.legend(frameon=False)
    return figure


def boundary(network: Layer, data: Data, circle: bool = True, resolution: int = 200) -> Figure:
    """A network's output over the unit square, the points it learnt, and the true circle.

    The thick line is where the output is 0.5; points on the wrong side of it are crossed.
    """
    figure, axes = _figure(5.6, 5.0)
    ticks = torch.linspace(0, 1, resolution)
    grid = torch.cartesian_prod(ticks, ticks)
    surface = network.predict(grid).reshape(resolution, resolution).t().numpy()
    image = axes.imshow(
        surface, extent=(0, 1, 0, 1), origin="lower", cmap="RdBu_r", vmin=0, vmax=1, alpha=0.55
    )
    axes.contour(ticks.numpy(), ticks.numpy(), surface, levels=[0.5], colors=[INK], linewidths=2)
    _scatter(axes, data, network.predict(data.inputs))
    if circle:
        axes.add_patch(Circle(DISC_CENTRE, DISC_RADIUS, fill=False, linestyle="--", color="black"))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid(False)
    axes.set_aspect("equal")
    axes.set_title("Decision boundary" + (" and the true circle (dashed)" if circle else ""))
    figure.colorbar(image, ax=axes, label="output", shrink=0.85)
    return figure


def _scatter(axes: Axes, data: Data, prediction: Tensor) -> None:
    x, y = data.inputs[:, 0], data.inputs[:, 1]
    inside = data.targets[:, 0] > 0.5
    right = inside == (prediction[:, 0] > 0.5)
    size = 9 if len(x) > 100 else 60
    for which, colour in ((inside, TRAIN), (~inside, TEST)):
        shown = which & right
        axes.scatter(x[shown].numpy(), y[shown].numpy(), s=size, color=colour, linewidths=0)
        wrong = which & ~right
        axes.scatter(x[wrong].numpy(), y[wrong].numpy(), s=4 * size, color=colour, marker="x")


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with written_whole(path, binary=True) as file:
        figure.savefig(file, format="png")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE)
    axes.set_axisbelow(True)
    return figure, axes
