"""Arguments: each one checked, with a sentence that names it, before anything is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from backhand.estimators.mlp.architecture import ACTIVATIONS
from backhand.layer import Layer
from backhand.learning.rules import UpdateRule
from backhand.losses import Loss

SOLVERS = ("adam", "sgd", "lbfgs")
RATES = ("constant", "invscaling", "adaptive")

OF_THE_SOLVER = ("solver", "momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon")
OF_THE_NETWORK = ("hidden_layer_sizes", "activation", "dropout")
BY_EPOCHS = ("rule", "dropout", "early_stopping", "on_epoch")
"""What L-BFGS cannot do. How steps follow on each other (batches, rates, momentum …) it passes
over, as scikit-learn's does."""

SHARES = ("momentum", "beta_1", "beta_2", "dropout")
"""In [0, 1)."""
NOT_NEGATIVE = ("alpha", "tol", "power_t")
POSITIVE = ("learning_rate_init", "epsilon")
COUNTS = ("max_iter", "max_fun", "n_iter_no_change")
FLAGS = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping")


def check_arguments(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuse what is out of range, and what would have no effect beside another argument.

    Args:
        given: the arguments of an estimator, by name.
        defaults: the same, as they are where they are not given.

    Raises:
        ValueError, TypeError: names the argument, what it was, and what was expected.
    """
    for name, value in given.items():
        _check_number(name, value)
    _check_one_of("activation", given["activation"], tuple(ACTIVATIONS))
    _check_one_of("solver", given["solver"], SOLVERS)
    _check_rates(given, defaults)
    if given["batch_size"] != "auto" and not _whole(given["batch_size"]):
        raise ValueError(f"batch_size: expected 'auto' or 1 or more, got {given['batch_size']!r}")
    if given["solver"] == "lbfgs":
        for name in BY_EPOCHS:
            if _changed(name, given, defaults):
                raise ValueError(
                    f"{name}: has no effect beside solver='lbfgs', which has no epochs"
                )
    elif _changed("max_fun", given, defaults):
        raise ValueError("max_fun: counts the calls of solver='lbfgs' only")
    if not 0 < given["validation_fraction"] < 1:
        raise ValueError(
            f"validation_fraction: expected a share in (0, 1), got {given['validation_fraction']!r}"
        )
    _check_objects(given)
    for whole, parts in (("rule", OF_THE_SOLVER), ("network", OF_THE_NETWORK)):
        for part in parts:
            if given[whole] is not None and _changed(part, given, defaults):
                raise ValueError(f"{part}: has no effect beside {whole}=; leave it at its default")


def hidden_sizes(given: Any) -> tuple[int, ...]:
    """The hidden layers' sizes: a number, or several.

    Raises:
        ValueError: one of them is no whole number above 0.
    """
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if not all(_whole(size) for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return tuple(int(size) for size in sizes)


def _check_number(name: str, value: Any) -> None:
    if name in SHARES and not (_real(value) and 0 <= value < 1):
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    if name in NOT_NEGATIVE and not (_real(value) and 0 <= value < math.inf):
        raise ValueError(f"{name}: expected a finite number of 0 or more, got {value!r}")
    if name in POSITIVE and not (_real(value) and 0 < value < math.inf):
        raise ValueError(f"{name}: expected a finite number above 0, got {value!r}")
    endless = name == "n_iter_no_change" and value == math.inf
    if name in COUNTS and not (_whole(value) or endless):
        raise ValueError(f"{name}: expected a whole number of 1 or more, got {value!r}")
    if name in FLAGS and not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {value!r}")


def _check_rates(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    kind = given["learning_rate"]
    if callable(kind):
        if given["solver"] == "lbfgs":
            raise ValueError("learning_rate: a schedule has no effect beside solver='lbfgs'")
        if _changed("learning_rate_init", given, defaults):
            raise ValueError("learning_rate_init: a schedule as learning_rate has rates of its own")
    elif _real(kind):
        raise ValueError(
            f"learning_rate: expected one of {', '.join(RATES)}, or a schedule (step, steps) -> "
            f"rate such as backhand.training.cosine({kind!r}), got {kind!r}; a rate that stays is "
            f"learning_rate_init={kind!r}"
        )
    else:
        _check_one_of("learning_rate", kind, RATES)


def _check_objects(given: Mapping[str, Any]) -> None:
    if given["rule"] is not None and not isinstance(given["rule"], UpdateRule):
        raise TypeError(f"rule: expected an UpdateRule such as AdamW(), got {given['rule']!r}")
    network = given["network"]
    if network is not None and not (isinstance(network, Layer) or callable(network)):
        raise TypeError(
            f"network: expected a Layer, or a function (inputs, outputs) -> Layer, got {network!r}"
        )
    if not isinstance(given["loss"], str | Loss):
        raise TypeError(f"loss: expected a name or a Loss, got {given['loss']!r}")
    if given["on_epoch"] is not None and not callable(given["on_epoch"]):
        raise TypeError(f"on_epoch: expected a function of an Epoch, got {given['on_epoch']!r}")


def _check_one_of(name: str, value: Any, names: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name}: expected one of {', '.join(names)}, got {value!r}")


def _changed(name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    value, default = given[name], defaults[name]
    return value is not default and list(np.atleast_1d(value)) != list(np.atleast_1d(default))


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def _real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
