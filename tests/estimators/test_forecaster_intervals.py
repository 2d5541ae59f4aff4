"""Intervals of LSTMForecaster.predict_interval, which adapt to earlier errors."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdeep.encoding import width_factors
from tests.estimators.forecaster_data import make_frame, make_groups, small

pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTMForecaster. On the validation rows:UserWarning"
)
N_TRAIN = 600


def noise(n_rows, spreads=1.0, seed=0):
    return spreads * np.random.default_rng(seed).normal(size=n_rows)


@pytest.fixture(scope="module")
def model():
    """A forecaster of white noise, whose best forecast is the mean."""
    few = dict(max_iter=4, learning_rate_init=0.03, validation_fraction=0.3)
    return small(window=30, horizon=2, context="train", **few).fit(
        noise(N_TRAIN, seed=1)
    )


def share_inside(ends, y):
    return ((ends[:, 0] <= y) & (y <= ends[:, 1])).mean()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("growth", [0.4, 1.0, 3.0])
def test_coverage_of_noise_whose_spread_drifts(model, growth, coverage):
    # The spread goes from 1 to ``growth`` and stays there.
    spreads = np.interp(np.arange(4000), [0, 2000], [1, growth])
    y = noise(4000, spreads)
    ends = model.predict_interval(y, coverage)
    assert share_inside(ends, y) == pytest.approx(coverage, abs=0.02)
    # At the end, they are as wide as the errors there: the law of the noise, whose
    # spread is ``growth``, and that of the forecasts, which are proportional to it.
    errors = np.abs(y - ends.mean(axis=1))[2500:]
    width = 2 * np.quantile(errors, coverage)
    assert np.ptp(ends[2500:], axis=1).mean() == pytest.approx(width, rel=0.15)


def test_intervals_stay_finite_far_from_the_training_rows(model):
    y = noise(600) + np.repeat([0.0, 1e4], 300)
    y[300:] += np.arange(300) * 1e3
    ends = model.predict_interval(y)
    assert np.isfinite(ends).all()
    before, after = np.ptp(ends[:300], axis=1), np.ptp(ends[300:], axis=1)
    assert (after[-100:] > before.max()).all()


def test_no_interval_changes_when_later_rows_do(model):
    y = noise(200)
    before = model.predict_interval(y)
    t = 120
    later = y.copy()
    later[t + 1 :] = 50
    after = model.predict_interval(later)
    # Row t + horizon is the last one whose forecast and errors are known at row t.
    last = t + model.horizon
    assert_array_equal(after[: last + 1], before[: last + 1])
    assert (after[last + 1 :] != before[last + 1 :]).all()


def test_errors_count_a_horizon_later(model):
    y = noise(200)
    wild = y.copy()
    wild[100] = 1e3  # outside; read by the forecasts of the next rows, too
    widths, found = (np.ptp(model.predict_interval(v), axis=1) for v in (y, wild))
    assert_array_equal(found[: 100 + model.horizon], widths[: 100 + model.horizon])
    assert found[100 + model.horizon] > widths[100 + model.horizon]


def test_training_rows_do_not_count(model):
    train, y = noise(N_TRAIN, seed=1), noise(200)
    together = model.predict_interval(np.concatenate([train, y]))[N_TRAIN:]
    assert_allclose(together, model.predict_interval(y))
    dates = pd.date_range("2020-01-01", periods=N_TRAIN + 200)
    dated = small(horizon=2, validation_fraction=0.3)
    X = pd.DataFrame({"y": np.concatenate([train, y])}, dates)
    dated.fit(X[:N_TRAIN])
    expected = dated.predict_interval(X[N_TRAIN:])
    # Neither do they if X begins later than the training rows.
    dated.set_params(context="pad")
    for first in (0, 300):
        found = dated.predict_interval(X[first:])
        assert_allclose(found[N_TRAIN - first :], expected)


def test_each_series_adapts_alone():
    X = make_groups(120)
    model = small(groups="series", context="train", validation_fraction=0.2).fit(X)
    rows = make_groups(60).reset_index(drop=True)  # like an array, these follow
    before = model.predict_interval(rows)
    changed = rows.copy()
    is_x = (rows["series"] == "x").to_numpy()
    changed.loc[is_x, "a"] += 20 * noise(60)
    after = model.predict_interval(changed)
    assert_array_equal(after[~is_x], before[~is_x])
    assert_array_equal(model.predict_interval(changed[is_x]), after[is_x])
    widths, found = (np.ptp(ends[is_x], axis=2) for ends in (before, after))
    # Its rows leave their intervals, so that these become wider.
    assert found[-1, 0] > 2 * widths[-1, 0]


def test_missing_values_change_nothing(model):
    y = noise(100)
    gaps = y.copy()
    gaps[-30:] = np.nan  # rows to forecast
    widths = np.ptp(model.predict_interval(gaps), axis=1)
    assert np.isfinite(widths).all()
    full = np.ptp(model.predict_interval(y), axis=1)
    assert_array_equal(widths[: 70 + model.horizon], full[: 70 + model.horizon])


def test_a_target_that_X_does_not_hold_has_split_conformal_intervals():
    X = make_frame(200)
    y = X["a"] + X["b"]
    ends = small(validation_fraction=0.2).fit(X[:150], y[:150])
    widths = np.ptp(ends.predict_interval(X[150:]).to_numpy(), axis=1)
    assert_allclose(widths, widths[0])
    # Of a column with the same name and other values, too.
    other = small(validation_fraction=0.2).fit(X[:150], 2 * X["a"][:150])
    same = small(validation_fraction=0.2, target_columns="a").fit(X[:150])
    ratio = (
        np.ptp(f.predict_interval(X[150:]).to_numpy(), axis=1) for f in (other, same)
    )
    assert not np.allclose(np.divide(*ratio), 2)


def factors_one_by_one(errors, radii, coverage, delay):
    """Compute the factors row by row."""
    n_targets = errors.shape[1]
    logs, steps = [np.zeros(n_targets)], []
    for t in range(len(errors)):
        if t > 0:
            logs.append(logs[-1] + (steps[t - delay] if t >= delay else 0))
        excess = [
            0 if np.isnan(error) else (error > radius * np.exp(log)) - (1 - coverage)
            for error, radius, log in zip(errors[t], radii[t], logs[t], strict=True)
        ]
        others = 2 * (1 - 1 / n_targets) * sum(excess) / n_targets
        steps.append((0.5 * np.array(excess) + others) / max(delay, 25))
    return np.exp(logs)


@pytest.mark.parametrize("delay", [1, 3, 30, 200])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_factors_one_by_one(delay, n_targets):
    rng = np.random.default_rng(delay)
    errors, radii = np.abs(rng.normal(size=(2, 100, n_targets)))
    errors[20:30, 0] = np.nan
    found = width_factors(errors, radii, 0.8, delay)
    assert_allclose(found, factors_one_by_one(errors, radii, 0.8, delay))


def test_default_row_numbers_of_several_series_are_not_times():
    X = make_groups(120).sort_values("series", kind="stable").reset_index(drop=True)
    model = small(groups="series", context="pad", validation_fraction=0.2).fit(X)
    rows = make_groups(60).sort_values("series", kind="stable").reset_index(drop=True)
    rows[["a", "b"]] += noise((len(rows), 2))
    moved = rows.set_axis(rows.index + 1_000_000)
    assert_allclose(model.predict_interval(rows), model.predict_interval(moved))


def test_validation_windows_begin_at_all_hours():
    # Every second value is noisier. Validation rows whose windows all began at an even
    # row would give narrow intervals to every second step.
    n_rows = 2800
    y = noise(n_rows, np.where(np.arange(n_rows) % 2, 10.0, 0.1))
    model = small(horizon=24, validation_fraction=0.25, symmetric=False).fit(y)
    widths = np.ptp(model.forecast_interval(coverage=0.8), axis=1)
    assert widths.max() < 2 * widths.min()
