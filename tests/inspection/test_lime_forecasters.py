"""Explanations of forecasts with known effects."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning

from skdeep import (
    LSTMForecaster,
)
from skdeep.inspection import lime_explain

# Warnings are tested in test_lime_fidelity.py. The networks here are hardly trained.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The local models of:UserWarning"),
    pytest.mark.filterwarnings(
        f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
    ),
]

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)

N, WINDOW, HORIZON = 100, 6, 3
HOURS = pd.date_range("2024-03-01", periods=N, freq="h")
LOAD = pd.DataFrame(
    10 + rng.normal(size=(N, 2)).cumsum(axis=0), HOURS, ["load", "temp"]
)


def forecaster(X=LOAD, y=None, **parameters):
    few = {"window": WINDOW, "horizon": HORIZON, "hidden_size": 3, "max_iter": 3}
    few |= {"context": "pad", "random_state": 0, **parameters}
    return LSTMForecaster(**few).fit(X[:80], y)


@pytest.fixture(scope="module")
def forecaster_of_both():
    return forecaster()


@pytest.fixture(scope="module")
def forecaster_of_load():
    return forecaster(target_columns=["load"])


@pytest.mark.parametrize("target", ["load", "temp"])
@pytest.mark.parametrize("step", [None, 1, 2, np.int64(3)])
def test_explained_output_is_the_forecast(forecaster_of_both, target, step):
    explanation = explain(
        forecaster_of_both, LOAD, target=(target, step) if step else target
    )
    step = step or HORIZON
    path = forecaster_of_both.forecast(X=LOAD)
    np.testing.assert_allclose(
        explanation.prediction_, [path[target].iloc[step - 1]], rtol=1e-5
    )
    steps = "1 step" if step == 1 else f"{step} steps"
    assert explanation.outputs_ == [f"{target}, {steps} ahead"]
    np.testing.assert_allclose(
        explanation.intercept_ + explanation.effects_.sum(axis=1),
        explanation.local_prediction_,
    )


def test_times_are_dates(forecaster_of_load):
    explanation = explain(forecaster_of_load, LOAD[:50])
    assert explanation.times_ == list(HOURS[44:50])
    assert explanation.unit_names_[0] == "load 2024-03-02 20:00:00"
    assert explanation.units_.shape == (WINDOW, 2)
    by_time = explain(forecaster_of_load, LOAD[:50], groups="time", n_segments=2)
    assert by_time.unit_names_ == [
        "2024-03-02 20:00:00 … 2024-03-02 22:00:00",
        "2024-03-02 23:00:00 … 2024-03-03 01:00:00",
    ]
    np.testing.assert_array_equal(
        by_time.prediction_,
        forecaster_of_load.forecast(X=LOAD[:50]).to_numpy().ravel()[-1:],
    )


@pytest.mark.parametrize("made", [pd.DataFrame, pl.DataFrame])
def test_times_without_dates_are_relative(forecaster_of_load, made):
    frame = made(LOAD.reset_index(drop=True))
    explanation = explain(forecaster_of_load, frame[:50])
    assert explanation.unit_names_[-2:] == ["load t", "temp t"]
    assert explanation.unit_names_[0] == "load t-5"


def test_arrays_and_windows(forecaster_of_load):
    windows = np.stack([LOAD[start : start + WINDOW] for start in (3, 40, 70)])
    of_windows = explain(forecaster_of_load, windows)
    for row, start in enumerate([3, 40, 70]):
        known = LOAD[: start + WINDOW]
        path = forecaster_of_load.forecast(X=known).to_numpy().ravel()
        assert of_windows.prediction_[row] == pytest.approx(path[-1], rel=1e-5)
        for rows in (known, known.to_numpy(), LOAD[start : start + WINDOW]):
            one = explain(forecaster_of_load, rows)
            np.testing.assert_allclose(
                one.effects_[0], of_windows.effects_[row], rtol=1e-4, atol=1e-6
            )
    assert of_windows.unit_names_[-2:] == ["load t", "temp t"]


def test_columns_are_matched_by_name(forecaster_of_load):
    expected = explain(forecaster_of_load, LOAD, background=LOAD)
    for swapped in [LOAD[["temp", "load"]], LOAD.assign(more=1.0)]:
        try:
            explanation = explain(forecaster_of_load, swapped, background=LOAD)
        except ValueError as error:
            assert "X" in str(error) and "column" in str(error)
        else:
            assert explanation.prediction_ == pytest.approx(expected.prediction_)
        with_background = explain(forecaster_of_load, LOAD, background=swapped)
        np.testing.assert_allclose(with_background.effects_, expected.effects_)


def test_one_dimensional_series():
    model = forecaster(LOAD[["temp"]], LOAD["load"][:80])
    explanation = explain(model, LOAD[["temp"]])
    path = model.forecast(X=LOAD[["temp"]])
    np.testing.assert_allclose(explanation.prediction_, path.to_numpy()[-1:], rtol=1e-5)
    assert explanation.effects_.shape == (1, WINDOW)


def test_known_columns():
    model = forecaster(target_columns=["load"], known_columns=["temp"])
    explanation = explain(model, LOAD)
    path = model.forecast(X=LOAD[:-HORIZON], future=LOAD[-HORIZON:])
    np.testing.assert_allclose(
        explanation.prediction_, path.to_numpy().ravel()[-1:], rtol=1e-5
    )
    assert explanation.units_.shape == (WINDOW + HORIZON, 2)
    assert explanation.times_ == list(HOURS[-WINDOW - HORIZON :])
    forecaster_of_load = explanation.effects_[0].reshape(-1, 2)[-HORIZON:, 0]
    # The column is not known in advance, so its future values are not read.
    assert np.abs(forecaster_of_load).max() < 0.01 * np.abs(explanation.effects_).max()
    in_array = explain(model, LOAD.to_numpy())
    assert in_array.unit_names_[-1] == "temp t+3"


@pytest.mark.parametrize("replacement", ["mean", "interpolation", "noise"])
def test_background_of_windows_or_of_rows(forecaster_of_load, replacement):
    windows = np.lib.stride_tricks.sliding_window_view(LOAD.to_numpy(), WINDOW, axis=0)
    of_rows, of_windows = (
        explain(
            forecaster_of_load, LOAD, background=background, replacement=replacement
        )
        for background in (LOAD, windows.transpose(0, 2, 1))
    )
    np.testing.assert_allclose(of_rows.effects_, of_windows.effects_)


def test_effects_of_a_forecaster_that_repeats_a_row():
    class LastValues(LSTMForecaster):
        """Repeats the sum of the first column."""

        def backtest(self, X, y=None, stride=1):
            rows = np.asarray(X)
            starts = range(0, len(rows) - self.window - self.horizon + 1, stride)
            sums = [rows[start : start + self.window, 0].sum() for start in starts]
            return np.tile(np.reshape(sums, (-1, 1, 1)), (1, self.horizon, 1))

    model = LastValues(
        window=WINDOW, horizon=HORIZON, target_columns=["load"], max_iter=1,
        hidden_size=2, random_state=0,
    ).fit(LOAD)  # fmt: skip
    last = LOAD["load"].to_numpy()[-WINDOW:]
    alone = explain(model, LOAD)
    np.testing.assert_allclose(alone.effects_[0, ::2], last - last.mean(), atol=1e-6)
    np.testing.assert_allclose(alone.effects_[0, 1::2], 0, atol=1e-6)
    beside = explain(model, LOAD, background=LOAD)
    load = np.lib.stride_tricks.sliding_window_view(LOAD["load"], WINDOW)
    np.testing.assert_allclose(
        beside.effects_[0, ::2], last - load.mean(axis=0), rtol=0.01
    )


def test_token_ids_are_switched(regressor):
    tokens = np.random.default_rng(0).integers(1, 9, size=(200, 3))
    model = regressor(lambda X: 1.0 * (X[:, 1] == 5))
    model.embedding_dim = 4  # the tag with which skdeep's networks declare token ids
    row = tokens[tokens[:, 1] == 5][:1]
    explanation = explain(model, row, background=tokens)
    np.testing.assert_allclose(explanation.effects_, [[0, 1, 0]], atol=1e-8)
