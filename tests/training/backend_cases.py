"""Helpers for tests of the joblib backend: models, calls and comparisons."""

import functools

import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_iris
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from tests.training.populations import Job, fit_once

X, y = load_iris(return_X_y=True)
GRID = {"mlpclassifier__alpha": [1e-3, 1.0], "mlpclassifier__learning_rate_init": [0.1]}


def network(**params):
    few = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}
    return MLPClassifier(**{**few, "learning_rate_init": 0.05, **params})


def pipeline(**params):
    return make_pipeline(StandardScaler(), network(**params))


def numbers_of(results):
    """Return the numeric arrays in the results of a call, except times."""
    if isinstance(results, dict):
        items = [v for k, v in sorted(results.items()) if not k.endswith("_time")]
        return [array for item in items for array in numbers_of(item)]
    if isinstance(results, tuple | list):
        return [array for item in results for array in numbers_of(item)]
    if hasattr(results, "get_params"):
        return [results.predict_proba(X)]
    array = np.asarray(results)
    return [array] if array.dtype.kind in "fiub" else []


def assert_close(found, expected, **tolerance):
    one, two = numbers_of(found), numbers_of(expected)
    assert len(one) == len(two) > 0
    tolerance = {"rtol": 1e-8, "atol": 1e-10, **tolerance}
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def searched(search):
    search.fit(X, y)
    return [search.cv_results_, search.best_index_, search.best_estimator_]


def fitted(model):
    model.fit(X, y)
    scores = [model.predict_proba(X)] if hasattr(model, "predict_proba") else []
    return [*scores, model.predict(X)]


def grid(model=None, **options):
    options = {"cv": 2, **options}
    return GridSearchCV(pipeline() if model is None else model, GRID, **options)


def jobs(n=4, **params):
    alphas = np.geomspace(1e-3, 1, 23)[:n]
    return [Job(network(alpha=a, **params), X, y) for a in alphas]


def fit_all(n=4, parallel=None, **params):
    parallel = Parallel() if parallel is None else parallel
    return parallel(delayed(fit_once)(job) for job in jobs(n, **params))


def assert_same_models(found, expected):
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            one.predict_proba(X), two.predict_proba(X), rtol=1e-8, atol=1e-12
        )


@functools.cache
def _fits_one_by_one():
    return [fit_once(job) for job in jobs(23)]


def fit_one_by_one(n=4):
    """Return the models of the first n jobs, fitted one after another."""
    return _fits_one_by_one()[:n]


@functools.cache
def nested_scores(cv=2, inner_cv=2):
    """Return the scores of a search in cross-validation, without the backend."""
    return cross_val_score(grid(cv=inner_cv), X, y, cv=cv)
