"""Forecasts of LSTMForecaster: the rows they read, their targets and units."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.estimators.forecaster_data import (
    HORIZON,
    WINDOW,
    as_array,
    as_frame,
    as_list,
    as_numbered,
    make_frame,
    make_groups,
    small,
    some_nightly,
)


def changed(X, rows, columns, seed=0):
    """Return X with other values in some rows of some columns."""
    X = X.copy()
    noise = np.random.default_rng(seed).normal(3, 10, size=(len(X), len(columns)))
    for place, column in enumerate(columns):
        X.iloc[rows, X.columns.get_loc(column)] = noise[rows, place]
    return X


# --- no forecast depends on later rows ----------------------------------------------


def random_problem(seed):
    """Make a random forecaster, fitted, and rows that follow its training rows."""
    generator = np.random.default_rng(seed)
    columns = ["a", "b", "c", "d"][: generator.integers(2, 5)]
    known = columns[-1:] if generator.random() < 0.5 else []
    parameters = dict(
        window=int(generator.integers(1, 10)),
        horizon=int(generator.integers(1, 7)),
        known_columns=known,
        target_columns=["a"] if generator.random() < 0.5 else None,
        cell=["lstm", "gru", "rnn"][seed % 3],
        groups="series" if seed % 2 else None,
        validation_fraction=0.2,
        batch_size="auto",
    )
    if seed % 2:
        X = make_groups(60, columns=columns)
        cut = 3 * 40
    else:
        X = make_frame(60, columns, seed)
        cut = 40
    model = small(**parameters).fit(X[:cut])
    return model, X[cut:], [c for c in columns if c not in known], known, generator


@pytest.mark.parametrize("seed", some_nightly(range(16), 6))
def test_no_forecast_changes_when_later_rows_do(seed):
    model, X, unknown, known, generator = random_problem(seed)
    before, ends = np.asarray(model.predict(X)), np.asarray(model.predict_interval(X))
    places = np.arange(len(X))
    if model.groups is not None:
        places = np.flatnonzero(X["series"] == generator.choice(["x", "y", "z"]))
    t = int(generator.integers(model.horizon, len(places) - 1))
    later = changed(X, places[t - model.horizon + 1 :], unknown)
    later = changed(later, places[t + 1 :], known)
    after, new_ends = model.predict(later), model.predict_interval(later)
    after, new_ends = np.asarray(after), np.asarray(new_ends)

    untouched = np.setdiff1d(np.arange(len(X)), places[t + 1 :])
    assert_array_equal(after[untouched], before[untouched])
    assert_array_equal(new_ends[untouched], ends[untouched])
    # The next row is forecast from the first row that is changed.
    assert (after[places[t + 1]] != before[places[t + 1]]).all()


@pytest.mark.parametrize("seed", some_nightly(range(0, 16, 2), 3))
def test_no_path_changes_when_rows_after_its_origin_do(seed):
    model, X, unknown, known, generator = random_problem(seed)
    paths = model.backtest(X)
    n_origins = len(X) - model.window - model.horizon + 1
    assert paths.shape == (n_origins, model.horizon, model.n_outputs_)
    i = int(generator.integers(n_origins - 1))
    origin = model.window - 1 + i
    later = changed(X, slice(origin + 1, None), unknown)
    later = changed(later, slice(origin + model.horizon + 1, None), known)
    after = model.backtest(later)
    assert_array_equal(after[: i + 1], paths[: i + 1])
    assert (after[i + 1] != paths[i + 1]).all()


@pytest.mark.parametrize("groups", [None, "series"])
def test_known_columns_are_read_up_to_the_forecast_row(groups):
    X = make_frame(80, "abk") if groups is None else make_groups(80, columns="abk")
    n = 1 if groups is None else 3
    model = small(known_columns="k", groups=groups).fit(X[: 60 * n])
    rows = X[60 * n :]
    t = 10 * n
    before = np.asarray(model.predict(rows))
    for back in range(WINDOW + HORIZON):
        here = t - back * n
        after = np.asarray(model.predict(changed(rows, [here], ["k"])))
        assert (after[t] != before[t]).all()
        assert_array_equal(after[:here], before[:here])
    beyond = np.asarray(model.predict(changed(rows, slice(t + 1, None), ["k"])))
    assert_array_equal(beyond[: t + 1], before[: t + 1])


def test_unknown_columns_are_read_up_to_the_origin():
    X = make_frame(80, "abc")
    model = small(target_columns="a").fit(X[:60])
    before = model.predict(X[60:]).to_numpy()
    for column in "abc":
        at = [10 - HORIZON]
        after = model.predict(changed(X[60:], at, [column])).to_numpy()
        assert after[10] != before[10]
        assert_array_equal(after[:10], before[:10])


# --- predict compared with single forecasts -----------------------------------------


def one_by_one(model, X, rows):
    """Forecast each row of X from the rows that end a horizon before it."""
    ends = [model.forecast(X=X[: t - model.horizon + 1]) for t in rows]
    return np.array([np.asarray(path)[-1] for path in ends])


@pytest.mark.parametrize(
    ("context", "columns"), [("auto", ["a", "b", "c"]), ("train", ["a"])]
)
def test_every_fold_is_forecast_from_the_rows_before_it(context, columns):
    X = make_frame(72, columns)
    if context == "train":
        X = X.to_numpy()
    for train, test in TimeSeriesSplit(2).split(X):
        rows = X.iloc if hasattr(X, "iloc") else X
        few = dict(context=context, batch_size="auto", validation_fraction=0.2)
        model = small(**few).fit(rows[train])
        forecasts = np.asarray(model.predict(rows[test]))
        expected = one_by_one(model, X, test)
        assert_allclose(forecasts, expected, rtol=1e-9)
        assert len(np.unique(expected)) == expected.size


def test_with_known_columns_every_fold_is_forecast_from_the_right_rows():
    X = make_frame(72, "abk")
    for train, test in TimeSeriesSplit(2).split(X):
        few = dict(known_columns="k", batch_size="auto", validation_fraction=0.2)
        model = small(**few).fit(X.iloc[train])
        forecasts = model.predict(X.iloc[test])
        for t in test:
            split = t - HORIZON + 1
            path = model.forecast(X=X[:split], future=X[split : t + 1])
            assert_allclose(forecasts.loc[X.index[t]], path.iloc[-1], rtol=1e-9)


def test_padded_rows_are_forecast_from_copies_of_the_first_row():
    X = make_frame(90).to_numpy()
    model = small(context="pad", validation_fraction=0).fit(X[:60])
    forecasts = model.predict(X[60:])
    edge = np.repeat(X[60:61], WINDOW, axis=0)
    padded = np.concatenate([edge, X[60:]])
    known = np.arange(HORIZON, 30)
    assert_allclose(
        forecasts[known], one_by_one(model, padded, known + WINDOW), rtol=1e-9
    )
    # No row comes before these: they are forecast from the mean of the training rows.
    mean = np.repeat(X[:60].mean(0, keepdims=True), WINDOW, axis=0)
    expected = np.repeat(model.forecast(X=mean)[-1:], HORIZON, axis=0)
    assert_allclose(forecasts[:HORIZON], expected, rtol=1e-9)


@pytest.mark.parametrize("stride", [1, 4])
def test_backtest_is_a_forecast_from_every_origin(stride):
    X = make_frame(90)
    model = small().fit(X[:60])
    paths = model.backtest(X, stride=stride)
    forecasts = model.predict(X)
    origins = range(WINDOW - 1, 90 - HORIZON, stride)
    assert len(paths) == len(origins)
    for path, origin in zip(paths, origins, strict=True):
        assert_allclose(path, model.forecast(X=X[: origin + 1]), rtol=1e-9)
        assert_allclose(path[-1], forecasts.iloc[origin + HORIZON], rtol=1e-9)


def test_chunks_do_not_change_forecasts():
    X = make_frame(9000)
    model = small(context="pad").fit(X[:100])

    def centers(rows):  # the widths depend on the rows before
        return model.predict_interval(rows).to_numpy().reshape(-1, 2, 2).mean(2)

    for predict in (model.predict, centers):
        whole = predict(X)
        for start in (3980, 7990):
            part = predict(X[start : start + 100])
            full = slice(WINDOW + HORIZON - 1, None)
            assert_allclose(part[full], whole[start : start + 100][full], rtol=1e-9)


def test_forecast_after_fit_is_that_from_the_training_rows():
    X = make_frame()
    model = small().fit(X)
    pd.testing.assert_frame_equal(model.forecast(), model.forecast(X=X))
    assert_array_equal(model.forecast(), model.forecast(X=X[-WINDOW:]))


def test_learns_a_series_that_repeats():
    hours = pd.date_range("2024-01-01", periods=200, freq="h")
    wave = 50 + 10 * np.sin(2 * np.pi * np.arange(200) / 24)
    X = pd.DataFrame({"load": wave}, hours)
    few = dict(window=24, hidden_size=8, max_iter=4, batch_size="auto")
    model = small(**few, learning_rate_init=0.03).fit(X[:152])
    assert model.score(X[152:]) > 0.95
    assert_allclose(model.forecast(), wave[152 : 152 + HORIZON], atol=1)


# --- the rows before the first -------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "context"),
    [
        (as_frame, "auto"),
        (as_frame, "train"),
        (as_numbered, "auto"),
        (as_array, "train"),
        (as_list, "train"),
    ],
)
def test_training_rows_are_never_preceded_by_the_last_training_rows(container, context):
    X = make_frame()
    model = small(context=context).fit(container(X))
    for rows in (X, X[:20], X[:2]):
        alone = np.asarray(model.set_params(context="pad").predict(container(rows)))
        given = np.asarray(model.set_params(context=context).predict(container(rows)))
        assert_array_equal(given, alone)


def test_range_index_that_continues_uses_the_training_rows_as_context():
    X = as_numbered(make_frame())
    model = small().fit(X[:60])
    assert_allclose(model.predict(X[60:]), one_by_one(model, X, range(60, 80)))


@pytest.mark.parametrize(
    ("skipped", "reason"),
    [(1, "do not start right after"), (-5, "start before the training rows end")],
)
def test_rows_after_a_gap_are_padded_with_one_warning(skipped, reason):
    X = make_frame()
    model = small().fit(X[:60])
    later = X[60 + skipped :]
    message = f"LSTMForecaster: these rows {reason}"
    with pytest.warns(UserWarning, match=message) as caught:
        forecasts = model.predict(later)
        model.predict(later)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    padded = model.set_params(context="pad").predict(later)
    assert_array_equal(forecasts, padded)


def test_arrays_are_padded_with_one_warning():
    X = as_array(make_frame())
    model = small().fit(X[:60])
    with pytest.warns(UserWarning, match="context='train'") as caught:
        forecasts = model.predict(X[60:])
        model.predict_interval(X[60:])
    assert len(caught) == 1
    assert_array_equal(forecasts, model.set_params(context="pad").predict(X[60:]))


def test_few_rows_that_follow_use_the_training_rows_as_context():
    X = make_frame()
    model = small().fit(X[:60])
    for end in (61, 63, 70):
        expected = model.forecast(X=X[:end])
        pd.testing.assert_frame_equal(model.forecast(X=X[60:end]), expected)


def test_a_few_rows_may_equal_the_first_training_rows():
    sales = np.random.default_rng(0).poisson(3, 60) + np.arange(60.0)
    model = small(horizon=1, context="train").fit(sales)
    assert_array_equal(model.predict(sales[:1]), model.forecast())
    assert_array_equal(model.predict(sales[:1] + 1), model.forecast())


def test_a_window_of_rows_needs_no_context():
    X = as_array(make_frame())
    model = small().fit(X[:60])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = model.forecast(X=X[60:])
    assert_array_equal(path, model.set_params(context="pad").forecast(X=X[60:]))


# --- a single series ------------------------------------------------------------------


SERIES = {
    "Series": lambda y: y,
    "array": lambda y: y.to_numpy(),
    "list": lambda y: y.tolist(),
    "polars": lambda y: pl.Series("a", y.to_numpy()),
    "column": lambda y: y.to_numpy()[:, None],
    "Int64": lambda y: y.astype("Int64"),
    "Decimal": lambda y: [Decimal(int(value)) for value in y],
    "object": lambda y: y.astype(object),
}


@pytest.mark.parametrize("kind", SERIES)
def test_one_dimensional_X_is_a_series(kind):
    X = make_frame(columns=["a"]).round()
    y, y_new = (SERIES[kind](part) for part in (X["a"][:60], X["a"][60:]))
    model = small(context="train").fit(y, X_val=y_new)
    same = small(context="train").fit(X[:60], X_val=X[60:])
    assert model.validation_scores_ == same.validation_scores_
    assert_array_equal(model.forecast(), same.forecast())
    assert_array_equal(model.forecast(X=y_new), same.forecast(X=X[60:]))
    assert_array_equal(model.predict(y_new), same.predict(X[60:]))
    assert_array_equal(model.predict_interval(y_new), same.predict_interval(X[60:]))
    assert_array_equal(model.backtest(y_new), same.backtest(X[60:]))
    assert model.score(y_new) == same.score(X[60:])
    assert model.n_features_in_ == 1


def test_names_and_dates_of_a_series():
    y = make_frame(columns=["a"])["a"]
    model = small().fit(y[:60])
    expected = small().fit(y[:60].to_frame())
    pd.testing.assert_series_equal(model.forecast(), expected.forecast())
    pd.testing.assert_series_equal(
        model.predict(y[60:]), expected.predict(y.to_frame()[60:])
    )
    assert list(model.feature_names_in_) == ["a"]
    unnamed = small().fit(y[:60].rename(None))
    pd.testing.assert_series_equal(unnamed.forecast(), model.forecast().rename(None))


# --- missing values -------------------------------------------------------------------


def test_missing_values_are_filled_forward_and_not_used_as_targets():
    X = make_frame(100)
    holed = X.copy()
    holed.iloc[[20, 21, 50], 0] = np.nan
    holed.iloc[95, 1] = np.nan
    with pytest.warns(UserWarning, match=r"NaN.*: 3 in 'a', 1 in 'b'\.") as caught:
        model = small(context="pad").fit(holed)
    assert [w.filename for w in caught] == [__file__]
    # Filled values are read, but not used as targets.
    filled = holed.ffill()
    with pytest.warns(UserWarning, match="1 in 'b'"):
        forecasts = model.predict(holed[60:])
    expected = model.predict(filled[60:])
    pd.testing.assert_frame_equal(forecasts, expected)
    pd.testing.assert_frame_equal(model.forecast(), model.forecast(X=filled))
    other = small().fit(filled)
    assert (other.forecast() != model.forecast()).all(axis=None)


@pytest.mark.parametrize("column", ["a", "b"])
def test_a_gap_at_the_end_may_be_longer_than_the_window(column):
    """The value before it is still the last known one."""
    X = make_frame(60, columns=["a", "b"])
    holed = X.copy()
    holed.loc[X.index[-WINDOW - HORIZON - 4 :], column] = np.nan
    with pytest.warns(UserWarning, match="missing values"):
        model = small(target_columns="a", validation_fraction=0.5).fit(holed)
        expected = model.forecast(X=holed)
    assert_array_equal(model.forecast(), expected)
    assert_array_equal(model.forecast_interval(), model.forecast_interval(X=holed))
    coming = make_frame(4, start=X.index[-1] + pd.Timedelta("1h"))
    with pytest.warns(UserWarning, match="missing values"):
        together = model.predict(pd.concat([holed, coming]))
    assert_array_equal(model.predict(coming), together[-4:])


def test_targets_may_be_mostly_missing():
    X = make_frame(60, ["a"])
    twice = X.assign(b=X["a"])
    holed = twice.copy()
    holed.iloc[WINDOW:, 1] = np.nan
    parameters = dict(validation_fraction=0, symmetric=False, dropout=0)
    with pytest.warns(UserWarning, match="in 'b'"):
        model = small(**parameters).fit(holed)
    losses = model.loss_curve_
    assert np.isfinite(losses).all()
    assert np.isfinite(model.forecast()).all(axis=None)


def test_targets_may_be_missing_in_the_first_rows():
    X = make_frame(120)
    late = X.copy()
    late.iloc[:50, 1] = np.nan
    model = small(context="pad").fit(
        late[:100]
    )  # no warning: nothing is missing inside
    assert np.isfinite(model.forecast_interval()).all(axis=None)
    # The scale is computed from the existing values.
    y = X["b"][50:87]
    unknown = model.predict(late[:40])["b"]
    assert_allclose(unknown, y.mean())
    # No forecast knows the first value before it came.
    forecasts = model.predict(late[:60])
    changed = late[:60].copy()
    changed.iloc[50:, 1] += 5
    after = model.predict(changed)
    assert_array_equal(after[: 50 + HORIZON], forecasts[: 50 + HORIZON])
    assert after["b"].iloc[50 + HORIZON] != forecasts["b"].iloc[50 + HORIZON]
    # A window that begins before the target does is padded with its first value.
    padded = late[:60].bfill()
    assert_array_equal(forecasts[50 + HORIZON :], model.predict(padded)[50 + HORIZON :])


def test_other_columns_may_be_missing_in_the_first_rows():
    X = make_frame(100)
    late = X.copy()
    late.iloc[:30, 1] = np.nan
    model = small(target_columns="a").fit(late)
    before = model.predict(late[:60])
    changed = late[:60].copy()
    changed.iloc[30:, 1] += 5
    assert_array_equal(model.predict(changed)[: 30 + HORIZON], before[: 30 + HORIZON])


def test_rows_to_forecast_may_hold_nan():
    X = make_frame()
    model = small().fit(X[:60])
    coming = X[60 : 60 + HORIZON] * np.nan
    expected = model.predict(X[60 : 60 + HORIZON])
    pd.testing.assert_frame_equal(model.predict(coming), expected)


def test_score_ignores_missing_targets():
    X = make_frame(columns=["a"])
    model = small().fit(X[:60])
    rows = X[60:].copy()
    forecasts = model.predict(rows)
    rows.iloc[-2:] = np.nan
    expected = r2_score(rows["a"][:-2], forecasts[:-2])
    assert model.score(rows) == pytest.approx(expected)


# --- numbers of any size --------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "offset", "dtype"),
    [
        (1e-300, 0, None),
        (1e-300, 0, "float32"),
        (1e-3, 1.7e9, "float32"),
        (1e100, 0, None),
        (1e100, 0, "float32"),
    ],
)
def test_tiny_and_huge_units_do_not_change_forecasts(factor, offset, dtype):
    X = make_frame(columns=["a"]).round(1)
    model = small(dtype=dtype, symmetric=False).fit(X)
    other = small(dtype=dtype, symmetric=False).fit(factor * X + offset)
    found = (other.forecast() - offset) / factor
    assert_allclose(found, model.forecast(), rtol=1e-3, atol=1e-2)


# --- targets ------------------------------------------------------------------------


def test_targets_by_name_by_position_and_as_y_are_the_same():
    X = make_frame()
    expected = small(target_columns="b").fit(X).forecast()
    for model in (
        small(target_columns=["b"]).fit(X),
        small(target_columns=1).fit(X),
        small().fit(X, X["b"]),
        small(target_columns="b").fit(X, X["b"].to_numpy()),
    ):
        assert_array_equal(model.forecast(), expected)
    both = small().fit(X).forecast()
    assert_array_equal(small().fit(X, X).forecast(), both)
    assert_array_equal(small().fit(X, X[["b", "a"]]).forecast().shape, both.shape)


@pytest.mark.parametrize("with_y", [False, True])
def test_forecast_of_a_target_follows_its_own_level(with_y):
    X = make_frame(columns=["a", "b", "c"])
    y = X[["c", "a"]] if with_y else None
    model = small(target_columns=None if with_y else ["c", "a"]).fit(X, y)
    last = X[-WINDOW:]
    moved = model.forecast(X=last + [0, 0, 500]) - model.forecast(X=last)
    assert list(moved.columns) == ["c", "a"]
    assert_allclose(moved["c"], 500, atol=100)
    assert_allclose(moved["a"], 0, atol=100)


def test_constant_column():
    X = make_frame().assign(b=5.0)
    model = small().fit(X)
    assert_allclose(model.forecast()["b"], 5)
    assert np.isfinite(model.predict_interval(X)).all(axis=None)
    assert np.isfinite(small(target_columns="a").fit(X).forecast()).all()


def test_y_of_polars_is_matched_by_name():
    X = make_frame()
    expected = small().fit(X, X["b"]).forecast()
    X = pl.DataFrame(X.to_numpy(), schema=["a", "b"])
    assert_array_equal(small().fit(X, X["b"]).forecast(), expected)
    unnamed = small().fit(X, pl.Series(X["b"].to_numpy())).forecast()
    assert (unnamed != expected).all()


def test_y_is_matched_by_name_to_target_columns():
    X = make_frame()
    named = small(target_columns=["a", "b"]).fit(X, X[["b", "a"]])
    assert_array_equal(named.forecast(), small().fit(X, X[["b", "a"]]).forecast())


def test_integer_name_of_y_is_not_a_column_position():
    X = make_frame().to_numpy()
    y = pd.Series(X[:, 0] ** 2, name=1)
    named, unnamed = (small().fit(X, each) for each in (y, y.to_numpy()))
    assert_array_equal(named.forecast(), unnamed.forecast())


def test_y_outside_X_is_forecast_from_the_columns():
    X = make_frame(300, ["a"])
    X["a"] = np.random.default_rng(0).normal(size=300)
    y = 7 + 3 * X["a"].shift(HORIZON, fill_value=0).rename("later")
    few = dict(hidden_size=8, max_iter=8, batch_size=16, dropout=0)
    model = small(**few, learning_rate_init=0.03).fit(X[:240], y[:240])
    assert model.score(X[240:], y[240:]) > 0.9
    # Far from where y was in training, its level is still that of the columns.
    assert 0 < model.forecast(1).iloc[0] < 14


@pytest.mark.parametrize("parameters", [{}, {"symmetric": False}], ids=str)
def test_units_of_columns_do_not_change_forecasts(parameters):
    X = make_frame()
    model = small(target_columns="a", max_iter=2, **parameters).fit(X[:60])
    other = small(target_columns="a", max_iter=2, **parameters).fit(10 * X[:60] + 5)
    forecasts, scaled = model.predict(X[60:]), other.predict(10 * X[60:] + 5)
    assert_allclose(scaled, 10 * forecasts + 5, rtol=1e-6)
    ends, scaled = model.forecast_interval(), other.forecast_interval()
    assert_allclose(scaled, 10 * ends + 5, rtol=1e-6)


def test_forecasts_scale_with_the_units_of_y():
    X = make_frame()
    y = X["a"]
    model = small(max_iter=2).fit(X[:60], y[:60])
    other = small(max_iter=2).fit(X[:60], 10 * y[:60] + 5)
    assert_allclose(other.forecast(), 10 * model.forecast() + 5, rtol=1e-6)
    score = other.score(X[60:], 10 * y[60:] + 5)
    assert score == pytest.approx(model.score(X[60:], y[60:]), rel=1e-6)
    in_pipeline = small(target_columns=0, context="train", max_iter=2)
    pipeline = make_pipeline(StandardScaler(), in_pipeline).fit(X[:60], y[:60])
    assert_allclose(pipeline.predict(X[60:]), model.predict(X[60:]), rtol=1e-6)
