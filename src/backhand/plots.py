"""Plots: what a person looks at. Each function returns a matplotlib Figure; none shows one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
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

MOST_LABELS = 20
"""Names that fit beside a picture."""


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


def training(losses: Sequence[float], scores: Sequence[float], score: str) -> Figure:
    """The loss and the score on rows held out over the epochs, and the epoch that is kept."""
    figure, axes = _figure(7.2, 4.2)
    epochs = range(1, len(losses) + 1)
    axes.plot(epochs, losses, color=TRAIN, linewidth=2, label="loss on the training rows")
    axes.plot(epochs[: len(scores)], scores, color=TEST, linewidth=2, label=f"{score}, held out")
    if scores:
        least = min(scores)
        kept = len(scores) - list(reversed(scores)).index(least)
        axes.plot([kept], [least], "o", color=TEST, label=f"epoch {kept}, the one kept")
    if min([*losses, *scores], default=1) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_title("Training", loc="left")
    axes.legend(frameon=False)
    return figure


def confusion(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """How often rows of each class (down) were taken for each class (across)."""
    size = min(2.8 + 0.42 * len(classes), 9.0)
    figure, axes = _figure(size + 1.0, size)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    if len(classes) <= MOST_LABELS:
        names = [each if len(each) <= 16 else f"{each[:15]}…" for each in classes]
        axes.set_xticks(range(len(classes)), names, rotation=90 if len(classes) > 4 else 0)
        axes.set_yticks(range(len(classes)), names)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else INK
            axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Confusion", loc="left")
    return figure


def calibration(claimed: Sequence[float], right: Sequence[float]) -> Figure:
    """How sure the model was of its class, and how often it was right then."""
    figure, axes = _figure(4.8, 4.4)
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="perfect")
    axes.plot(claimed, right, "o-", color=TEST, linewidth=2, label="test rows, in ten parts")
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("share that is right")
    axes.set_title("Calibration", loc="left")
    axes.legend(frameon=False)
    return figure


def predicted_and_true(predicted: np.ndarray, truth: np.ndarray) -> Figure:
    """Each test row: what was predicted, and what is true."""
    figure, axes = _figure(4.8, 4.4)
    axes.scatter(predicted, truth, s=6, color=TEST, alpha=0.4, linewidths=0)
    ends = [min(predicted.min(), truth.min()), max(predicted.max(), truth.max())]
    axes.plot(ends, ends, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Predicted and true", loc="left")
    return figure


def residuals(errors: np.ndarray) -> Figure:
    """How far off the predictions are; the outermost hundredth is left out."""
    figure, axes = _figure(4.8, 4.4)
    low, high = np.quantile(errors, [0.005, 0.995])
    axes.hist(errors[(errors >= low) & (errors <= high)], bins=40, color=TEST)
    axes.axvline(0, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel("predicted less true")
    axes.set_ylabel("rows")
    axes.set_title("Residuals", loc="left")
    return figure


def importance(columns: Sequence[tuple[str, float]]) -> Figure:
    """How much the score falls when a column is shuffled, the first columns given."""
    shown = list(columns)[:MOST_LABELS][::-1]
    figure, axes = _figure(7.2, 1.4 + 0.28 * len(shown))
    axes.barh([name[:30] for name, _ in shown], [value for _, value in shown], color=TEST)
    axes.set_xlabel("fall of the score when the column is shuffled")
    axes.set_title("Importance", loc="left")
    return figure


def distribution(values: np.ndarray, name: str) -> Figure:
    """How often each class occurs, the most frequent first, or how numbers are distributed."""
    figure, axes = _figure(4.8, 4.4)
    if values.dtype.kind == "f":
        axes.hist(values, bins=40, color=TEST)
    else:
        classes, counts = np.unique(values.astype(str), return_counts=True)
        first = np.argsort(-counts)[:MOST_LABELS][::-1]
        axes.barh([each[:16] for each in classes[first]], counts[first], color=TEST)
    axes.set_title(f"Target: {name}", loc="left")
    return figure


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
