"""Keras on its JAX backend."""

from __future__ import annotations

import os
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "jax"

import keras
from problem import BATCH, EPOCHS, Problem, disc_job


def _network(problem: Problem):
    layers = [keras.layers.Dense(size, activation="relu") for size in problem.sizes[1:-1]]
    last = None if problem.classes else "sigmoid"
    made = keras.Sequential([*layers, keras.layers.Dense(problem.sizes[-1], activation=last)])
    kind = keras.optimizers.Adam if problem.adam else keras.optimizers.SGD
    loss = (
        keras.losses.SparseCategoricalCrossentropy(from_logits=True) if problem.classes else "mse"
    )
    made.compile(optimizer=kind(problem.rate), loss=loss)
    return made


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """One train_on_batch."""
    made = _network(problem)
    x, t = problem.data()
    return {"Keras (JAX), train_on_batch": lambda: made.train_on_batch(x, t)}


def jobs() -> dict[str, Callable[[], object]]:
    """The whole disc job through fit."""
    problem = disc_job()
    x, t = problem.data(1000)
    return {
        "Keras (JAX), fit": lambda: _network(problem).fit(
            x, t, epochs=EPOCHS, batch_size=BATCH, verbose=0
        )
    }
