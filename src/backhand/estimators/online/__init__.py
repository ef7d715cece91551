"""Networks that learn from streams, row by row, with river's interface."""

from backhand.estimators.online.anomaly import OnlineAnomalyDetector
from backhand.estimators.online.classifier import OnlineClassifier
from backhand.estimators.online.regressor import OnlineRegressor

__all__ = ["OnlineAnomalyDetector", "OnlineClassifier", "OnlineRegressor"]
