"""Randomly nested meta-estimators of scikit-learn: no deadlock, no lost result."""

import threading
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from tests.training.populations import record_populations, run_in_backend

X, y = load_iris(return_X_y=True)
ROWS = np.random.default_rng(0).permutation(len(X))[:60]
X, y = X[ROWS], y[ROWS]
MOST_FITS = 20


def network(rng, **params):
    """A small network that may stop early, fall back or fail."""
    params = {
        "hidden_layer_sizes": [(), (4,), (3, 3)][rng.integers(3)],
        "max_iter": int(rng.integers(1, 5)),
        "learning_rate_init": 10 ** rng.uniform(-3, -1),
        "alpha": 10 ** rng.uniform(-4, 0),
        "solver": ["sgd", "adam", "adam", "adamw"][rng.integers(4)],
        "batch_size": ["auto", 16][rng.integers(2)],
        "random_state": int(rng.integers(2)),
        **params,
    }
    return MLPClassifier(**params)


def with_early_stopping(rng):
    return network(
        rng,
        early_stopping=[True, "loss"][rng.integers(2)],
        max_iter=12,
        n_iter_no_change=1,
        tol=0.05,
        validation_fraction=0.2,
    )


def with_dropout(rng):
    return network(rng, dropout=0.3, class_weight="balanced")


def trained_apart(rng):
    params = [{"solver": "lbfgs"}, {"batch_norm": True}, {"solver": "nadam"}]
    return network(rng, **params[rng.integers(3)])


def failing(rng):
    return network(rng, hidden_layer_sizes=(0,))


def from_scikit_learn(rng):
    return [LogisticRegression(), GaussianNB()][rng.integers(2)]


LEAVES = [network] * 4 + [
    with_early_stopping,
    with_dropout,
    trained_apart,
    from_scikit_learn,
]


def leaf(rng, may_fail):
    if may_fail and rng.random() < 0.25:
        return failing(rng)
    return LEAVES[rng.integers(len(LEAVES))](rng)


def space_of(model):
    """Return two values for a nested parameter, if there is one."""
    names = [name for name in sorted(model.get_params()) if name.endswith("alpha")]
    return {names[0]: [1e-3, 0.5]} if names else {}


def wrap(rng, model, other):
    """Return a meta-estimator around one or both models, and how often it fits each.

    The first number is that of ``model``, the second that of ``other``.
    """
    n_jobs = [None, None, None, -1, 1, 2][rng.integers(6)]
    options = {
        "cv": 2,
        "n_jobs": n_jobs,
        "error_score": ["raise", np.nan, np.nan][rng.integers(3)],
    }
    space = space_of(model)
    n_values = max(len(space) * 2, 1)
    pair = [("a", model), ("b", other)]
    kinds = [
        lambda: (GridSearchCV(model, space, **options), n_values * 2 + 1, 0),
        lambda: (
            RandomizedSearchCV(model, space, n_iter=1, random_state=0, **options),
            3,
            0,
        ),
        lambda: (BaggingClassifier(model, 3, random_state=0, n_jobs=n_jobs), 3, 0),
        lambda: (VotingClassifier(pair, n_jobs=n_jobs), 1, 1),
        lambda: (OneVsRestClassifier(model, n_jobs=n_jobs), 3, 0),
        lambda: (StackingClassifier(pair, GaussianNB(), cv=2, n_jobs=n_jobs), 3, 3),
        lambda: (CalibratedClassifierCV(model, cv=2, n_jobs=n_jobs), 2, 0),
        lambda: (make_pipeline(StandardScaler(), model), 1, 0),
    ]
    return kinds[rng.integers(len(kinds))]()


def random_nesting(rng):
    """Return meta-estimators around networks, with at most ``MOST_FITS`` fits."""
    may_fail = rng.random() < 0.4
    model, n_fits = leaf(rng, may_fail), 1
    for _ in range(4):
        found, times, others = wrap(rng, model, leaf(rng, may_fail))
        if n_fits * times + others > MOST_FITS:
            break
        model, n_fits = found, n_fits * times + others
    return model


def without_jobs(model):
    """Return the same model without parallel jobs."""
    names = [name for name in model.get_params() if name.endswith("n_jobs")]
    return clone(model).set_params(**dict.fromkeys(names))


def outcome(model, by_folds):
    """Return predictions or scores of a model, or the type of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if by_folds:
                return cross_val_score(model, X, y, cv=2)
            return clone(model).fit(X, y).predict(X)
        except Exception as error:
            return type(error)


def check_nestings(block, cores, n_nestings, monkeypatch):
    """Compare nested fits with the same fits one after another; count the errors.

    Each has the same result or the same error.
    """
    populations = record_populations(monkeypatch)
    errors = 0
    for i in range(n_nestings):
        rng = np.random.default_rng([cores, block, i])
        model, by_folds = random_nesting(rng), rng.random() < 0.3
        options = [{}, {}, {"n_jobs": 3}, {"memory_budget": 1}][rng.integers(4)]
        expected = outcome(without_jobs(model), by_folds)
        call = partial(outcome, model, by_folds)
        found = run_in_backend(call, seconds=300, cores=cores, **options)
        _assert_same(found, expected, model)
        errors += isinstance(expected, type)
        left = [t for t in threading.enumerate() if t.name == "skdeep"]
        assert not left, model
    assert max(populations) > 5
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2])
def test_some_random_nestings(cores, monkeypatch):
    assert check_nestings(0, cores, 6, monkeypatch) > 0


@pytest.mark.nightly
@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("block", range(5))
def test_random_nestings(block, cores, monkeypatch):
    assert check_nestings(block, cores, 20, monkeypatch) > 0


def _assert_same(found, expected, model):
    if isinstance(expected, type):
        assert found is expected, model
    else:
        assert not isinstance(found, type), f"{found} of {model}"
        np.testing.assert_array_equal(found, expected, err_msg=str(model))
