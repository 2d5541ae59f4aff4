"""Future rows of LSTMForecaster: known columns, their dates, and dates in a column."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skdeep import LSTMForecaster
from tests.estimators.forecaster_data import (
    FEW,
    HORIZON,
    assert_dates,
    make_frame,
    small,
    values,
)

# --- rows that are known in advance ---------------------------------------------------


def test_future_may_hold_nan_in_unknown_columns():
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


def test_future_may_contain_known_columns_only():
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


def test_last_future_row_is_repeated():
    X = make_frame(83, "abk")
    model = small(known_columns="k", segment_length=HORIZON).fit(X[:80])
    full = model.forecast(future=X[80:])
    pd.testing.assert_frame_equal(model.forecast(1, future=X[80:]), full[:1])
    # The other rows are not changed.
    copies = X[80:].assign(k=X["k"].iloc[80])
    path = model.forecast(1, future=X[80:81])
    pd.testing.assert_frame_equal(path, model.forecast(1, future=copies))


def test_future_may_begin_at_any_later_date():
    steps = np.tile([1, 1, 1, 3, 3], 16).cumsum()
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(steps, unit="D")
    X = make_frame(80, "abk").set_axis(days, axis=0)
    with pytest.warns(UserWarning, match="irregular: 60 of its 136 steps of 'D' have"):
        model = small(known_columns="k").fit(X[:76])
    path = model.forecast(future=X[76:])
    assert_array_equal(path.index, days[76:79])


# --- the dates of the future ---------------------------------------------------------


def with_known(index):
    return values(index).assign(k=0.5)


def test_future_dates_must_be_the_next_ones():
    days = pd.date_range("2024-01-01", periods=60)
    X = with_known(days)
    model = LSTMForecaster(random_state=0, known_columns="k", **FEW).fit(X[:40])
    expected = model.forecast(future=X[40:])
    assert_dates(expected.index, days[40:43])
    assert_array_equal(model.forecast(2, future=X[40:42]).index, days[40:42])
    for rows, message in (
        (X[47:], r"row 0 is 2024-02-17.*, expected 2024-02-10"),
        (X[40::4], r"row 1 is 2024-02-14.*, expected 2024-02-11"),
        (X[35:], "must follow the known rows, .* it begins at 2024-02-05"),
        (X.iloc[[40, 42, 41]], "rows of future must be in time order"),
        (X.iloc[[40, 40, 41]], "2024-02-10.* is repeated"),
        (
            X[40:].tz_localize("UTC"),
            "dates of future must be dates, like .*; got dates with a time zone",
        ),
        (X[46:].set_axis(days[46:].strftime("%Y-%m-%d")), "row 0 is 2024-02-16"),
    ):
        with pytest.raises(ValueError, match=message):
            model.forecast(future=rows)
    for rows in (
        X[40:].reset_index(drop=True),
        X[40:].set_axis(X["k"][40:].astype(str)),
    ):
        pd.testing.assert_series_equal(model.forecast(future=rows), expected)
    assert_dates(model.forecast(X=X[:50], future=X[50:]).index, days[50:53])


def test_future_of_rows_with_a_range_index():
    X = with_known(pd.RangeIndex(60))
    model = LSTMForecaster(random_state=0, known_columns="k", **FEW).fit(X[:40])
    expected = model.forecast(future=X[40:])
    assert_array_equal(model.forecast(future=X[40:].reset_index(drop=True)), expected)
    for rows, message in (
        (X[47:], "row 0 is 47, expected 40"),
        (X[40::4], "row 1 is 44, expected 41"),
    ):
        with pytest.raises(ValueError, match=message):
            model.forecast(future=rows)


def test_future_may_skip_holidays_like_the_training_rows():
    days = pd.bdate_range("2024-01-01", periods=60).delete([0, 14, 41])
    X = with_known(days)
    model = LSTMForecaster(random_state=0, known_columns="k", **FEW).fit(X[:39])
    path = model.forecast(future=X[39:])
    assert_dates(path.index, days[39:42])
    assert path.index[0] - days[38] == pd.Timedelta(days=2)
    with pytest.raises(ValueError, match="must continue .* in steps of 'B'.*as freq"):
        model.forecast(future=X[39::3])


def test_future_of_several_series():
    parts = {
        "x": pd.date_range("2024-01-01", periods=43, freq="h"),
        "y": pd.date_range("2020-01-01", periods=43, freq="MS"),
    }
    X = pd.concat([with_known(days).assign(s=name) for name, days in parts.items()])
    place = np.tile(np.arange(43), 2)
    model = LSTMForecaster(random_state=0, known_columns="k", groups="s", **FEW)
    path = model.fit(X[place < 40]).forecast(future=X[place >= 40])
    for name, days in parts.items():
        assert_array_equal(path.loc[name].index, days[40:])
    later = X[place >= 40]
    later.index = later.index.where(later["s"] == "x", later.index.shift(1, "MS"))
    with pytest.raises(ValueError, match="future of the series 'y' must continue"):
        model.forecast(future=later)


def test_dates_of_future_without_known_columns():
    days = pd.date_range("2024-01-01", periods=60)
    model = LSTMForecaster(random_state=0, **FEW).fit(values(days[:40]))
    assert_dates(model.forecast(future=values(days[40:42])).index, days[40:43])
    with pytest.raises(ValueError, match="row 0 is 2024-02-17"):
        model.forecast(future=values(days[47:]))


def test_rows_on_another_calendar_than_the_training_rows():
    days = pd.date_range("2024-01-01", periods=60)
    model = LSTMForecaster(random_state=0, **FEW).fit(values(days[:40]))
    hours = pd.date_range("2024-03-01", periods=30, freq="h")
    with pytest.warns(UserWarning, match="not on the calendar of the training rows"):
        path = model.forecast(X=values(hours[:27]))
    assert_dates(path.index, hours[27:])
    gapped = values(days.delete(50))
    for method in (model.predict, model.backtest, lambda X: model.forecast(X=X)):
        with pytest.warns(UserWarning, match="X has 1 gap.*2024-02-19.* 2024-02-21"):
            method(gapped)


@pytest.mark.parametrize(
    "future", [values(pd.date_range("2024-02-01", periods=0)), np.ones((0, 1))]
)
def test_empty_future_is_ignored(future):
    days = pd.date_range("2024-01-01", periods=43)
    model = LSTMForecaster(random_state=0, **FEW).fit(values(days[:40]))
    assert_dates(model.forecast(future=future).index, days[40:])


# --- dates in a column ----------------------------------------------------------------


def with_date_column(index):
    return values(index).rename_axis("day").reset_index().assign(k=0.5)


def test_dates_of_a_column_are_on_a_calendar():
    parameters = dict(random_state=0, date_column="day", known_columns="k", **FEW)
    days = pd.bdate_range("2024-01-01", periods=60)
    X, friday = with_date_column(days), days[39]
    assert friday.day_name() == "Friday"
    model = LSTMForecaster(**parameters, freq="B").fit(X[:40])
    assert_array_equal(model.forecast(future=X[40:]).index, days[40:43])
    for rows, message in (
        (X[41:], r"row 0 is 2024-02-27.*, expected 2024-02-26"),
        (X[40:].assign(day=range(20)), "must be dates, .*; got numbers"),
        (X[["k"]][40:], r"\['day'\] are missing"),
    ):
        with pytest.raises(ValueError, match=message):
            model.forecast(future=rows)
    saturday = X[:41].assign(day=[*days[:40], friday + pd.Timedelta(days=1)])
    message = r"column 'day' of X is not on the calendar freq='B': .*row 40"
    for method in (model.fit, model.predict):
        with pytest.raises(ValueError, match=message):
            method(saturday)
    with pytest.warns(UserWarning, match="column 'day' of X has 1 gap.*2024-01-12"):
        LSTMForecaster(**parameters).fit(X.drop(range(10, 20)))


def test_date_column_shows_that_rows_follow_the_training_rows():
    days = pd.bdate_range("2024-01-01", periods=60)
    expected = LSTMForecaster(random_state=0, **FEW).fit(values(days[:40]))
    model = LSTMForecaster(random_state=0, date_column="day", **FEW)
    X = with_date_column(days).drop(columns="k")
    model.fit(X[:40])
    found = model.predict(X[40:])
    assert_array_equal(found, expected.predict(values(days)[40:]))
    assert_array_equal(found.index, X.index[40:])
    with pytest.warns(UserWarning, match="do not start right after"):
        model.predict(X[50:])


def test_data_types_of_a_date_column():
    days = pd.date_range("2024-01-01", periods=40)
    model = LSTMForecaster(random_state=0, date_column="day", **FEW)
    X = with_date_column(days)
    for same, last in (
        (days, days[-1]),
        (days.to_period("D"), days.to_period("D")[-1]),
        (days - days[0], pd.Timedelta(days=39)),
        (days.strftime("%Y-%m-%d"), days[-1]),
        (pd.Index(days.date), days[-1]),
    ):
        for column in (same, pd.Categorical(same)):
            path = model.fit(X.assign(day=column)).forecast()
            assert path.index[0] == last + pd.offsets.Day(1)
    for column, message in (
        (days.strftime("%Y%m%d").astype(int), "column 'day' of X holds dates as numb"),
        (np.arange(40) % 39, "column 'day' of X is out of order: row 39 has 0 after"),
        (X["y"] > 3, "date_column='day' of X must hold dates, got .* type bool"),
        (days[::-1], "in its column 'day' 2024-02-08.* comes after 2024-02-09"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X.assign(day=column))
    with pytest.raises(
        ValueError, match="freq='D'.* column 'day' of X does not hold dates"
    ):
        model.set_params(freq="D").fit(X.assign(day=range(40)))


def test_date_column_may_hold_integers():
    steps = 10 * np.arange(40)
    X = values(steps).rename_axis("t").reset_index()
    X = pd.concat([X.assign(s="x"), X.assign(s="y", t=X["t"] + 5)], ignore_index=True)
    model = LSTMForecaster(random_state=0, date_column="t", groups="s", **FEW).fit(X)
    later = X.assign(t=X["t"] + 400)
    assert model.forecast(future=later).index.names == ["s", "step"]
    with pytest.raises(ValueError, match="series 'y' .* row 0 is 815, expected 405"):
        model.forecast(future=later.assign(t=later["t"] + 410 * (later["s"] == "y")))
    with pytest.warns(UserWarning, match="'t' of X of the series 'x' has 1 gap.* 90 "):
        model.fit(X.drop(range(10, 15)))


def test_freq_needs_dates_of_every_series():
    X = values(range(80)).assign(s=np.repeat(["x", "y"], 40))
    model = LSTMForecaster(random_state=0, groups="s", freq="D", **FEW)
    with pytest.raises(ValueError, match="freq='D'.*series 'x' has no index of dates"):
        model.fit(X)


def test_a_series_of_one_date_uses_the_calendar_of_the_others():
    months = pd.date_range("2024-01-01", periods=40, freq="MS")
    X = values(months).assign(s="x")
    one = values(months[-1:]).assign(s="y")
    model = LSTMForecaster(random_state=0, groups="s", **FEW)
    with pytest.warns(UserWarning, match=r"too short to learn from.*'y' \(1 rows\)"):
        model.fit(pd.concat([X, one]))
    paths = model.forecast()
    expected = pd.date_range(months[-1], periods=4, freq="MS")[1:]
    for path in (paths["x"], paths["y"], model.forecast(X=one.assign(s="new"))["new"]):
        assert_array_equal(path.index, expected)
