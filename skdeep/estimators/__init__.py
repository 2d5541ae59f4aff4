"""Estimators: the scikit-learn face."""

from skdeep.estimators._cost_sensitive import CostSensitiveClassifier
from skdeep.estimators._deep_ensemble import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
)
from skdeep.estimators._forecaster import LSTMForecaster
from skdeep.estimators._mlp import MLPClassifier, MLPRegressor
from skdeep.estimators._module import ModuleClassifier, ModuleRegressor
from skdeep.estimators._recurrent import LSTMClassifier, LSTMRegressor

__all__ = [
    "CostSensitiveClassifier",
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "ModuleClassifier",
    "ModuleRegressor",
]
