"""Real handwritten digits: the 1797 that scikit-learn ships, 8 by 8 grey pixels each.

Trains on 80 % of them, tests on the rest, and shows the mistakes as a picture.
Needs scikit-learn and matplotlib: pip install 'backhand[cli]' scikit-learn.

Usage: python examples/digits.py [PICTURE] [--seed N]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import backhand as bh
from backhand.data import Data
from backhand.drawing import write
from backhand.training import cosine


def digits(seed: int) -> tuple[Data, Data]:
    """Train and test digits: pixels from 0 to 1, and which digit it is."""
    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(pixels / 16, labels, test_size=0.2, stratify=labels, random_state=seed)
    train, test, train_labels, test_labels = map(torch.from_numpy, split)
    return Data(train.float(), train_labels), Data(test.float(), test_labels)


def network() -> bh.Sequential:
    """64-256-256-10 with ReLU and dropout; the outputs are logits."""
    he = bh.KaimingNormal()
    return bh.Sequential(
        [
            bh.FullyConnected(64, 256, initializer=he),
            bh.ReLU(),
            bh.Dropout(0.3),
            bh.FullyConnected(256, 256, initializer=he),
            bh.ReLU(),
            bh.Dropout(0.3),
            bh.FullyConnected(256, 10),
        ]
    )


def mistakes(trained: bh.Layer, test: Data) -> Figure:
    """The test digits that the network takes for another, each with both."""
    predicted = trained.predict(test.inputs).argmax(1)
    wrong = (predicted != test.targets).nonzero()[:, 0].tolist()
    rows = max(1, math.ceil(len(wrong) / 6))
    figure = Figure(figsize=(7, 1.5 * rows + 0.5), dpi=90, layout="constrained")
    figure.suptitle(f"The {len(wrong)} mistakes among {len(test.targets)} test digits")
    for place, axes in enumerate(figure.subplots(rows, 6, squeeze=False).flat):
        axes.axis("off")
        if place < len(wrong):
            row = wrong[place]
            axes.imshow(test.inputs[row].reshape(8, 8).numpy(), cmap="gray_r")
            axes.set_title(f"{test.targets[row]}, taken for {predicted[row]}", fontsize=9)
    return figure


def main() -> float:
    """Train, print the test accuracy, write the picture; returns the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", type=Path, default=Path("digits-mistakes.png"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    train, test = digits(options.seed)
    trained = network().learn_with(bh.Adam())
    history = bh.fit(
        trained,
        bh.CrossEntropyLoss(),
        train,
        test=test,
        epochs=60,
        batch_size=32,
        learning_rate=cosine(2e-3),
        metrics={"accuracy": bh.accuracy()},
        seed=options.seed,
    )
    accuracy = history[-1].measures["test"]["accuracy"]
    print(f"{accuracy:.2%} of {len(test.targets)} test digits, in {history[-1].seconds:.1f} s")
    write(mistakes(trained, test), options.picture)
    print(f"The mistakes: {options.picture}")
    return accuracy


if __name__ == "__main__":
    main()
