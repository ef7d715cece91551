"""Learning from single rows: the time of each call beside others', memory, and anomalies found.

Usage: python benchmarks/online.py [calls] [memory] [anomalies]      (default: all three)

deep-river takes part in `calls` where it can be imported. It asks for an older PyTorch, and works
with this one; to leave the environment alone, give it and its river a folder of their own:
    pip install --no-deps --target FOLDER deep-river river==0.25.0
    PYTHONPATH=FOLDER python benchmarks/online.py calls
"""

from __future__ import annotations

import gc
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from pages import cpu

from backhand.estimators.online import OnlineAnomalyDetector, OnlineClassifier, OnlineRegressor

FEATURES, HIDDEN, RATE = 10, 64, 0.005
ROUNDS, BLOCK = 40, 250

Row = dict[str, float]
Learn = Callable[[Row, bool], object]


def stream(count: int) -> list[tuple[Row, bool]]:
    source = random.Random(0)
    rows = [{f"f{i}": source.gauss(5, 2) for i in range(FEATURES)} for _ in range(count)]
    return [(x, x["f0"] * x["f1"] > 25) for x in rows]


class Plain(torch.nn.Module):
    """The same network in PyTorch."""

    def __init__(self, n_features: int = FEATURES, n_init_classes: int = 2) -> None:
        super().__init__()
        self.first = torch.nn.Linear(n_features, HIDDEN)
        self.last = torch.nn.Linear(HIDDEN, n_init_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(x)))


def pytorch() -> Learn:
    """What one writes by hand; no standardisation, a feature's place by its order."""
    network = Plain()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)

    def learn(x: Row, y: bool) -> None:
        input = torch.tensor([list(x.values())])
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(input), torch.tensor([int(y)]))
        loss.backward()
        optimizer.step()

    return learn


def deep_river() -> Learn:
    """deep-river's classifier of the same network; no standardisation."""
    from deep_river.classification import Classifier

    model = Classifier(
        Plain(),
        loss_fn="cross_entropy",
        optimizer_fn="adam",
        lr=RATE,
        is_feature_incremental=False,
        is_class_incremental=False,
    )
    return model.learn_one


def river_logistic() -> Learn:
    """No network at all: river's logistic regression after its scaler."""
    from river import linear_model, preprocessing

    return (preprocessing.StandardScaler() | linear_model.LogisticRegression()).learn_one


def calls() -> None:
    """Median and 99th percentile of learn_one, in interleaved blocks of rows."""
    regressor, detector = OnlineRegressor(seed=0), OnlineAnomalyDetector(seed=0)
    learners: dict[str, Learn] = {
        "Backhand OnlineClassifier": OnlineClassifier(seed=0).learn_one,
        "Backhand OnlineRegressor": lambda x, y: regressor.learn_one(x, x["f0"]),
        "Backhand OnlineAnomalyDetector": lambda x, y: detector.learn_one(x),
        "PyTorch by hand, the classifier's network": pytorch(),
    }
    for name, make in {
        "deep-river, the classifier's network": deep_river,
        "river's StandardScaler | LogisticRegression": river_logistic,
    }.items():
        try:
            learners[name] = make()
        except ImportError as problem:
            print(f"({name}: {problem})")
    times: dict[str, list[float]] = {name: [] for name in learners}
    rows = stream(ROUNDS * BLOCK)
    for x, y in rows[:BLOCK]:
        for learn in learners.values():
            learn(x, y)
    gc.collect()
    for begin in range(0, len(rows), BLOCK):
        for name, learn in learners.items():
            mine = times[name]
            for x, y in rows[begin : begin + BLOCK]:
                begun = time.perf_counter()
                learn(x, y)
                mine.append((time.perf_counter() - begun) * 1e6)
    print(f"\nlearn_one, {FEATURES} features, {HIDDEN} hidden units (detector: 8), Adam, µs a row")
    print(f"{'':<46}{'median':>9}{'99th':>9}{'ratio':>8}")
    ours = statistics.median(next(iter(times.values())))
    for name, each in times.items():
        middle, late = statistics.median(each), statistics.quantiles(each, n=100)[98]
        print(f"{name:<46}{middle:>9.1f}{late:>9.1f}{middle / ours:>8.1f}")


def memory() -> None:
    """The process's memory over a million rows."""
    model, rows = OnlineClassifier(seed=0), stream(5000)

    def learn(count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count // len(rows)):
            for x, y in rows:
                model.learn_one(x, y)
                model.predict_one(x)
        return time.perf_counter() - begun

    learn(50_000)
    before = resident()
    seconds = learn(1_000_000)
    print(
        f"\na million rows learnt and predicted in {seconds:.1f} s; memory "
        f"{before / 2**20:.1f} MiB before, {resident() / 2**20:.1f} after, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.1f} at most"
    )


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


def anomalies() -> None:
    """Rolling ROC AUC, each row scored before it is learnt from, as in river's documentation."""
    from river import anomaly, datasets, metrics, preprocessing

    if not hasattr(datasets, "Shuttle"):
        print("\n(anomalies: this river has no Shuttle)")
        return
    scaler = preprocessing.MinMaxScaler
    detectors = {
        **{f"OnlineAnomalyDetector(seed={i})": OnlineAnomalyDetector(seed=i) for i in range(5)},
        "MinMaxScaler | HalfSpaceTrees": scaler() | anomaly.HalfSpaceTrees(seed=42),
        "MinMaxScaler | LODA": scaler() | anomaly.LODA(seed=42),
    }
    print("\nShuttle, rolling ROC AUC over the last 10,000 rows, and µs a row")
    print(f"{'':<34}{'10,000 rows':>12}{'49,097':>9}{'µs':>9}")
    rows = list(datasets.Shuttle())
    for name, model in detectors.items():
        auc, seconds, figures = metrics.RollingROCAUC(window_size=10_000), 0.0, []
        whole = isinstance(model, OnlineAnomalyDetector)
        for n, (x, y) in enumerate(rows if whole else rows[:10_000], start=1):
            begun = time.perf_counter()
            score = model.score_one(x)
            model.learn_one(x)
            seconds += time.perf_counter() - begun
            auc.update(y, score)
            if n in (10_000, len(rows)):
                figures.append(f"{100 * auc.get():.2f} %")
        figures += [""] * (2 - len(figures))
        print(f"{name:<34}{figures[0]:>12}{figures[1]:>9}{seconds / n * 1e6:>9.1f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{cpu()}; one thread; torch {torch.__version__}")
    for part in sys.argv[1:] or ["calls", "memory", "anomalies"]:
        {"calls": calls, "memory": memory, "anomalies": anomalies}[part]()
