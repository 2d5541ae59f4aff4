"""Invalid input to LSTMForecaster: the error names the argument and the value."""

import traceback
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import TimeSeriesSplit, cross_validate
from sklearn.utils._param_validation import InvalidParameterError

from skdeep import LSTMForecaster
from tests.estimators.forecaster_data import make_frame, make_groups, small

X = make_frame()
ARRAY = X.to_numpy()
KNOWN = make_frame(83, "abk")


def assert_raises(function, message, error=ValueError):
    """Check the error, and that it was raised before torch was called."""
    with pytest.raises(error, match=message) as caught:
        function()
    last = traceback.extract_tb(caught.tb)[-1].filename
    assert "/torch/" not in last, f"raised in {last}"


@pytest.mark.parametrize(
    "parameters",
    [
        {"window": 0},
        {"window": 2.5},
        {"horizon": 0},
        {"horizon": None},
        {"context": "future"},
        {"cell": "transformer"},
        {"hidden_size": 0},
        {"segment_length": 0},
        {"segment_length": "long"},
        {"dropout": 1.0},
        {"loss": "log_loss"},
        {"quantile": 1.0},
        {"groups": ["a"]},
        {"target_columns": 1.5},
        {"known_columns": 1.5},
        {"symmetric": "yes"},
        {"include_baselines": "yes"},
        {"subsample": 0.0},
        {"subsample": 1.5},
        {"max_iter": 0},
        {"validation_fraction": 1.0},
        {"weight_averaging": 1.0},
        {"early_stopping": "score"},
    ],
    ids=str,
)
def test_invalid_parameters(parameters):
    ((name, value),) = parameters.items()
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter") as caught:
        small(**parameters).fit(X)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target_columns": "z"}, r"target_columns names \['z'\].*\['a', 'b'\]"),
        ({"known_columns": ["b", "z"]}, r"known_columns names \['z'\]"),
        ({"groups": "z"}, r"groups names \['z'\]"),
        ({"target_columns": 2}, r"target_columns holds \[2\].*of X are 0 to 1"),
        ({"target_columns": -1}, r"target_columns holds \[-1\]"),
        ({"target_columns": ["a", "a"]}, r"target_columns.*'a'"),
        ({"target_columns": "a", "known_columns": "a"}, r"known_columns='a'.*\['a'\]"),
        ({"known_columns": ["a", "b"]}, "no column to forecast.*'b'"),
        ({"target_columns": "b", "groups": "b"}, "target_columns='b'.*groups='b'"),
        ({"known_columns": "b", "groups": "b"}, "known_columns='b'.*groups='b'"),
        ({"segment_length": 7}, "segment_length=7.*window=6"),
        ({"window": 78}, "X has 80 rows; window=78 and horizon=3 .* 81"),
        ({"horizon": 75}, "X has 80 rows; window=6 and horizon=75 .* 81"),
        ({"horizon": 9}, "leaves 8 validation rows; horizon=9 needs"),
        ({"validation_fraction": 0.02}, "0.02 of 80 rows leaves 2 .*; horizon=3"),
        ({"validation_fraction": 0.9}, "leaves 8 training rows; .* at least 12"),
        ({"early_stopping": True, "validation_fraction": 0}, "early_stopping=True"),
    ],
    ids=str,
)
def test_parameters_too_large_for_the_rows(parameters, message):
    assert_raises(lambda: small(**parameters).fit(X), message)


def with_nan(rows):
    rows = rows.copy()
    rows.iloc[7, 1] = np.nan
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X.replace(X.iloc[3, 0], np.inf), "Input X contains infinity"),
        (X["a"].map("{} kg".format), r"\['a'\] of X must be numeric"),
        (X.assign(b=np.nan)[:0], "0 sample"),
        (ARRAY[None], "dim 3"),
        (None, "Expected 2D array"),
        (X[:0], "0 sample"),
        (X[:1], "X has 1 sample; window=6 and horizon=3 need at least 9"),
        (X.assign(c="text"), r"\['c'\] of X must be numeric"),
        (X.reset_index(), r"\['time'\] .* dates.* date_column to the .*the index"),
        (X.index.to_frame(), r"\['time'\] of X must be numeric, got dates"),
        (X.index.to_numpy()[:, None], r"X must be numeric, got dates \(datetime64"),
        (X.set_axis(["a", "a"], axis=1), r"must be unique, got \['a'\]"),
        (X.iloc[[0, 1, 1, *range(2, 80)]], "01 01:00:00 is repeated.* set groups to"),
        (X.iloc[::-1], "2024-01-04 06:00:00 comes after 2024-01-04 07:00:00"),
        (X.set_axis(X.index.where(X.index != X.index[4]), axis=0), "missing for row 4"),
        ([[1.0, 2.0], [3.0]], "inhomogeneous|setting an array element"),
    ],
    ids=range(16),
)
def test_invalid_rows(rows, message):
    assert_raises(lambda: small().fit(rows), message)
    if getattr(rows, "shape", ()) == (80, 2):
        model = small().fit(X)
        for method in (model.predict, model.predict_interval, model.backtest):
            assert_raises(lambda m=method: m(rows), message)
        assert_raises(lambda: model.forecast(X=rows), message)


def test_numbers_too_large_to_be_scaled():
    message = r"too large to be scaled; the largest is 1e\+300"
    rows = X.assign(a=1e300 * np.linspace(-1, 1.2, 80))
    assert_raises(lambda: small().fit(rows), message)
    assert_raises(lambda: small().fit(X, rows["a"].to_numpy()), message)


@pytest.mark.parametrize(
    ("rows", "name"),
    [(X.assign(b=np.nan), "'b'"), (np.where([[True, False]], ARRAY, np.nan), "1")],
    ids=["frame", "array"],
)
def test_column_without_any_value(rows, name):
    message = f"The column {name} of X has no value: all its 80 rows are NaN"
    assert_raises(lambda: small().fit(rows), message)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_too_far_from_those_of_training(dtype):
    model = small(context="pad").fit(X.astype(dtype))
    far = X.copy()
    far.iloc[9, 1] = 3e38 if dtype == "float32" else 1e300
    message = r"X holds the value (3e\+38|1e\+300) \(row 9, column 'b'\), .* too far"
    for method in (model.predict, model.predict_interval, model.backtest, model.score):
        assert_raises(lambda m=method: m(far), message)
    assert_raises(lambda: model.forecast(X=far[:12]), message)


def test_ambiguous_one_dimensional_arrays():
    message = "Expected 2D array, got 1D array"
    assert_raises(lambda: small().fit(ARRAY[:, 0], ARRAY[:, 1]), message)
    model = small().fit(ARRAY)
    assert_raises(lambda: model.predict(ARRAY[0]), message)


def test_forecasts_too_large_for_the_type_of_the_training_rows():
    model = small(context="pad").fit(X.astype("float32"))
    far = X.assign(a=1e60 * X["a"])
    message = r"X holds the value .*e\+60 \(row \d+, column 'a'\)"
    assert_raises(lambda: model.predict(far), message)


def test_future_too_far_from_the_training_rows():
    model = small(known_columns="k").fit(KNOWN[:80].astype("float32"))
    future = KNOWN[80:].assign(k=[0.0, 1e300, 0.0])
    message = r"future holds the value 1e\+300 \(row 1, column 'k'\)"
    assert_raises(lambda: model.forecast(future=future), message)


@pytest.mark.parametrize(
    ("parameters", "dates", "message"),
    [
        ({}, ["31/01/2024"] * 80, "date_column='day' of X .* text that is not a date"),
        ({}, [pd.NaT, *X.index[1:]], "date of every row; .* in row 0"),
        ({}, X.index[::-1], "comes after"),
        ({"date_column": "when"}, X.index, r"date_column names \['when'\]"),
        ({"target_columns": "day"}, X.index, "target_columns='day'.*date_column='day'"),
        ({"groups": "day"}, X.index, "groups='day' and date_column='day' must"),
    ],
    ids=range(6),
)
def test_invalid_dates_in_a_column(parameters, dates, message):
    rows = X.reset_index(drop=True).assign(day=dates)
    model = small(**{"date_column": "day", **parameters})
    assert_raises(lambda: model.fit(rows), message)


def test_sparse_rows():
    rows = sparse.csr_array(np.abs(ARRAY))
    assert_raises(lambda: small().fit(rows), "Sparse data was passed", TypeError)
    assert_raises(lambda: small(groups=0).fit(rows), "Sparse data", TypeError)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (with_nan(X)["b"], "Input y contains NaN"),
        (X["a"][:70], r"inconsistent numbers of samples: \[80, 70\]"),
        (["text"] * 80, "y must hold numbers, got .*'text'"),
        (np.zeros((80, 2, 2)), "dim 3"),
    ],
    ids=range(4),
)
def test_invalid_targets(y, message):
    assert_raises(lambda: small().fit(X, y), message)


def test_more_columns_than_targets():
    model = small(target_columns=["a", "b"])
    message = r"target_columns=\['a', 'b'\] .* names 2, but y has 1"
    assert_raises(lambda: model.fit(X, X["a"]), message)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (X.index.append(X.index[-1:] + pd.Timedelta("1h")).delete(40), "1 gap.*16:00"),
        (X.index[:40].append(X.index[40:] + pd.Timedelta("9h")), "1 gap.*2024-01-03"),
        (pd.RangeIndex(81).delete(40), "1 gap.* 39 and 41"),
    ],
    ids=["one row", "nine", "numbers"],
)
def test_gaps_raise_a_warning(index, message):
    rows = X.set_axis(index, axis=0)
    message = message.replace("16:00", "2024-01-02T15.* 2024-01-02T17")
    with pytest.warns(UserWarning, match=message) as caught:
        small().fit(rows)
    assert [warning.filename for warning in caught] == [__file__]
    series = rows.assign(series="x")
    if isinstance(index, pd.DatetimeIndex):
        with pytest.warns(UserWarning, match="series 'x' has 1 gap"):
            small(groups="series").fit(series)


def test_trading_days_have_no_gaps():
    days = pd.bdate_range("2024-01-01", periods=85).delete([0, 10, 33, 63, 64])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().fit(X.set_axis(days, axis=0))


def test_invalid_groups():
    rows = make_groups(names="xy")
    model = small(groups="series")
    nameless = rows.assign(series=[None, *rows["series"][1:]])
    assert_raises(lambda: model.fit(nameless), "groups='series'.* missing in row 0")
    twice = pd.concat([rows[:1], rows])
    assert_raises(
        lambda: model.fit(twice), r"In the series 'x': .*repeated \(row 1\)\.$"
    )
    assert_raises(lambda: model.fit(rows[:16]), r"All series .* 'x' \(8 rows\), 'y'")
    assert_raises(lambda: model.fit(rows[:40]), "2 validation rows; horizon=3")
    blank = rows.assign(b=rows["b"].where(rows["series"] == "x"))
    assert_raises(lambda: model.fit(blank), "column 'b' of the series 'y' has no value")


def test_other_columns_after_fit():
    model = small().fit(X)
    for rows in (X[["b", "a"]], X[["a"]], X.rename(columns={"a": "z"})):
        assert_raises(lambda r=rows: model.predict(r), "feature names should match")
        assert_raises(lambda r=rows: model.backtest(r), "feature names should match")
        assert_raises(lambda r=rows: model.forecast(X=r), "feature names should match")
    unnamed = small().fit(ARRAY)
    assert_raises(lambda: unnamed.predict(ARRAY[:, :1]), "X has 1 features")


def test_invalid_y_in_score():
    model = small().fit(X)
    assert_raises(lambda: model.score(X, X["a"]), r"y must have 2 target\(s\).*got 1")
    assert_raises(lambda: model.score(X, X[:50]), "inconsistent numbers of samples")
    assert_raises(lambda: model.score(X, with_nan(X)), "Input y contains NaN")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1"])
def test_invalid_numbers_of_steps(value):
    model = small().fit(X)
    assert_raises(lambda: model.forecast(value), f"steps .* got {value!r}")
    assert_raises(lambda: model.forecast_interval(value), f"steps .* got {value!r}")
    assert_raises(lambda: model.backtest(X, stride=value), f"stride .* got {value!r}")


def test_more_steps_than_the_horizon():
    message = "steps=4 is more than horizon=3"
    assert_raises(lambda: small().fit(X).forecast(4), message)


@pytest.mark.parametrize("value", [0, 1, -0.5, 90, "a", None, np.nan])
def test_invalid_coverage(value):
    model = small().fit(X)
    message = f"coverage must be between 0 and 1, got {value!r}"
    assert_raises(lambda: model.predict_interval(X, value), message)
    assert_raises(lambda: model.forecast_interval(coverage=value), message)


def test_intervals_need_validation_rows():
    model = small(validation_fraction=0).fit(X)
    for method in (lambda: model.predict_interval(X), model.forecast_interval):
        assert_raises(method, "errors on validation rows.*validation_fraction")


def test_too_few_rows_to_backtest():
    model = small().fit(X)
    assert_raises(lambda: model.backtest(X[:8]), "X has 8 rows.* need at least 9")


def test_invalid_future():
    model = small(known_columns="k").fit(KNOWN[:80])
    assert_raises(model.forecast, "known_columns='k'.* next 3 rows as future")
    assert_raises(lambda: model.forecast(future=KNOWN[80:82]), "3 rows.*2")
    holes = KNOWN[80:].assign(k=[0, np.nan, 0])
    assert_raises(lambda: model.forecast(future=holes), "future.* contains NaN")
    for wrong in (KNOWN[["a"]][80:], KNOWN["a"][80:].rename("z").to_frame()):
        message = r"future must hold the columns \['k'\].*\['k'\] are missing, got"
        assert_raises(lambda w=wrong: model.forecast(future=w), message)
    # Rows that do not come next.
    for wrong in (KNOWN[:3], KNOWN[79:82]):
        assert_raises(lambda w=wrong: model.forecast(future=w), "future .* follow")
    for wrong in (KNOWN[80:].tz_localize("UTC"), KNOWN[80:].to_period("h")):
        message = "dates of future must be dates, like .*; got (dates with|periods of)"
        assert_raises(lambda w=wrong: model.forecast(future=w), message)


def test_future_of_other_series():
    rows = make_groups(43, names="xy").assign(k=np.arange(86.0) % 5)
    model = small(known_columns="k", groups="series").fit(rows[:80])
    future = rows[80:]
    only_x = future[future["series"] == "x"]
    assert_raises(lambda: model.forecast(future=only_x), "series 'y'.* got .*0")
    new = rows[:40].assign(series="new", k=0.0)[::2]
    assert_raises(
        lambda: model.forecast(X=new, future=future), "series 'new'.* got .*0"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(y_val=X["a"][60:]), "y_val was given without X_val"),
        (
            dict(X_val=X[60:], y_val=X["a"][60:]),
            "Pass y_val with X_val if y was passed",
        ),
        (dict(y=X["a"][:60], X_val=X[60:]), "Pass y_val with X_val if y was passed"),
        (dict(X_val=X[["a"]][60:]), "X_val and y_val do not fit"),
        (dict(X_val=X[60:].assign(a=np.nan, b=np.nan)), "X_val holds no target values"),
        (dict(X_val=X[60:62]), "X_val has 2 rows.*window=6 and horizon=3"),
        (
            dict(y=X["a"][:60], X_val=X[60:], y_val=X["a"][62:]),
            r"X_val and y_val do not fit.*\[20, 18\]",
        ),
        (
            dict(y=X["a"][:60], X_val=X[60:], y_val=X[60:]),
            r"X_val and y_val do not fit.*1 target\(s\).*got 2",
        ),
    ],
    ids=range(8),
)
def test_invalid_validation_rows(given, message):
    assert_raises(lambda: small().fit(X[:60], **given), message)


def test_not_fitted():
    model = small()
    for method in (model.predict, model.predict_interval, model.backtest, model.score):
        with pytest.raises(NotFittedError):
            method(X)
    for method in (model.forecast, model.forecast_interval):
        with pytest.raises(NotFittedError):
            method()
    assert not hasattr(model, "module_")
    assert not hasattr(model, "net_")


def test_too_short_folds_raise():
    # The first fold has 20 rows: too few for the validation block.
    with pytest.raises(ValueError, match="2 validation rows; horizon=3"):
        cross_validate(small(), X, cv=TimeSeriesSplit(3), error_score="raise")


def test_future_of_too_few_columns():
    X = np.random.RandomState(0).normal(size=(60, 3))
    model = LSTMForecaster(window=5, horizon=2, hidden_size=4, known_columns=[2])
    model.set_params(max_iter=1).fit(X)
    with pytest.raises(ValueError, match="has 2 features, but LSTMForecaster"):
        model.forecast(future=np.ones((2, 2)))
