"""The index of forecasts: dates, steps and names, calendars, irregular dates."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas import offsets

from skdeep import LSTMForecaster
from tests.estimators.forecaster_data import (
    FEW,
    HORIZON,
    as_array,
    as_list,
    as_numbered,
    assert_dates,
    make_frame,
    next_dates,
    small,
    values,
)

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


@pytest.mark.parametrize("is_plain", [False, True], ids=["with freq", "without"])
@pytest.mark.parametrize("name", INDEXES)
def test_forecasts_continue_the_index_of_the_rows(name, is_plain):
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
def test_few_rows_are_enough_to_continue_the_dates(n_last):
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
def test_fewer_steps_are_the_first_of_all_steps(steps):
    X = make_frame()
    model = small().fit(X)
    pd.testing.assert_frame_equal(model.forecast(steps), model.forecast()[:steps])
    intervals = model.forecast_interval(steps)
    pd.testing.assert_frame_equal(intervals, model.forecast_interval()[:steps])


def test_names_of_index_and_columns_are_kept():
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


# --- calendars ------------------------------------------------------------------------

# Each offset, and whether it can be inferred from the dates alone.
CALENDARS = [
    (offsets.CustomBusinessDay(weekmask="Sun Mon Tue Wed Thu"), True),
    (offsets.CustomBusinessDay(holidays=["2024-02-26", "2023-07-04"]), False),
    (offsets.SemiMonthBegin(), True),
    (offsets.SemiMonthEnd(day_of_month=20), True),
    (offsets.DateOffset(months=1, day=15), True),
    (offsets.DateOffset(months=1, day=30), True),
    (offsets.DateOffset(years=1, month=2, day=29), True),
    (offsets.BusinessMonthBegin(), True),
    (offsets.BusinessMonthEnd(), True),
    (offsets.QuarterEnd(startingMonth=2), True),
    (offsets.YearBegin(), True),
    (offsets.YearEnd(month=6), True),
    (offsets.Week(2, weekday=4), True),
    (offsets.WeekOfMonth(week=2, weekday=4), True),
    (offsets.LastWeekOfMonth(weekday=0), True),
    (offsets.BusinessHour(), True),
    (offsets.Easter(), False),
    (offsets.FY5253(weekday=4, startingMonth=12, variation="last"), False),
    (offsets.Hour(36), True),
    (offsets.Day(3), True),
    (offsets.BusinessDay(2), True),
]


def dates_on(offset, n_rows=60, zone=None, start=None):
    """Return dates that are on an offset, starting with the first one."""
    first = offset.rollforward(start or pd.Timestamp("2022-01-15"))
    return pd.date_range(first, periods=n_rows, freq=offset, tz=zone)


@pytest.mark.parametrize(("offset", "is_inferred"), CALENDARS, ids=str)
def test_forecasts_continue_the_calendar(offset, is_inferred):
    if offset.kwds.get("day"):  # only the day itself is on the calendar
        dates = dates_on(offset, 61, start=pd.Timestamp("2020-02-15"))[1:]
    else:
        dates = dates_on(offset)
    known, expected = dates[:57], dates[57:]
    assert_dates(next_dates(known), expected)
    bare = known[np.arange(57)]
    assert bare.freq is None
    if is_inferred:
        assert_dates(next_dates(bare), expected)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the gap
            assert_dates(next_dates(bare.delete(20)), expected)
    if not offset.kwds.get("day"):
        assert_dates(next_dates(bare, freq=offset), expected)


CHANGES = [
    (zone, freq, last)
    for freq in ("D", "h", "6h", "MS", "B")
    # There is no midnight of 4 November 2018 in São Paulo.
    for last in ("2018-11-03", "2018-11-04", "2018-02-17")
    for zone in ("America/New_York", "America/Sao_Paulo")
]


@pytest.mark.parametrize(
    ("zone", "freq", "last"),
    [
        pytest.param(*case, marks=[pytest.mark.nightly] if i % 2 == 0 and i else [])
        for i, case in enumerate(CHANGES)
    ],
)
def test_dates_continue_across_daylight_saving_changes(zone, freq, last):
    naive = freq not in ("h", "6h")  # days are calendar days in local time
    end = pd.Timestamp(last)
    if not naive:
        end = end.tz_localize(zone, nonexistent="shift_forward")
    dates = pd.date_range(end=end, periods=40, freq=freq)
    following = pd.date_range(dates[-1], periods=4, freq=freq)[1:]
    assert len(following) == 3
    if naive:
        skip = dict(nonexistent="shift_forward", ambiguous=np.ones(40, bool))
        dates = dates.tz_localize(zone, **skip)
        following = following.tz_localize(zone, **skip | {"ambiguous": [True] * 3})
    assert_dates(next_dates(dates[np.arange(40)]), following)


def sessions(days, first="09:30", last="16:00"):
    minutes = pd.timedelta_range(first + ":00", last + ":00", freq="30min")
    return pd.DatetimeIndex([day + minute for day in days for minute in minutes])


def test_intraday_dates_continue_in_the_next_session():
    dates = sessions(pd.bdate_range("2024-01-02", "2024-01-15", tz="America/New_York"))
    path = next_dates(dates[: -14 - 1])
    assert_dates(path, dates[-14 - 1 :][:3])
    assert path[1] == pd.Timestamp("2024-01-15 09:30", tz="America/New_York")


def test_training_dates_off_the_calendar():
    """First and last days of trading, where the first of the month is a holiday."""
    months = pd.date_range("2020-01-01", periods=36, freq="BMS")
    first = months.where(months.month != 1, months + pd.Timedelta(days=1))
    expected = pd.date_range("2023-01-01", periods=3, freq="BMS")
    assert_dates(next_dates(first), expected)
    fridays = pd.date_range("2024-01-05", periods=40, freq="W-FRI")
    traded = fridays.where(fridays.day != 29, fridays - pd.Timedelta(days=1))
    assert (traded != fridays).any()
    assert_dates(next_dates(traded[:37]), fridays[37:])


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("1500", periods=40, freq="Y"),
        pd.period_range("2024-01-01", periods=40, freq="W-WED"),
        pd.period_range("2024-01-01 09:00", periods=40, freq="15min"),
        pd.period_range("2024-01", periods=80, freq="M")[::2],
        pd.bdate_range("2024-01-01", periods=40).to_period("D"),
        pd.timedelta_range("1h", periods=40, freq="90s", name="after"),
        pytest.param(
            pd.date_range("1500-01-01", periods=40, freq="YS", unit="s"),
            marks=pytest.mark.skipif(
                int(pd.__version__.partition(".")[0]) < 3,
                reason="dates out of the range of nanoseconds",
            ),
        ),
        pd.date_range("2024-01-01", periods=40, freq="ns"),
    ],
    ids=lambda index: f"{index.dtype} from {index[0]}",
)
def test_forecasts_continue_indexes_of_every_type(index):
    assert_dates(next_dates(index[:37]), index[37:])


def test_dates_beyond_the_range_of_pandas():
    dates = pd.date_range(end="2262-04-10", periods=40, freq="D", unit="ns")
    with pytest.raises(ValueError, match="after 2262-04-10.* beyond the last date"):
        next_dates(dates)


def test_freq_must_hold_every_date():
    days = pd.bdate_range("2024-01-01", periods=40).delete(20)
    holiday = offsets.CustomBusinessDay(holidays=["2024-01-29", "2024-02-26"])
    after = next_dates(days, freq=holiday)
    assert_dates(after, pd.DatetimeIndex(["2024-02-27", "2024-02-28", "2024-02-29"]))
    with pytest.raises(ValueError, match=r"calendar freq='MS': 2024-01-02.*row 1"):
        next_dates(days, freq="MS")
    with pytest.raises(ValueError, match="freq='often' is not a pandas frequency"):
        next_dates(days, freq="often")
    with pytest.raises(ValueError, match="must lead forward"):
        next_dates(days, freq="-1D")
    with pytest.raises(ValueError, match="'freq' parameter of LSTMForecaster"):
        next_dates(days, freq=7)
    with pytest.raises(ValueError, match="freq='B'.*no index of dates"):
        next_dates(pd.RangeIndex(40), freq="B")
    model = LSTMForecaster(random_state=0, freq="B", **FEW).fit(values(days[:20]))
    weekend = values(pd.date_range("2024-02-16", periods=4))
    for method in (model.predict, lambda X: model.forecast(X=X)):
        with pytest.raises(ValueError, match=r"freq='B': 2024-02-17.*row 1"):
            method(weekend)


# --- an irregular time axis ----------------------------------------------------------


def test_irregular_dates_raise_a_warning():
    generator = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=300)
    some = days[np.sort(generator.choice(300, 150, replace=False))]
    with pytest.warns(
        UserWarning, match=r"irregular: 1\d\d of its \d+ steps of 'D'"
    ) as caught:
        model = LSTMForecaster(random_state=0, **FEW).fit(values(some))
    assert caught[0].filename == __file__
    path = model.forecast(3).index
    assert_dates(path, pd.date_range(some[-1], periods=4)[1:])
    events = days[0] + pd.to_timedelta(np.sort(generator.random(60)) * 720, unit="h")
    with pytest.warns(UserWarning, match="irregular: its steps range from .*'.*min'"):
        path = next_dates(events)
    assert (path.to_series().diff()[1:] == path[0] - events[-1]).all()


def test_dates_as_text_are_parsed_or_reported():
    days = pd.date_range("2024-01-01", periods=40)
    model = LSTMForecaster(random_state=0, **FEW)
    text = values(days[:37].strftime("%Y-%m-%d"))
    model.fit(text)
    assert_dates(model.forecast().index, days[37:])
    assert model.predict(text).index.equals(text.index)
    objects = pd.Index(list(days[:37].date), dtype=object)
    assert_array_equal(next_dates(objects), days[37:])
    for wrong, message in (
        (text[::-1], "comes after 2024-02-06"),
        (text.rename({"2024-02-06": "total"}), r"'total' \(row 36\) is not a date"),
        (values(days.strftime("%d/%m/%Y")), "such as '01/01/2024'.*to_datetime"),
        (values(days.strftime("%Y%m%d").astype(int)), "numbers, such as 20240101"),
        (text.rename({"2024-02-06": "2024-02-31"}), "dates that pandas cannot read"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(wrong)
    names = values([f"row {i}" for i in range(40)])
    assert type(model.fit(names).forecast()) is np.ndarray


def test_unordered_range_index_raises_a_warning():
    X = values(pd.RangeIndex(40)).sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="out of order: row 1 has") as caught:
        LSTMForecaster(random_state=0, **FEW).fit(X)
    assert caught[0].filename == __file__


def test_multiindex():
    days = pd.date_range("2024-01-01", periods=37)
    index = pd.MultiIndex.from_product([["x"], days])
    assert_dates(next_dates(index), pd.date_range("2024-02-07", periods=3))
    both = pd.MultiIndex.from_product([["x", "y"], days])
    with pytest.raises(ValueError, match="in time order"):
        next_dates(both)
