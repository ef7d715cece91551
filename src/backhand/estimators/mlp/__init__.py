"""scikit-learn's perceptrons, faster."""

from backhand.estimators.mlp.classifier import MLPClassifier
from backhand.estimators.mlp.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
