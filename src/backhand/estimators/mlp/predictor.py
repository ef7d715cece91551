"""Predictor: what a network says of rows; one row at a time almost without overhead."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import torch

from backhand.estimators.mlp.trainer import numpy_dtype_of
from backhand.layer import Layer
from backhand.program import NotRecordable, Prediction

ROWS_AT_ONCE = 8192

WORTH_RECORDING = 32
"""Single rows predicted before their prediction is recorded (and, the first time, compiled)."""


class Predictor:
    """Predicts with a network, in any thread.

    Args:
        network: from (rows, features) to (rows, outputs).
    """

    def __init__(self, network: Layer) -> None:
        self.network = network
        self.dtype = numpy_dtype_of(network)
        self._lock = threading.Lock()
        self._singles = 0
        self._recorded: Any = None
        self._input: Any = None

    def many(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs for rows of finite numbers of `dtype`."""
        if not inputs.flags.writeable:
            inputs = inputs.copy()
        rows = torch.from_numpy(inputs)
        if len(rows) <= ROWS_AT_ONCE:
            return self._plain(rows)
        return np.concatenate([self._plain(part) for part in torch.split(rows, ROWS_AT_ONCE)])

    def one(self, inputs: np.ndarray) -> np.ndarray | None:
        """The outputs (1, outputs) for one row (1, features) of any float type.

        None where it should go the long way: not yet worth it, in use by another thread, or a
        number is not finite.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._recorded is None and not self._record(inputs.shape[1]):
                return None
            with np.errstate(over="ignore"):
                self._input[...] = inputs
            if not math.isfinite(np.add.reduce(self._input, axis=None)):
                return None
            found: np.ndarray = self._recorded().numpy().copy()
            return found
        finally:
            self._lock.release()

    def _plain(self, rows: torch.Tensor) -> np.ndarray:
        found: np.ndarray = self.network.predict(rows).numpy()
        return found

    def _record(self, features: int) -> bool:
        self._singles += 1
        if self._singles < WORTH_RECORDING:
            return False
        row = torch.from_numpy(np.zeros((1, features), dtype=self.dtype))
        try:
            self._recorded = Prediction(self.network).in_place(row)
        except NotRecordable:
            self._singles = -(1 << 62)  # its forward is no straight line, and will never be
            return False
        self._input = self._recorded.input.numpy()
        return True
