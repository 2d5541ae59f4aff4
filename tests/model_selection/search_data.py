"""Small searches, and estimators that fail."""

import numpy as np
from scipy.stats import loguniform
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
)
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from skdeep import OptunaSearchCV

X, y = make_classification(90, 5, n_informative=3, class_sep=0.6, random_state=0)
C = {"C": loguniform(1e-3, 1e2)}


def search(estimator=None, space=C, **params):
    """A small search, by default of LogisticRegression."""
    estimator = LogisticRegression() if estimator is None else estimator
    params = {"n_trials": 3, "cv": 3, "random_state": 0, **params}
    return OptunaSearchCV(estimator, space, **params)


class FailsForParameters(ClassifierMixin, BaseEstimator):
    """Predicts the first class, and fails for some of its parameters."""

    def __init__(self, bad=0, nan=0):
        self.bad = bad
        self.nan = nan

    def fit(self, X, y, sample_weight=None):
        if self.bad > 4:
            raise ValueError(f"bad is {self.bad}")
        self.classes_ = np.unique(y)
        self.sum_of_weights_ = None if sample_weight is None else sample_weight.sum()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        return np.nan if self.nan > 4 else 0.25 + self.bad / 100


def two_scores(estimator, X, y):
    """A custom scorer that returns two metrics."""
    right = accuracy_score(y, estimator.predict(X))
    return {"right": right, "wrong": right - 1}
