"""A forecast of a real series by a recurrent network, beside the seasonal naive one.

Series that statsmodels ships: sunspots a year (1700-2008), atmospheric CO₂ a week (1958-2001,
here a month) and El Niño's sea surface temperature a month (1950-2010). The last fifth is
forecast step by step, each from the `window` values before it; the naive forecast is the value a
season before.
Needs statsmodels and matplotlib: pip install 'backhand[examples]'.

Usage: python examples/forecast.py [elnino|co2|sunspots] [--cell gru|lstm] [--picture FILE] …
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

import backhand as bh
from backhand.drawing import write
from backhand.training import one_cycle

SEASONS = {"elnino": 12, "co2": 12, "sunspots": 11}
"""Time steps of a season: a year of months, a solar cycle of years."""


def series(name: str) -> np.ndarray:
    """The values, one after another."""
    import statsmodels.api as sm

    if name == "elnino":
        return sm.datasets.elnino.load_pandas().data.iloc[:, 1:].to_numpy().ravel()
    if name == "co2":
        return (
            sm.datasets.co2.load_pandas().data["co2"].resample("MS").mean().interpolate().to_numpy()
        )
    return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()


def network(cell: str, hidden: int) -> bh.Sequential:
    """Windows (batch, time, 1) to the change after each one (batch, 1)."""
    recurrent = bh.GRU(1, hidden) if cell == "gru" else bh.LSTM(1, hidden)
    return bh.Sequential([recurrent, bh.LastStep(), bh.FullyConnected(hidden, 1)])


def windows(values: Tensor, window: int, season: int) -> tuple[Tensor, Tensor]:
    """Each run of `window` values, and how far the next value lies from that a season before it."""
    runs = values.unfold(0, window, 1)[:-1].unsqueeze(-1)
    return runs, (values[window:] - values[window - season : -season]).unsqueeze(-1)


def picture(name: str, actual: Tensor, forecasts: dict[str, Tensor]) -> Figure:
    """The values of the test period, and what was forecast for them."""
    figure = Figure(figsize=(8, 4), dpi=90, layout="constrained")
    axes = figure.subplots()
    axes.plot(actual, color="black", lw=1.5, label=name)
    for label, values in forecasts.items():
        axes.plot(values, lw=1, label=label)
    axes.set_xlabel("time steps of the test period")
    axes.legend()
    return figure


def main() -> tuple[float, float]:
    """Train, print both mean absolute errors, write the picture; returns them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="?", choices=list(SEASONS), default="elnino")
    parser.add_argument("--cell", choices=["gru", "lstm"], default="gru")
    parser.add_argument("--hidden", type=int, default=24)
    parser.add_argument("--window", type=int, default=36)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--picture", type=Path, default=Path("forecast.png"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    raw, season = series(options.series), SEASONS[options.series]
    values = torch.tensor(raw, dtype=torch.float32)
    known = len(values) * 4 // 5
    mean, deviation = values[:known].mean(), values[:known].std()
    scaled = (values - mean) / deviation
    inputs, targets = windows(scaled, options.window, season)
    first = known - options.window  # the first window whose next value is in the test period
    forecaster = network(options.cell, options.hidden).learn_with(bh.Adam())
    history = bh.fit(
        forecaster.gate_with(bh.Gate(max_norm=1.0)),
        bh.HuberLoss(),
        (inputs[:first], targets[:first]),
        epochs=options.epochs,
        batch_size=32,
        learning_rate=one_cycle(options.rate),
        seed=options.seed,
    )
    naive = values[known - season : -season]
    ours = naive + forecaster.predict(inputs[first:])[:, 0] * deviation
    actual = values[known:]
    errors = [float((forecast - actual).abs().mean()) for forecast in (ours, naive)]
    print(f"{options.series}, {len(actual)} steps forecast, in {history[-1].seconds:.1f} s")
    print(f"mean absolute error: {errors[0]:.3f}, seasonal naive {errors[1]:.3f}")
    names = (options.cell.upper(), "seasonal naive")
    write(
        picture(options.series, actual, dict(zip(names, (ours, naive), strict=True))),
        options.picture,
    )
    return errors[0], errors[1]


if __name__ == "__main__":
    main()
