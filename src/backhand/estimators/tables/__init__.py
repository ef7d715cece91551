"""Tables: estimators for DataFrames as they are."""

from backhand.estimators.tables.classifier import TableClassifier
from backhand.estimators.tables.files import load_table_model
from backhand.estimators.tables.regressor import TableRegressor

__all__ = ["TableClassifier", "TableRegressor", "load_table_model"]
