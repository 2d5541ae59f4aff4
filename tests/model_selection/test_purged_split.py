"""PurgedTimeSeriesSplit, against scikit-learn's splitters and its definition."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    TimeSeriesSplit,
    check_cv,
    cross_val_predict,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsRegressor

from skdeep.model_selection import PurgedTimeSeriesSplit


def folds(n_samples, *args, **params):
    splitter = PurgedTimeSeriesSplit(*args, **params)
    return list(splitter.split(np.zeros((n_samples, 2))))


def assert_same_folds(found, expected):
    assert len(found) == len(expected)
    for fold, other in zip(found, expected, strict=True):
        for rows, other_rows in zip(fold, other, strict=True):
            assert_array_equal(rows, other_rows)


def random_case(seed):
    """Draw parameters and a sufficient number of rows."""
    generator = np.random.default_rng(seed)
    params = {
        "n_splits": int(generator.integers(2, 7)),
        "purge": int(generator.integers(0, 8)),
        "embargo": int(generator.integers(0, 8)),
        "max_train_size": [None, int(generator.integers(1, 40))][seed % 2],
        "test_size": [None, int(generator.integers(1, 20))][seed // 2 % 2],
    }
    n_samples = int(generator.integers(150, 300))
    return n_samples, params


@pytest.mark.parametrize("seed", range(24))
def test_equals_time_series_split_with_a_gap(seed):
    n_samples, params = random_case(seed)
    gap, _ = params["purge"], params.pop("embargo")
    found = folds(n_samples, embargo=3, **params)
    del params["purge"]
    expected = TimeSeriesSplit(gap=gap, **params).split(np.zeros(n_samples))
    assert_same_folds(found, list(expected))


@pytest.mark.parametrize("n_splits", [2, 3, 5])
def test_equals_k_fold_without_purge(n_splits):
    found = folds(60, n_splits, train_after=True)
    assert_same_folds(found, list(KFold(n_splits).split(np.zeros(60))))


@pytest.mark.parametrize("train_after", [False, True])
@pytest.mark.parametrize("seed", range(24))
def test_no_training_label_overlaps_the_test_block(seed, train_after):
    n_samples, params = random_case(seed)
    purge, embargo = params["purge"], params["embargo"]
    found = folds(n_samples, train_after=train_after, **params)
    assert len(found) == params["n_splits"]
    for train, test in found:
        assert train.size and (np.diff(train) > 0).all()
        assert (np.diff(test) == 1).all()
        assert 0 <= train[0] and train[-1] < n_samples
        looked_at_by_test = set(range(test[0], test[-1] + purge + 1))
        for row in train:
            assert looked_at_by_test.isdisjoint(range(row, row + purge + 1))
        embargoed = range(test[-1] + 1, test[-1] + purge + embargo + 1)
        assert set(train).isdisjoint(embargoed)
    tests = np.concatenate([test for _, test in found])
    assert (np.diff(tests) == 1).all() and tests[-1] == n_samples - 1
    if not train_after:
        assert all(train[-1] < test[0] for train, test in found)


@pytest.mark.parametrize("train_after", [False, True])
@pytest.mark.parametrize("seed", range(0, 24, 2))
def test_no_more_rows_than_necessary_are_left_out(seed, train_after):
    n_samples, params = random_case(seed)  # even seeds: no max_train_size
    reach = params["purge"]
    for train, test in folds(n_samples, train_after=train_after, **params):
        left_out = set(range(n_samples)) - set(train) - set(test)
        end = test[-1] + reach + params["embargo"] if train_after else n_samples
        assert left_out == {
            row
            for row in range(n_samples)
            if test[0] - reach <= row < test[0] or test[-1] < row <= end
        }


@pytest.mark.parametrize("train_after", [False, True])
def test_nearest_rows_are_kept(train_after):
    params = {"n_splits": 3, "purge": 2, "embargo": 1, "train_after": train_after}
    whole = folds(50, test_size=6, **params)
    few = folds(50, test_size=6, max_train_size=5, **params)
    for (train, test), (kept, same_test) in zip(whole, few, strict=True):
        assert_array_equal(test, same_test)
        assert len(kept) == 5 and set(kept) <= set(train)
        farthest = max(abs(test - row).min() for row in kept)
        dropped = set(train) - set(kept)
        assert all(abs(test - row).min() >= farthest for row in dropped)


def test_purging_removes_the_leak_of_overlapping_labels():
    """A random walk is unpredictable unless test labels leak."""
    steps = np.random.default_rng(0).normal(size=2000)
    time = np.arange(1980.0).reshape(-1, 1)
    # Sums of the next 20 steps: neighboring labels share most of them.
    y = np.array([steps[row + 1 : row + 21].sum() for row in range(1980)])
    neighbor = KNeighborsRegressor(n_neighbors=1)

    def error(**params):
        cv = PurgedTimeSeriesSplit(n_splits=90, train_after=True, **params)
        scores = cross_val_score(
            neighbor, time, y, cv=cv, scoring="neg_mean_squared_error"
        )
        return -scores.mean() / y.var()

    assert error() < 1.6 < error(purge=20)


# -- in scikit-learn -------------------------------------------------------------------


def make_data():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(120, 3))
    return X, X @ [1.0, -2.0, 0.5] + generator.normal(size=120)


def test_works_in_scikit_learn():
    X, y = make_data()
    cv = PurgedTimeSeriesSplit(4, purge=3)
    assert check_cv(cv) is cv
    expected = cross_val_score(Ridge(), X, y, cv=TimeSeriesSplit(4, gap=3))
    assert_array_equal(cross_val_score(Ridge(), X, y, cv=cv), expected)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1e4]}, cv=cv).fit(X, y)
    assert search.n_splits_ == 4 and search.best_params_ == {"alpha": 0.1}
    all_rows = PurgedTimeSeriesSplit(4, purge=3, train_after=True)
    assert cross_val_predict(Ridge(), X, y, cv=all_rows).shape == (120,)


def test_metadata_routing_requests_no_groups():
    X, y = make_data()
    cv = PurgedTimeSeriesSplit(3, purge=2)
    assert not hasattr(cv, "set_split_request")
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(Ridge(), X, y, cv=cv)
        assert_array_equal(scores, cross_val_score(Ridge(), X, y, cv=cv, params={}))
        routed = cv.get_metadata_routing()
        assert not routed.split.requests


def test_groups_are_ignored_with_a_warning():
    X, y = make_data()
    with pytest.warns(UserWarning, match="groups parameter is ignored") as caught:
        found = PurgedTimeSeriesSplit(3).split(X, y, groups=np.arange(120))
    assert caught[0].filename == __file__
    assert_same_folds(list(found), folds(120, 3))


def test_repr_and_get_n_splits():
    cv = PurgedTimeSeriesSplit(7, purge=2)
    assert cv.get_n_splits() == cv.get_n_splits(np.ones(3)) == 7
    assert repr(cv) == (
        "PurgedTimeSeriesSplit(embargo=0, max_train_size=None, n_splits=7, purge=2,\n"
        "           test_size=None, train_after=False)"
    )


@pytest.mark.parametrize(
    "X",
    [list(range(30)), pd.DataFrame({"a": range(30)}), np.zeros((30, 4, 2))],
    ids=["list", "frame", "3-D"],
)
def test_only_the_number_of_rows_is_read(X):
    assert_same_folds(list(PurgedTimeSeriesSplit(3).split(X)), folds(30, 3))


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_splits", 1),
        ("n_splits", 2.0),
        ("purge", -1),
        ("purge", 0.5),
        ("embargo", -2),
        ("embargo", "3"),
        ("train_after", "yes"),
        ("max_train_size", 0),
        ("test_size", 0),
        ("test_size", 0.2),
    ],
)
def test_invalid_parameters(name, value):
    message = f"'{name}' parameter of PurgedTimeSeriesSplit must be .* Got {value!r}"
    with pytest.raises(ValueError, match=message):
        PurgedTimeSeriesSplit(**{name: value})


@pytest.mark.parametrize(
    ("n_samples", "params", "message"),
    [
        (3, {}, r"n_splits=5 .* need at least 6 rows, got n_samples=3"),
        (4, {"train_after": True}, r"n_splits=5 .* at least 5 rows, got n_samples=4"),
        (9, {"test_size": 2}, r"test_size=2 need at least 10 rows, got n_samples=9"),
        (10, {"test_size": 2}, r"Fold 0 has no training rows: .* n_splits=5"),
        (12, {"purge": 2}, r"Fold 0 .* n_samples=12 .* purge=2, .* blocks of 2 rows"),
        (10, {"embargo": 8, "train_after": True}, r"Fold 0 .* embargo=8"),
        (
            10,
            {"n_splits": 3, "purge": 5, "train_after": True},
            "Fold 1 has no training rows",
        ),
    ],
)
def test_too_few_rows(n_samples, params, message):
    with pytest.raises(ValueError, match=message):
        PurgedTimeSeriesSplit(**params).split(np.zeros(n_samples))
