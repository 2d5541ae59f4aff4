"""Estimators: the scikit-learn face."""

from skdeep.estimators._mlp import MLPClassifier, MLPRegressor
from skdeep.estimators._module import ModuleClassifier, ModuleRegressor
from skdeep.estimators._recurrent import LSTMClassifier, LSTMRegressor

__all__ = [
    "LSTMClassifier",
    "LSTMRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "ModuleClassifier",
    "ModuleRegressor",
]
