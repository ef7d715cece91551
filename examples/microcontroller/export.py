"""Writes the networks of this example as C: disc.c, sensor.c and their headers."""

import torch

import backhand as bh
from backhand.program.engines.native.export import export_c

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

trained = export_c(disc, [torch.zeros(8, 2)], bh.MSELoss(), torch.zeros(8, 1), name="disc")
fixed = export_c(sensor, [torch.zeros(1, 16)], name="sensor")
online = export_c(
    sensor,
    [torch.zeros(1, 16)],
    bh.CrossEntropyLoss(),
    torch.zeros(1, dtype=torch.int64),
    name="online_sensor",
)
for network in (trained, fixed, online):
    network.write(".")
    print(f"{network.name}: {network.flash} bytes of numbers, {network.ram} bytes of RAM")
