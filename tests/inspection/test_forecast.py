"""ForecastDisplay draws what the forecaster returns."""

from itertools import pairwise

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import LSTMForecaster
from skdeep.inspection import ForecastDisplay

N, KNOWN, STEPS = 150, 130, 4
# context="pad": rows that do not follow the training rows are padded.
SETTINGS = dict(window=10, horizon=STEPS, hidden_size=4, max_iter=1, context="pad")


def series(n_columns, seed=0):
    """Return random walks around 10, (N, n_columns)."""
    return 10 + np.random.default_rng(seed).normal(size=(N, n_columns)).cumsum(axis=0)


def dated(names, start="2024-03-01", freq="h", tz=None, seed=0):
    index = pd.date_range(start, periods=N, freq=freq, tz=tz)
    return pd.DataFrame(series(len(names), seed), index, list(names))


def fitted(X, y=None, **params):
    model = LSTMForecaster(random_state=0, **{**SETTINGS, **params})
    return model.fit(X, y)


def curves(ax):
    """Return the lines of an axes, by their labels."""
    return {line.get_label(): line for line in ax.lines}


def ends(band):
    """Return the lower and the upper ends of a band."""
    corners = band.get_paths()[0].vertices
    times = np.unique(corners[:, 0])
    heights = [corners[corners[:, 0] == time, 1] for time in times]
    return [h.min() for h in heights], [h.max() for h in heights]


def times(line):
    return mdates.date2num(line.get_xdata())


LOAD = dated(["load"])
MODEL = fitted(LOAD[:120])


def test_line_and_band_over_dates():
    known, future = LOAD[:KNOWN], LOAD[KNOWN:]
    display = ForecastDisplay.from_estimator(MODEL, known, future=future)
    drawn = curves(display.ax_)
    assert list(drawn) == ["history", "actual", "forecast"]
    np.testing.assert_array_equal(drawn["history"].get_ydata(), known["load"][-10:])
    np.testing.assert_array_equal(
        times(drawn["history"]), mdates.date2num(known.index[-10:])
    )
    last = known["load"].iloc[-1]
    path = MODEL.forecast(X=known)
    np.testing.assert_array_equal(drawn["forecast"].get_ydata(), [last, *path])
    np.testing.assert_array_equal(
        times(drawn["forecast"]), mdates.date2num(LOAD.index[KNOWN - 1 :][: STEPS + 1])
    )
    came = [last, *future["load"][:STEPS]]
    np.testing.assert_array_equal(drawn["actual"].get_ydata(), came)
    (band,) = display.bands_
    interval = MODEL.forecast_interval(X=known)
    lower, upper = ends(band)
    np.testing.assert_allclose(lower, [last, *interval["lower"]])
    np.testing.assert_allclose(upper, [last, *interval["upper"]])
    assert band.get_label() == "90 % interval"
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == [*drawn, "90 % interval"]
    assert display.ax_.get_ylabel() == "load"
    assert display.ax_.get_title() == "LSTMForecaster"
    assert display.figure_ is display.ax_.figure
    assert display.lines_ == list(drawn.values())


def test_tables_of_the_display():
    """The numbers are available as tables."""
    future = LOAD[KNOWN : KNOWN + 2]  # the last two steps are still to come
    display = ForecastDisplay.from_estimator(MODEL, LOAD[:KNOWN], future=future)
    (table,) = display.tables.values()
    pd.testing.assert_index_equal(
        table.index, LOAD.index[KNOWN - 10 : KNOWN + STEPS], check_names=False
    )
    assert list(table) == ["history", "forecast", "lower", "upper", "truth"]
    assert list(table.count()) == [10, STEPS, STEPS, STEPS, 2]
    assert len(curves(display.ax_)["actual"].get_ydata()) == STEPS + 1


def test_parameters_steps_n_history_and_coverage():
    display = ForecastDisplay.from_estimator(
        MODEL, LOAD[:KNOWN], steps=2, n_history=25, coverage=0.5
    )
    (table,) = display.tables.values()
    assert list(table.count()) == [25, 2, 2, 2]
    interval = MODEL.forecast_interval(2, LOAD[:KNOWN], coverage=0.5)
    np.testing.assert_allclose(table[["lower", "upper"]].tail(2), interval)
    assert display.bands_[0].get_label() == "50 % interval"


def test_default_history_is_the_window_or_twice_the_steps():
    display = ForecastDisplay.from_estimator(MODEL, LOAD[:KNOWN])
    assert display.tables["load"]["history"].count() == 10
    short = fitted(LOAD[:120], window=3)
    display = ForecastDisplay.from_estimator(short, LOAD[:KNOWN])
    assert display.tables["load"]["history"].count() == 2 * STEPS
    display = ForecastDisplay.from_estimator(MODEL, LOAD[:6])
    assert display.tables["load"]["history"].count() == 6


@pytest.mark.filterwarnings("error")
def test_without_interval():
    display = ForecastDisplay.from_estimator(MODEL, LOAD[:KNOWN], coverage=None)
    assert display.bands_ == []
    without = fitted(LOAD[:120], validation_fraction=0)
    display = ForecastDisplay.from_estimator(without, LOAD[:KNOWN])
    assert display.bands_ == []
    assert list(display.tables["load"]) == ["history", "forecast"]


def test_interval_from_user_validation_rows():
    model = LSTMForecaster(random_state=0, **SETTINGS)
    model.fit(LOAD[:100], X_val=LOAD[100:])
    assert len(ForecastDisplay.from_estimator(model, LOAD).bands_) == 1


def test_arrays_are_drawn_over_row_numbers():
    X = series(1)
    model = fitted(X[:120])
    display = ForecastDisplay.from_estimator(model, X[:KNOWN], future=X[KNOWN:])
    drawn = curves(display.ax_)
    np.testing.assert_array_equal(drawn["history"].get_xdata(), np.arange(-9, 1))
    np.testing.assert_array_equal(
        drawn["history"].get_ydata(), X[KNOWN - 10 : KNOWN, 0]
    )
    np.testing.assert_array_equal(drawn["forecast"].get_xdata(), np.arange(STEPS + 1))
    np.testing.assert_array_equal(
        drawn["forecast"].get_ydata()[1:], model.forecast(X=X[:KNOWN])
    )
    came = X[KNOWN - 1 :, 0][: STEPS + 1]
    np.testing.assert_array_equal(drawn["actual"].get_ydata(), came)
    assert display.ax_.get_xlabel() == "steps after the last known row"
    assert display.ax_.get_ylabel() == ""


def test_one_step():
    model = fitted(LOAD[:120], horizon=1)
    display = ForecastDisplay.from_estimator(model, LOAD[:KNOWN])
    line = curves(display.ax_)["forecast"]
    last = LOAD["load"].iloc[KNOWN - 1]
    np.testing.assert_array_equal(
        line.get_ydata(), [last, *model.forecast(X=LOAD[:KNOWN])]
    )


TWO = dated(["load", "wind", "price"])
TWO_MODEL = fitted(TWO[:120], target_columns=["price", "load"])


def test_several_targets():
    display = ForecastDisplay.from_estimator(TWO_MODEL, TWO[:KNOWN])
    path = TWO_MODEL.forecast(X=TWO[:KNOWN])
    interval = TWO_MODEL.forecast_interval(X=TWO[:KNOWN])
    assert [ax.get_ylabel() for ax in display.axes_] == ["price", "load"]
    for name, ax, band in zip(path, display.axes_, display.bands_, strict=True):
        drawn = curves(ax)
        np.testing.assert_array_equal(drawn["forecast"].get_ydata()[1:], path[name])
        history = TWO[name][KNOWN - 10 : KNOWN]
        np.testing.assert_array_equal(drawn["history"].get_ydata(), history)
        np.testing.assert_allclose(ends(band)[1][1:], interval[name]["upper"])
    assert display.ax_ is display.axes_[0]
    assert display.axes_[1].get_legend() is None


@pytest.mark.parametrize(("target", "name"), [("load", "load"), (0, "price")])
def test_target(target, name):
    display = ForecastDisplay.from_estimator(TWO_MODEL, TWO[:KNOWN], target=target)
    assert list(display.tables) == [name]
    assert len(display.figure_.axes) == 1
    np.testing.assert_array_equal(
        display.tables[name]["forecast"].dropna(),
        TWO_MODEL.forecast(X=TWO[:KNOWN])[name],
    )


@pytest.mark.parametrize("columns", [[2, 0], np.array([True, False, True])])
def test_targets_of_arrays(columns):
    X = series(3)
    model = fitted(X[:120], target_columns=columns)
    display = ForecastDisplay.from_estimator(model, X[:KNOWN])
    assert list(display.tables) == ["target 0", "target 1"]
    path = model.forecast(X=X[:KNOWN])
    for j, column in enumerate(np.arange(3)[columns]):
        table = display.tables[f"target {j}"]
        np.testing.assert_array_equal(table["history"].dropna(), X[120:KNOWN, column])
        np.testing.assert_array_equal(table["forecast"].dropna(), path[:, j])


def test_polars():
    frame = pl.DataFrame(series(2), schema=["load", "wind"], orient="row")
    model = fitted(frame[:120], target_columns="wind")
    display = ForecastDisplay.from_estimator(model, frame[:KNOWN])
    history = display.tables["wind"]["history"].dropna()
    np.testing.assert_array_equal(history, frame["wind"].to_numpy()[120:KNOWN])


def test_targets_that_are_not_columns():
    X, y = dated(["wind", "sun"]), dated(["yield"], seed=1)["yield"]
    model = fitted(X[:120], y[:120])
    display = ForecastDisplay.from_estimator(model, X[:KNOWN], y[:KNOWN])
    table = display.tables["yield"]
    np.testing.assert_array_equal(table["history"].dropna(), y[120:KNOWN])
    np.testing.assert_array_equal(
        table["forecast"].dropna(), model.forecast(X=X[:KNOWN])
    )
    with pytest.raises(ValueError, match="y is needed: the fitted target"):
        ForecastDisplay.from_estimator(model, X[:KNOWN])
    with pytest.raises(
        ValueError, match=r"y must have 130 rows, like X, .* got shape \(150, 1\)"
    ):
        ForecastDisplay.from_estimator(model, X[:KNOWN], y)
    with pytest.raises(
        ValueError, match=r"y must have 130 rows.* 1 target\(s\).* got shape \(130, 2\)"
    ):
        ForecastDisplay.from_estimator(model, X[:KNOWN], X[:KNOWN])


@pytest.mark.parametrize("n_columns", [1, 2])
def test_array_target_that_is_not_a_column(n_columns):
    X, y = series(n_columns), series(1, seed=1).ravel()
    model = fitted(X[:120], y[:120])
    display = ForecastDisplay.from_estimator(model, X[:KNOWN], y[:KNOWN])
    np.testing.assert_array_equal(display.tables[""]["history"].dropna(), y[120:KNOWN])
    with pytest.raises(ValueError, match="y is needed"):
        ForecastDisplay.from_estimator(model, X[:KNOWN])


def test_known_columns_of_the_future_change_the_forecast():
    X = dated(["load", "hour"])
    X["hour"] = X.index.hour
    model = fitted(X[:120], known_columns="hour")
    future = X[KNOWN:].assign(load=np.nan)
    display = ForecastDisplay.from_estimator(model, X[:KNOWN], future=future)
    assert list(display.tables) == ["load"]
    np.testing.assert_array_equal(
        display.tables["load"]["forecast"].dropna(),
        model.forecast(X=X[:KNOWN], future=future),
    )
    assert "actual" not in curves(display.ax_)  # it is not known yet
    with pytest.raises(ValueError, match="next 4 rows as future"):
        ForecastDisplay.from_estimator(model, X[:KNOWN])


def groups(rows=slice(KNOWN)):
    parts = [dated(["load"]).assign(town="A"), dated(["load"], seed=1).assign(town="B")]
    return pd.concat([part[rows] for part in parts])


@pytest.fixture(scope="module")
def town_forecaster():
    """Return a forecaster of the series of two towns."""
    return fitted(groups(), groups="town")


@pytest.mark.parametrize("with_dates", [True, False])
def test_one_axes_per_group(town_forecaster, with_dates):
    X, future = groups(), groups(slice(KNOWN, None))
    model = town_forecaster
    if not with_dates:
        X, future = (rows.reset_index(drop=True) for rows in (X, future))
        model = fitted(X, groups="town")
    display = ForecastDisplay.from_estimator(model, X, future=future)
    assert list(display.tables) == ["A: load", "B: load"]
    path = model.forecast(X=X)
    for town in "AB":
        table = display.tables[f"{town}: load"]
        values = X["load"][(X["town"] == town).to_numpy()]
        np.testing.assert_array_equal(table["history"].dropna(), values[-10:])
        np.testing.assert_array_equal(table["forecast"].dropna(), path[town])
        came = future["load"][(future["town"] == town).to_numpy()]
        np.testing.assert_array_equal(table["truth"].dropna(), came[:STEPS])


def test_single_group(town_forecaster):
    X, model = groups(), town_forecaster
    display = ForecastDisplay.from_estimator(model, X, group="B")
    assert list(display.tables) == ["B: load"]
    np.testing.assert_array_equal(
        display.tables["B: load"]["forecast"].dropna(), model.forecast(X=X)["B"]
    )
    with pytest.raises(ValueError, match=r"one of \['A', 'B'\], got 'C'"):
        ForecastDisplay.from_estimator(model, X, group="C")
    with pytest.raises(ValueError, match="group='A' was given, but X has one"):
        ForecastDisplay.from_estimator(MODEL, LOAD, group="A")


def test_dates_with_time_zone():
    X = dated(["load"], start="2024-03-01", tz="America/New_York")
    display = ForecastDisplay.from_estimator(fitted(X[:120]), X[:KNOWN])
    line = curves(display.ax_)["history"]
    np.testing.assert_allclose(times(line), mdates.date2num(X.index[120:KNOWN]))
    display.figure_.canvas.draw()
    locator = display.ax_.xaxis.get_major_locator()
    assert str(locator.tz) == "America/New_York"
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert "Mar-06" in labels  # local midnight is not midnight in UTC
    at = display.ax_.get_xticks()[labels.index("Mar-06")]
    assert mdates.num2date(at, tz=X.index.tz) == pd.Timestamp(
        "2024-03-06", tz=X.index.tz
    )


def test_period_index():
    X = dated(["load"], freq="D").to_period()
    display = ForecastDisplay.from_estimator(fitted(X[:120]), X[:KNOWN])
    line = curves(display.ax_)["history"]
    np.testing.assert_array_equal(
        times(line), mdates.date2num(X.index[120:KNOWN].to_timestamp())
    )


def test_given_axes_and_name():
    _, axes = plt.subplots(1, 3)
    display = ForecastDisplay.from_estimator(
        MODEL, LOAD[:KNOWN], ax=axes[1], name="mine"
    )
    assert display.ax_ is axes[1]
    assert axes[1].get_title() == "mine"
    assert len(axes[0].lines) == 0
    two = ForecastDisplay.from_estimator(TWO_MODEL, TWO[:KNOWN], ax=axes[1:])
    assert list(two.axes_) == list(axes[1:])
    assert len(plt.get_fignums()) == 1
    with pytest.raises(
        ValueError, match=r"2 axes, one for each of \['price', 'load'\]"
    ):
        ForecastDisplay.from_estimator(TWO_MODEL, TWO[:KNOWN], ax=axes[0])


def test_plot_twice():
    display = ForecastDisplay.from_estimator(MODEL, LOAD[:KNOWN])
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first
    np.testing.assert_array_equal(
        curves(first)["forecast"].get_ydata(),
        curves(display.ax_)["forecast"].get_ydata(),
    )


def test_plot_from_tables():
    table = pd.DataFrame(
        {
            "history": [1.0, 2.0, np.nan],
            "forecast": [np.nan, np.nan, 3.0],
            "lower": [np.nan, np.nan, 2.5],
            "upper": [np.nan, np.nan, 3.5],
        }
    )
    display = ForecastDisplay(tables={"mine": table}).plot()
    assert display.bands_[0].get_label() == "interval"
    assert ends(display.bands_[0]) == ([2.0, 2.5], [2.0, 3.5])
    assert display.ax_.get_title() == ""


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "all"])
def test_invalid_n_history(bad):
    with pytest.raises(ValueError, match=f"n_history must be .* got {bad!r}"):
        ForecastDisplay.from_estimator(MODEL, LOAD, n_history=bad)


@pytest.mark.parametrize("bad", ["wind", 2, -1, True, 0.0, ["price", "load"]])
def test_invalid_target(bad):
    with pytest.raises(ValueError, match="target must be one of") as error:
        ForecastDisplay.from_estimator(TWO_MODEL, TWO, target=bad)
    assert repr(bad) in str(error.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"steps": 5}, "steps=5 is more than horizon=4"),
        ({"coverage": 1.5}, "coverage must be between 0 and 1, got 1.5"),
    ],
)
def test_errors_of_the_estimator(params, message):
    with pytest.raises(ValueError, match=message):
        ForecastDisplay.from_estimator(MODEL, LOAD, **params)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": None}, r"X must be a table of rows, got shape \(\)"),
        ({"y": "load"}, r"y must be a table of rows, got shape \(\)"),
        ({"future": 1.0}, r"future must be a table of rows, got shape \(\)"),
        ({"future": LOAD.to_numpy()}, r"X's columns, \['load'\], got \[0\]"),
        ({"future": TWO[["wind"]]}, r"X's columns, \['load'\], got \['wind'\]"),
    ],
)
def test_invalid_rows(arguments, message):
    with pytest.raises(ValueError, match=message):
        ForecastDisplay.from_estimator(MODEL, **{"X": LOAD[:KNOWN]} | arguments)


def test_invalid_estimator():
    with pytest.raises(NotFittedError):
        ForecastDisplay.from_estimator(LSTMForecaster(), LOAD)
    with pytest.raises(TypeError, match="LinearRegression is not a forecaster"):
        ForecastDisplay.from_estimator(LinearRegression().fit(LOAD, LOAD), LOAD)
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, LSTMForecaster(**SETTINGS)).fit(LOAD[:120])
    with pytest.raises(TypeError, match=r"for a Pipeline, pass pipeline\[-1\]"):
        ForecastDisplay.from_estimator(pipeline, LOAD)
    rows = pipeline[:-1].transform(LOAD[:KNOWN])
    display = ForecastDisplay.from_estimator(pipeline[-1], rows)
    np.testing.assert_array_equal(
        display.tables["load"]["history"][:10], rows["load"][-10:]
    )


def test_nothing_is_drawn_after_an_error():
    for bad in ({"target": "no"}, {"group": "no"}, {"n_history": 0}, {"steps": 0}):
        with pytest.raises(ValueError):
            ForecastDisplay.from_estimator(MODEL, LOAD, **bad)
    assert plt.get_fignums() == []


def test_ax_must_be_axes():
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, got int"):
        ForecastDisplay.from_estimator(MODEL, LOAD[:KNOWN], ax=3)


def test_matplotlib_settings_are_unchanged():
    before = dict(plt.rcParams)
    ForecastDisplay.from_estimator(MODEL, LOAD)
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize(
    ("freq", "width", "lengths"),
    [
        ("min", 3, (10, 100)),
        ("h", 3, (50,)),
        ("D", 3, (10, 100)),
        ("MS", 3, (50,)),
        ("h", 9, (100,)),
        ("MS", 9, (10,)),
    ],
)
def test_date_labels_do_not_overlap(freq, width, lengths):
    X = dated(["load"], freq=freq)
    model = fitted(X[:120])
    for n_history in lengths:
        fig, ax = plt.subplots(figsize=(width, 3), layout="constrained")
        ForecastDisplay.from_estimator(model, X, n_history=n_history, ax=ax)
        fig.canvas.draw()
        labels = [label for label in ax.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        assert len(boxes) > 1
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_future_of_known_columns_only():
    X = dated(["load", "hour", "wind"])
    X["hour"] = X.index.hour
    model = fitted(X[:120], known_columns="hour", target_columns="load")
    future = X[KNOWN:]
    expected = ForecastDisplay.from_estimator(model, X[:KNOWN], future=future)
    for part in (
        future[["hour"]],
        future["hour"],
        future[["hour"]].to_numpy(),
        future["hour"].to_numpy(),
    ):
        display = ForecastDisplay.from_estimator(model, X[:KNOWN], future=part)
        table = expected.tables["load"].drop(columns="truth")
        pd.testing.assert_frame_equal(display.tables["load"], table)
    other = future[["load", "hour"]].assign(extra=0.0)  # found by name
    display = ForecastDisplay.from_estimator(model, X[:KNOWN], future=other)
    pd.testing.assert_frame_equal(display.tables["load"], expected.tables["load"])


def test_future_array_of_one_known_column():
    X = series(3)
    model = fitted(X[:120], known_columns=[1], target_columns=0)
    future = X[KNOWN:, [1]]
    display = ForecastDisplay.from_estimator(model, X[:KNOWN], future=future)
    assert "actual" not in curves(display.ax_)
    np.testing.assert_array_equal(
        display.tables[""]["forecast"].dropna(),
        model.forecast(X=X[:KNOWN], future=future),
    )


@pytest.mark.parametrize(
    ("kind", "column"),
    [("dates", 0), ("text", "time"), ("periods", 0), ("polars", "time")],
)
def test_date_column(town_forecaster, kind, column):
    indexed = groups(), groups(slice(KNOWN, None))
    expected = ForecastDisplay.from_estimator(
        town_forecaster, indexed[0], future=indexed[1]
    )
    X, future = (rows.rename_axis("time").reset_index() for rows in indexed)
    if kind == "text":
        X, future = (r.assign(time=r["time"].astype(str)) for r in (X, future))
    if kind == "periods":
        X, future = (r.assign(time=r["time"].dt.to_period("h")) for r in (X, future))
    if kind == "polars":
        X, future = (
            pl.DataFrame({name: r[name].to_numpy() for name in r}) for r in (X, future)
        )
    model = fitted(X, groups="town", date_column=column)
    display = ForecastDisplay.from_estimator(model, X, future=future)
    assert list(display.tables) == ["A: load", "B: load"]
    for name, table in display.tables.items():
        other = expected.tables[name]
        if kind == "periods":
            table = table.to_timestamp()
        pd.testing.assert_frame_equal(
            table, other, check_names=False, check_freq=False, check_index_type=False
        )
    assert isinstance(
        display.ax_.xaxis.get_major_formatter(), mdates.ConciseDateFormatter
    )
