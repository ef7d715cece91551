"""Bytes of flash and RAM: what Backhand exports beside what emlearn does, from the same weights.

Needs gcc, `pip install emlearn scikit-learn`, and Backhand. emlearn predicts only.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import warnings
from pathlib import Path

import emlearn
import numpy as np
import torch
from sklearn.neural_network import MLPClassifier

import backhand as bh

CASES = {
    "2-25-25-1": ((2, 25, 25, 1), "tanh", bh.Tanh),
    "sensor, 16-8-4": ((16, 8, 4), "relu", bh.ReLU),
}


def main() -> None:
    """Print a table."""
    print("| network | by | does | flash | RAM |")
    print("|---|---|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # emlearn leaves files
        for title, (sizes, name, activation) in CASES.items():
            for by, does, source, include in exports(Path(folder), sizes, name, activation):
                text, data, bss = measured(source, include)
                print(f"| {title} | {by} | {does} | {text + data:,} | {data + bss:,} |")


def exports(folder: Path, sizes: tuple[int, ...], name: str, activation: type[bh.Layer]):
    """(by whom, what it does, the C file, where its headers are) of each export."""
    classifier, network = same_network(sizes, name, activation)
    classes = sizes[-1] > 1
    row = torch.zeros(1, sizes[0])
    target = torch.zeros(1, dtype=torch.int64) if classes else torch.zeros(1, 1)
    loss = bh.CrossEntropyLoss() if classes else bh.MSELoss()
    lines = bh.Replay()
    for does, files in (
        ("predicts", bh.Prediction(network, lines).record(row).to_c("predicts")),
        ("predicts and trains", bh.TrainingStep(network, loss, lines).record(row, target).to_c()),
    ):
        files.write(folder)
        yield "Backhand", does, folder / f"{files.name}.c", folder
    header = folder / "em.h"
    emlearn.convert(classifier, method="inline").save(file=str(header), name="em")
    source = folder / "em.c"
    source.write_text(
        '#include "em.h"\nint predict(const float *x) '
        f"{{ return (int)em_predict(x, {sizes[0]}); }}\n"
    )
    yield "emlearn", "predicts", source, Path(emlearn.includedir)


def same_network(sizes: tuple[int, ...], name: str, activation: type[bh.Layer]):
    """A classifier of scikit-learn's and a network of Backhand's with its weights."""
    random = np.random.default_rng(0)
    labels = random.integers(0, max(sizes[-1], 2), 200)
    classifier = MLPClassifier(sizes[1:-1], activation=name, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one pass does not converge, and need not
        classifier.fit(random.random((200, sizes[0])), labels)
    layers: list[bh.Layer] = []
    for weight, bias in zip(classifier.coefs_, classifier.intercepts_, strict=True):
        layer = bh.FullyConnected(*weight.shape)
        layer.weight.value.copy_(torch.from_numpy(weight.T))
        layer.bias.value.copy_(torch.from_numpy(bias))
        layers += [layer, activation()]
    layers[-1:] = [] if sizes[-1] > 1 else [bh.Sigmoid()]
    return classifier, bh.Sequential(layers)


def measured(source: Path, include: Path) -> tuple[int, int, int]:
    """The bytes of (code and constants, variables with a value, variables that begin as zeros)."""
    made = source.with_suffix(".o")
    command = ["gcc", "-std=c99", "-Os", "-ffunction-sections", f"-I{include}", "-c", str(source)]
    subprocess.run([*command, "-o", str(made)], check=True)
    listed = subprocess.run(["size", str(made)], check=True, capture_output=True, text=True)
    text, data, bss = listed.stdout.splitlines()[1].split()[:3]
    return int(text), int(data), int(bss)


if __name__ == "__main__":
    main()
