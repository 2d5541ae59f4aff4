"""Fixed features of tables, compared with references in NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.stats import iqr
from sklearn.preprocessing import OneHotEncoder

from skdeep.encoding import (
    PeriodicFeatures,
    PiecewiseFeatures,
    PlainFeatures,
    Table,
    TableEncoder,
    bin_edges,
)


def encode(numbers, categories=None, others=None):
    """Encode rows, or other rows, with an encoder fitted on the rows."""
    table = Table(numbers, categories)
    encoder = TableEncoder().fit(table)
    return encoder.transform(table if others is None else Table(*others))


@pytest.fixture
def rng():
    return np.random.RandomState(0)


def test_numbers_are_scaled_by_quartiles_and_squashed(rng):
    X = rng.lognormal(size=(200, 3)) * [1, 10, 100]
    z = (X - np.median(X, axis=0)) / iqr(X, axis=0)
    got = encode(X)
    np.testing.assert_allclose(got, z / np.sqrt(1 + z**2 / 9))
    assert np.abs(got).max() < 3


def test_column_of_mostly_one_value_separates_the_others():
    column = np.array([0.0] * 90 + list(range(10, 20)))[:, np.newaxis]
    got = encode(column)[:, 0]
    assert (got[:90] == 0).all()
    assert np.diff(got[90:]).min() > 0.04


def test_constant_and_huge_columns():
    X = np.column_stack([np.full(8, 3.0), np.linspace(-1, 1, 8) * 1.7e308])
    got = encode(X)
    assert (got[:, 0] == 0).all()
    assert (np.diff(got[:, 1]) > 0).all()


def test_frequent_categories_are_one_hot_as_in_scikit_learn():
    column = np.repeat(np.arange(40), np.arange(40, 0, -1))
    categories = np.column_stack([column, column[::-1] + 2]).astype(object)
    ours = encode(np.zeros((820, 1)), categories)[:, 1:]
    one_hot = OneHotEncoder(max_categories=25, sparse_output=False)
    theirs = one_hot.fit_transform(categories)
    assert ours.shape == theirs.shape == (820, 50)
    # Rare categories share the last output of a column; the order of others differs.
    np.testing.assert_array_equal(ours[:, [24, 49]], theirs[:, [24, 49]])
    np.testing.assert_array_equal(np.sort(ours.sum(0)), np.sort(theirs.sum(0)))
    assert (ours.sum(axis=1) == 2).all()


def test_unseen_category_counts_as_rare_if_there_are_rare_ones():
    unseen = np.zeros((1, 1)), np.array([["unseen"]], dtype=object)
    for n_categories, expected in ((25, [0] * 24 + [1]), (24, [0] * 24)):
        names = np.array([[f"c{i}"] for i in range(n_categories)], dtype=object)
        got = encode(np.zeros((n_categories, 1)), names, unseen)
        np.testing.assert_array_equal(got[0, 1:], expected)


def test_bins_hold_equally_many_rows(rng):
    X = rng.normal(size=(400, 2))
    edges = bin_edges(X, 8)
    assert edges.shape == (2, 9)
    for column, ends in zip(X.T, edges, strict=True):
        counts, _ = np.histogram(column, ends)
        assert (np.abs(counts - 50) <= 1).all()


def test_values_lie_in_at_most_one_partially_filled_bin(rng):
    column = np.concatenate([np.zeros(950), rng.uniform(1, 2, 50)])
    (edges,) = bin_edges(column[:, np.newaxis], 10)
    assert (edges == 0).sum() <= 2
    np.testing.assert_allclose(edges[2:], np.linspace(1, 2, 10)[1:], atol=0.2)


def test_missing_numbers_get_indicators(rng):
    X = rng.normal(size=(50, 2))
    X[::5, 1] = np.nan
    encoder = TableEncoder().fit(Table(X))
    got = encoder.transform(Table(X))
    assert got.shape == (50, 3)
    np.testing.assert_array_equal(got[:, 2], np.isnan(X[:, 1]))
    assert np.isfinite(got).all()


def test_binary_columns_are_not_expanded(rng):
    X = np.column_stack([rng.normal(size=20), rng.randint(2, size=20)])
    assert TableEncoder().fit(Table(X)).expandable_.tolist() == [0]


RELEVANCE = np.array([1.0, 0.5, 2.0])
COLUMNS = np.array([0, 2])


def test_plain_features_are_the_scaled_columns():
    x = torch.arange(6.0).reshape(2, 3)
    expected = x * torch.tensor(RELEVANCE, dtype=torch.float32)
    torch.testing.assert_close(PlainFeatures(RELEVANCE).encode(x), expected)


def test_periodic_features(rng):
    x, frequencies = rng.normal(size=(5, 3)), rng.normal(size=(2, 4))
    features = PeriodicFeatures(RELEVANCE, COLUMNS, frequencies)
    got = features.encode(torch.from_numpy(x)).numpy()
    assert got.shape == (5, 3 + 2 * 8)
    last = 2 * np.pi * x[:, 2] * frequencies[1, 3]
    np.testing.assert_allclose(got[:, -1], 2 * np.cos(last))
    np.testing.assert_allclose(got[:, -5], 2 * np.sin(last))


def test_piecewise_features(rng):
    x = rng.normal(size=(100, 3))
    edges = bin_edges(x[:, COLUMNS], 4)
    got = PiecewiseFeatures(RELEVANCE, COLUMNS, edges).encode(torch.from_numpy(x))
    for bin_ in range(4):
        expected = np.interp(x[:, 0], edges[0, bin_ : bin_ + 2], [0, 1])
        np.testing.assert_allclose(got[:, 3 + bin_], expected, atol=1e-12)


def test_empty_bin_gives_zero():
    features = PiecewiseFeatures(np.ones(1), np.arange(1), np.array([[0.0, 0, 1]]))
    got = features.encode(torch.tensor([[0.0], [0.5], [1.0]])).numpy()
    np.testing.assert_allclose(got[:, 1:], [[0, 0], [0, 0.5], [0, 1]])
