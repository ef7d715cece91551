"""OnlineClassifier: a network that learns classes from a stream."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from backhand.arguments import shown, whole
from backhand.estimators.online.contents import distinct
from backhand.estimators.online.estimator import Features, OnlineEstimator
from backhand.estimators.online.learner import Learner
from backhand.estimators.online.river_bases import MiniBatchClassifier
from backhand.estimators.online.weights import rate_for, rates_for
from backhand.layer import Layer
from backhand.layers.open_classes import OpenClasses
from backhand.layers.standardized import Standardized
from backhand.learning.rules import UpdateRule
from backhand.losses import CrossEntropyLoss
from backhand.networks import Sequential
from backhand.tensor_file import Malformed

if TYPE_CHECKING:
    import pandas as pd


class OnlineClassifier(OnlineEstimator, MiniBatchClassifier):
    """A small network that learns classes from one row after another; river's interface.

    Features are standardized by their running mean and deviation. They may appear and vanish:
    one that is missing, None or NaN counts as its mean. Classes may appear; until then their
    probability is 0. Memory is constant but for new features and classes.

    Args:
        hidden: sizes of the hidden layers; () for a linear model. Default (64,).
        activation: "relu" (default), "tanh" or "sigmoid".
        learning_rate: default 0.005; may be set anew at any time.
        rule: how weights learn; default Adam().
        max_features: beyond so many, a new feature takes the place of the one learnt from in
            the fewest rows. Default 1000.
        max_classes: how many classes may appear. Default 100.
        seed: of the weights' first values; default drawn from torch's generator.

    Attributes:
        classes_: the labels seen, in the order of their appearance.

    Raises:
        ValueError, TypeError: an argument is out of range.
    """

    _LEARNT = (*OnlineEstimator._LEARNT, "_classes")

    def __init__(
        self,
        hidden: tuple[int, ...] = (64,),
        activation: str = "relu",
        learning_rate: float = 0.005,
        rule: UpdateRule | None = None,
        max_features: int = 1000,
        max_classes: int = 100,
        seed: int | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.learning_rate = learning_rate
        self.rule = rule
        self.max_features = max_features
        self.max_classes = max_classes
        self.seed = seed
        self._check_settings()
        whole("OnlineClassifier", "max_classes", max_classes, least=2)
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self._classes: dict[Hashable, int] = {}

    @property
    def classes_(self) -> list[Hashable]:
        return list(self._classes)

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: Features, y: Any, w: float = 1.0) -> None:
        """Learn from one row.

        Args:
            x: the features by name: numbers; None or NaN is missing.
            y: its label.
            w: the row's weight, which multiplies the learning rate; 0 leaves the weights.

        Raises:
            TypeError: a value is no number, or the label is None or not hashable.
            ValueError: a value is infinite, more classes appear than max_classes, or the weight is
                less than 0 or not finite.
            NonFiniteLoss: the weights have run away.
        """
        rate = rate_for(self, w)
        place = self._classes.get(y)
        if place is None:
            self._expect_room_for(y)
        learner = self._learner_for(x)
        if place is None:
            place = self._open(y, learner)
            learner = self._learner_for(x)  # which may have grown
        learner.target[0] = place
        learner.learn(rate)

    def predict_proba_one(self, x: Features, **kwargs: Any) -> dict[Any, float]:
        """The probability of each class seen so far; empty before the first."""
        if not self._classes:
            return {}
        found = self._probabilities(self._outputs_for(x))
        return dict(zip(self._classes, found, strict=True))

    def predict_one(self, x: Features, **kwargs: Any) -> Any:
        """The most probable class; None before the first."""
        if not self._classes:
            return None
        logits = self._outputs_for(x)  # of a class not seen yet: hopelessly small
        return self.classes_[logits.index(max(logits))]

    def learn_many(self, X: pd.DataFrame, y: pd.Series, w: Any = None) -> None:
        """Learn from the rows of a DataFrame, one by one: as learn_one for each, in one call.

        Args:
            X, y: the rows and their labels.
            w: a weight for each row; default 1 for all.
        """
        labels = list(y)
        rates = rates_for(self, w, len(X))
        if not len(labels) == len(rates) == len(X):
            raise ValueError(
                f"learn_many: {len(X)} rows, and {len(labels)} labels of {len(rates)} weights"
            )
        for label in dict.fromkeys(labels):
            if label not in self._classes:
                self._expect_room_for(label)
        learner, rows = self._rows_to_learn(X)
        begin = 0
        for at, label in enumerate([*labels, None]):
            if at == len(labels) or label not in self._classes:
                places = [self._classes[each] for each in labels[begin:at]]
                targets = torch.tensor(places, dtype=torch.int64)
                learner.learn_rows(rows[begin:at], targets, rates[begin:at])
                begin = at
                if at < len(labels):
                    self._open(label, learner)

    def predict_proba_many(self, X: pd.DataFrame) -> pd.DataFrame:
        """predict_proba_one for every row: a DataFrame with a column for each class."""
        import pandas as pd

        if not self._classes:
            return pd.DataFrame(index=X.index)
        found = [self._probabilities(each) for each in self._outputs_for_many(X).tolist()]
        shape = len(X), len(self._classes)
        return pd.DataFrame(np.reshape(found, shape), columns=self.classes_, index=X.index)

    def predict_many(self, X: pd.DataFrame) -> pd.Series:
        """predict_one for every row: a Series."""
        import pandas as pd

        if not self._classes:
            return pd.Series([None] * len(X), index=X.index, dtype=object)
        labels = self.classes_
        rows = self._outputs_for_many(X).tolist()
        return pd.Series([labels[logits.index(max(logits))] for logits in rows], index=X.index)

    def _probabilities(self, outputs: list[float]) -> list[float]:
        """Softmax of the classes' outputs for a row; one function for one row and for many."""
        logits = outputs[: len(self._classes)]
        largest = max(logits)
        powers = [math.exp(logit - largest) for logit in logits]
        total = sum(powers)
        return [power / total for power in powers]

    def _expect_room_for(self, label: Any) -> None:
        """Refuse what is no label, and one class too many."""
        if label is None or label != label:
            raise TypeError(f"OnlineClassifier: expected a label, got {label!r}")
        if len(self._classes) == self.max_classes:
            raise ValueError(
                f"OnlineClassifier: {label!r} would be class {self.max_classes + 1}, and "
                f"max_classes={self.max_classes}; for numbers there is OnlineRegressor"
            )

    def _open(self, label: Any, learner: Learner) -> int:
        """Let a class take part that was not seen before; returns its place."""
        self._expect_room_for(label)
        place = len(self._classes)
        if place == learner.outputs:
            learner.grow(learner.inputs, 2 * learner.outputs)
        # NumPy's scalars equal Python's, and JSON does not know them.
        self._classes[label.item() if isinstance(label, np.generic) else label] = place
        _open_classes(learner.network).open(place + 1)
        return place

    def _start(self, inputs: int) -> Learner:
        return Learner(
            self._build,
            CrossEntropyLoss(),
            self._rule(),
            torch.zeros(1, dtype=torch.int64),
            self._drawn_seed,
            inputs,
            max(2, 1 << (len(self._classes) - 1).bit_length()),
        )

    def _build(self, inputs: int, outputs: int) -> Layer:
        return Sequential(
            [Standardized(inputs), *self._layers(inputs, outputs), OpenClasses(outputs)]
        )

    def _described(self) -> dict[str, Any]:
        return super()._described() | {"classes": self.classes_}

    def _restore(self, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        labels = distinct("classes", described["classes"], self.max_classes)
        if any(label is None or label != label for label in labels):
            raise Malformed(f"classes: expected labels, got {shown(labels)}")
        self._classes = {label: place for place, label in enumerate(labels)}
        super()._restore(described, tensors)
        learner = self._learner
        if learner is not None and not _open_classes(learner.network).are_open(len(labels)):
            raise Malformed(f"classes: others than those that its network knows, {shown(labels)}")


def _open_classes(network: Layer) -> OpenClasses:
    layers = (layer for _, layer in network.layers_by_path())
    return next(layer for layer in layers if isinstance(layer, OpenClasses))
