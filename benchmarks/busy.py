"""A busy machine: the same work quiet, and beside two programs that want a processor all the time.

Each piece of work runs in a process of its own, as a user's would, with the threads it takes by
default; quiet and busy in turn, so that a drifting machine is fair to both. A fit is timed after a
first one, which compiles; the command with all that it does. Prints medians and their ratio. On a
machine that others use the quiet figures are not quiet, and the ratios too small.

Usage: python benchmarks/busy.py [--rounds 3] [--only fit|command|readme]. Its table is
statsmodels' `fair`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from statsmodels.datasets import fair

NEIGHBOURS = 2
BOUND = 2.5
HERE = Path(__file__).parent

TABLE = """
import sys, time, pandas
from backhand.estimators import TableClassifier
table = pandas.read_csv(sys.argv[1])
X, y = table.drop(columns="affair"), table["affair"]
for _ in range(2):
    begun = time.perf_counter()
    TableClassifier(epochs=16, random_state=0).fit(X, y)
    seconds = time.perf_counter() - begun
print(seconds)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["fit", "command", "readme"])
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the neighbours are ended then, too
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fair.csv"
        table = fair.load_pandas().data
        table["affair"] = (table.pop("affairs") > 0).map({True: "yes", False: "no"})
        table.to_csv(path, index=False)
        works: dict[str, tuple[str, Callable[[], float]]] = {
            "fit": (
                f"TableClassifier, {len(table):,} × {table.shape[1] - 1}, 16 epochs",
                lambda: float(python("-c", TABLE, str(path)).split()[-1]),
            ),
            "command": ("backhand train on the same", lambda: command(path)),
            "readme": ("the README's first example", lambda: timed("-c", first_example())),
        }
        for name, (title, work) in works.items():
            if chosen.only in (None, name):
                print(f"{title}: {measured(work, chosen.rounds)}", flush=True)


def measured(work: Callable[[], float], rounds: int) -> str:
    """The medians of so many rounds, as a sentence."""
    work()  # compiles, and brings files into memory
    quiet, busy = [], []
    for _ in range(rounds):
        quiet.append(work())
        with neighbours():
            busy.append(work())
    before, beside = statistics.median(quiet), statistics.median(busy)
    verdict = "within" if beside <= BOUND * before else "NOT within"
    return (
        f"quiet {before:.2f} s, beside {NEIGHBOURS} busy loops {beside:.2f} s, "
        f"ratio {beside / before:.2f}, {verdict} {BOUND}"
    )


@contextlib.contextmanager
def neighbours() -> Iterator[None]:
    """Busy loops, ended afterwards."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(NEIGHBOURS)
    ]
    try:
        time.sleep(0.5)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def python(*arguments: str) -> str:
    """What Python, with nothing said of threads, prints."""
    said = ("OMP_", "GOMP_", "MKL_")
    environment = {name: each for name, each in os.environ.items() if not name.startswith(said)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def timed(*arguments: str) -> float:
    """Seconds of a whole process."""
    begun = time.perf_counter()
    python(*arguments)
    return time.perf_counter() - begun


def command(table: Path) -> float:
    """Seconds of `backhand train`."""
    with tempfile.TemporaryDirectory() as out:
        run = "from backhand.cli import main; main()"
        return timed("-c", run, "train", str(table), "--target", "affair", "--out", out)


def first_example() -> str:
    """The README's first block of Python."""
    return (HERE.parent / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]


if __name__ == "__main__":
    main()
