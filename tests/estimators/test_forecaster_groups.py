"""LSTMForecaster of several series at once."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

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


def make_groups(n_rows=40, names=("x", "y", "z")):
    """Make several series, hour by hour one row of each."""
    parts = [
        make_frame(n_rows, seed=seed).assign(series=name)
        for seed, name in enumerate(names)
    ]
    return pd.concat(parts).sort_index(kind="stable")


def test_order_of_the_series_does_not_matter():
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


def test_one_series_in_a_group_is_as_one_without():
    X = make_frame()
    alone = small().fit(X[:60])
    model = small(groups="series").fit(X[:60].assign(series="x"))
    assert_array_equal(model.forecast().loc["x"], alone.forecast())
    rows = X[60:]
    assert_array_equal(model.predict(rows.assign(series="x")), alone.predict(rows))
    assert model.score(rows.assign(series="x")) == alone.score(rows)
    assert_array_equal(model.backtest(rows.assign(series="x")), alone.backtest(rows))


def test_unknown_series_are_padded():
    X = make_groups()
    model = small(groups="series").fit(X[:90])
    rows = X[90:][X["series"][90:] == "x"].assign(series="new")
    forecasts = model.predict(rows)
    padded = model.set_params(context="pad").predict(rows.assign(series="x"))
    assert_array_equal(forecasts, padded)


def test_each_series_goes_on_from_its_own_end():
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


def as_frame(X):
    return X


def as_array(X):
    return X.to_numpy()


def as_list(X):
    return X.to_numpy().tolist()


@pytest.mark.parametrize("container", [as_frame, as_array, as_list])
@pytest.mark.parametrize("keys", [["x", "y", "z"], [3, 1, 2]], ids=str)
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


def test_series_that_do_not_follow_are_padded_with_one_warning():
    X = make_groups()
    model = small(groups="series").fit(X[:90])
    with pytest.warns(UserWarning, match="not known to follow") as caught:
        forecasts = model.predict(X[105:])
    assert len(caught) == 1
    assert_array_equal(forecasts, model.set_params(context="pad").predict(X[105:]))


def test_numbered_rows_of_several_series_have_no_gaps():
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
