"""Estimators whose answers are known, for the tests of explanations."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


class KnownRegressor(RegressorMixin, BaseEstimator):
    """Answers what a function says of the rows, and keeps the rows it was asked."""

    def __init__(self, function=None):
        self.function = function

    def fit(self, X=None, y=None):
        self.asked_ = []
        return self

    def predict(self, X):
        self.asked_.append(X)
        return self.function(X)


class KnownClassifier(ClassifierMixin, BaseEstimator):
    """Gives the classes the probabilities that a function says, (n, n_classes)."""

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
    """Make a fitted regressor of a function."""
    return lambda function: KnownRegressor(function).fit()


@pytest.fixture
def classifier():
    """Make a fitted classifier of a function."""
    return lambda function, **parameters: KnownClassifier(function, **parameters).fit()
