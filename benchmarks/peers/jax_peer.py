"""JAX: a jitted step, and a scan over the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from problem import BATCH, MANY, SMALL, Problem, disc_job, orders


def _loss(w, x, t, classes):
    for weight, bias in w[:-1]:
        x = jax.nn.relu(x @ weight.T + bias)
    out = x @ w[-1][0].T + w[-1][1]
    if classes:
        return -jnp.take_along_axis(jax.nn.log_softmax(out), t[:, None], 1).mean()
    return ((jax.nn.sigmoid(out) - t) ** 2).mean()


def _sgd(w, x, t, rate, classes):
    gradients = jax.grad(_loss)(w, x, t, classes)
    return jax.tree.map(lambda weight, gradient: weight - rate * gradient, w, gradients)


def _adam(state, x, t, rate, classes):
    w, m, v, count = state
    gradients = jax.grad(_loss)(w, x, t, classes)
    count = count + 1
    m = jax.tree.map(lambda a, g: a + 0.1 * (g - a), m, gradients)
    v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradients)
    unbias = jnp.sqrt(1 - 0.999**count)
    step = rate * unbias / (1 - 0.9**count)
    w = jax.tree.map(lambda a, b, c: a - step * b / (jnp.sqrt(c) + 1e-8 * unbias), w, m, v)
    return w, m, v, count


def steps(problem: Problem) -> dict[str, Callable[[], object]]:
    """One jitted step, its buffers donated, awaited."""
    x, t = map(jnp.asarray, problem.data())
    w = jax.tree.map(jnp.asarray, problem.weights())
    if problem.adam:
        zeros = jax.tree.map(jnp.zeros_like, w)
        state = [(w, zeros, jax.tree.map(jnp.zeros_like, w), jnp.float32(0))]
        function = _adam
    else:
        state, function = [w], _sgd
    compiled = jax.jit(partial(function, classes=problem.classes), donate_argnums=0)

    def step() -> None:
        state[0] = jax.block_until_ready(compiled(state[0], x, t, problem.rate))

    def many(state, order, rate):
        def one(state, rows):
            return function(state, x[rows], t[rows], rate, problem.classes), None

        return jax.lax.scan(one, state, order)[0]

    scanned, order = jax.jit(many), jnp.tile(jnp.arange(problem.batch), (MANY, 1))
    first = jax.tree.map(jnp.copy, state[0])
    calls = {"JAX, jit": step}
    if problem.sizes == SMALL:
        calls[f"JAX, scan, {MANY} steps in one call"] = lambda: jax.block_until_ready(
            scanned(first, order, problem.rate)
        )
    return calls


def _epoch(w, x, t, order, rate):
    def one(w, rows):
        return _sgd(w, x[rows], t[rows], rate, False), None

    return jax.lax.scan(one, w, order.reshape(-1, BATCH))[0]


def jobs() -> dict[str, Callable[[], object]]:
    """The disc job, a jitted step at a time, and an epoch at a time by scan."""
    problem = disc_job()
    x, t = map(jnp.asarray, problem.data(1000))
    shuffled = orders()
    kept = jax.jit(_epoch)

    def job(epoch) -> None:
        w = jax.tree.map(jnp.asarray, problem.weights())
        for order in shuffled:
            w = epoch(w, x, t, order, 0.1)
        jax.block_until_ready(w)

    def by_step() -> None:
        step = jax.jit(partial(_sgd, classes=False), donate_argnums=0)
        inputs, targets = problem.data(1000)
        w = jax.tree.map(jnp.asarray, problem.weights())
        for order in shuffled:
            for rows in order.reshape(-1, BATCH):
                w = step(w, inputs[rows], targets[rows], 0.1)
        jax.block_until_ready(w)

    job(kept)
    return {
        "JAX, jit": by_step,
        "JAX, scan, compiling included": lambda: job(jax.jit(lambda *a: _epoch(*a))),
        "JAX, scan (compiled before)": lambda: job(kept),
    }


def weights_after(problem: Problem, count: int) -> list[np.ndarray]:
    """The weights after some steps, for comparing peers."""
    x, t = map(jnp.asarray, problem.data())
    w = jax.tree.map(jnp.asarray, problem.weights())
    for _ in range(count):
        w = _sgd(w, x, t, problem.rate, problem.classes)
    return [np.asarray(each) for pair in w for each in pair]
