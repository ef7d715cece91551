"""The disc job under the native engine, once; prints milliseconds. See native.py."""

import gc
import time

import torch

import backhand as bh
from backhand.data import disc
from backhand.program.engines.native import Native

torch.set_num_threads(1)
data = disc(1000, 0)
# What the imports left is not collected in the middle of the job.
gc.collect()
gc.freeze()
begun = time.perf_counter()
network = bh.Sequential(
    [
        bh.FullyConnected(2, 25),
        bh.Tanh(),
        bh.FullyConnected(25, 25),
        bh.Tanh(),
        bh.FullyConnected(25, 1),
        bh.Sigmoid(),
    ]
)
step = bh.TrainingStep(network, bh.MSELoss(), Native())
step.record(data.inputs[:8], data.targets[:8])
recorded = time.perf_counter()
for epoch in range(60):
    step.run(data.inputs, data.targets, torch.randperm(1000), [2.0 * (1 - epoch / 60)] * 125, 8)
ended = time.perf_counter()
right = ((network.predict(data.inputs) > 0.5) == (data.targets > 0.5)).float().mean()
print(
    f"{1e3 * (ended - begun):.0f} ms, of which recording, planning and compiling or loading "
    f"{1e3 * (recorded - begun):.0f} ms; {100 * float(right):.1f} % right"
)
