"""The disc job through fit, once, in this very process; prints milliseconds. See engines.py."""

import gc
import time

import torch

import backhand as bh
from backhand.data import disc
from backhand.experiments import Settings
from backhand.training import cosine

torch.set_num_threads(1)
settings = Settings()
network, data = settings.network(), disc(settings.points, 0)
gc.freeze()  # a collection would look at all that the imports left, most of it torch
begun = time.perf_counter()
bh.fit(
    network,
    bh.MSELoss(),
    data,
    epochs=settings.epochs,
    batch_size=settings.batch_size,
    learning_rate=cosine(settings.learning_rate),
)
print(f"{(time.perf_counter() - begun) * 1e3:.0f}")
