"""Images whose class depends on a pattern in one quadrant, in several layouts."""

import functools

import numpy as np
import pandas as pd

from skdeep import CNNClassifier, CNNRegressor

SIDE = 8
HALF = SIDE // 2
# The quadrant of each pixel; the pattern is in quadrant 1, at the top right.
QUADRANTS = 2 * (np.arange(SIDE)[:, np.newaxis] // HALF) + np.arange(SIDE) // HALF
WITH_PATTERN = 1

# A square of 2 x 2 pixels is switched off by its mean color.
_CHECKS = 2 * (np.indices((HALF, HALF)).sum(axis=0) % 2) - 1
N = 96
STRENGTHS = np.linspace(0, 1, N)[np.random.default_rng(0).permutation(N)]
LABELS = np.where(STRENGTHS > 0.5, "checks", "plain")


def _make_images():
    images = np.random.default_rng(1).uniform(100, 140, size=(N, SIDE, SIDE))
    images[:, :HALF, HALF:] += 90 * STRENGTHS[:, np.newaxis, np.newaxis] * _CHECKS
    return images.round()


GRAY = _make_images()
BYTES = GRAY.astype(np.uint8)
COLOR = np.stack([GRAY, 128 + 0 * GRAY, 255 - GRAY], axis=-1)
FLAT = GRAY.reshape(N, -1)
_SQUARE = {"image_shape": (SIDE, SIDE)}

# X and the parameters of the network that takes it.
LAYOUTS = {
    "gray": (GRAY, {}),
    "bytes": (BYTES, {}),
    "gray last": (BYTES[..., np.newaxis], {}),
    "color last": (COLOR.astype(np.uint8), {}),
    "color first": (np.moveaxis(COLOR, -1, 1) / 255, {}),
    "flat": (FLAT.astype(np.float32), _SQUARE),
    "flat color": (COLOR.reshape(N, -1), {"image_shape": (SIDE, SIDE, 3)}),
    "frame": (pd.DataFrame(FLAT).add_prefix("pixel"), _SQUARE),
}


def make_classifier(**params):
    settings = dict(
        max_iter=12, batch_size=16, dropout=0.0, learning_rate_init=0.01, random_state=0
    )
    return CNNClassifier(6, hidden_layer_sizes=8, **{**settings, **params})


@functools.cache
def fitted(layout):
    """Return a fitted classifier and its X."""
    X, params = LAYOUTS[layout]
    return make_classifier(**params).fit(X, LABELS), X


@functools.cache
def fitted_regressor():
    model = CNNRegressor(
        6, hidden_layer_sizes=8, max_iter=12, batch_size=16, dropout=0.0, random_state=0
    )
    return model.fit(BYTES, STRENGTHS)


def write_files(folder, images=BYTES):
    """Write images to files; return their paths."""
    from PIL import Image

    paths = []
    for k, image in enumerate(images):
        paths.append(str(folder / f"{k}.png"))
        Image.fromarray(image).save(paths[-1])
    return paths
