"""Dates, durations, intervals, complex values and text instead of numbers."""

import datetime as dt
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from torch import nn

from skdeep import (
    CNNClassifier,
    CNNRegressor,
    CostSensitiveClassifier,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    LSTMClassifier,
    LSTMForecaster,
    LSTMRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    SlidingWindow,
    TrendFeatures,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N = 12
DAYS = pd.date_range("2024-01-01", periods=N)
IN_UTC = DAYS.tz_localize("UTC")
DATES = [day.date() for day in DAYS]
LAGS = DAYS - DAYS[0]
y = np.arange(N) % 2

ESTIMATORS = {
    "CNNClassifier": CNNClassifier(2, max_iter=1, batch_size="auto"),
    "CNNRegressor": CNNRegressor(2, max_iter=1, batch_size="auto"),
    "MLPClassifier": MLPClassifier((2,), max_iter=1),
    "MLPRegressor": MLPRegressor(hidden_layer_sizes=(2,), max_iter=1),
    "LSTMClassifier": LSTMClassifier(2, max_iter=1),
    "LSTMRegressor": LSTMRegressor(hidden_size=2, max_iter=1),
    "ModuleClassifier": ModuleClassifier(nn.Linear, max_iter=1),
    "ModuleRegressor": ModuleRegressor(nn.Linear, max_iter=1),
    "DeepEnsembleClassifier": DeepEnsembleClassifier(2, n_folds=2, max_iter=1),
    "DeepEnsembleRegressor": DeepEnsembleRegressor(2, n_folds=2, max_iter=1),
    "LSTMForecaster": LSTMForecaster(2, hidden_size=2, max_iter=1),
    "CostSensitiveClassifier": CostSensitiveClassifier(strategy="threshold"),
    "SlidingWindow": SlidingWindow(2),
    "TrendFeatures": TrendFeatures(),
}


def frame(values):
    return pd.DataFrame({"when": values})


# X, and the part of the error that describes its columns.
TABLES = {
    "dates": (frame(DAYS), f"dates ({DAYS.dtype})"),
    "dates and numbers": (frame(DAYS).assign(n=1.0), f"dates ({DAYS.dtype})"),
    "time zone": (frame(IN_UTC), f"dates ({IN_UTC.dtype})"),
    "durations": (frame(LAGS), f"durations ({LAGS.dtype})"),
    "periods": (frame(DAYS.to_period("D")), "dates (period[D])"),
    "intervals": (frame(pd.interval_range(0, N)), "intervals (interval[int64, right])"),
    "objects": (frame(DATES), "dates (object)"),
    "complex": (frame(y * 1j), "complex values (complex128)"),
    "no date at all": (frame([pd.NaT] * N), "dates (datetime64"),
    "polars dates": (pl.DataFrame({"when": DATES}), "dates (Date)"),
    "polars datetimes": (
        pl.DataFrame({"when": list(DAYS.to_pydatetime()), "n": y}),
        "dates (Datetime(",
    ),
    "polars durations": (
        pl.DataFrame({"when": [dt.timedelta(days=i) for i in range(N)]}),
        "durations (Duration(",
    ),
    "polars times": (pl.DataFrame({"when": [dt.time(i) for i in range(N)]}), "(Time)"),
}
ARRAYS = {
    "dates": (DAYS.to_numpy().reshape(-1, 1), f"dates ({DAYS.dtype})"),
    "durations": (LAGS.to_numpy().reshape(-1, 1), f"durations ({LAGS.dtype})"),
    "objects": (np.array(DATES, object).reshape(-1, 1), "dates (object)"),
    "lists": ([[day] for day in DATES], "dates (object)"),
    "complex": (np.full((N, 2), 1j), "complex values (complex128)"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_columns_of_frames_are_named(kind):
    X, found = TABLES[kind]
    message = f"Columns ['when'] of X must be numeric, got .*{re.escape(found)}"
    with pytest.raises(ValueError, match=message.replace("['when']", r"\['when'\]")):
        ESTIMATORS["MLPClassifier"].fit(X, y)


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_raise(kind):
    X, found = ARRAYS[kind]
    with pytest.raises(ValueError, match=f"X must be numeric, got {re.escape(found)}"):
        ESTIMATORS["MLPClassifier"].fit(X, y)


def test_columns_of_object_arrays_are_named():
    X = np.array([[1.0, day, "2.5"] for day in DATES], dtype=object)
    for given in (X, X.tolist()):
        message = r"Columns \[1\] of X must be numeric, got dates \(object\)"
        with pytest.raises(ValueError, match=message):
            ESTIMATORS["MLPRegressor"].fit(given, y)
    categories = MLPRegressor(max_iter=1, categorical_features=[1])
    assert categories.fit(X, y).predict(X).shape == (N,)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_raises(name):
    estimator = ESTIMATORS[name]
    tables = [TABLES[k][0] for k in ("dates", "periods", "objects", "polars dates")]
    for X in [*tables, ARRAYS["dates"][0], ARRAYS["durations"][0]]:
        with pytest.raises(ValueError, match="must be numeric, got (dates|durations)"):
            estimator.fit(X, y)
    with pytest.raises(ValueError, match="Columns \\['when'\\] of X must be numeric"):
        # A single column of text may hold the paths of images.
        estimator.fit(frame(["a"] * N).assign(n=1.0), y)


@pytest.mark.parametrize("name", ["LSTMClassifier", "ModuleRegressor"])
def test_three_dimensional_arrays_raise(name):
    X = np.zeros((N, 3, 2), "datetime64[s]")
    with pytest.raises(ValueError, match="X must be numeric, got dates"):
        ESTIMATORS[name].fit(X, y)


def test_sequences_of_different_lengths_raise():
    X = [np.arange(1 + i % 3).astype("datetime64[s]") for i in range(N)]
    with pytest.raises(ValueError, match="X must be numeric, got dates"):
        ESTIMATORS["LSTMClassifier"].fit(X, y)


def test_inputs_of_a_module_are_named():
    X = {"a": np.zeros((N, 1)), "b": ARRAYS["dates"][0]}
    with pytest.raises(ValueError, match=r"X\['b'\] must be numeric, got dates"):
        ESTIMATORS["ModuleClassifier"].fit(X, y)


def test_dates_in_prediction_only_raise():
    for name in ("MLPClassifier", "DeepEnsembleRegressor", "SlidingWindow"):
        fitted = ESTIMATORS[name].fit(pd.DataFrame({"when": y * 1.0}), y)
        method = getattr(fitted, "predict", getattr(fitted, "transform", None))
        with pytest.raises(ValueError, match=r"\['when'\] of X must be numeric, got"):
            method(frame(DAYS))


def test_one_error_names_all_columns():
    X = pd.DataFrame({"n": y, 3: DAYS, "lag": LAGS})
    with pytest.raises(ValueError, match=r"Columns \[3, 'lag'\].*dates.*and durations"):
        MLPRegressor().fit(X.rename(columns=str).rename(columns={"3": 3}), y)


def test_dates_may_be_categories():
    X = pd.DataFrame({"n": y * 1.0, "when": pd.Categorical(DAYS[y])})
    model = MLPClassifier((4,), max_iter=1).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    named = MLPClassifier((4,), max_iter=1, categorical_features=["when"])
    named.fit(X.astype({"when": "datetime64[us]"}), y)
    with pytest.raises(ValueError, match="must be numeric, got dates"):
        model.set_params(categorical_features=None).fit(X, y)


def test_numbers_as_text_are_read():
    X = frame([str(i) for i in range(N)])
    model = MLPRegressor(max_iter=1, random_state=0)
    expected = model.fit(frame(np.arange(N)), y).predict(frame(np.arange(N)))
    np.testing.assert_array_equal(model.fit(X, y).predict(X), expected)


def test_only_columns_that_cannot_be_converted_are_named():
    X = pd.DataFrame({"a": [str(i) for i in range(N)], "b": ["x"] * N})
    with pytest.raises(ValueError, match=r"Columns \['b'\] of X.*Encode text"):
        MLPRegressor().fit(X, y)


def test_weights_and_targets_are_named():
    X = np.arange(N * 1.0).reshape(-1, 1)
    with pytest.raises(ValueError, match="sample_weight must be numeric, got dates"):
        MLPRegressor().fit(X, y, sample_weight=DAYS.to_numpy())
    steps = LSTMRegressor(return_sequences=True)
    with pytest.raises(ValueError, match="y must be numeric, got dates"):
        steps.fit(X, DAYS.to_numpy().reshape(-1, 1))
