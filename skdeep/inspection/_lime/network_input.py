"""Images and signals as a convolutional network takes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from skdeep.inspection._images import (
    channels_last,
    image_network,
    user_images,
)
from skdeep.inspection._lime.cells import CellRows
from skdeep.inspection._lime.images import image_rows
from skdeep.inspection._lime.sequences import sequence_rows
from skdeep.inspection._lime.user_input import (
    check_background,
    feature_names,
    make_converter,
)
from skdeep.inspection._nested import innermost_input


def network_rows(
    estimator, X, background, options: dict
) -> tuple[CellRows, Callable[[np.ndarray], object]]:
    """Return the rows to explain, and what converts them for the estimator.

    The rows are (n, *sizes, n_channels), whatever the layout of X.

    Parameters
    ----------
    estimator : estimator
        A fitted network for images, or a Pipeline or another wrapper around one.
    X : array-like
        Images or signals in any layout that the estimator takes, or paths of files.
    background : array-like or None
        Other signals.
    options : dict
        The arguments of ``lime_explain`` that concern rows.
    """
    for name in ("discretize", "categorical_features"):
        if options[name] is not None:
            raise ValueError(f"{name} is for tables, but X holds images or signals.")
    network = image_network(estimator)
    n_channels, *sizes = network.image_shape_
    if len(sizes) > 2:
        raise ValueError(
            f"X holds volumes, of the sizes {tuple(sizes)}, but images and signals "
            "alone can be explained."
        )
    images, convert = _read(estimator, network, X)
    options = options | {"groups": _with_axes(options["groups"], sizes)}
    if len(sizes) == 2:
        return image_rows(images, options, color_axis=3), convert
    if background is not None:
        background = _read(estimator, network, background)[0]
    names = options["feature_names"]
    if names is None and n_channels == 1:
        names = ["signal"]
    names = feature_names(None, images, names)
    background = check_background(background, images)
    times = [str(k) for k in range(sizes[0])]
    if options["groups"] is None:
        options = options | {"groups": "time"}
    return sequence_rows(images, background, names, options, times), convert


def _read(estimator, network, X) -> tuple[np.ndarray, Callable]:
    """Return images (n, *sizes, n_channels), and what converts such to the user's."""
    axis = network.channel_axis_
    images = user_images(network, X)
    restore = _make_restorer(X)
    if images is None:
        if innermost_input(estimator, X) is not X:
            raise ValueError(
                "X must hold the images that the network takes, but the pipeline makes "
                "them of X. Explain its last step: "
                "lime_explain(pipeline[-1], pipeline[:-1].transform(X))."
            )
        images, restore = network.read_images(X), _unchanged

    def convert(rows: np.ndarray):
        return restore(_as_in_training(rows, axis))

    return channels_last(images, axis), convert


def _as_in_training(images: np.ndarray, axis: int | None) -> np.ndarray:
    """Return images (n, *sizes, n_channels) with the axes of the training images."""
    if axis is None:
        return images[..., 0]
    return np.moveaxis(images, -1, 1) if axis == 0 else images


def _unchanged(rows):
    return rows


def _make_restorer(X) -> Callable:
    """Return a function that gives images the shape and the type of X."""
    convert = make_converter(X)

    def restore(images: np.ndarray):
        if not hasattr(X, "columns"):
            return images.reshape(len(images), *np.shape(X)[1:])
        flat = images.reshape(len(images), -1)
        return convert(pd.DataFrame(flat, columns=list(X.columns)))

    return restore


def _with_axes(groups, sizes: list[int]):
    """Return the groups of cells with the axes of the images that X has flattened."""
    if groups is None or isinstance(groups, (str, dict)):
        return groups
    if len(sizes) == 1 and np.shape(groups) == tuple(sizes):
        return np.asarray(groups)[:, np.newaxis]
    is_flat = np.shape(groups) == (int(np.prod(sizes)),)
    return np.asarray(groups).reshape(sizes) if is_flat else groups
