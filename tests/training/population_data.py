"""Networks and rows for the tests of populations."""

import itertools

import numpy as np
from sklearn.datasets import (
    make_classification,
    make_regression,
)
from sklearn.model_selection import KFold

from skdeep import MLPClassifier, MLPRegressor
from tests.training.populations import (
    Job,
)

X, y = make_classification(
    n_samples=147, n_features=6, n_informative=4, n_classes=3, random_state=0
)
X_numbers, y_numbers = make_regression(
    n_samples=147, n_features=6, noise=5.0, random_state=0
)
y_numbers = np.abs(y_numbers) / 100
SMALL = {
    "hidden_layer_sizes": (6, 5),
    "max_iter": 3,
    "batch_size": 32,
    "learning_rate_init": 0.01,
    "random_state": 0,
}


def classifier(**params):
    return MLPClassifier(**{**SMALL, **params})


def regressor(**params):
    return MLPRegressor(**{**SMALL, **params})


N_FOLDS = 2


def folds(X=X, y=y, n_splits=N_FOLDS):
    """Return the training rows of folds: 73 and 74 of the 147."""
    cv = KFold(n_splits, shuffle=True, random_state=0)
    return [(X[train], y[train]) for train, _ in cv.split(X)]


def jobs_of(models, data=None, **params):
    """Return a job for every model and every part of the data."""
    parts = folds() if data is None else data
    return [Job(m, *part, params) for m, part in itertools.product(models, parts)]


def resampled(n_parts, n_rows=110):
    """Return bootstrap samples."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(X), (n_parts, n_rows))
    return [(X[r], y[r]) for r in rows]
