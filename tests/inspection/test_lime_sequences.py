"""Explanations of sequences, images and forecasts with known effects."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit, logit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skdeep import (
    LSTMClassifier,
    LSTMForecaster,
    LSTMRegressor,
    ModuleClassifier,
)
from skdeep.inspection import lime_explain
from skdeep.preprocessing import SlidingWindow

# Warnings are tested in test_lime_fidelity.py. The networks here are hardly trained.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The local models of:UserWarning"),
    pytest.mark.filterwarnings(
        f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
    ),
]

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)

T, F = 8, 3
X = rng.normal(2, 1, size=(80, T, F))
W = rng.normal(size=(T, F))
MEAN = X.mean(axis=0)


def linear_model(X):
    return (np.nan_to_num(X) * W).sum(axis=(1, 2)) + 1


def cells(explanation, row=0):
    """Return effects as (timesteps, features)."""
    return explanation.effects_[row].reshape(T, F)


# -- sequences -------------------------------------------------------------------------


def test_cells_compared_with_their_means(regressor):
    explanation = explain(regressor(linear_model), X[:3], background=X)
    for row in range(3):
        np.testing.assert_allclose(
            cells(explanation, row), W * (X[row] - MEAN), rtol=0.01
        )
    np.testing.assert_allclose(explanation.intercept_, (W * MEAN).sum() + 1)
    np.testing.assert_allclose(explanation.prediction_, linear_model(X[:3]))
    np.testing.assert_allclose(explanation.local_prediction_, linear_model(X[:3]))
    np.testing.assert_array_equal(explanation.effects_, explanation.weights_)
    np.testing.assert_allclose(explanation.r2_, 1)
    np.testing.assert_array_equal(explanation.units_, np.arange(T * F).reshape(T, F))
    assert explanation.times_ == list(range(1 - T, 1))
    assert explanation.unit_names_[:4] == ["x0 t-7", "x1 t-7", "x2 t-7", "x0 t-6"]
    assert explanation.unit_names_[-1] == "x2 t"
    values = explanation.values_[0].astype(float).reshape(T, F)
    np.testing.assert_array_equal(values, X[0])
    assert explanation.kind == "sequence"


SEGMENTS = [0, 0, 0, 1, 1, 1, 2, 2]
BLOCKS = (np.arange(T)[:, np.newaxis] // 4) * 2 + (np.arange(F) > 0)


@pytest.mark.parametrize(
    ("options", "units", "names"),
    [
        ({"groups": "feature"}, np.tile(range(F), (T, 1)), ["x0", "x1", "x2"]),
        (
            {"groups": "time", "n_segments": 3},
            np.tile(np.c_[SEGMENTS], F),
            ["t-7 … t-5", "t-4 … t-2", "t-1 … t"],
        ),
        (
            {"groups": "time", "n_segments": 50},
            np.tile(np.c_[range(T)], F),
            ["t-7", "t-6", "t-5", "t-4", "t-3", "t-2", "t-1", "t"],
        ),
        (
            {
                "groups": {"both": ["a", "c"], "one": ["b"]},
                "feature_names": list("abc"),
            },
            np.tile([0, 1, 0], (T, 1)),
            ["both", "one"],
        ),
        (
            {"groups": {"both": [2, 0], "one": [1]}},
            np.tile([0, 1, 0], (T, 1)),
            ["both", "one"],
        ),
        ({"groups": BLOCKS}, BLOCKS, [f"group {k}" for k in range(4)]),
        ({"groups": BLOCKS * 10}, BLOCKS, [f"group {k}" for k in range(4)]),
        ({"groups": BLOCKS.tolist()}, BLOCKS, [f"group {k}" for k in range(4)]),
        ({"groups": "cell"}, np.arange(T * F).reshape(T, F), None),
    ],
    ids=[
        "feature",
        "time",
        "timesteps",
        "names",
        "places",
        "blocks",
        "gaps",
        "list",
        "cell",
    ],
)
def test_groups_of_cells(regressor, options, units, names):
    explanation = explain(regressor(linear_model), X[:2], background=X, **options)
    np.testing.assert_array_equal(explanation.units_, units)
    if names is not None:
        assert explanation.unit_names_ == names
    alone = W * (X[1] - MEAN)
    expected = [alone[units == k].sum() for k in range(units.max() + 1)]
    np.testing.assert_allclose(explanation.effects_[1], expected, rtol=0.01)


def test_ten_segments_by_default(regressor):
    long = rng.normal(size=(20, 25, 1))
    model = regressor(lambda X: X.sum(axis=(1, 2)))
    explanation = explain(model, long[:1], background=long, groups="time")
    assert explanation.effects_.shape == (1, 10)


@pytest.mark.parametrize("groups", ["cell", "feature", "time"])
def test_interpolation_of_a_constant_changes_nothing(regressor, groups):
    level = np.full((4, T, F), 3.0)
    explanation = explain(
        regressor(linear_model),
        level[:1],
        background=level,
        groups=groups,
        replacement="interpolation",
    )
    np.testing.assert_allclose(explanation.effects_, 0, atol=1e-9)


def test_interpolated_values(regressor):
    row = rng.normal(size=(1, 6, 2))
    model = regressor(lambda X: X.sum(axis=(1, 2)))
    explain(model, row, background=X[:, :6, :2], replacement="interpolation")
    time = np.arange(6)
    mean = X[:, :6, :2].mean(axis=0)
    for drawn in model.calls_[-1][:100]:
        for j in range(2):
            kept = drawn[:, j] == row[0, :, j]
            if kept.any():
                expected = np.interp(time, time[kept], row[0, kept, j])
            else:
                expected = mean[:, j]
            np.testing.assert_allclose(drawn[:, j], expected)


def test_noise_comes_from_background_sequences(regressor):
    model = regressor(linear_model)
    explanation = explain(
        model, X[:1], background=X, replacement="noise", num_samples=20_001
    )
    expected = W * (X[0] - MEAN)
    np.testing.assert_allclose(cells(explanation), expected, atol=0.25)
    others = X.reshape(len(X), -1)
    for drawn in model.calls_[-1][:50].reshape(50, -1):
        switched = drawn != X[0].ravel()
        assert (others[:, switched] == drawn[switched]).all(axis=1).any()


@pytest.mark.parametrize("shape", [(10, 4), (30, 10)])
@pytest.mark.parametrize("seed", range(3))
def test_finds_the_three_cells_the_model_reads(classifier, shape, seed):
    generator = np.random.default_rng(seed)
    read = generator.choice(shape[0] * shape[1], 3, replace=False)
    background = generator.normal(size=(100, *shape))
    row = background[:1].copy()
    row.reshape(-1)[read] = [1, -0.8, 0.8]

    def probability(X):
        return expit(X.reshape(len(X), -1)[:, read] @ [1, -1, 1])

    explanation = explain(
        classifier(probability), row, background=background, random_state=seed
    )
    assert set(explanation.top(0)[:3]) == set(read)
    assert explanation.r2_[0] >= 0.9
    others = np.delete(explanation.effects_[0], read)
    assert np.abs(others).max() < 0.1 * np.abs(explanation.effects_[0, read]).min()


@pytest.mark.parametrize("replacement", ["mean", "interpolation", "noise"])
@pytest.mark.parametrize("groups", ["cell", "feature", "time"])
def test_padding(regressor, replacement, groups):
    padded = X.copy()
    padded[:, 5:] = np.where(np.arange(80)[:, None, None] % 2, padded[:, 5:], np.nan)
    padded[0, 2, 1] = np.nan
    model = regressor(linear_model)
    options = {"groups": groups, "n_segments": T, "replacement": replacement}
    explanation = explain(model, padded[:2], background=padded, **options)
    is_missing = np.isnan(padded[0])
    # Missing values stay missing, and no others appear.
    of_first = model.calls_[-1][np.isnan(model.calls_[-1]).any(axis=(1, 2))]
    assert (np.isnan(of_first) == is_missing).all()
    of_units = {
        "cell": is_missing.ravel(),
        "time": is_missing.all(axis=1),
        "feature": is_missing.all(axis=0),
    }[groups]
    np.testing.assert_array_equal(np.isnan(explanation.effects_[0]), of_units)
    np.testing.assert_array_equal(np.isnan(explanation.weights_[0]), of_units)
    assert not np.isnan(explanation.effects_[1]).any()
    np.testing.assert_allclose(
        explanation.intercept_ + np.nansum(explanation.effects_, axis=1),
        explanation.local_prediction_,
    )
    if replacement == "mean" and groups == "cell":
        np.testing.assert_allclose(
            cells(explanation)[~is_missing],
            (W * (padded[0] - np.nanmean(padded, axis=0)))[~is_missing],
            rtol=0.01,
        )


@pytest.mark.parametrize(
    "selection", ["highest_weights", "forward_selection", "lasso_path"]
)
def test_selection_of_cells_with_padding(regressor, selection):
    padded = X.copy()
    padded[:, 5:] = np.nan
    model = regressor(lambda X: 3 * X[:, 1, 0] - 2 * X[:, 4, 2])
    row = padded[:1].copy()
    row[0, 1, 0] = row[0, 4, 2] = 5
    explanation = explain(
        model, row, background=padded, feature_selection=selection, num_features=2
    )
    expected = np.where(np.isnan(row[0]), np.nan, 0)
    expected[1, 0], expected[4, 2] = 3 * (5 - MEAN[1, 0]), -2 * (5 - MEAN[4, 2])
    np.testing.assert_allclose(cells(explanation), expected, rtol=0.01)


def test_entirely_missing_sequence(regressor):
    empty = X[:2].copy()
    empty[0] = np.nan
    explanation = explain(regressor(linear_model), empty, background=X)
    assert np.isnan(explanation.effects_[0]).all()
    np.testing.assert_allclose(explanation.local_prediction_, linear_model(empty))


def test_cells_missing_in_the_whole_background(regressor):
    short = X.copy()
    short[:, 6:] = np.nan
    explanation = explain(regressor(linear_model), X[:1], background=short)
    # The mean of the feature replaces the mean of the timestep.
    means = np.nanmean(short, axis=(0, 1))
    np.testing.assert_allclose(
        cells(explanation)[6:], (W * (X[0] - means))[6:], rtol=0.01
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sequences_keep_their_dtype(regressor, dtype):
    typed = X.astype(dtype)
    model = regressor(linear_model)
    for replacement in ["mean", "interpolation", "noise"]:
        explain(model, typed[:2], background=X, replacement=replacement)
    assert {rows.dtype for rows in model.calls_} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.tolist(),
        lambda X: X.transpose(2, 1, 0).copy().transpose(2, 1, 0),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.astype(object),
    ],
    ids=["list", "transposed", "strided", "object"],
)
def test_memory_layouts_of_sequences(regressor, change):
    model = regressor(linear_model)
    np.testing.assert_allclose(
        explain(model, change(X[:2]), background=change(X)).effects_,
        explain(model, X[:2], background=X).effects_,
    )


def test_integer_sequences(regressor):
    whole = rng.integers(0, 9, size=(40, T, F))
    explanation = explain(regressor(linear_model), whole[:1], background=whole)
    np.testing.assert_allclose(
        cells(explanation), W * (whole[0] - whole.mean(axis=0)), rtol=0.01, atol=1e-8
    )


def saturating(X):
    return np.tanh(linear_model(X)) + X[:, 0, 0] * X[:, 1, 1]


@pytest.mark.parametrize("groups", ["cell", "feature"])
@pytest.mark.parametrize("replacement", ["mean", "interpolation", "noise"])
def test_sequence_is_explained_independently_of_others(regressor, groups, replacement):
    model = regressor(saturating)
    options = {"background": X, "groups": groups, "replacement": replacement}
    together = explain(model, X[:4], **options)
    backwards = explain(model, X[3::-1], **options)
    for row in range(4):
        alone = explain(model, X[row : row + 1], **options)
        for other, place in [(together, row), (backwards, 3 - row)]:
            np.testing.assert_allclose(alone.effects_[0], other.effects_[place])
            assert alone.num_samples_[0] == other.num_samples_[place]


def test_input_is_not_modified(regressor):
    rows, background = X[:3].copy(), X.copy()
    rows.flags.writeable = background.flags.writeable = False
    for replacement in ["mean", "interpolation", "noise"]:
        explain(
            regressor(saturating), rows, background=background, replacement=replacement
        )
    np.testing.assert_array_equal(rows, X[:3])
    np.testing.assert_array_equal(background, X)


@pytest.mark.parametrize("make", [LSTMClassifier, LSTMRegressor])
def test_recurrent_networks(make):
    centred = X - MEAN
    is_up = np.arange(len(X)) % 2 == 0
    centred[:, :, 1] += np.where(is_up, 1, -1)[:, np.newaxis]
    y = np.where(is_up, "up", "down") if make is LSTMClassifier else 1.0 * is_up
    network = make(
        hidden_size=4,
        max_iter=15,
        batch_size=10,
        learning_rate_init=0.02,
        random_state=0,
    ).fit(centred, y)
    explanation = explain(network, centred[:3], background=centred, groups="feature")
    if make is LSTMClassifier:
        assert explanation.outputs_ == ["P(up)"] * 3
        expected = network.predict_proba(centred[:3])[:, 1]
    else:
        expected = network.predict(centred[:3])
    np.testing.assert_allclose(explanation.prediction_, expected, rtol=1e-5)
    sizes = np.abs(explanation.effects_).mean(axis=0)
    assert sizes.argmax() == 1


def test_outputs_name_the_class(classifier):
    def probabilities(X):
        scores = np.exp(X[:, 0])
        return scores / scores.sum(axis=1, keepdims=True)

    model = classifier(probabilities, classes=("a", "b", "c"))
    explanation = explain(model, X[:6], background=X)
    assert explanation.outputs_ == [f"P({label})" for label in model.predict(X[:6])]


def test_network_after_sliding_windows_is_explained_by_windows():
    rows = rng.normal(size=(60, 2))
    pipeline = make_pipeline(
        SlidingWindow(window=4, context="pad"),
        LSTMRegressor(hidden_size=3, max_iter=2, random_state=0),
    ).fit(rows, rows[:, 0])
    with pytest.raises(ValueError, match="make the windows first"):
        explain(pipeline, rows[9:10], background=rows)
    with pytest.raises(ValueError, match="make the windows first"):
        explain(pipeline, rows[:5], background=rows)
    windows = pipeline[:-1].transform(rows)
    explanation = explain(pipeline[-1], windows[9:11], background=windows)
    np.testing.assert_allclose(
        explanation.prediction_, pipeline.predict(rows)[9:11], rtol=1e-5
    )


def test_pipeline_of_sequences(regressor):
    model = make_pipeline(FunctionTransformer(lambda X: X * 2), regressor(linear_model))
    explanation = explain(model, X[:1], background=X)
    np.testing.assert_allclose(cells(explanation), 2 * W * (X[0] - MEAN), rtol=0.01)


def test_feature_and_row_names(regressor):
    explanation = explain(
        regressor(linear_model),
        X[:2],
        background=X,
        feature_names=["a", "b", "c"],
        row_names=["Monday", "Tuesday"],
    )
    assert explanation.unit_names_[:4] == ["a t-7", "b t-7", "c t-7", "a t-6"]
    assert explanation.feature_names_ == ["a", "b", "c"]
    assert list(explanation.rows_) == ["Monday", "Tuesday"]


# -- images ----------------------------------------------------------------------------

IMAGES = rng.uniform(0, 0.3, size=(4, 16, 16))
IMAGES[:, 4:8, 8:12] += 0.6
IMAGES[1] *= 0.5


# Weights: a plain mean does not change if a superpixel is replaced by its mean.
IN_PATCH = rng.normal(size=(4, 4, 1))


def patch(X):
    """Return a weighted sum over a patch of images, for any axis of colors."""
    X = X[..., np.newaxis] if X.ndim == 3 else X
    X = np.moveaxis(X, 1, -1) if X.shape[1] in (1, 3) else X
    return (IN_PATCH * X[:, 4:8, 8:12]).sum(axis=(1, 2, 3))


def colored(n_colors, axis):
    return np.repeat(np.expand_dims(IMAGES, axis), n_colors, axis=axis)


@pytest.mark.parametrize(
    "images",
    [IMAGES, colored(1, 1), colored(3, 1), colored(1, 3), colored(3, 3)],
    ids=["gray", "1 first", "3 first", "1 last", "3 last"],
)
def test_superpixels_over_the_patch_the_model_reads(regressor, images):
    model = regressor(patch)
    explanation = explain(model, images[:2], groups="superpixel", n_segments=12)
    assert explanation.kind == "image"
    assert explanation.units_.shape == (2, 16, 16)
    assert explanation.images_.shape[:3] == (2, 16, 16)
    assert 0 <= explanation.images_.min() <= explanation.images_.max() <= 1
    for row in range(2):
        units, effects = explanation.units_[row], explanation.effects_[row]
        inside = np.unique(units[4:8, 8:12])
        assert explanation.top(row)[0] in inside
        sizes = np.nan_to_num(np.abs(effects))
        assert sizes[inside].sum() > 0.99 * sizes.sum()
    np.testing.assert_allclose(explanation.r2_, 1)
    assert model.calls_[-1].shape[1:] == images.shape[1:]


@pytest.mark.parametrize(("low", "high"), [(-5, -1), (0, 255), (0.2, 0.4)])
def test_images_are_drawn_between_0_and_1(regressor, low, high):
    images = low + (high - low) * IMAGES / IMAGES.max()
    drawn = explain(regressor(patch), images, groups="superpixel").images_
    span = images.max() - images.min()
    np.testing.assert_allclose(drawn, (images - images.min()) / span, atol=1e-12)


def test_effect_of_a_superpixel_compared_with_its_mean_color(regressor):
    weights = rng.normal(size=(16, 16))
    model = regressor(lambda X: (X * weights).sum(axis=(1, 2)))
    explanation = explain(model, IMAGES[:2], groups="superpixel")
    for row in range(2):
        for unit in np.unique(explanation.units_[row]):
            inside = explanation.units_[row] == unit
            image = IMAGES[row][inside]
            expected = (weights[inside] * (image - image.mean())).sum()
            assert explanation.effects_[row, unit] == pytest.approx(expected, abs=1e-6)


def test_user_defined_superpixels(regressor):
    quarters = 2 * (np.arange(16)[:, np.newaxis] // 8) + np.arange(16) // 8
    explanation = explain(regressor(patch), IMAGES[:, np.newaxis], groups=5 * quarters)
    np.testing.assert_array_equal(explanation.units_, [quarters] * 4)
    assert explanation.effects_.shape == (4, 4)
    means = IMAGES[:, :8, 8:].mean(axis=(1, 2)) * IN_PATCH.sum()
    np.testing.assert_allclose(explanation.effects_[:, 1], patch(IMAGES) - means)
    np.testing.assert_allclose(np.delete(explanation.effects_, 1, axis=1), 0, atol=1e-8)


def test_images_with_fewer_superpixels(regressor):
    images = np.stack([IMAGES[0], np.zeros((16, 16))])
    images[1, :, 8:] = 1
    explanation = explain(regressor(patch), images, groups="superpixel", n_segments=30)
    for row in range(2):
        has = np.isin(np.arange(explanation.effects_.shape[1]), explanation.units_[row])
        np.testing.assert_array_equal(np.isnan(explanation.effects_[row]), ~has)


@pytest.mark.parametrize("n_segments", [None, 150])
def test_image_is_explained_independently_of_others(regressor, n_segments):
    model = regressor(lambda X: np.tanh(3 * patch(X)))
    others = np.stack([IMAGES[0], 1e3 * IMAGES[2], np.ones((16, 16))])
    options = {"groups": "superpixel", "n_segments": n_segments}
    together = explain(model, others, **options)
    alone = explain(model, others[:1], **options)
    np.testing.assert_array_equal(alone.units_[0], together.units_[0])
    assert alone.num_samples_[0] == together.num_samples_[0]
    n_units = alone.effects_.shape[1]
    np.testing.assert_allclose(alone.effects_[0], together.effects_[0, :n_units])


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_images_of_any_dtype(regressor, dtype):
    images = (255 * IMAGES[:2, np.newaxis]).astype(dtype)
    model = regressor(lambda X: patch(X.astype(float)))
    explanation = explain(model, images)
    np.testing.assert_allclose(explanation.prediction_, patch(images.astype(float)))
    assert {rows.dtype for rows in model.calls_} == {np.dtype(dtype)}


def test_images_of_bytes_are_predicted_as_bytes(regressor):
    # Many networks take bytes from 0 to 255, and floats from 0 to 1.
    model = regressor(lambda X: patch(X / 255.0 if X.dtype == np.uint8 else X))
    images = (255 * IMAGES[:2, np.newaxis]).astype(np.uint8)
    explanation = explain(model, images)
    np.testing.assert_allclose(explanation.prediction_, model.predict(images))


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 1, 1), (1, 1, 20), (5, 4, 6)])
def test_small_images(regressor, shape):
    images = rng.random((2, *shape))
    model = regressor(lambda X: X.reshape(len(X), -1).sum(axis=1))
    explanation = explain(model, images)
    assert explanation.units_.shape == (2, *shape[1:])
    np.testing.assert_allclose(np.nan_to_num(explanation.effects_), 0, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 7.5])
def test_images_of_one_color(regressor, value):
    explanation = explain(regressor(patch), np.full((1, 1, 16, 16), value))
    np.testing.assert_allclose(explanation.effects_, 0, atol=1e-8)
    np.testing.assert_allclose(explanation.prediction_, value * IN_PATCH.sum())


class SmallCNN(nn.Module):
    """A convolution and a mean over the image, for two classes."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.linear = nn.Linear(4, n_outputs)

    def forward(self, x):
        return self.linear(self.convolution(x).relu().mean(dim=(2, 3)))


def test_convolutional_network():
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 0.2, size=(60, 1, 12, 12)).astype("float32")
    is_bright = np.arange(60) % 2 == 0
    images[is_bright, :, 2:6, 6:10] += 0.8
    network = ModuleClassifier(
        SmallCNN, max_iter=60, learning_rate_init=0.05, random_state=0
    ).fit(images, np.where(is_bright, "lamp", "night"))
    assert network.score(images, np.where(is_bright, "lamp", "night")) == 1
    explanation = explain(network, images[:2], target="lamp", link="logit")
    probabilities = network.predict_proba(images[:2])[:, 0].clip(1e-6, 1 - 1e-6)
    np.testing.assert_allclose(
        explanation.prediction_, np.log(probabilities / (1 - probabilities)), rtol=1e-3
    )
    assert explanation.outputs_ == ["log-odds of lamp"] * 2


# -- forecasters -----------------------------------------------------------------------

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


# -- sequences of different lengths ----------------------------------------------------

IDS = np.random.default_rng(0).integers(1, 9, size=(200, 6))
IDS[np.arange(6) >= np.random.default_rng(1).integers(2, 7, size=(200, 1))] = 0


class TokenPosition(BaseEstimator):
    """Takes token ids like skdeep's networks; predicts the position of token 5."""

    embedding_dim = 4

    def fit(self, X=None, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        there = X > 0
        assert (np.sort(~there, axis=1) == ~there).all(), "padding inside"
        assert there.any(axis=1).all(), "nothing but padding"
        places = np.arange(X.shape[1])
        return (np.where(X == 5, 1 + places, 0)).sum(axis=1) * 1.0


@pytest.mark.parametrize("width", [6, 3])
def test_padding_tokens_are_not_changed(width):
    row = np.array([[5, 2, 5, 0, 0, 0]])[:, :width]
    background = np.vstack([np.where(IDS == 5, 4, IDS), np.zeros((3, 6), dtype=int)])
    explanation = explain(TokenPosition().fit(), row, background=background)
    expected = [[1, 0, 3, np.nan, np.nan, np.nan]]
    np.testing.assert_allclose(explanation.effects_, expected, atol=1e-8)
    assert explanation.plot().ax_ is not None


def test_token_ids_without_alternative_become_the_unknown_token():
    row = np.array([[2, 5, 5, 5, 5, 5, 5, 5]])
    background = np.where(IDS == 5, 4, IDS)  # of six columns
    explanation = explain(TokenPosition().fit(), row, background=background)
    np.testing.assert_allclose(explanation.effects_[0], [0, *range(2, 9)], atol=1e-8)


def test_groups_of_token_ids():
    row = np.array([[5, 2, 5, 5, 0, 0]])
    groups = {"begin": [0, 1], "end": [2, 3, 4], "gone": [5]}
    explanation = explain(TokenPosition().fit(), row, background=IDS, groups=groups)
    begin, end, gone = explanation.effects_[0]
    assert 0.5 < begin <= 1 and 5 < end <= 7 and np.isnan(gone)


def test_lists_of_token_ids():
    lists = [ids[ids > 0] for ids in IDS]
    found = explain(TokenPosition().fit(), lists[:3], background=lists)
    expected = explain(TokenPosition().fit(), IDS[:3], background=IDS)
    np.testing.assert_array_equal(found.effects_, expected.effects_)


def test_token_ids_of_a_recurrent_network():
    words = IDS > 0
    y = np.where(IDS[:, 0] >= 5, "five", "none")
    network = LSTMClassifier(
        8, embedding_dim=8, max_iter=15, learning_rate_init=0.05, random_state=0
    ).fit(IDS, y)
    row = np.flatnonzero((IDS[:, 0] == 5) & (words.sum(axis=1) < 6))[:1]
    explanation = explain(network, IDS[row], background=IDS, target="five")
    assert explanation.top(0)[0] == 0 and explanation.effects_[0, 0] > 0.1
    np.testing.assert_array_equal(np.isnan(explanation.effects_), ~words[row])


def test_lists_of_sequences():
    lists = [row[: 3 + k % 4] for k, row in enumerate(X)]
    network = LSTMRegressor(hidden_size=2, max_iter=1, random_state=0)
    network.fit(lists, np.arange(80.0))
    explanation = explain(network, lists[:2], background=lists)
    has = ~np.isnan(explanation.effects_).reshape(2, 6, F)
    np.testing.assert_array_equal(has.all(axis=2).sum(axis=1), [3, 4])
    np.testing.assert_allclose(explanation.prediction_, network.predict(lists[:2]))


# -- predictions for each step ---------------------------------------------------------


class Steps(BaseEstimator):
    """Predicts the cumulative sum at every step, and NaN for padding."""

    return_sequences = True

    def fit(self, X=None, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.cumsum(X @ [1.0, -1.0, 2.0], axis=1)


class StepClasses(ClassifierMixin, Steps):
    """Classifies every step into two or three classes by its cumulative sum."""

    def __init__(self, n_classes=2):
        self.n_classes = n_classes

    def fit(self, X=None, y=None):
        self.classes_ = np.array(["a", "b", "c"][: self.n_classes])
        return self

    def decision_function(self, X):
        scores = 0.2 * super().predict(X)
        return (
            scores
            if self.n_classes == 2
            else np.stack([0 * scores, scores, -scores], 2)
        )

    def predict_proba(self, X):
        scores = self.decision_function(X)
        if self.n_classes == 2:
            return np.stack([1 - expit(scores), expit(scores)], axis=2)
        return softmax(scores, axis=2)


PADDED = np.where(np.arange(T)[:, np.newaxis] < 5, X[:2], np.nan)


@pytest.mark.parametrize(
    ("step", "last", "name"),
    [
        (None, 4, "last step"),
        (-1, 4, "last step"),
        (-2, 3, "step -2"),
        (2, 2, "step 2"),
        (0, 0, "step 0"),
    ],
)
def test_step_of_a_sequence(step, last, name):
    explanation = explain(Steps().fit(), PADDED, background=X, step=step)
    expected = (PADDED[0] - MEAN) * [1, -1, 2]
    expected[last + 1 : 5] = 0
    np.testing.assert_allclose(cells(explanation), expected, rtol=0.01, atol=1e-8)
    assert explanation.outputs_ == [f"prediction, {name}"] * 2


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_at_a_step(n_classes):
    model = StepClasses(n_classes).fit()
    explanation = explain(model, PADDED, background=X, step=1)
    probabilities = model.predict_proba(PADDED)[:, 1]
    chosen = probabilities.argmax(axis=1) if n_classes == 3 else np.array([1, 1])
    names = [f"P({model.classes_[k]}), step 1" for k in chosen]
    assert explanation.outputs_ == names
    np.testing.assert_allclose(explanation.prediction_, probabilities[[0, 1], chosen])
    odds = explain(model, PADDED, background=X, step=1, target="b", link="logit")
    assert odds.outputs_ == ["log-odds of b, step 1"] * 2
    np.testing.assert_allclose(odds.prediction_, logit(probabilities[:, 1]))
    margin = explain(model, PADDED, background=X, step=1, target="margin")
    assert margin.outputs_[0].endswith("step 1")


def test_steps_of_a_recurrent_network():
    y = np.where(np.arange(T)[:, np.newaxis] < 9, X[:, :, :1] > 2, -1)[:, :, 0]
    network = LSTMClassifier(
        8, return_sequences=True, max_iter=15, learning_rate_init=0.05, random_state=0
    ).fit(X, y.astype(int))
    explanation = explain(network, X[:2], background=X)
    np.testing.assert_allclose(
        explanation.prediction_, network.predict_proba(X[:2])[:, -1, 1], rtol=1e-5
    )
    # The output depends mostly on the step itself, in the first feature.
    assert np.abs(explanation.effects_).mean(axis=0).argmax() == (T - 1) * F


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (5, "^step=5 is out of range: a sequence in X has only 5 steps"),
        (-6, "^step=-6 is out of range: a sequence in X has only 5 steps"),
        (1.0, "^step must be the position .* got 1.0"),
        ("last", "^step must be the position .* got 'last'"),
        (True, "^step must be the position .* got True"),
    ],
)
def test_invalid_steps(step, words):
    with pytest.raises(ValueError, match=words):
        explain(Steps().fit(), PADDED, background=X, step=step)


def test_step_of_an_estimator_with_one_prediction_per_row(regressor):
    with pytest.raises(ValueError, match="^step=1 is for forecasters and for networks"):
        explain(regressor(linear_model), X[:1], background=X, step=1)
