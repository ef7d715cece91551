"""Plots: what a person looks at. Each function returns a matplotlib Figure; none shows one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from backhand.data import DISC_CENTRE, DISC_RADIUS, Data
from backhand.drawing import COLOURS, INK, TEST, TRAIN, WIDTH, blank
from backhand.layer import Layer
from backhand.training import History

MOST_LABELS = 20
"""Names that fit beside a picture."""

FEW_DOTS, MOST_DOTS = 40, 2000
"""Rows up to which each is drawn by itself, and from which their dots are one bitmap."""


def curves(histories: Sequence[History], measure: str, title: str, log: bool = False) -> Figure:
    """One measure on train and test points over the epochs: the median, in a band over the runs.

    The band reaches from the 10th to the 90th percentile; a thin line marks the extremes.
    """
    figure, axes = blank()
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
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_ylabel(measure)
    axes.set_title(f"{title}, {len(histories)} seeds" if len(histories) > 1 else title, loc="left")
    _legend(figure)
    return figure


def boundary(network: Layer, data: Data, circle: bool = True, resolution: int = 200) -> Figure:
    """A network's output over the unit square, the points it learnt, and the true circle.

    Where points lie outside the square, over all that they take up.

    The thick line is where the output is 0.5; points on the wrong side of it are crossed.
    """
    figure, axes = blank(WIDTH, 5.0)
    low = data.inputs.amin(0).clamp(max=0).tolist()
    high = data.inputs.amax(0).clamp(min=1).tolist()
    across, up = (torch.linspace(*ends, resolution) for ends in zip(low, high, strict=True))
    grid = torch.cartesian_prod(across, up)
    surface = network.predict(grid).reshape(resolution, resolution).t().numpy()
    image = axes.imshow(
        surface,
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        cmap="RdBu_r",
        vmin=0,
        vmax=1,
        alpha=0.55,
        aspect="auto",
    )
    if surface.min() < 0.5 < surface.max():
        axes.contour(across.numpy(), up.numpy(), surface, levels=[0.5], colors=[INK], linewidths=2)
    _scatter(axes, data, network.predict(data.inputs))
    if circle:
        axes.add_patch(Circle(DISC_CENTRE, DISC_RADIUS, fill=False, linestyle="--", color="black"))
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.grid(False)
    axes.set_box_aspect(1)
    axes.set_title(
        "Decision boundary" + (" and the true circle (dashed)" if circle else ""), loc="left"
    )
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
    figure, axes = blank()
    epochs = range(1, len(losses) + 1)
    mark = "o" if len(losses) == 1 else None
    axes.plot(epochs, losses, color=TRAIN, marker=mark, label="loss on the training rows")
    axes.plot(epochs[: len(scores)], scores, color=TEST, marker=mark, label=f"{score}, held out")
    if scores:
        least = min(scores)
        kept = len(scores) - list(reversed(scores)).index(least)
        axes.plot([kept], [least], "o", color=TEST, label=f"epoch {kept}, the one kept")
    if min([*losses, *scores], default=1) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_title("Training", loc="left")
    _legend(figure)
    return figure


def confusion(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """How often rows of each class (down) were taken for each class (across)."""
    size = min(2.8 + 0.42 * len(classes), 9.0)
    figure, axes = blank(size + 1.0, size)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    names = [_name(each) for each in classes]
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
    figure, axes = blank()
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="perfect")
    parts = f"test rows, in {len(claimed)} parts" if len(claimed) > 1 else "test rows"
    axes.plot(claimed, right, "o-", color=TEST, label=parts)
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("share that is right")
    axes.set_title("Calibration", loc="left")
    _legend(figure)
    return figure


def roc(lines: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> Figure:
    """True positives over false positives, by the probability asked for.

    Args:
        lines: by class: the false and the true positive rates, and the area under them.
    """
    figure, axes = blank()
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
    for colour, (name, (false, true, area)) in zip(COLOURS, lines.items(), strict=False):
        axes.plot(false, true, color=colour, label=f"{_name(name)}: area {area:.3f}")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_title("ROC", loc="left")
    _legend(figure)
    return figure


def precision_recall(lines: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> Figure:
    """Precision over recall, by the probability asked for.

    Args:
        lines: by class: recalls, precisions, and the average precision.
    """
    figure, axes = blank()
    for colour, (name, (recall, precision, average)) in zip(COLOURS, lines.items(), strict=False):
        label = f"{_name(name)}: average {average:.3f}"
        axes.plot(recall, precision, color=colour, drawstyle="steps-post", label=label)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_title("Precision and recall", loc="left")
    _legend(figure)
    return figure


def predicted_and_true(predicted: np.ndarray, truth: np.ndarray) -> Figure:
    """Each test row: what was predicted, and what is true."""
    figure, axes = blank()
    _dots(axes, predicted, truth)
    ends = [min(predicted.min(), truth.min()), max(predicted.max(), truth.max())]
    axes.plot(ends, ends, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Predicted and true", loc="left")
    return figure


def residuals(errors: np.ndarray, predicted: np.ndarray) -> Figure:
    """How far off the predictions are: how often each distance, or of few rows each by itself.

    See _histogram for what lies far out.
    """
    figure, axes = blank()
    if len(errors) < FEW_DOTS:
        axes.axhline(0, color=INK, linestyle="--", linewidth=1)
        _dots(axes, predicted, errors)
        axes.set_xlabel("predicted")
        axes.set_ylabel("predicted less true")
        axes.set_title("Residuals", loc="left")
        return figure
    _histogram(axes, errors, "predicted less true")
    axes.axvline(0, color=INK, linestyle="--", linewidth=1)
    axes.set_title("Residuals", loc="left")
    return figure


def importance(columns: Sequence[tuple[str, float]], measure: str) -> Figure:
    """How much the measure falls when a column is shuffled, the first columns given."""
    shown = list(columns)[:MOST_LABELS][::-1]
    figure, axes = blank(WIDTH, 1.4 + 0.28 * len(shown))
    axes.barh(range(len(shown)), [value for _, value in shown], color=TEST)
    axes.set_yticks(range(len(shown)), [_name(name) for name, _ in shown])
    axes.set_xlabel(f"fall of {measure} when the column is shuffled")
    axes.set_title("Importance", loc="left")
    return figure


def distribution(values: np.ndarray, name: str) -> Figure:
    """How often each class occurs, the most frequent first, or how numbers are distributed."""
    figure, axes = blank()
    if values.dtype.kind == "f":
        _histogram(axes, values, "")
    else:
        classes, counts = np.unique(values.astype(str), return_counts=True)
        first = np.argsort(-counts, kind="stable")[:MOST_LABELS][::-1]
        axes.barh(range(len(first)), counts[first], color=TEST)
        axes.set_yticks(range(len(first)), [_name(each) for each in classes[first]])
        axes.set_xlabel("rows")
    axes.set_title(f"Target: {_name(name)}", loc="left")
    return figure


def _legend(figure: Figure) -> None:
    """Below the axes, where it lies over no line; in two columns where it is long."""
    lines = len(figure.axes[0].get_legend_handles_labels()[0])
    columns = 2 if lines > 3 else 1
    figure.legend(frameon=False, loc="outside lower left", ncols=columns)


def _histogram(axes: Axes, values: np.ndarray, label: str) -> None:
    """How values are distributed.

    Where a few are so far out that the rest would be one bar, the axis ends before them, and its
    label says how many they are and how far they reach.
    """
    low, high = np.quantile(values, [0.005, 0.995])
    shown = (values >= low) & (values <= high)
    if np.ptp(values) < 3 * (high - low) or high == low:
        shown[:] = True
    out = int((~shown).sum())
    if out:
        ends = f"{values.min():.3g} to {values.max():.3g}"
        label = f"{label}\n{out:,} of {len(values):,} lie beyond the edges: all from {ends}"
    bins = int(np.clip(np.sqrt(shown.sum()), 5, 40))
    axes.hist(values[shown], bins=bins, color=TEST)
    axes.set_xlabel(label.strip())
    axes.set_ylabel("rows")


def _dots(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Points, the larger the fewer they are; as a picture where they are very many."""
    size = float(np.clip(2000 / len(x), 6, 60))
    shade, many = float(np.clip(40 / np.sqrt(len(x)), 0.3, 0.9)), len(x) > MOST_DOTS
    axes.scatter(x, y, s=size, color=TEST, alpha=shade, linewidths=0, rasterized=many)


def _name(text: str) -> str:
    """A name as a label: not too long, and no formula."""
    short = text if len(text) <= 24 else f"{text[:23]}…"
    return short.replace("$", r"\$")
