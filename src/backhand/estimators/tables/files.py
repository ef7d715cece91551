"""Reading a model of a table from its file, whichever of the two it is."""

from __future__ import annotations

from pathlib import Path

from backhand.arguments import bare
from backhand.estimators.tables.classifier import TableClassifier
from backhand.estimators.tables.regressor import TableRegressor
from backhand.estimators.tables.saved import read_model
from backhand.networks import NetworkFileError

KINDS = {kind.__name__: kind for kind in (TableClassifier, TableRegressor)}


def load_table_model(path: str | Path) -> TableClassifier | TableRegressor:
    """The TableClassifier or TableRegressor whose `save` wrote the file; it predicts the same.

    Raises:
        NetworkFileError: the file is no model of a table, or cut short.
        OSError: the file cannot be read.
    """
    network, found = read_model(path)
    kind = KINDS.get(found["estimator"])
    if kind is None:
        expected, given = " or ".join(KINDS), bare(found["estimator"])
        raise NetworkFileError(f"{path}: expected a {expected}, found a {given}")
    return kind._made_again(path, network, found)
