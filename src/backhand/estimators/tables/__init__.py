"""Tables: estimators for DataFrames as they are."""

from backhand.estimators.tables.classifier import TableClassifier
from backhand.estimators.tables.regressor import TableRegressor

__all__ = ["TableClassifier", "TableRegressor"]
