"""LSTMForecaster of several series at once."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.estimators.forecaster_data import (
    HORIZON,
    WINDOW,
    as_array,
    as_frame,
    as_list,
    make_frame,
    make_groups,
    small,
)

# Networks that are trained for a few steps are worse than a baseline.
pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTMForecaster. On the validation rows:UserWarning"
)


def test_order_of_series_does_not_change_forecasts():
    X = make_groups()
    model = small(groups="series").fit(X[:90])
    by_series = X.sort_values("series", kind="stable")
    early = by_series[by_series.index < X.index[90]]
    other = small(groups="series").fit(early)
    pd.testing.assert_frame_equal(other.forecast(), model.forecast())

    rows = X[90:]
    forecasts = model.predict(rows)
    order = np.argsort(rows["series"], kind="stable")
    assert_allclose(other.predict(rows.iloc[order]), forecasts.iloc[order])


def test_a_series_is_forecast_from_its_own_rows():
    X = make_groups()
    model = small(groups="series").fit(X[:90])
    rows = X[90:]
    forecasts = model.predict(rows)
    path = model.forecast(X=X)
    for name in "xyz":
        own = (rows["series"] == name).to_numpy()
        assert_allclose(model.predict(rows[own]), forecasts[own])
        assert_allclose(
            model.forecast(X=X[X["series"] == name]).loc[name], path.loc[name]
        )
    others = rows.assign(a=np.where(own, rows["a"], 1e3))
    assert_array_equal(model.predict(others)[own], forecasts[own])


def test_a_single_group_equals_no_groups():
    X = make_frame()
    alone = small().fit(X[:60])
    model = small(groups="series").fit(X[:60].assign(series="x"))
    assert_array_equal(model.forecast().loc["x"], alone.forecast())
    rows = X[60:]
    assert_array_equal(model.predict(rows.assign(series="x")), alone.predict(rows))
    assert model.score(rows.assign(series="x")) == alone.score(rows)
    assert_array_equal(model.backtest(rows.assign(series="x")), alone.backtest(rows))


def test_unseen_series_are_scaled_by_their_window():
    X = make_groups(names="xy")
    model = small(groups="series").fit(X)
    rows = make_frame(30, seed=5).assign(series="new")
    scaled = rows.assign(a=7 + 1e6 * rows["a"], b=1e-6 * rows["b"])
    # The windows of the first rows hold at most one known row.
    full = slice(HORIZON + 1, None)
    for method in (model.predict, model.backtest, lambda X: model.forecast(X=X)):
        values, others = np.asarray(method(rows)), np.asarray(method(scaled))
        expected = values * [1e6, 1e-6] + [7, 0]
        start = full if method == model.predict else slice(None)
        assert_allclose(others[start], expected[start], rtol=1e-6)
    widths, others = (
        np.diff(model.predict_interval(X).to_numpy().reshape(30, 2, 2))[:, :, 0]
        for X in (rows, scaled)
    )
    assert_allclose(others[full], (widths * [1e6, 1e-6])[full], rtol=1e-6)
    # A path holds what predict returns row by row.
    t = 20
    path = model.forecast(X=rows[: t + 1]).to_numpy()
    assert_allclose(path[-1], model.predict(rows).iloc[t + HORIZON], rtol=1e-9)
    assert_allclose(path, model.backtest(rows)[t + 1 - WINDOW], rtol=1e-9)


def two_scales(n_rows=60):
    """Make two series that differ in scale and level, and the first of them alone."""
    X = make_frame(n_rows, ["y", "other"])
    big = 1e6 + 1e5 * make_frame(n_rows, ["y", "other"], seed=1)
    small_one = X.assign(series="small")
    return small_one, pd.concat([small_one, big.assign(series="big")])


@pytest.mark.parametrize("with_y", [False, True])
def test_scale_of_one_series_does_not_change_forecasts_of_another(with_y):
    _, X = two_scales()
    is_big = X["series"] == "big"
    columns = ["y", "other"]
    other = X.copy()
    other.loc[is_big, columns] = 3 + 1e-3 * X.loc[is_big, columns]
    targets = [X["y"], other["y"]] if with_y else [None, None]
    model, same = (
        small(groups="series", max_iter=2, target_columns=None).fit(rows, y)
        for rows, y in zip([X, other], targets, strict=True)
    )
    # Columns that are not targets may share a scale, which depends on all series.
    rtol = 0.5 if with_y else 1e-6
    for method in ("forecast", "forecast_interval"):
        found, expected = getattr(same, method)(), getattr(model, method)()
        assert_allclose(found.loc["small"], expected.loc["small"], rtol=rtol)
        assert_allclose(found.loc["big"], 3 + 1e-3 * expected.loc["big"], rtol=rtol)


def test_intervals_of_each_series_are_as_wide_as_its_own_errors():
    rows, X = two_scales(400)
    model, alone = (small(groups="series").fit(part) for part in (X, rows))

    def width(forecaster):
        ends = forecaster.forecast_interval().loc["small"]["y"]
        return (ends["upper"] - ends["lower"]).mean()

    assert width(model) == pytest.approx(width(alone), rel=0.3)


def test_a_series_that_is_harder_to_forecast_has_wider_intervals():
    hours = pd.date_range("2024-01-01", periods=400, freq="h")
    noise = np.random.default_rng(0).normal(size=400)
    wave = np.sin(2 * np.pi * np.arange(400) / 6)
    calm = pd.DataFrame({"y": wave + 0.01 * noise}, hours).assign(series="calm")
    wild = pd.DataFrame({"y": noise}, hours).assign(series="wild")
    few = dict(hidden_size=8, max_iter=4, learning_rate_init=0.03)
    model = small(groups="series", context="train", **few)
    model.fit(pd.concat([calm[:300], wild[:300]]))
    for part, most in ((calm, 1.5), (wild, 8)):
        ends = model.predict_interval(part[300:])
        inside = (ends["lower"] <= part["y"][300:]) & (part["y"][300:] <= ends["upper"])
        assert inside.mean() > 0.75
        assert (ends["upper"] - ends["lower"]).mean() < most


def test_columns_that_distinguish_series_keep_their_level():
    """The series have the same past and differ only in a constant column."""
    hours = pd.date_range("2024-01-01", periods=150, freq="h")
    noise = np.random.default_rng(0).normal(size=150)
    parts = [
        pd.DataFrame({"x": noise, "size": 1.0 + i, "series": "ab"[i]}, hours)
        for i in range(2)
    ]
    X = pd.concat(parts)
    y = X["x"].shift(HORIZON, fill_value=0) * np.where(X["size"] == 1, 1, -1)
    few = dict(hidden_size=16, max_iter=8, batch_size=16, dropout=0)
    model = small(groups="series", learning_rate_init=0.03, **few).fit(X, y)
    assert model.score(X, y) > 0.5


def test_number_of_steps_grows_with_the_number_of_series():
    X = make_groups(60, names="xy")
    model = small(groups="series", max_iter="auto", batch_size=4)
    model.set_params(validation_fraction=0, n_iter_no_change=1000).fit(X)
    # 26 steps per epoch for 104 windows; 200 steps for each series.
    assert model.n_iter_ == 16


def test_short_series_are_left_out_of_training():
    X = make_groups(names="xy")
    brief = make_frame(8, seed=7).assign(series="brief")
    expected = small(groups="series").fit(X)
    with pytest.warns(
        UserWarning, match=r"1 of 3 series .* 'brief' \(8 rows\)"
    ) as caught:
        model = small(groups="series").fit(pd.concat([X, brief]))
    assert [w.filename for w in caught] == [__file__]
    paths = model.forecast()
    pd.testing.assert_frame_equal(paths.loc[["x", "y"]], expected.forecast())
    new = expected.forecast(X=brief.assign(series="new"))
    assert_array_equal(paths.loc["brief"], new.loc["new"])


def test_series_too_short_for_validation_rows_has_training_rows_only():
    X = pd.concat(
        [make_frame(80).assign(series="x"), make_frame(15).assign(series="y")]
    )
    model = small(groups="series").fit(X)
    n_used = 80 - 8 - HORIZON
    n_windows = [n_used - WINDOW - HORIZON + 1, 15 - WINDOW - HORIZON + 1]
    assert model.t_ == sum(n_windows)
    assert np.isfinite(model.forecast_interval()).all(axis=None)


def test_names_of_series_may_be_categorical():
    X = make_groups()
    expected = small(groups="series").fit(X).forecast()
    categories = pd.CategoricalDtype(["unused", "z", "x", "y"])
    path = small(groups="series").fit(X.astype({"series": categories})).forecast()
    assert_array_equal(path, expected)
    assert path.index.to_list() == expected.index.to_list()


@pytest.mark.parametrize("kind", ["dates", "text", "polars", "array"])
def test_dates_in_a_column(kind):
    X = make_groups(43)
    X["k"] = np.random.default_rng(0).normal(size=len(X))
    parameters = dict(groups="series", known_columns="k")
    expected = small(**parameters).fit(X[:120])
    path = expected.forecast(future=X[120:])
    rows = X.reset_index()
    if kind == "text":
        rows["time"] = rows["time"].dt.strftime("%Y-%m-%d %H:%M")
    if kind == "polars":
        rows = pl.DataFrame({name: rows[name].to_numpy() for name in rows})
    if kind == "array":
        rows, parameters = rows.to_numpy(), dict(groups=3, known_columns=4)
    date_column = 0 if kind == "array" else "time"
    model = small(**parameters, date_column=date_column).fit(rows[:120])
    found = model.forecast(future=rows[120:])
    assert_array_equal(found, path)
    assert found.index.equals(path.index)
    assert model.n_features_in_ == 5
    predicted = model.predict(rows[120:])
    assert_array_equal(predicted, expected.predict(X[120:]))
    is_pandas = isinstance(rows, pd.DataFrame)
    assert predicted.index.equals((rows if is_pandas else X).index[120:])
    assert model.predict_interval(rows[120:]).index.equals(predicted.index)


def test_each_series_continues_from_its_own_end():
    long, short = make_frame(60), make_frame(40, start="2023-05-01")
    X = pd.concat([long.assign(series=1), short.assign(series=2)])
    model = small(groups="series").fit(X)
    for path in (model.forecast(), model.forecast(X=X)):
        assert path.index.names == ["series", "time"]
        for key, part in ((1, long), (2, short)):
            expected = part.index[-1] + pd.to_timedelta([1, 2, 3], unit="h")
            assert_array_equal(path.loc[key].index, expected)
    assert model.forecast_interval(2).shape == (4, 4)
    assert_array_equal(model.predict(X).index, X.index)


@pytest.mark.parametrize(
    ("container", "keys"),
    [
        (as_frame, ["x", "y", "z"]),
        (as_frame, [3, 1, 2]),
        (as_array, ["x", "y", "z"]),
        (as_list, [3, 1, 2]),
    ],
)
def test_groups_without_dates(container, keys):
    X = make_groups(names=keys)[["series", "a", "b"]]
    expected = small(groups="series").fit(X)
    groups = "series" if container is as_frame else 0
    numbered = container(X.reset_index(drop=True))
    model = small(groups=groups).fit(numbered)
    path = model.forecast()
    assert_array_equal(path.to_numpy(), expected.forecast().to_numpy())
    assert path.index.to_list() == [(key, step) for key in keys for step in (1, 2, 3)]
    assert path.index.names == [str(groups), "step"]
    assert_array_equal(
        np.asarray(model.predict(numbered)), expected.predict(X).to_numpy()
    )


def test_series_that_do_not_continue_are_padded_with_one_warning():
    X = make_groups()
    model = small(groups="series").fit(X[:90])
    with pytest.warns(UserWarning, match="do not start right after") as caught:
        forecasts = model.predict(X[105:])
    assert len(caught) == 1
    assert_array_equal(forecasts, model.set_params(context="pad").predict(X[105:]))


def test_range_index_across_several_series_has_no_gaps():
    order = np.random.default_rng(0).permutation(np.repeat(["x", "y"], 40))
    X = make_frame(80).reset_index(drop=True).assign(series=order)
    model = small(groups="series").fit(X)
    assert model.forecast().shape == (6, 2)


def test_no_window_spans_two_series():
    X = make_groups(names="xyz")
    X = X[(X["series"] != "y") | (np.arange(len(X)) < 60)]
    model = small(groups="series", validation_fraction=0, max_iter=2).fit(X)
    n_windows = [n - WINDOW - HORIZON + 1 for n in (40, 20, 40)]
    assert model.t_ == model.n_iter_ * sum(n_windows)
    assert len(model.backtest(X)) == sum(n_windows)
    thinned = [len(range(0, n, 5)) for n in n_windows]
    assert len(model.backtest(X, stride=5)) == sum(thinned)


def test_each_series_reads_its_own_future():
    X = make_groups(43)
    X["k"] = np.random.default_rng(0).normal(size=len(X))
    model = small(known_columns="k", groups="series").fit(X[:120])
    future = X[120:]
    full = model.forecast(future=future)
    is_y = future["series"] == "y"
    other = model.forecast(future=future.assign(k=future["k"] + 3 * is_y))
    assert (other.loc["y"] != full.loc["y"]).all(axis=None)
    pd.testing.assert_frame_equal(other.loc[["x", "z"]], full.loc[["x", "z"]])
    rows = X[:120][X["series"][:120] == "y"]
    alone = model.forecast(X=rows, future=future[is_y])
    assert_allclose(alone.loc["y"], full.loc["y"])
