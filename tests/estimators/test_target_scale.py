"""Targets far from 0 and 1: scale_target, or a warning."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring

from skdeep import (
    DeepEnsembleRegressor,
    LSTMRegressor,
    MLPRegressor,
    ModuleRegressor,
)
from skdeep.encoding import TargetScale

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer. Maximum:UserWarning",
    "ignore:lbfgs failed to converge after:UserWarning",
)

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 6))
z = X[:, 0] + 0.1 * rng.normal(size=60)
FAR = 1e4 + 500 * z
SMALL = dict(hidden_layer_sizes=(8,), max_iter=4, random_state=0, batch_size=20)


def network(loss="squared_error", **params):
    return MLPRegressor(loss, **{**SMALL, **params})


REGRESSORS = {
    "MLP": network,
    "LSTM": lambda **p: LSTMRegressor(hidden_size=4, max_iter=4, random_state=0, **p),
    "Module": lambda **p: ModuleRegressor(
        torch.nn.Linear, max_iter=4, random_state=0, **p
    ),
}


@pytest.fixture(params=REGRESSORS)
def regressor(request):
    """Make a regressor of the family."""
    return REGRESSORS[request.param]


# -- scale_target ----------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 2])
def test_equals_manually_standardized_targets(regressor, columns):
    y = FAR if columns == 1 else np.column_stack([FAR, -1e-3 * z])
    mean, std = y.mean(axis=0), y.std(axis=0)
    inside = regressor(scale_target=True).fit(X, y)
    outside = regressor().fit(X, (y - mean) / std)
    np.testing.assert_allclose(inside.loss_curve_, outside.loss_curve_, rtol=1e-9)
    expected = outside.predict(X) * std + mean
    np.testing.assert_allclose(inside.predict(X), expected, rtol=1e-9)
    np.testing.assert_allclose(inside.net_.predict(X).ravel(), expected.ravel())


@pytest.mark.parametrize(
    "loss", ["absolute_error", "huber", "quantile", "gaussian", torch.nn.L1Loss()]
)
def test_losses(loss):
    params = {"quantile": 0.9, "huber_delta": 0.5}
    inside = network(loss, scale_target=True, **params).fit(X, FAR)
    outside = network(loss, **params).fit(X, (FAR - FAR.mean()) / FAR.std())
    np.testing.assert_allclose(
        inside.predict(X), outside.predict(X) * FAR.std() + FAR.mean(), rtol=1e-9
    )
    if loss == "gaussian":
        std = outside.predict(X, return_std=True)[1] * FAR.std()
        np.testing.assert_allclose(inside.predict(X, return_std=True)[1], std)


@pytest.mark.parametrize("loss", ["poisson", "squared_log_error"])
def test_losses_of_positive_targets_raise(loss):
    with pytest.raises(ValueError, match=f"scale_target=True.*loss='{loss}'"):
        network(loss, scale_target=True).fit(X, FAR)


def test_weighted_rows_are_repeated_rows():
    counts = np.arange(60) % 3
    weighted = network(scale_target=True, solver="lbfgs").fit(X, FAR, counts)
    rows = np.repeat(np.arange(60), counts)
    repeated = clone(weighted).fit(X[rows], FAR[rows])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_validation_targets_are_scaled_like_training_targets():
    inside = network(scale_target=True, early_stopping="loss")
    inside.fit(X[:40], FAR[:40], X_val=X[40:], y_val=FAR[40:])
    mean, std = FAR[:40].mean(), FAR[:40].std()
    outside = network(early_stopping="loss")
    y = (FAR - mean) / std
    outside.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    for name in ("valid_loss", "valid_score"):
        np.testing.assert_allclose(
            [epoch[name] for epoch in inside.history_],
            [epoch[name] for epoch in outside.history_],
        )
    assert inside.validation_scores_[-1] == pytest.approx(
        inside.score(X[40:], FAR[40:])
    )


def test_scale_is_computed_from_training_rows_only():
    params = dict(early_stopping=True, validation_split="last", scale_target=True)
    y_other = FAR.copy()
    y_other[-6:] += 1000
    first, other = (network(**params, max_iter=1).fit(X, y) for y in (FAR, y_other))
    np.testing.assert_array_equal(first.predict(X), other.predict(X))


def test_partial_fit_and_warm_start_keep_the_first_scale():
    y = (FAR - FAR[:30].mean()) / FAR[:30].std()
    inside, outside = network(scale_target=True), network()
    for rows in (slice(0, 30), slice(30, 60), slice(0, 60)):
        inside.partial_fit(X[rows], FAR[rows])
        outside.partial_fit(X[rows], y[rows])
    inside.set_params(warm_start=True).fit(X, FAR + 100)
    outside.set_params(warm_start=True).fit(X, y + 100 / FAR[:30].std())
    expected = outside.predict(X) * FAR[:30].std() + FAR[:30].mean()
    np.testing.assert_allclose(inside.predict(X), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="scale_target=True, got scale_target=False"):
        inside.set_params(scale_target=False).fit(X, FAR)


def test_targets_for_each_step():
    lengths = 2 + np.arange(60) % 3
    sequences = [row[:n, np.newaxis] for row, n in zip(X, lengths, strict=True)]
    steps = [1e4 + 500 * s[:, 0] for s in sequences]
    flat = np.concatenate(steps)
    params = dict(hidden_size=3, return_sequences=True, max_iter=2, random_state=0)
    inside = LSTMRegressor(scale_target=True, **params).fit(sequences, steps)
    scaled = [(s - flat.mean()) / flat.std() for s in steps]
    outside = LSTMRegressor(**params).fit(sequences, scaled)
    expected = outside.predict(sequences) * flat.std() + flat.mean()
    np.testing.assert_allclose(inside.predict(sequences), expected, rtol=1e-6)


def test_targets_with_several_axes():
    images = FAR[:, None, None] + X[:, :4].reshape(60, 2, 2)

    class Images(torch.nn.Linear):
        def __init__(self, n_features, shape):
            super().__init__(n_features, 4)

        def forward(self, x):
            return super().forward(x).view(-1, 2, 2)

    params = dict(loss=torch.nn.MSELoss(), max_iter=3, random_state=0)
    inside = ModuleRegressor(Images, scale_target=True, **params).fit(X, images)
    y = (images - images.mean()) / images.std()
    outside = ModuleRegressor(Images, **params).fit(X, y)
    expected = outside.predict(X) * images.std() + images.mean()
    np.testing.assert_allclose(inside.predict(X), expected, rtol=1e-9)
    assert inside.score(X, images) == pytest.approx(outside.score(X, y))


def test_stored_networks_keep_the_scale(regressor):
    model = regressor(scale_target=True).fit(X, FAR)
    expected = model.predict(X)
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(copied.predict(X), expected)
    if isinstance(model, MLPRegressor):
        stored = skops.io.dumps(model)
        trusted = skops.io.get_untrusted_types(data=stored)
        assert all(name.startswith("skdeep.") for name in trusted)
        loaded = skops.io.loads(stored, trusted=trusted)
        np.testing.assert_array_equal(loaded.predict(X), expected)


def test_scaled_and_unscaled_targets_in_one_population():
    search = GridSearchCV(network(), {"scale_target": [True, False]}, cv=3)
    alone = search.fit(X, z + 3).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="skdeep"):
        together = clone(search).fit(X, z + 3).cv_results_["mean_test_score"]
    np.testing.assert_allclose(together, alone)


def test_callbacks_see_the_scaled_target():
    scoring = EpochScoring("r2", lower_is_better=False, use_caching=False)
    model = network(scale_target=True, callbacks=[scoring])
    model.fit(X[:40], FAR[:40], X_val=X[40:], y_val=FAR[40:])
    last = model.history_[-1]
    assert last["r2"] == pytest.approx(last["valid_score"])


def test_diabetes():
    data, target = load_diabetes(return_X_y=True)
    data = data / data.std(axis=0)
    model = MLPRegressor(scale_target=True, max_iter=60, random_state=0)
    assert model.fit(data[:300], target[:300]).score(data[300:], target[300:]) > 0.4


# -- any magnitude, any precision ------------------------------------------------------

MAGNITUDES = {
    "huge": 1e300 * z,
    "tiny": 1e-300 * z,
    "subnormal": 1e-310 * z,
    "far from 0": 1.7e9 + 20 * z,
    "nearly constant": 1e6 * (1 + 1e-12 * z),
    "integers": (1000 * z).astype(int),
}


@pytest.mark.parametrize("kind", MAGNITUDES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_magnitudes(kind, dtype):
    y, rows = MAGNITUDES[kind], X.astype(dtype)
    unit = np.float64(np.abs(y).max())
    expected = y / unit
    models = [
        network(scale_target=True, solver="lbfgs", max_iter=30),
        DeepEnsembleRegressor(2, n_folds=2, max_iter=10, random_state=0),
    ]
    for model in models:
        got = model.fit(rows, y).predict(rows) / unit
        assert np.mean((got - expected) ** 2) < 0.2 * np.var(expected)


@pytest.mark.parametrize("value", [0.0, 7.0, 1e6, -1e-5, 1e300])
def test_constant_targets(value):
    y = np.full(60, value)
    for model in (
        network(scale_target=True, solver="lbfgs"),
        DeepEnsembleRegressor(2, n_folds=2, max_iter=2, random_state=0),
    ):
        got = model.fit(X, y).predict(X)
        np.testing.assert_allclose(got, y, rtol=0.02, atol=0.02 * (value == 0))


def test_one_row_and_an_outlier():
    one = network(scale_target=True, batch_size=1).fit(X[:1], FAR[:1]).predict(X[:1])
    np.testing.assert_allclose(one, FAR[:1], rtol=0.02)
    y = np.where(np.arange(60) == 3, 1e12, z)
    assert np.isfinite(network(scale_target=True).fit(X, y).predict(X)).all()


def test_predictions_are_float64_only_where_float32_is_too_coarse():
    rows = X.astype(np.float32)
    for y, dtype in ((FAR, np.float32), (1.7e9 + 20 * z, np.float64)):
        for model in (
            network("gaussian", scale_target=True),
            DeepEnsembleRegressor(2, n_folds=2, max_iter=1),
        ):
            mean, std = model.fit(rows, y).predict(rows, return_std=True)
            assert mean.dtype == std.dtype == dtype


def test_range_of_targets_too_wide_for_float32():
    y = np.full(60, -1e307)
    y[0] = 1.79e308
    with pytest.raises(ValueError, match="y holds values too large to be scaled"):
        network(scale_target=True).fit(X, y)


# -- warnings --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "gaussian"])
@pytest.mark.parametrize("y", [1e6 + 100 * z, 1e-4 * z], ids=["far", "small"])
def test_network_no_better_than_a_constant_raises_a_warning(regressor, loss, y):
    with pytest.warns(ConvergenceWarning, match="mean .*standard dev.*scale_target"):
        regressor(loss=loss).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Stochastic Optimizer: Maximum")
        regressor(loss=loss, scale_target=True).fit(X, y)
        regressor(loss=loss).fit(X, z)
        regressor(loss=loss).partial_fit(X, y)


def test_no_warning_if_the_network_has_learned():
    model = network(solver="lbfgs", max_iter=300)
    assert model.fit(X, 100 + 30 * z).score(X, 100 + 30 * z) > 0.5


def test_constant_target_far_from_0():
    with pytest.warns(ConvergenceWarning, match="scale_target=True"):
        network().fit(X, np.full(60, 1e6))


VALIDATION = {
    "far": (z, FAR),
    "another unit": (z, 50 * z),
    "a smaller unit": (z, z / 1000),
    "second output": (np.column_stack([z, z]), np.column_stack([z, FAR])),
}


@pytest.mark.parametrize("kind", VALIDATION)
def test_validation_target_on_another_scale(regressor, kind):
    y, y_val = VALIDATION[kind]
    with pytest.warns(UserWarning, match="y_val is on another scale than y"):
        regressor().fit(X[:40], y[:40], X_val=X[40:], y_val=y_val[40:])


def test_transformed_target_regressor():
    """It does not transform y_val, while scale_target does."""
    valid = dict(X_val=X[40:], y_val=FAR[40:])
    model = TransformedTargetRegressor(network(), transformer=StandardScaler())
    with pytest.warns(UserWarning, match="TransformedTargetRegressor.*scale_target"):
        model.fit(X[:40], FAR[:40], **valid)
    model = network(scale_target=True, max_iter=60, learning_rate_init=0.02)
    assert model.fit(X[:40], FAR[:40], **valid).best_validation_score_ > 0.8


def test_no_warning_for_slightly_different_validation_targets():
    rows = dict(X_val=X[40:], y_val=np.linspace(1.5, 3, 20))
    network().fit(X[:40], np.linspace(0, 2, 40), **rows)
    network().fit(X[:40], z[:40], X_val=X[40:43], y_val=z[40:43] / 1000)


@pytest.mark.parametrize("value", [1e308, 1.7e308])
def test_targets_near_the_largest_float(value):
    X = np.arange(24.0).reshape(12, 2)
    y = np.where(np.arange(12) % 2, value, -value / 2)
    options = dict(n_members=2, n_folds=2, max_iter=1, random_state=0)
    mean, std = DeepEnsembleRegressor(**options).fit(X, y).predict(X, return_std=True)
    assert np.isfinite(mean).all() and np.isfinite(std).all()
    scale = TargetScale.of(y[:, np.newaxis])
    largest = np.finfo(float).max
    far = scale.restored(np.array([[1e3], [-1e3], [np.nan]]), np.float64)
    np.testing.assert_array_equal(far[:, 0], [largest, -largest, np.nan])
