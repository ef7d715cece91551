"""L-BFGS: SciPy's walk over all weights at once, by the recorded loss and gradient of all rows.

Often the best for small tables (Byrd, Lu, Nocedal & Zhu 1995: A limited memory algorithm for
bound constrained optimization).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from backhand.estimators.mlp.batches import filled_size
from backhand.estimators.mlp.trainer import Trainer
from backhand.estimators.mlp.training import refuse_non_finite
from backhand.training.weights import Weights

if TYPE_CHECKING:
    from backhand.estimators.mlp.base import MLPBase

BLOCK = 200
"""Rows of a step at most: few sizes of step serve all tables."""


class FullLoss:
    """The loss of all rows and its gradient, as functions of one vector of all weights.

    loss(vector) = scale · Σ weight · row loss / Σ weight + ½ decay · Σ matrix elements². Frozen
    parameters have no part in the vector.

    Args:
        trainer: its rule is GradientSum; its network gets each vector's weights.
        inputs, targets, weights: the table; weights (rows,), or None for all equal.
        scale, decay: see above.
        fill: whether rows may be cut into blocks, filled up with empty rows of weight 0; not
            where a layer looks at the batch as a whole.

    Attributes:
        size: rows of a step.
    """

    def __init__(
        self,
        trainer: Trainer,
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        scale: float,
        decay: float,
        fill: bool,
    ) -> None:
        self._parameters = [each for each in trainer.parameters if not each.frozen]
        if not self._parameters:
            raise ValueError("network: solver='lbfgs' expected weights that learn, all are frozen")
        values = [each.value for each in self._parameters]
        self._decays = np.concatenate(
            [np.full(each.numel(), decay if each.dim() > 1 else 0.0) for each in values]
        )
        rows = len(inputs)
        self.size = filled_size(math.ceil(rows / math.ceil(rows / BLOCK))) if fill else rows
        steps = math.ceil(rows / self.size)
        weights = np.ones(rows) if weights is None else weights
        shares = (scale * self.size / weights.sum() * weights).astype(inputs.dtype)
        filled = (_filled(each, steps * self.size) for each in (inputs, targets, shares))
        whole, *target = map(torch.from_numpy, filled)
        self._steps: Callable[[], Tensor]
        if steps == 1:
            self._steps = partial(trainer.in_place(whole, tuple(target)), 0.0)
        else:
            order, rates = torch.arange(steps * self.size), [0.0] * steps
            self._steps = partial(trainer.steps, whole, tuple(target), order, rates, self.size)

    def vector(self) -> np.ndarray:
        """All weights as they are now, in float64."""
        return _flat([each.value for each in self._parameters])

    def set(self, vector: np.ndarray) -> None:
        """Give the network these weights, and begin the sums of the gradients anew."""
        at = 0
        for parameter in self._parameters:
            value = parameter.value.numpy()
            value[...] = vector[at : at + value.size].reshape(value.shape)
            parameter.state["gradient_sum"].zero_()
            at += value.size

    def penalty(self, vector: np.ndarray) -> float:
        """What the squared weights count in the loss there."""
        return 0.5 * float(self._decays @ np.square(vector))

    def __call__(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss there, and its gradient."""
        self.set(vector)
        losses = self._steps()
        gradient = _flat([each.state["gradient_sum"] for each in self._parameters])
        gradient += self._decays * vector
        return float(losses.sum(dtype=torch.float64)) + self.penalty(vector), gradient


def _flat(tensors: list[Tensor]) -> np.ndarray:
    return np.concatenate([each.numpy().ravel() for each in tensors], dtype=np.float64)


def _filled(values: np.ndarray, rows: int) -> np.ndarray:
    """So many rows in memory of their own, the last ones zeros."""
    found = np.zeros((rows, *values.shape[1:]), values.dtype)
    found[: len(values)] = values
    return found


def train_by_lbfgs(estimator: MLPBase, trainer: Trainer, full: FullLoss, report: float) -> None:
    """One call of fit: iterations until the gradient vanishes, or there are no more.

    Args:
        estimator: whose arguments hold, and whose fitted attributes are set.
        trainer, full: what is trained, by what.
        report: what the loss without penalty is multiplied by in `loss_`.

    Warns:
        ConvergenceWarning: as scikit-learn, where L-BFGS has not converged.

    Raises:
        ValueError: a loss or a weight is no finite number, the weights are those from before; or
            the network's loss is another each time, as with dropout.
    """
    from scipy.optimize import OptimizeResult, minimize

    before, start = Weights(trainer.network), full.vector()
    if estimator.network is not None and full(start)[0] != full(start)[0]:
        raise ValueError(
            "network: solver='lbfgs' expected a loss that is the same each time it is computed; "
            f"something is drawn by chance in {trainer.network!r}"
        )
    reached: Any = None
    estimator.n_iter_ = 0

    def note(intermediate_result: Any) -> None:
        nonlocal reached
        reached = intermediate_result
        estimator.n_iter_ += 1
        estimator.loss_curve_.append(reported(reached))
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_curve_[-1]:.8f}")

    def reported(result: Any) -> float:
        penalty = full.penalty(result.x)
        return float((result.fun - penalty) * report + penalty)

    options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}
    try:
        with np.errstate(all="ignore"):
            reached = minimize(
                full, start, method="L-BFGS-B", jac=True, callback=note, options=options
            )
        _warn_unless_converged(estimator, reached)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    if reached is None:
        reached = OptimizeResult(x=start, fun=full(start)[0])
    full.set(reached.x)
    if not (math.isfinite(reached.fun) and before.all_finite()):
        before.restore()
        refuse_non_finite(f"iteration {estimator.n_iter_ + 1}")
    estimator.loss_ = reported(reached)


def _warn_unless_converged(estimator: MLPBase, result: Any) -> None:
    if result.status == 0:
        return
    if result.nit >= estimator.max_iter:
        advice = f"increase max_iter={estimator.max_iter}"
    elif result.nfev >= estimator.max_fun:
        advice = f"increase max_fun={estimator.max_fun}"
    else:
        advice = "increase tol"
    warnings.warn(
        f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): "
        f"{result.message}; {advice}, or scale the data",
        ConvergenceWarning,
        stacklevel=6,
    )
