"""Writes the networks of this example as C, each with its header, and the recordings too."""

from pathlib import Path

import torch
from motions import convolutional, header, recorded, recurrent, whole, windows

import backhand as bh

torch.manual_seed(0)

disc = bh.Sequential(
    [
        bh.FullyConnected(2, 25),
        bh.Tanh(),
        bh.FullyConnected(25, 25),
        bh.Tanh(),
        bh.FullyConnected(25, 1),
        bh.Sigmoid(),
    ]
)
sensor = bh.Sequential(
    [bh.FullyConnected(16, 8), bh.ReLU(), bh.FullyConnected(8, 4)]
)  # 16 readings, 4 classes

lines = bh.Replay()  # records as well as the engine that compiles
readings, label = torch.zeros(1, 16), torch.zeros(1, dtype=torch.int64)
trained = bh.TrainingStep(disc, bh.MSELoss(), lines).record(torch.zeros(8, 2), torch.zeros(8, 1))
fixed = bh.Prediction(sensor, lines).record(readings)
online = bh.TrainingStep(sensor, bh.CrossEntropyLoss(), lines).record(readings, label)

motions = {}
for name, network, examples in (
    ("motion_conv", convolutional(), whole(*recorded())),
    ("motion_gru", recurrent(), windows(*recorded())),
):
    step = bh.TrainingStep(network, bh.CrossEntropyLoss(), lines)
    motions[name] = step.record(*(each[:1] for each in examples)).to_c(name)
Path("motions.h").write_text(header())

for network in (
    trained.to_c("disc"),
    fixed.to_c("sensor"),
    online.to_c("online_sensor"),
    *motions.values(),
):
    network.write(".")
    print(f"{network.name}: {network.flash} bytes of numbers, {network.ram} bytes of RAM")
