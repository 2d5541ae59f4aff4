"""Forecasts go on where the rows end: their dates, steps and names, and the future."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skdeep import LSTMForecaster

WINDOW, HORIZON = 6, 3


def small(**parameters):
    """Make a forecaster that is trained in no time."""
    few = dict(window=WINDOW, horizon=HORIZON, hidden_size=4, max_iter=1)
    return LSTMForecaster(**{**few, "random_state": 0, **parameters})


def make_frame(n_rows=80, columns=("a", "b"), seed=0, start="2024-01-01"):
    """Make random walks, by the hour."""
    steps = np.random.default_rng(seed).normal(size=(n_rows, len(columns)))
    hours = pd.date_range(start, periods=n_rows, freq="h", name="time")
    return pd.DataFrame(steps.cumsum(0), hours, list(columns))


def as_numbered(X):
    return X.reset_index(drop=True)


def as_array(X):
    return X.to_numpy()


def as_list(X):
    return X.to_numpy().tolist()


N_ROWS = 60
INDEXES = {
    "hours": pd.date_range("2024-01-01", periods=63, freq="h", name="time"),
    "quarters of hours": pd.date_range("2024-01-01", periods=63, freq="15min"),
    "days": pd.date_range("2024-02-01", periods=63, freq="D"),
    "months": pd.date_range("2019-01-31", periods=63, freq="ME"),
    "quarters": pd.date_range("2001-01-01", periods=63, freq="QS"),
    "weeks": pd.date_range("2024-01-03", periods=63, freq="W-WED"),
    "business days": pd.bdate_range("2024-01-01", periods=63),
    "holidays": pd.bdate_range("2024-01-01", periods=68).delete([0, 14, 34, 35, 44]),
    # The clocks are changed within the training rows, and after them.
    "days in Berlin": pd.date_range(
        "2024-03-01", periods=63, freq="D", tz="Europe/Berlin"
    ),
    "hours in Berlin": pd.date_range(
        "2024-03-28 15:00", periods=63, freq="h", tz="Europe/Berlin"
    ),
    "periods": pd.period_range("2019-01", periods=63, freq="M", name="month"),
    "quarter periods": pd.period_range("2001Q1", periods=63, freq="Q-MAR"),
}


def assert_dates(index, expected):
    assert_array_equal(index, expected)
    assert index.dtype == expected.dtype
    assert index.name == expected.name


@pytest.mark.parametrize("is_plain", [False, True])
@pytest.mark.parametrize("name", INDEXES)
def test_dates_go_on(name, is_plain):
    dates = INDEXES[name]
    if is_plain:  # without the frequency that pandas knows
        dates = type(dates)(list(dates), name=dates.name)
    X = make_frame(N_ROWS).set_axis(dates[:N_ROWS], axis=0)
    model = small().fit(X)
    path = model.forecast()
    assert_dates(path.index, dates[N_ROWS:])
    assert list(path.columns) == ["a", "b"]
    assert_dates(model.forecast_interval(2).index, dates[N_ROWS : N_ROWS + 2])
    assert_dates(model.forecast(X=X[:-10]).index, dates[N_ROWS - 10 :][:3])
    assert_dates(model.predict(X).index, dates[:N_ROWS])
    assert_dates(model.predict_interval(X).index, dates[:N_ROWS])


@pytest.mark.parametrize("n_last", [1, 2])
def test_dates_go_on_from_few_rows(n_last):
    days = pd.bdate_range("2024-01-01", periods=63)  # of which 60 end on a Friday
    X = make_frame(60).set_axis(days[:60], axis=0)
    model = small(context="pad").fit(X[:57])
    for end in (58, 59, 60):
        path = model.forecast(X=X.iloc[np.arange(end - n_last, end)])
        assert_dates(path.index, days[end : end + 3])


@pytest.mark.parametrize("container", [as_numbered, as_array, as_list])
def test_without_dates_forecasts_are_arrays(container):
    X = container(make_frame())
    model = small().fit(X)
    flat = small().fit(container(make_frame(columns=["a"])))
    for one, shape in ((model, (2,)), (flat, ())):
        assert type(one.forecast()) is np.ndarray
        assert one.forecast().shape == (HORIZON, *shape)
        assert one.forecast_interval().shape == (HORIZON, *shape, 2)
    assert type(model.predict(X)) is np.ndarray
    assert model.predict(X).shape == (80, 2)
    assert model.predict_interval(X).shape == (80, 2, 2)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_fewer_steps_are_the_first(steps):
    X = make_frame()
    model = small().fit(X)
    pd.testing.assert_frame_equal(model.forecast(steps), model.forecast()[:steps])
    intervals = model.forecast_interval(steps)
    pd.testing.assert_frame_equal(intervals, model.forecast_interval()[:steps])


def test_names_are_kept():
    X = make_frame(columns=["a", "b", "c"])
    one = small(target_columns="b").fit(X)
    assert one.forecast().name == one.predict(X).name == "b"
    assert list(one.predict_interval(X).columns) == ["lower", "upper"]
    two = small(target_columns=["c", "a"]).fit(X)
    assert list(two.predict(X).columns) == ["c", "a"]
    columns = two.forecast_interval().columns
    assert list(columns) == [
        (name, side) for name in "ca" for side in ("lower", "upper")
    ]
    y = small().fit(X, pd.Series(np.arange(80.0), X.index, name="other"))
    assert y.forecast().name == "other"


# --- rows that are known in advance ---------------------------------------------------


def test_future_may_miss_what_is_not_known():
    X = make_frame(83, "abk")
    model = small(known_columns="k").fit(X[:80])
    full = model.forecast(future=X[80:])
    future = X[80:].assign(a=np.nan, b=np.nan)
    pd.testing.assert_frame_equal(model.forecast(future=future), full)
    pd.testing.assert_frame_equal(model.forecast(2, future=future[:2]), full[:2])
    other = model.forecast(future=future.assign(k=[9.0, -9.0, 9.0]))
    assert (other != full).all(axis=None)


def as_polars(X):
    return pl.DataFrame({name: X[name].to_numpy() for name in X})


def test_future_may_hold_what_is_known_alone():
    X = make_frame(83, "akbl")
    model = small(known_columns=["k", "l"]).fit(X[:80])
    full = model.forecast(future=X[80:])
    future = X[80:]
    for part in (
        future[["k", "l"]],
        future[["l", "k"]],
        future[["l", "b", "k"]].assign(note="text", extra=1.0),
    ):
        pd.testing.assert_frame_equal(model.forecast(future=part), full)
    for part in (
        as_polars(future[["l", "k"]]),
        future[["k", "l"]].to_numpy(),
        future[["k", "l"]].to_numpy().tolist(),
    ):
        assert_array_equal(model.forecast(future=part), full)
    unnamed = small(known_columns=[1, 3]).fit(X[:80].to_numpy())
    found = unnamed.forecast(future=future[["k", "l"]].to_numpy())
    assert_array_equal(found, full)


def test_future_of_one_known_column_may_be_a_series():
    X = make_frame(83, "abk")
    model = small(known_columns="k").fit(X[:80])
    full = model.forecast(future=X[80:])
    for part in (X["k"][80:], X["k"][80:].to_numpy(), X["k"][80:].tolist()):
        assert_array_equal(model.forecast(future=part), full)


def test_future_is_read_as_far_as_it_goes():
    X = make_frame(83, "abk")
    model = small(known_columns="k", segment_length=HORIZON).fit(X[:80])
    full = model.forecast(future=X[80:])
    pd.testing.assert_frame_equal(model.forecast(1, future=X[80:]), full[:1])
    # What lies beyond it stays as it was.
    copies = X[80:].assign(k=X["k"].iloc[80])
    path = model.forecast(1, future=X[80:81])
    pd.testing.assert_frame_equal(path, model.forecast(1, future=copies))


def test_future_may_begin_at_any_later_date():
    steps = np.tile([1, 1, 1, 3, 3], 16).cumsum()
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(steps, unit="D")
    X = make_frame(80, "abk").set_axis(days, axis=0)
    model = small(known_columns="k").fit(X[:76])
    assert model.forecast(future=X[76:]).shape == (HORIZON, 2)
