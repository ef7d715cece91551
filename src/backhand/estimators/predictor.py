"""Predictor: what a network says of rows of numbers, to any thread; of one without overhead."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import torch

from backhand.estimators.rows import RowPredictor
from backhand.layer import Layer
from backhand.program import Prediction


class Predictor:
    """Predicts with a network, in any thread: of a row the same bits in any batch.

    Args:
        network: from (rows, features) to (rows, …).
        prediction: see RowPredictor.
    """

    def __init__(self, network: Layer, prediction: Prediction | None = None) -> None:
        self.network = network
        self.dtype = numpy_dtype_of(network)
        self._lock = threading.Lock()
        self._rows = RowPredictor(network, prediction)
        self._input: Any = None

    def many(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs for rows of finite numbers of `dtype`, at least one."""
        if not inputs.flags.writeable:
            inputs = inputs.copy()
        with self._lock:
            found: np.ndarray = self._rows.many(torch.from_numpy(inputs)).numpy()
        return found

    def one(self, inputs: np.ndarray) -> np.ndarray | None:
        """The outputs (1, …) for one row (1, features) of any float type.

        None where it should go the long way: the network cannot be recorded, or a number is not
        finite.
        """
        with self._lock:
            if self._input is None:
                place = self._rows.place_for(torch.from_numpy(np.zeros_like(inputs, self.dtype)))
                if place is None:
                    return None
                self._input = place.numpy()
            with np.errstate(over="ignore"):
                self._input[...] = inputs
            if not math.isfinite(np.add.reduce(self._input, axis=None)):
                return None
            found: np.ndarray = self._rows.one().numpy().copy()
            return found


def numpy_dtype_of(network: Layer) -> np.dtype[Any]:
    """Of the numbers a network computes with; float32 where it has no weights."""
    for parameter in network.parameters().values():
        return parameter.value.numpy().dtype
    return np.dtype(np.float32)
