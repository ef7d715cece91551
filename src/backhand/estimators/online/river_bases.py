"""river's base classes, or plain ones where river is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class AnomalyDetector:
        """river's, to a type checker that does not know river."""

    class MiniBatchClassifier:
        """See AnomalyDetector."""

    class MiniBatchRegressor:
        """See AnomalyDetector."""

else:
    try:
        from river.base import AnomalyDetector, MiniBatchClassifier, MiniBatchRegressor
    except ImportError:
        AnomalyDetector = MiniBatchClassifier = MiniBatchRegressor = object

__all__ = ["AnomalyDetector", "MiniBatchClassifier", "MiniBatchRegressor"]
