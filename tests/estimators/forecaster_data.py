"""Small forecasters and random series for the tests of LSTMForecaster."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdeep import LSTMForecaster

WINDOW, HORIZON = 6, 3


def small(**parameters):
    """Make a forecaster that trains in a few milliseconds."""
    few = dict(window=WINDOW, horizon=HORIZON, hidden_size=4, max_iter=1, batch_size=16)
    return LSTMForecaster(**{**few, "random_state": 0, **parameters})


def make_frame(n_rows=80, columns=("a", "b"), seed=0, start="2024-01-01"):
    """Make hourly random walks."""
    steps = np.random.default_rng(seed).normal(size=(n_rows, len(columns)))
    hours = pd.date_range(start, periods=n_rows, freq="h", name="time")
    return pd.DataFrame(steps.cumsum(0), hours, list(columns))


def make_groups(n_rows=40, names=("x", "y", "z"), columns=("a", "b")):
    """Make several hourly series, with one row of each per hour."""
    parts = [
        make_frame(n_rows, columns, seed).assign(series=name)
        for seed, name in enumerate(names)
    ]
    return pd.concat(parts).sort_index(kind="stable")


# The smallest forecaster, for tests of dates.
FEW = dict(
    window=2,
    horizon=3,
    hidden_size=2,
    max_iter=1,
    batch_size=16,
    validation_fraction=0,
)


def values(index):
    """Make a series of increasing numbers with an index."""
    return pd.DataFrame({"y": np.arange(len(index)) * 1.0}, index=index)


def next_dates(index, n_rows=3, **parameters):
    """Return the index of the forecasts after the rows."""
    model = LSTMForecaster(random_state=0, **{**FEW, **parameters}).fit(values(index))
    return model.forecast(n_rows).index


def assert_dates(index, expected):
    """Check the dates, type and name of an index."""
    assert_array_equal(index, expected)
    assert index.dtype == expected.dtype
    assert index.name == expected.name


def some_nightly(values, n_daily):
    """Return pytest parameters, all but the first ones marked as nightly."""
    return [
        value if i < n_daily else pytest.param(value, marks=pytest.mark.nightly)
        for i, value in enumerate(values)
    ]


# Containers of the same rows: with an index, with numbered rows, and without either.
def as_frame(X):
    return X


def as_numbered(X):
    return X.reset_index(drop=True)


def as_array(X):
    return X.to_numpy()


def as_list(X):
    return X.to_numpy().tolist()
