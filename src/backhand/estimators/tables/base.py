"""What TableClassifier and TableRegressor share: reading tables, training members, files."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    check_is_fitted,
    validate_data,
)
from torch import Tensor

from backhand.arguments import bare, shown, whole
from backhand.data import Data
from backhand.data.column_kinds import PLURALS, Meaning
from backhand.estimators.predictor import Predictor
from backhand.estimators.tables.columns import Column, read_columns
from backhand.estimators.tables.encoding import EncodedTable, Encoding
from backhand.estimators.tables.held_out import HoldingOut
from backhand.estimators.tables.members import make_members
from backhand.estimators.tables.saved import read_model
from backhand.estimators.tables.training import train_members
from backhand.losses import Loss
from backhand.networks import NetworkFileError, Stack, save
from backhand.tensor_file import Malformed, blaming, expect
from backhand.training import Epoch

EPOCHS, STEPS, FEWEST = 128, 8192, 16
"""Epochs by default; for larger tables as many as make so many steps, but no fewer than FEWEST.

The recipe has 256 for all: beyond these the error fell no more than by chance, only time went on.
"""


class TableBase(BaseEstimator):  # type: ignore[misc]
    """What both share. Not for use by itself."""

    hidden: Sequence[int]
    epochs: int | None
    batch_size: int
    learning_rate: float
    members: int
    validation_fraction: float
    random_state: Any
    on_epoch: Callable[[Epoch], Any] | None

    encoding_: Encoding
    network_: Stack
    n_features_in_: int
    loss_curve_: list[float]
    validation_scores_: list[list[float]]
    best_epochs_: list[int]
    feature_names_in_: np.ndarray
    target_name_: str | None
    left_out_: list[str]

    _classifies: bool
    _predictor: Predictor | None = None

    # Reading.

    def _columns(self, X: Any, reset: bool) -> list[Column]:
        """The columns of a table of any kind, their names and number checked."""
        meant = None if reset else [code.meaning for code in self.encoding_.codes]
        if hasattr(X, "columns") and hasattr(X, "shape"):
            if 0 in X.shape:
                raise ValueError(
                    f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) "
                    f"(shape={tuple(X.shape)}) while a minimum of 1 is required."
                )
            _check_feature_names(self, X, reset=reset)
            _check_n_features(self, X, reset=reset)
            return self._warned(read_columns(X, meant), reset)
        numeric = np.asarray(X).dtype.kind in "iufb" if not hasattr(X, "tocsr") else True
        kind = "numeric" if numeric else None
        X = validate_data(self, X, dtype=kind, ensure_all_finite="allow-nan", reset=reset)
        return self._warned(read_columns(X, meant), reset)

    def _warned(self, columns: list[Column], training: bool) -> list[Column]:
        """The columns, with a warning where a value that is there counts as missing."""
        for column in columns:
            taken = [*map(repr, column.strays), *(column.codes if training else ())]
            if taken:
                some = ", ".join(taken[:5]) + (" …" if len(taken) > 5 else "")
                text = f"column {column.name!r}, of {PLURALS[column.kind]}: {some} taken as missing"
                warnings.warn(text, UserWarning, stacklevel=4)
        return columns

    def remember(self, meanings: Mapping[str, Meaning], left_out: Sequence[str] = ()) -> None:
        """Read text as a file's columns were read, where the table of `fit` was made from a file.

        Args:
            meanings: of columns, by name; those that are not among them stay as they are.
            left_out: names of the file's columns that `fit` did not get; kept in `left_out_`.
        """
        check_is_fitted(self)
        codes = tuple(
            replace(code, missing=meant.missing, date_format=meant.date_format, unit=meant.unit)
            if (meant := meanings.get(code.name)) and meant.kind == code.kind
            else code
            for code in self.encoding_.codes
        )
        self.encoding_ = replace(self.encoding_, codes=codes)
        self.left_out_ = list(left_out)

    def _check_arguments(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("members", 1)):
            value = getattr(self, name)
            if name == "epochs" and value is None:
                continue
            if not isinstance(value, numbers.Integral) or value < least:
                raise ValueError(f"{name}: expected a whole number of {least} or more, got {value}")
        if not all(isinstance(each, numbers.Integral) and each > 0 for each in self.hidden):
            raise ValueError(f"hidden: expected whole numbers above 0, got {self.hidden}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"learning_rate: expected a finite number above 0, got {self.learning_rate}"
            )
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                "validation_fraction: expected a share between 0 and 1, "
                f"got {self.validation_fraction}"
            )

    # Training.

    def epochs_for(self, rows: int) -> int:
        """How many epochs `fit` takes for a table of so many rows."""
        training = rows - round(rows * self.validation_fraction)
        steps = max(training // self.batch_size, 1)
        return self.epochs or min(EPOCHS, max(STEPS // steps, FEWEST))

    def _train(
        self, columns: list[Column], targets: np.ndarray, outputs: int, holding_out: HoldingOut
    ) -> None:
        random = check_random_state(self.random_state)
        training, held_out = holding_out.split(
            targets, self.validation_fraction, random, stratified=self._classifies
        )
        self.encoding_ = Encoding.of([_rows(column, training) for column in columns])
        inputs = torch.from_numpy(self.encoding_.matrix(columns))
        repeated = torch.from_numpy(np.repeat(targets[:, None], self.members, axis=1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(random.randint(np.iinfo(np.int32).max)))
            self.network_ = make_members(
                inputs.shape[1], self.hidden, outputs, self.members, self._classifies
            )
            judge = train_members(
                self,
                Data(inputs[training], repeated[training]),
                inputs[held_out],
                self._measure(torch.from_numpy(targets[held_out])),
                self.epochs_for(len(targets)),
                random,
            )
        self._predictor = Predictor(self.network_)
        self.left_out_ = []
        self.loss_curve_, self.validation_scores_ = judge.loss_curve, judge.scores
        self.best_epochs_ = judge.best_epochs

    def _loss(self) -> Loss:
        raise NotImplementedError

    def _measure(self, targets: Tensor) -> Callable[[Tensor], Tensor]:
        raise NotImplementedError

    # Prediction.

    def encode(self, X: Any) -> EncodedTable:
        """A table as numbers, which `predict` takes too: to ask for the same rows many times."""
        check_is_fitted(self)
        return EncodedTable(self.encoding_.matrix(self._columns(X, reset=False)))

    def _raw(self, X: Any) -> np.ndarray:
        """What each member says of each row, in float64 (rows, members, outputs)."""
        check_is_fitted(self)
        matrix = X.matrix if isinstance(X, EncodedTable) else self.encode(X).matrix
        if self._predictor is None or self._predictor.network is not self.network_:
            self._predictor = Predictor(self.network_)
        return self._predictor.many(matrix).astype(np.float64)

    def __getstate__(self) -> dict[str, Any]:
        """All but the recordings, which are made again where they are needed."""
        return {**super().__getstate__(), "_predictor": None}

    # Files.

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file, whole or not at all: weights, and as JSON the
        architecture, the encoding of columns and the arguments. No pickle.

        Raises:
            TypeError: an argument, a class or a column's name cannot be written as JSON.
            ValueError: an argument has been set to what is out of its range.
            OSError: the file cannot be written.
        """
        check_is_fitted(self)
        self._check_arguments()
        self._loss()
        arguments = self.get_params(deep=False) | {"on_epoch": None}
        if not isinstance(self.random_state, int):
            arguments["random_state"] = None
        about = {
            "estimator": type(self).__name__,
            "arguments": arguments,
            "encoding": self.encoding_.to_json(),
            "features": self.n_features_in_,
            "names": getattr(self, "feature_names_in_", np.array([])).tolist(),
            "target": self.target_name_,
            "left_out": self.left_out_,
            "learnt": self._learnt(),
        }
        save(self.network_, path, {"table": about})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` wrote; it predicts the same.

        Raises:
            NetworkFileError: the file is no such model, of another estimator, or cut short.
            OSError: the file cannot be read.
        """
        network, found = read_model(path)
        if found["estimator"] != cls.__name__:
            raise NetworkFileError(
                f"{path}: expected a {cls.__name__}, found a {bare(found['estimator'])}"
            )
        return cls._made_again(path, network, found)

    @classmethod
    def _made_again(cls, path: str | Path, network: Stack, found: dict[str, Any]) -> Self:
        """The model of a network and what `save` wrote about it.

        Raises:
            NetworkFileError: its parts do not fit together.
        """
        with blaming(path, "it does not fit together"):
            made = cls(**expect("arguments", found.get("arguments"), dict))
            made._check_read_arguments()
            made.network_ = network
            made.encoding_ = Encoding.from_json(expect("encoding", found.get("encoding"), dict))
            made._take_up_names(found)
            made._take_up(expect("learnt", found.get("learnt"), dict))
            made._check_network()
        return made

    def _check_read_arguments(self) -> None:
        """What `fit` would find, and what `save` writes in place of what JSON cannot hold."""
        self._check_arguments()
        self._loss()
        if self.random_state is not None:
            whole(type(self).__name__, "random_state", self.random_state, 0, 2**32 - 1)
        if self.on_epoch is not None:
            raise Malformed(f"on_epoch: expected null, got {shown(self.on_epoch)}")

    def _take_up_names(self, found: dict[str, Any]) -> None:
        columns = [code.name for code in self.encoding_.codes]
        self.n_features_in_ = whole(type(self).__name__, "features", found.get("features"))
        if self.n_features_in_ != len(columns):
            raise Malformed(f"features: {self.n_features_in_} and {len(columns)} columns encoded")
        names = expect("names", found.get("names"), list, of=str)
        if names:
            if names != columns:
                raise Malformed("names: others than those of the columns encoded")
            self.feature_names_in_ = np.array(names, dtype=object)
        self.left_out_ = expect("left_out", found.get("left_out", []), list, of=str)
        target = found.get("target")
        self.target_name_ = None if target is None else expect("target", target, str)

    def _check_network(self) -> None:
        """Refuse a network that does not take a row and give each member's outputs for it."""
        inputs = torch.zeros(1, len(self.encoding_.centres))
        raw = self.network_.predict(inputs)
        expected = 1, len(self.network_.branches), self._outputs()
        if tuple(raw.shape) != expected or raw.dtype is not inputs.dtype:
            raise Malformed(f"its network gives {tuple(raw.shape)} for a row, not {expected}")

    def _learnt(self) -> dict[str, Any]:
        """What else was learnt, for JSON."""
        raise NotImplementedError

    def _outputs(self) -> int:
        """How many outputs a member has."""
        raise NotImplementedError

    def _take_up(self, learnt: dict[str, Any]) -> None:
        """Set what `_learnt` wrote.

        Raises:
            TypeError, ValueError: it is something else.
        """
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _rows(column: Column, rows: np.ndarray) -> Column:
    return replace(column, values=column.values[rows], missing=column.missing[rows])
