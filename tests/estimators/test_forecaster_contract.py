"""LSTMForecaster in scikit-learn's tools, its attributes, and persistence."""

import copy
import functools
import pickle
import pickletools

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone, is_regressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from skorch import NeuralNet
from torch import nn

from tests.estimators.forecaster_data import (
    HORIZON,
    WINDOW,
    make_frame,
    make_groups,
    small,
)
from tests.round_trips import WAYS

PANDAS = int(pd.__version__.partition(".")[0])

X = make_frame()
ARRAY = X.to_numpy()


# --- score and scikit-learn's tools --------------------------------------------------


def test_score_is_r2_of_predict():
    model = small().fit(X[:60])
    rows = X[60:]
    expected = r2_score(rows, model.predict(rows))
    assert model.score(rows) == pytest.approx(expected)
    assert model.score(rows, rows) == pytest.approx(expected)
    assert model.score(rows, rows + 1) == pytest.approx(
        r2_score(rows + 1, model.predict(rows))
    )
    one = small(target_columns="b").fit(X[:60])
    assert one.score(rows) == pytest.approx(r2_score(rows["b"], one.predict(rows)))


def test_score_requires_y_if_fit_was_given_y():
    y = 100 + 3 * X["a"].rename("load")
    for columns in (None, "a"):
        model = small(target_columns=columns).fit(X[:60], y[:60])
        assert np.isfinite(model.score(X[60:], y[60:]))
        with pytest.raises(ValueError, match="y is required"):
            model.score(X[60:])


@pytest.mark.parametrize(
    ("y", "pipeline"),
    [(None, False), (X["a"], True), (X, False)],
    ids=["no y", "one, in a pipeline", "two"],
)
def test_cross_validation_in_time_order(y, pipeline):
    model = small(context="train", validation_fraction=0.2, batch_size="auto")
    if pipeline:
        model.set_params(target_columns=0 if np.ndim(y) == 1 else None)
        model = make_pipeline(StandardScaler(), model)
    folds = TimeSeriesSplit(2)
    scores = cross_val_score(model, X, y, cv=folds, error_score="raise")
    for (train, test), score in zip(folds.split(X), scores, strict=True):
        parts = [X.iloc[train], X.iloc[test]]
        targets = [None if y is None else y.iloc[rows] for rows in (train, test)]
        fitted = clone(model).fit(parts[0], targets[0])
        assert score == fitted.score(parts[1], targets[1])
    assert np.isfinite(scores).all()


def test_cross_validation_in_parallel_is_the_same():
    model = small(batch_size="auto")
    scores = cross_val_score(model, X, cv=TimeSeriesSplit(2))
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert_array_equal(cross_val_score(model, X, cv=TimeSeriesSplit(2)), scores)


def test_grid_search():
    grid = [{"horizon": [1], "window": [4, 8]}, {"horizon": [2]}]
    search = GridSearchCV(small(), grid, cv=TimeSeriesSplit(2), error_score="raise")
    search.fit(X)
    results = search.cv_results_
    best = results["params"][np.argmax(results["mean_test_score"])]
    assert search.best_params_ == best
    expected = small(**best).fit(X).forecast()
    assert_array_equal(search.best_estimator_.forecast(), expected)


def test_pipeline_with_pandas_output_keeps_the_dates():
    pipeline = make_pipeline(StandardScaler(), small(target_columns="a"))
    pipeline.set_output(transform="pandas").fit(X[:60], X["a"][:60])
    forecasts = pipeline.predict(X[60:])
    assert_array_equal(forecasts.index, X.index[60:])
    alone = small(target_columns="a").fit(X[:60])
    assert_allclose(forecasts, alone.predict(X[60:]), rtol=1e-6)
    assert pipeline[-1].forecast().index[0] == X.index[60]


def test_permutation_importance_finds_the_target():
    rows = make_frame(300)
    rows["noise"] = np.random.default_rng(1).normal(size=300)
    model = small(target_columns="a", horizon=1, max_iter=3).fit(rows[:200])
    found = permutation_importance(
        model, rows[200:], rows["a"][200:], n_repeats=2, random_state=0
    )
    assert found.importances_mean.argmax() == 0


def test_X_val_by_metadata_routing():
    with config_context(enable_metadata_routing=True):
        model = small().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("model", model)],
            transform_input=["X_val"],
        ).set_output(transform="pandas")
        pipeline.fit(X[:60], X["a"][:60], X_val=X[60:], y_val=X["a"][60:])
    direct = small().fit(X[:60], X["a"][:60], X_val=X[60:], y_val=X["a"][60:])
    scores = pipeline[-1].validation_scores_
    assert_allclose(scores, direct.validation_scores_, rtol=1e-6)


def test_tags():
    tags = get_tags(small())
    assert is_regressor(small())
    assert not tags.target_tags.required
    assert tags.target_tags.multi_output
    assert not tags.input_tags.sparse
    assert tags.input_tags.allow_nan


def test_clone_is_unfitted_with_equal_parameters():
    model = small(known_columns=["b"], groups=None).fit(X)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "history_")
    assert_array_equal(copied.fit(X).predict(X), model.predict(X))


def test_parameters_changed_after_fit_do_not_shift_forecasts():
    model = small().fit(X[:60])
    before = model.predict(X[60:])
    for change in ({"horizon": 2}, {"horizon": 5}, {"window": 4}, {"window": 9}):
        changed = copy.deepcopy(model).set_params(**change)
        # Either the same forecasts or an error, never forecasts of other rows.
        try:
            forecasts = changed.predict(X[60:])
        except ValueError as error:
            assert next(iter(change)) in str(error)
        else:
            assert_array_equal(forecasts, before)


# --- types of inputs and outputs -----------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_type_is_kept(dtype):
    for rows in (X.astype(dtype), ARRAY.astype(dtype)):
        model = small(context="train").fit(rows[:60])
        outputs = [
            model.predict(rows[60:]),
            model.forecast(),
            model.predict_interval(rows[60:]),
            model.forecast_interval(),
            model.backtest(rows),
        ]
        assert {np.asarray(output).dtype for output in outputs} == {np.dtype(dtype)}
    grouped = small(groups="series").fit(
        make_groups(names="xy").astype({"a": dtype, "b": dtype})
    )
    assert set(grouped.forecast().dtypes) == {np.dtype(dtype)}
    forced = small(dtype="float32").fit(X[:60].astype(dtype))
    assert forced.forecast().to_numpy().dtype == dtype
    assert next(forced.module_.parameters()).dtype == torch.float32
    assert_allclose(
        forced.predict(X[60:]), small().fit(X[:60]).predict(X[60:]), rtol=1e-3
    )


def test_all_containers_of_X_give_the_same_forecasts():
    whole = np.round(ARRAY).astype(int)
    expected = small().fit(whole.astype(float)).forecast()
    read_only = whole.astype(float)
    read_only.flags.writeable = False
    for rows in (
        whole,
        whole.tolist(),
        read_only,
        whole[:, ::-1][:, ::-1],
        np.asfortranarray(whole),
        pl.DataFrame(whole, schema=["a", "b"]),
        pd.DataFrame(whole),
    ):
        assert_array_equal(np.asarray(small().fit(rows).forecast()), expected)


def test_inputs_are_not_modified():
    rows, y = X.copy(), X["a"].copy()
    model = small().fit(rows, y)
    model.predict(rows)
    model.forecast(X=rows)
    model.backtest(rows)
    pd.testing.assert_frame_equal(rows, X)
    pd.testing.assert_series_equal(y, X["a"])


@pytest.mark.parametrize(
    "which", ["dates", "rows", "columns", "named", "polars", "Series"]
)
def test_indexes_are_not_modified(which):
    keys = pd.MultiIndex.from_product([["x", "y"], range(40)], names=["id", "row"])
    dates = pd.MultiIndex.from_arrays([["x"] * 80, X.index], names=["id", "time"])
    rows = {
        "dates": X.set_axis(dates, axis=0),
        "rows": X.set_axis(keys, axis=0),
        "columns": X.set_axis(pd.MultiIndex.from_product([["p"], X.columns]), axis=1),
        "named": X.rename_axis(index="t", columns="c"),
        "polars": pl.DataFrame(X),
        "Series": X["a"],
    }[which]
    before, bytes_before = copy.deepcopy(rows), pickle.dumps(rows)
    model = small(context="pad").fit(rows)
    model.predict(rows)
    model.forecast(X=rows)
    assert rows.equals(before)
    if PANDAS >= 3:  # before, pickles of an index hold its caches
        assert pickle.dumps(rows) == bytes_before


def test_fitted_attributes():
    model = small(max_iter=3).fit(X)
    assert model.n_features_in_ == 2
    assert_array_equal(model.feature_names_in_, ["a", "b"])
    assert model.n_iter_ == len(model.history_) == len(model.loss_curve_) == 3
    assert model.loss_ == model.loss_curve_[-1]
    assert len(model.validation_scores_) == 3
    assert isinstance(model.module_, nn.Module)
    assert isinstance(model.net_, NeuralNet)
    assert [record["train_loss"] for record in model.history_] == model.loss_curve_
    assert model.target_columns_ == [0, 1]
    groups = make_groups(names="xy")[["series", "a", "b"]]
    grouped = small(groups="series", target_columns="b").fit(groups)
    assert grouped.n_features_in_ == 3
    assert grouped.target_columns_ == [2]
    assert small().fit(X, X["b"]).target_columns_ == []
    unwatched = small(validation_fraction=0).fit(ARRAY)
    assert unwatched.validation_scores_ is None
    assert not hasattr(unwatched, "feature_names_in_")


def test_module_takes_scaled_windows():
    model = small(validation_fraction=0).fit(X)
    mean, spread = ARRAY.mean(0), ARRAY.std(0)
    window = torch.from_numpy((ARRAY[-WINDOW:] - mean) / spread)[None]
    with torch.inference_mode():
        raw = model.module_.eval()(window).numpy().reshape(HORIZON, 2)
    assert_allclose(raw * spread + mean, model.forecast(), rtol=1e-9)


# --- persistence ---------------------------------------------------------------------


KNOWN = make_frame(83, "abk")
ROWS = {
    "time zone": X.tz_localize("Europe/Berlin"),
    "periods": X.to_period("h"),
    "array": ARRAY,
    "groups": make_groups(names="xy"),
    "known": KNOWN[:80],
}
MODELS = {
    "dates": lambda: small().fit(X),
    "time zone": lambda: small().fit(ROWS["time zone"]),
    "periods": lambda: small().fit(ROWS["periods"]),
    "array": lambda: small(context="train").fit(ARRAY),
    "y": lambda: small(target_columns="b").fit(X, 2 * X["b"].rename("y")),
    "groups": lambda: small(groups="series").fit(ROWS["groups"]),
    "known": lambda: small(known_columns=["k"]).fit(ROWS["known"]),
    "float32": lambda: small(loss="huber", cell="gru").fit(X.astype("float32")),
}


@functools.cache
def fitted(name):
    """Return a fitted model, which tests must not change, and all its forecasts."""
    model = MODELS[name]()
    return model, all_forecasts(name, model)


def all_forecasts(name, model):
    """Return all forecasts of a model for some rows."""
    rows = ROWS.get(name, X)
    future = KNOWN[80:] if name == "known" else None
    return [
        model.predict(rows[:50]),
        model.predict_interval(rows[:50]),
        model.forecast(future=future),
        model.forecast_interval(future=future),
        model.backtest(rows),
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_round_trip_keeps_all_forecasts(name, way):
    if (name, way) == ("time zone", "skops") and PANDAS < 3:
        pytest.skip("skops cannot store the time zones of pytz, which pandas 2 uses")
    model, forecasts = fitted(name)
    loaded = WAYS[way](model)
    for got, expected in zip(all_forecasts(name, loaded), forecasts, strict=True):
        assert type(got) is type(expected)
        assert_array_equal(got, expected)
        if hasattr(expected, "index"):
            assert got.index.equals(expected.index)
    assert loaded.history_ == model.history_


def test_loaded_model_keeps_its_context():
    model = small().fit(X[:60])
    for way in WAYS.values():
        assert_array_equal(way(model).predict(X[60:]), model.predict(X[60:]))


def test_pickle_names_no_torch():
    model, _ = fitted("known")
    assert model.module_ is not None
    assert model.net_ is not None
    arguments = (arg for _, arg, _ in pickletools.genops(pickle.dumps(model)))
    assert not [arg for arg in arguments if isinstance(arg, str) and "torch" in arg]
