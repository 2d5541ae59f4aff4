"""Searches whose results are compared."""

import numpy as np
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    KFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdeep import MLPClassifier, OptunaSearchCV

X, Y = load_iris(return_X_y=True)
X = scale(X)  # logistic regression then converges in few iterations
FOLDS = KFold(3, shuffle=True, random_state=0)
RATE = "mlpclassifier__learning_rate_init"
SPACE = {
    RATE: stats.loguniform(1e-4, 1e-1),
    "mlpclassifier__activation": ["relu", "tanh"],
    "mlpclassifier__hidden_layer_sizes": [(4,), (8,), (8, 8)],
}


def network(**options):
    options = {"max_iter": 8, "random_state": 0, **options}
    return make_pipeline(StandardScaler(), MLPClassifier((8,), **options))


def search(estimator=None, space=None, **options):
    options = {"n_trials": 8, "cv": FOLDS, "random_state": 0, **options}
    estimator = network() if estimator is None else estimator
    return OptunaSearchCV(estimator, SPACE if space is None else space, **options)


def linear(space=None, **options):
    space = {"C": stats.loguniform(1e-3, 1e2)} if space is None else space
    return search(LogisticRegression(max_iter=500), space, **options)


def assert_same_results(one, other):
    one, other = one.cv_results_, other.cv_results_
    assert list(one) == list(other)
    for name in one:
        if not name.endswith("_time"):
            assert_array_equal(np.ma.filled(one[name], 0), np.ma.filled(other[name], 0))
