"""Estimators: the scikit-learn face."""

from skdeep.estimators._mlp import MLPClassifier, MLPRegressor
from skdeep.estimators._module import ModuleClassifier, ModuleRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "ModuleClassifier", "ModuleRegressor"]
