"""Explanations of images with known effects."""

from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skdeep import (
    ModuleClassifier,
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
def test_top_superpixels_are_those_that_the_model_reads(regressor, images):
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
    rng = np.random.default_rng(1)
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
    rng = np.random.default_rng(1)
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
