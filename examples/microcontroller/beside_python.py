"""The training of motions_main.c again in Python, by plain steps, and both beside each other."""

from __future__ import annotations

import re
import subprocess

import torch
from motions import EPOCHS, RATES, convolutional, order, recorded, recurrent, whole, windows

import backhand as bh


def main() -> None:
    """Print a table: each network's losses and held-out examples told right, in C and in Python."""
    torch.set_num_threads(1)
    said = subprocess.run("./motions", check=True, capture_output=True, text=True).stdout
    print("| network | loss of the last epoch, C | Python | largest difference in 5 epochs' losses "
          "| held out right, C | Python |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|")
    for name, network, examples in (
        ("motion_conv", convolutional(), whole(*recorded())),
        ("motion_gru", recurrent(), windows(*recorded())),
    ):
        losses, right, count = trained(network, *examples, EPOCHS[name], RATES[name])
        in_c = [float(loss) for loss in re.findall(rf"{name}: epoch \d+, loss (\S+)", said)]
        pairs = zip(in_c, losses[4::5], strict=True)
        apart = max(abs(one - other) / other for one, other in pairs)
        right_in_c = re.search(rf"{name}: (\d+) of \d+ held out right after", said)[1]
        print(f"| {name} | {in_c[-1]:.6f} | {losses[-1]:.6f} | {apart:.1e} "
              f"| {right_in_c} of {count} | {right} of {count} |")  # fmt: skip


def trained(network, inputs, classes, epochs: int, rate: float) -> tuple[list[float], int, int]:
    """The mean loss of each epoch; of the held-out half, how many are told right, and its size."""
    step = bh.TrainingStep(network, bh.CrossEntropyLoss(), bh.Replay())
    half, losses = len(inputs) // 2, []
    for epoch in range(epochs):
        rows = torch.tensor(order(epoch, half))
        rates = [rate * (1 - epoch / epochs)] * half
        each = step.run(inputs[:half], classes[:half], rows, rates, 1)
        losses.append(float(each.double().mean()))
    found = network.predict(inputs[half:]).argmax(1)
    return losses, int((found == classes[half:]).sum()), half


if __name__ == "__main__":
    main()
