"""OnlineEstimator: what the three online estimators share."""

from __future__ import annotations

import heapq
import inspect
from collections.abc import Collection, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch import Tensor

from backhand.arguments import bare, checked_rate, finite, real, shown, whole
from backhand.estimators.online.columns import Columns, number, numbers
from backhand.estimators.online.contents import Contents, checked_seed, distinct, plain
from backhand.estimators.online.learner import Learner
from backhand.files import written_whole
from backhand.layer import Layer
from backhand.layers import FullyConnected, ReLU, Sigmoid, Tanh
from backhand.learning import rules
from backhand.learning.rules import Adam, UpdateRule
from backhand.networks.covered import Covered
from backhand.tensor_file import Malformed, NetworkFileError, blaming, expect

if TYPE_CHECKING:
    import pandas as pd

Same = TypeVar("Same", bound="OnlineEstimator")
Features = Mapping[Hashable, Any]

ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}
BLOCK = 8
"""Room for inputs comes in multiples of so many."""


class OnlineEstimator:
    """Columns for the features, and a learner that begins with the first row."""

    hidden: tuple[int, ...]
    activation: str
    learning_rate: float
    rule: UpdateRule | None
    max_features: int
    seed: int | None

    _LEARNT: ClassVar[tuple[str, ...]] = ("_columns", "_learner", "_drawn_seed")
    """Attributes that `_described` and the learner's tensors hold; a subclass adds its own."""

    # What a subclass says.

    def _start(self, inputs: int) -> Learner:
        """A learner that nothing has been learnt by."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Forget everything learnt; a subclass adds its own."""
        self._columns = Columns()
        self._learner: Learner | None = None
        drawn = int(torch.randint(1 << 31, ())) if self.seed is None else self.seed
        self._drawn_seed = drawn

    def _described(self) -> dict[str, Any]:
        """What is learnt beside the tensors; a subclass adds its own."""
        learner = self._learner
        return {
            "features": list(self._columns.places),
            "inputs": learner.inputs if learner else 0,
            "updates": learner.updates if learner else [],
            "seed": self._drawn_seed,
        }

    def _restore(self, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Set what `_described` described; a subclass restores its own first.

        Raises:
            KeyError, TypeError, ValueError: it is something else, or does not fit the settings.
        """
        features = distinct("features", described["features"], self.max_features)
        inputs = whole("its learner", "inputs", described["inputs"], least=0)
        if not len(features) <= inputs <= self._room(self.max_features):
            raise Malformed(f"inputs: {inputs} for {len(features)} features")
        updates = [finite("its learner", "updates", each) for each in described["updates"]]
        self._columns = Columns(features)
        self._drawn_seed = checked_seed(described["seed"])
        self._learner = self._start(inputs) if inputs else None
        own = self._tensors()
        if _geometry(own) != _geometry(tensors):
            raise Malformed("its tensors do not fit its settings")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        counted = self._learner.updates if self._learner is not None else []
        if len(updates) != len(counted) or min(updates, default=0) < 0:
            raise Malformed(f"updates: expected {len(counted)} counts, got {shown(updates)}")
        if self._learner is not None:
            self._learner.updates = updates

    # Settings.

    def _check_settings(self) -> None:
        name = type(self).__name__
        self.hidden = tuple(self.hidden)
        if not all(type(size) is int and size >= 1 for size in self.hidden):
            raise ValueError(f"{name}: hidden: expected sizes of 1 or more, got {self.hidden!r}")
        if not isinstance(self.activation, str) or self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(
                f"{name}: activation: expected one of {known}, got {self.activation!r}"
            )
        checked_rate(real(name, "learning_rate", self.learning_rate))
        if self.rule is not None and not isinstance(self.rule, UpdateRule):
            raise TypeError(f"{name}: rule: expected an UpdateRule or None, got {self.rule!r}")
        whole(name, "max_features", self.max_features)
        if self.seed is not None:
            checked_seed(self.seed)

    def _settings(self) -> dict[str, Any]:
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names}

    def _layers(self, inputs: int, outputs: int) -> list[Layer]:
        """Fully connected layers; the last one's weights begin at 0: it says nothing at first."""
        layers: list[Layer] = []
        for size in self.hidden:
            layers += [FullyConnected(inputs, size), ACTIVATIONS[self.activation]()]
            inputs = size
        last = FullyConnected(inputs, outputs)
        last.weight.value.zero_()
        return [*layers, last]

    def _rule(self) -> UpdateRule:
        return Adam() if self.rule is None else self.rule

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"learning_rate"}

    # Rows.

    def _learner_for(self, x: Features) -> Learner:
        """The learner, with x read into its row, and columns for all of x's features."""
        learner, columns = self._learner, self._columns
        if learner is None or not columns.read_whole(x, learner.row):
            values = numbers(x)
            learner = self._admit(values)
            columns.read(values, learner.row)
        return learner

    def _outputs_for(self, x: Features) -> list[float]:
        """What the network predicts for x; features it does not know are left out."""
        learner, columns = self._learner, self._columns
        assert learner is not None
        if not columns.read_whole(x, learner.question):
            columns.read(numbers(x), learner.question)
        return learner.predict()

    def _admit(self, present: Collection[Hashable]) -> Learner:
        """Find columns for a row's features; those seen least give theirs up if all are taken."""
        if len(present) > self.max_features:
            raise ValueError(
                f"{type(self).__name__}: a row of {len(present)} features; "
                f"max_features={self.max_features} allows no more"
            )
        columns, learner = self._columns, self._learner
        names = columns.new_in(present)
        if learner is None:
            learner = self._learner = self._start(self._room(len(names)))
        wanted = min(len(columns.places) + len(names), self.max_features)
        if wanted > learner.inputs:
            learner.grow(self._room(max(wanted, 2 * learner.inputs)), learner.outputs)
        begin = len(columns.places)
        places = list(range(begin, min(begin + len(names), self.max_features)))
        if len(places) < len(names):
            given_up = self._seen_least(learner, present, len(names) - len(places))
            learner.forget_inputs(given_up)
            places += given_up
        if names:
            columns.put(names, places)
        return learner

    def _room(self, features: int) -> int:
        """How many inputs to make for so many features."""
        return -(-min(max(features, 1), self.max_features) // BLOCK) * BLOCK

    def _seen_least(self, learner: Learner, present: Collection[Hashable], count: int) -> list[int]:
        """Columns of features learnt from in the fewest rows, of those not in this row."""
        counts = learner.statistics.count.value.tolist()
        absent = (at for name, at in self._columns.places.items() if name not in present)
        return heapq.nsmallest(count, absent, key=counts.__getitem__)

    # Tables.

    def _rows_to_learn(self, table: pd.DataFrame) -> tuple[Learner, Tensor]:
        """The learner, with columns for the table's, and the table's rows for it."""
        values = _columns_of(table)
        return self._admit(values), self._rows(values, len(table))

    def _rows(self, values: Mapping[Hashable, Tensor], count: int) -> Tensor:
        """Rows with each feature in its column; what is not there is missing."""
        assert self._learner is not None
        rows = self._learner.missing(count)
        for name, column in values.items():
            place = self._columns.places.get(name)
            if place is not None:
                rows[:, place] = column
        return rows

    def _outputs_for_many(self, table: pd.DataFrame) -> Tensor:
        """What the network predicts for a table's rows."""
        assert self._learner is not None
        rows = self._rows(_columns_of(table), len(table))
        if not len(rows):
            return torch.zeros(0, self._learner.outputs)
        return self._learner.predict_rows(rows)

    # Files and copies.

    def save(self, path: str | Path) -> None:
        """Write all of it to one file, whole or not at all: settings, and what was learnt.

        Learning goes on after `load` as if nothing had happened, bit for bit on one machine.

        Args:
            path: conventionally ending in .safetensors.

        Raises:
            TypeError: a setting, a feature's name or a label cannot be written as JSON.
            OSError: the file cannot be written.
        """
        settings = self._settings()
        if self.rule is not None:
            if type(self.rule) not in _RULES.values():
                raise TypeError(f"save: the rule {self.rule!r} is none of {', '.join(_RULES)}")
            settings["rule"] = {"class": type(self.rule).__name__, **vars(self.rule)}
        described = self._described()
        for names in ("features", "classes"):
            if names in described:
                described[names] = [plain(name, names) for name in described[names]]
        rest = {"class": type(self).__name__, "settings": settings, **described}
        content = Contents(self._tensors(), rest).to_bytes()
        with written_whole(Path(path), binary=True) as file:
            file.write(content)

    @classmethod
    def load(cls: type[Same], path: str | Path) -> Same:
        """Read what `save` wrote.

        Raises:
            NetworkFileError: the file is cut short, not an online estimator of this class, of a
                newer format, or does not fit together.
            OSError: the file cannot be read.
        """
        contents = Contents.from_bytes(Path(path).read_bytes(), path)
        kind = contents.rest.get("class")
        if kind != cls.__name__:
            given = bare(kind) if isinstance(kind, str) else shown(kind)
            raise NetworkFileError(f"{path}: a saved {given}, not a {cls.__name__}")
        with blaming(path, "it does not fit together"), Covered(contents.tensors.values()):
            settings = dict(expect("settings", contents.rest["settings"], dict))
            settings["hidden"] = tuple(expect("hidden", settings["hidden"], list))
            if settings["rule"] is not None:
                rule = dict(expect("rule", settings["rule"], dict))
                settings["rule"] = _RULES[expect("rule", rule.pop("class"), str)](**rule)
            found = cls(**settings)
            found._restore(contents.rest, contents.tensors)
        return found

    def _tensors(self) -> dict[str, Tensor]:
        return self._learner.tensors() if self._learner else {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy or pickle holds what a file does; the recorded steps are made again."""
        kept = {name: value for name, value in vars(self).items() if name not in self._LEARNT}
        tensors = Contents(self._tensors(), {}).to_bytes()
        return {**kept, "_described": self._described(), "_tensors": tensors}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        described, tensors = state.pop("_described"), state.pop("_tensors")
        vars(self).update(state)
        self._restore(described, Contents.from_bytes(tensors, "a pickle").tensors)

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        words = [
            f"{name}={value!r}"
            for name, value in self._settings().items()
            if value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(words)})"


def _columns_of(table: pd.DataFrame) -> dict[Hashable, Tensor]:
    """A DataFrame's columns by name, as numbers."""
    return {
        name: torch.tensor([number(name, value) for value in table[name]], dtype=torch.float64)
        for name in table.columns
    }


def _geometry(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Any, ...]]:
    return {name: (each.shape, each.dtype) for name, each in tensors.items()}


_RULES = {each.__name__: each for each in (rules.SGD, rules.Momentum, rules.Adam, rules.AdamW)}
"""The rules a file may name."""
