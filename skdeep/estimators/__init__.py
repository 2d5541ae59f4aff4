"""Estimators with scikit-learn's API, and the base classes to write more of them."""

from skdeep.estimators._autoencoder import AutoEncoder
from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._classifier import ClassifierNetwork
from skdeep.estimators._convolutional import CNNClassifier, CNNRegressor
from skdeep.estimators._cost_sensitive import CostSensitiveClassifier
from skdeep.estimators._deep_ensemble import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
)
from skdeep.estimators._equilibrium import EquilibriumNet
from skdeep.estimators._equilibrium_model import check_equilibrium_model
from skdeep.estimators._forecaster import LSTMForecaster
from skdeep.estimators._gan import GAN
from skdeep.estimators._language_model import LanguageModel
from skdeep.estimators._mlp import MLPClassifier, MLPRegressor
from skdeep.estimators._module import ModuleClassifier, ModuleRegressor
from skdeep.estimators._recurrent import LSTMClassifier, LSTMRegressor
from skdeep.estimators._regressor import RegressorNetwork
from skdeep.estimators._seq2seq import Seq2Seq
from skdeep.estimators._shocks import DiscreteShocks, GaussHermite, MonteCarlo
from skdeep.estimators._variational_autoencoder import VariationalAutoEncoder

__all__ = [
    "GAN",
    "AutoEncoder",
    "BaseNetwork",
    "CNNClassifier",
    "CNNRegressor",
    "ClassifierNetwork",
    "CostSensitiveClassifier",
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "DiscreteShocks",
    "EquilibriumNet",
    "GaussHermite",
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMRegressor",
    "LanguageModel",
    "MLPClassifier",
    "MLPRegressor",
    "ModuleClassifier",
    "ModuleRegressor",
    "MonteCarlo",
    "RegressorNetwork",
    "Seq2Seq",
    "VariationalAutoEncoder",
    "check_equilibrium_model",
]
