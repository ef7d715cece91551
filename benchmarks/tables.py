"""TableClassifier and TableRegressor on real tables, beside their peers, all with their defaults.

Beside them: scikit-learn's MLP (numbers standardised, categories one beside the other; a number to
predict standardised too) and its boosted trees, and RealMLP-TD-S of its authors (pytabkit). Each
split is fitted by all in turn. The error is the share of rows classified wrongly, or the root mean
squared error over the target's standard deviation. Level with RealMLP-TD-S: the mean difference
over the splits is no more than two standard errors to our disadvantage.

What was measured is kept in tables.json beside this file, so that a run may be stopped and go on;
docs/tables-compared.md is made of all that is there.

Usage: python benchmarks/tables.py [TABLE …] [--splits 10]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import math
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pages import grid, where
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from table_data import SOURCES, TABLES, Table
from threadpoolctl import threadpool_limits

from backhand.estimators import TableClassifier, TableRegressor

STORE = Path(__file__).with_name("tables.json")
PAGE = Path(__file__).parent.parent / "docs" / "tables-compared.md"
OURS, REALMLP, PERCEPTRON, TREES = "Backhand", "RealMLP-TD-S", "scikit-learn MLP", "boosted trees"


def backhand(table: Table, seed: int):
    return (TableClassifier if table.classes else TableRegressor)(random_state=seed)


def realmlp(table: Table, seed: int):
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    kind = RealMLP_TD_S_Classifier if table.classes else RealMLP_TD_S_Regressor
    return kind(device="cpu", random_state=seed, n_threads=1, verbosity=0)


def perceptron(table: Table, seed: int):
    numbers = table.features.select_dtypes("number").columns.tolist()
    others = [name for name in table.features if name not in numbers]
    encoder = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), others)
    )
    if table.classes:
        return make_pipeline(encoder, MLPClassifier(random_state=seed))
    return make_pipeline(
        encoder,
        TransformedTargetRegressor(MLPRegressor(random_state=seed), transformer=StandardScaler()),
    )


def trees(table: Table, seed: int):
    kind = HistGradientBoostingClassifier if table.classes else HistGradientBoostingRegressor
    return kind(random_state=seed)  # takes pandas' categories by itself


PEERS: dict[str, Callable[[Table, int], object]] = {
    OURS: backhand,
    REALMLP: realmlp,
    PERCEPTRON: perceptron,
    TREES: trees,
}


def main() -> None:
    """Measure what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", choices=[[], *TABLES])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="only these")
    parser.add_argument("--again", action="store_true", help="also what was measured before")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    peers = chosen.peer or list(PEERS)
    if REALMLP in peers and importlib.util.find_spec("pytabkit") is None:
        print(f"{REALMLP} is missing: pip install pytabkit")
        peers.remove(REALMLP)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for name in chosen.tables or TABLES:
            measure(name, chosen.splits, peers, chosen.again)
            PAGE.write_text(page(), "utf-8")


def measure(name: str, splits: int, peers: list[str], again: bool) -> None:
    """Fit every split of one table by every peer, where that has not been done."""
    try:
        table = TABLES[name]()
    except ModuleNotFoundError as missing:
        print(f"{name} is missing: pip install {missing.name}")
        return
    words = table.features.select_dtypes(["str", "object"]).columns
    features = table.features.astype(dict.fromkeys(words, "category"))
    for split in range(splits):
        left, right, known, truth = train_test_split(
            features,
            table.target,
            test_size=0.25,
            random_state=split,
            stratify=table.target if table.classes else None,
        )
        for peer in peers if split % 2 else peers[::-1]:
            measured = stored()
            row = measured.setdefault(name, {}).setdefault(peer, {})
            if str(split) in row and not again:
                continue
            model = PEERS[peer](table._replace(features=features), split)
            begun = time.perf_counter()
            model.fit(left, known)
            seconds = time.perf_counter() - begun
            predicted = model.predict(right)
            wrong = predicted != truth if table.classes else (predicted - truth) ** 2
            error = float(np.mean(wrong))
            row[str(split)] = [error if table.classes else error**0.5 / truth.std(), seconds]
            measured[name]["shape"] = list(features.shape)
            STORE.write_text(json.dumps(measured))
            print(f"{name}, split {split}: {peer} {row[str(split)][0]:.4f}, {seconds:.1f} s")


def stored() -> dict:
    """What was measured so far."""
    return json.loads(STORE.read_text()) if STORE.exists() else {}


def page() -> str:
    """What was measured, as Markdown."""
    errors, times, better, level, ratios = [], [], [], [], []
    for name in TABLES:
        measured = stored().get(name, {})
        if OURS not in measured:
            continue
        rows, columns = measured["shape"]
        title = f"{name}: {SOURCES[name]}, {rows:,} × {columns}"
        splits = len(measured[OURS])
        errors.append([title, str(splits)])
        times.append([name])
        for peer in PEERS:
            values = list(measured.get(peer, {}).values())
            errors[-1].append(mean([each[0] for each in values]))
            times[-1].append(
                f"{statistics.median(each[1] for each in values):.2f}" if values else ""
            )
        for other, found in ((REALMLP, level), (PERCEPTRON, better)):
            pairs = measured.get(other, {})
            both = [split for split in measured[OURS] if split in pairs]
            gaps = [measured[OURS][split][0] - pairs[split][0] for split in both]
            errors[-1].append(mean(gaps, sign="+"))
            if len(gaps) > 1:
                error = statistics.stdev(gaps) / math.sqrt(len(gaps))
                limit = 2 * error if other == REALMLP else 0
                found.append(statistics.mean(gaps) <= limit)
        if REALMLP in measured:
            medians = [
                statistics.median(each[1] for each in measured[peer].values())
                for peer in (REALMLP, OURS)
            ]
            ratios.append(medians[0] / medians[1])
            times[-1].append(f"{ratios[-1]:.1f}")
    heads = ["", "splits", *PEERS, f"ours less {REALMLP}", f"ours less {PERCEPTRON}"]
    summary = (
        f"Better than scikit-learn's MLP on {sum(better)} of {len(better)} tables. Level with "
        f"RealMLP-TD-S or better on {sum(level)} of {len(level)}"
    )
    if ratios:
        summary += f", in 1/{min(ratios):.1f} to 1/{max(ratios):.1f} of its time"
    return "\n\n".join(
        [
            "# Tables compared",
            "Made by `python benchmarks/tables.py`; its head says how. Means over the splits and "
            "their standard errors; seconds are medians of one fit.",
            where(("torch", "scikit-learn", "pytabkit")) + ". One thread.",
            f"{summary}.",
            grid("Errors", heads, errors),
            grid("Seconds of a fit", ["", *PEERS, f"{REALMLP} takes … times ours"], times),
        ]
    ) + "\n"  # fmt: skip


def mean(values: list[float], sign: str = "") -> str:
    """The mean and its standard error."""
    if len(values) < 2:
        return f"{values[0]:{sign}.4f}" if values else ""
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):{sign}.4f} ± {error:.4f}"


if __name__ == "__main__":
    main()
