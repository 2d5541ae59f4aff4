"""The baselines that LSTMForecaster is compared with on its validation rows."""

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge

from skdeep import LSTMForecaster
from tests.estimators.forecaster_data import (
    HORIZON,
    WINDOW,
    make_frame,
    make_groups,
    small,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTMForecaster. On the validation rows:UserWarning"
)
FRACTION = 0.2


def wave(n_rows=240, period=5, noise=0.1):
    """Make a series that repeats, with noise."""
    steps = np.arange(n_rows)
    draws = np.random.default_rng(0).normal(size=n_rows)
    return 7 + 2 * np.sin(2 * np.pi * steps / period) + noise * draws


def autoregression(n_rows=240):
    """Make a series whose best forecast is linear in its last two values."""
    draws = np.random.default_rng(1).normal(size=n_rows)
    y = np.zeros(n_rows)
    for t in range(2, n_rows):
        y[t] = 0.4 * y[t - 1] - 0.5 * y[t - 2] + draws[t]
    return y


def walk(n_rows=240, seed=2):
    return np.random.default_rng(seed).normal(size=n_rows).cumsum()


def untrained(**parameters):
    """Make a forecaster that hardly learns, so that a baseline is better."""
    few = dict(learning_rate_init=1e-9, validation_fraction=FRACTION, context="train")
    return small(**{**few, **parameters})


def best_of(model):
    return max(model.baseline_scores_, key=model.baseline_scores_.get)


def split(y):
    """Return the origins of the validation rows, and the spread of the training."""
    n_valid = math.ceil(FRACTION * len(y))
    origins = np.arange(len(y) - n_valid, len(y) - HORIZON + 1)
    return origins, y[: len(y) - n_valid - HORIZON].std()


def error_by_hand(y, n_back):
    """Return the mean error of values ``n_back(step)`` rows before the origin."""
    origins, spread = split(y)
    steps = np.arange(HORIZON)
    past = y[origins[:, None] - 1 - n_back(steps)]
    return np.abs(y[origins[:, None] + steps] - past).mean() / spread


@pytest.mark.parametrize("period", [4, 5])
def test_naive_forecasts_by_hand(period):
    y = wave(period=period)
    scores = untrained().fit(y).baseline_scores_
    assert list(scores) == ["network", "last_value", "seasonal_naive", "ridge"]
    last = error_by_hand(y, lambda steps: 0 * steps)
    assert scores["last_value"] == pytest.approx(-last)
    # The first step repeats the oldest value of the last season.
    season = error_by_hand(y, lambda steps: period - 1 - steps % period)
    assert scores["seasonal_naive"] == pytest.approx(-season)
    assert scores["seasonal_naive"] > 3 * scores["last_value"]


def test_a_random_walk_has_no_season():
    scores = untrained().fit(walk()).baseline_scores_
    assert list(scores) == ["network", "last_value", "ridge"]


def test_baselines_of_a_series_with_missing_values():
    y = wave(600)
    y[np.random.default_rng(0).random(600) < 0.2] = np.nan
    # Nearly all windows miss a target.
    with pytest.warns(UserWarning, match="missing"):
        scores = untrained(window=10, horizon=20).fit(y).baseline_scores_
    assert scores["seasonal_naive"] > 0.5 * scores["last_value"]
    assert scores["ridge"] > 0.5 * scores["last_value"]


def ridge_by_sklearn(X, y, n_fitted, first_checked):
    """Return the ridge whose penalty is the best on later rows, fitted to all rows."""
    errors = []
    for penalty in 10.0 ** np.arange(-6, 2):
        alpha = penalty * np.square(X[:n_fitted]).sum() / X.shape[1]
        model = Ridge(alpha, fit_intercept=False, solver="svd")
        model.fit(X[:n_fitted], y[:n_fitted])
        error = np.square(model.predict(X[first_checked:]) - y[first_checked:]).sum()
        errors.append((error, penalty))
    alpha = min(errors)[1] * np.square(X).sum() / X.shape[1]
    return Ridge(alpha, fit_intercept=False, solver="svd").fit(X, y)


def test_ridge_is_that_of_sklearn():
    y = autoregression()
    model = untrained(include_baselines=True).fit(y)
    assert best_of(model) == "ridge"

    n_rows = len(y) - math.ceil(FRACTION * len(y)) - HORIZON
    windows = np.lib.stride_tricks.sliding_window_view(y[:n_rows], WINDOW + HORIZON)
    changes = windows - windows[:, [WINDOW - 1]]
    first_checked = math.ceil(len(windows) * 2 / 3)
    expected = ridge_by_sklearn(
        changes[:, :WINDOW],
        changes[:, WINDOW:],
        first_checked - HORIZON + 1,
        first_checked,
    )
    last_rows = y[-WINDOW:]
    change = expected.predict([last_rows - last_rows[-1]])[0]
    assert_allclose(model.forecast(), last_rows[-1] + change)


def test_ridge_of_a_target_that_is_no_column():
    X = np.random.default_rng(0).normal(size=(300, 2))
    y = np.zeros(300)
    y[2:] = 3 * X[:-2, 0] - 2 * X[1:-1, 1]  # known one row before
    model = untrained(horizon=1, include_baselines=True).fit(X, y)
    assert list(model.baseline_scores_) == ["network", "mean", "ridge"]
    assert best_of(model) == "ridge"
    # The first rows have no full window.
    assert_allclose(model.predict(X)[WINDOW:], y[WINDOW:], atol=0.01)
    mean, spread = y[: 300 - 60 - 1].mean(), y[: 300 - 60 - 1].std()
    error = np.abs(y[240:] - mean).mean() / spread
    assert model.baseline_scores_["mean"] == pytest.approx(-error)


def test_the_last_value_makes_all_forecasts():
    y = walk(seed=4)
    model = untrained(include_baselines=True, window=2).fit(y[:200])
    assert best_of(model) == "last_value"
    assert_allclose(model.forecast(), y[199].repeat(HORIZON))
    assert_allclose(model.predict(y[200:]), y[200 - HORIZON : -HORIZON])
    assert_allclose(model.backtest(y)[:, 0, 0], y[1:-HORIZON])
    assert_allclose(
        model.predict_interval(y[200:]).mean(axis=1), model.predict(y[200:])
    )


def test_a_season_makes_all_forecasts():
    y = wave(noise=0)
    model = untrained(include_baselines=True).fit(y[:200])
    assert best_of(model) == "seasonal_naive"
    assert_allclose(model.forecast(), y[200 : 200 + HORIZON])
    loaded = pickle.loads(pickle.dumps(model))
    again = clone(model).fit(y[:200])
    for other in (loaded, again):
        assert other.baseline_scores_ == model.baseline_scores_
        assert_array_equal(other.predict(y[200:]), model.predict(y[200:]))
        assert_array_equal(other.backtest(y), model.backtest(y))
        assert_array_equal(other.forecast_interval(), model.forecast_interval())
    network = untrained().fit(y[:200])
    assert network.baseline_scores_ == model.baseline_scores_
    assert (network.backtest(y) != model.backtest(y)).any()


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_iter": 3},
        {"max_iter": 3, "weight_averaging": 0},
        {"early_stopping": "loss", "max_iter": 20, "learning_rate_init": 0.1},
    ],
    ids=str,
)
def test_score_of_the_network_is_its_validation_loss(parameters):
    model = small(**parameters).fit(walk(300))
    losses = [record["valid_loss"] for record in model.history_]
    expected = min(losses) if "early_stopping" in parameters else losses[-1]
    assert model.baseline_scores_["network"] == pytest.approx(-expected)


def test_scores_are_in_the_loss_of_the_forecaster():
    y = wave()
    model = untrained(loss="squared_error").fit(y)
    origins, spread = split(y)
    steps = np.arange(HORIZON)
    errors = y[origins[:, None] + steps] - y[origins - 1][:, None]
    expected = np.square(errors / spread).mean() / 2  # as in scikit-learn
    assert model.baseline_scores_["last_value"] == pytest.approx(-expected)
    # The last value is a poor forecast of the upper end of the values.
    high = small(loss="quantile", quantile=0.9, max_iter=20, hidden_size=8).fit(
        walk(300)
    )
    scores = high.baseline_scores_
    assert scores["network"] > scores["last_value"]


def test_columns_series_and_missing_values():
    X = make_groups(60, columns=("a", "b", "hour"))
    X.iloc[5:20, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = untrained(
            include_baselines=True, groups="series", known_columns="hour"
        ).fit(X)
        unseen = X[X["series"] == "x"].assign(series="new")
        ends = model.predict_interval(unseen)
    assert np.isfinite(ends).all(axis=None)
    assert np.isfinite(list(model.baseline_scores_.values())).all()
    future = X.tail(30).reset_index(drop=True)
    assert np.isfinite(model.forecast(future=future)).all(axis=None)


def test_units_do_not_change_scores():
    X = make_frame(200)
    scores = untrained().fit(X).baseline_scores_
    other = untrained().fit(1e6 + 1e3 * X).baseline_scores_
    assert list(other) == list(scores)
    assert_allclose(list(other.values()), list(scores.values()), rtol=1e-6)


@pytest.mark.parametrize("before", [np.nan, 0.0])
def test_units_of_a_target_that_begins_in_the_validation_rows(before):
    late = 50 + np.random.default_rng(0).normal(size=80).cumsum()
    found = []
    for unit in (2.0**-10, 1.0, 2.0**10):  # exact, such that nothing is rounded
        X = make_frame()
        X["b"] = np.where(np.arange(80) < 74, before, unit * late)
        model = small(include_baselines=True).fit(X)
        ends = model.forecast_interval()["b"] / unit
        found.append((*model.baseline_scores_.values(), *ends.to_numpy().ravel()))
    assert_allclose(found[0], found[1], rtol=1e-9)
    assert_allclose(found[2], found[1], rtol=1e-9)


def test_constant_rows():
    model = untrained(include_baselines=True).fit(np.full(60, 3.0))
    assert_allclose(model.forecast(), 3)
    assert model.baseline_scores_["last_value"] == 0


def test_validation_rows_may_be_given():
    y = wave(period=5)
    days = pd.date_range("2024-01-01", periods=len(y))
    X = pd.DataFrame({"y": y}, days)
    model = untrained().fit(X[:200], X_val=X[200:])
    error = np.abs(
        np.stack([y[i : i + HORIZON] - y[i - 1] for i in range(200, 240 - HORIZON + 1)])
    ).mean()
    expected = -error / y[:200].std()
    assert model.baseline_scores_["last_value"] == pytest.approx(expected)


# --- the warning ----------------------------------------------------------------------


def warnings_of(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(w.message) for w in caught if "no better than" in str(w.message)]


def test_a_network_worse_than_a_baseline_raises_one_warning():
    y = autoregression(400)
    (message,) = warnings_of(lambda: untrained().fit(y))
    assert "no better than a linear regression" in message
    assert "include_baselines=True" in message
    # Not if the baseline makes the forecasts, as asked.
    model = untrained(include_baselines=True)
    assert not warnings_of(lambda: model.fit(y))
    assert best_of(model) == "ridge"


def test_few_validation_windows_raise_no_warning():
    assert not warnings_of(lambda: untrained().fit(autoregression(150)))


def test_a_network_better_than_the_baselines_raises_no_warning():
    # The product of two waves is not linear in the window.
    steps = np.arange(500)
    y = np.abs(np.sin(steps / 3)) * np.sign(np.sin(steps / 11))
    few = dict(window=24, horizon=1, hidden_size=16, max_iter=30, batch_size=32)
    model = LSTMForecaster(
        **few,
        learning_rate_init=0.02,
        dropout=0,
        validation_fraction=0.2,
        random_state=0,
    )
    assert not warnings_of(lambda: model.fit(y))
    assert best_of(model) == "network"
    other = clone(model).set_params(include_baselines=True).fit(y)
    assert_array_equal(other.forecast(), model.forecast())


# --- without validation rows ----------------------------------------------------------


def test_without_validation_rows_there_are_no_scores():
    model = small(validation_fraction=0).fit(walk(60))
    assert model.baseline_scores_ is None
    with pytest.raises(ValueError, match="include_baselines=True compares .* X_val"):
        small(validation_fraction=0, include_baselines=True).fit(walk(60))
