"""Estimators with known predictions, for the tests of explanations."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


class KnownRegressor(RegressorMixin, BaseEstimator):
    """Predicts with a function of the rows, and records the rows of each call."""

    def __init__(self, function=None):
        self.function = function

    def fit(self, X=None, y=None):
        self.calls_ = []
        return self

    def predict(self, X):
        self.calls_.append(X)
        return self.function(X)


class KnownClassifier(ClassifierMixin, BaseEstimator):
    """Predicts the probabilities of a function of the rows, (n, n_classes)."""

    def __init__(self, function=None, classes=("no", "yes")):
        self.function = function
        self.classes = classes

    def fit(self, X=None, y=None):
        self.classes_ = np.asarray(self.classes)
        return self

    def predict_proba(self, X):
        chances = self.function(X)
        return chances if np.ndim(chances) == 2 else np.c_[1 - chances, chances]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture
def regressor():
    """Return a function that makes a fitted regressor from a function."""
    return lambda function: KnownRegressor(function).fit()


@pytest.fixture
def classifier():
    """Return a function that makes a fitted classifier from a function."""
    return lambda function, **parameters: KnownClassifier(function, **parameters).fit()
