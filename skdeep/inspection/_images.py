"""The images that an estimator reads, inside pipelines and searches too."""

from __future__ import annotations

import os
from numbers import Integral
from reprlib import repr as short
from typing import Any

import numpy as np

from skdeep._input_checks import naming, tensor_to_numpy
from skdeep.inspection._nested import innermost, innermost_input

# An axis of at most this length holds the channels, as for CNNClassifier.
_MOST_CHANNELS = 4


def image_network(estimator) -> Any:
    """Return the fitted network of images inside an estimator, or None."""
    network = innermost(estimator)
    is_one = hasattr(network, "read_images") and hasattr(network, "image_shape_")
    return network if is_one else None


def image_shape(network) -> tuple[int, ...]:
    """Return the shape of one training image, with its channels if it has an axis."""
    n_channels, *sizes = network.image_shape_
    if network.channel_axis_ is None:
        return tuple(sizes)
    if network.channel_axis_ == 0:
        return (n_channels, *sizes)
    return (*sizes, n_channels)


def channels_last(images: np.ndarray, axis: int | None) -> np.ndarray:
    """Return images (n, ...) as (n, *sizes, n_channels).

    ``axis`` is that of the channels in one image; None if there is none.
    """
    if axis is None:
        return images[..., np.newaxis]
    return np.moveaxis(images, 1, -1) if axis == 0 else images


def user_images(network, X) -> np.ndarray | None:
    """Return X as images of the network's shape, None if it does not hold them.

    Flat rows get the axes of images, so that columns that a pipeline scales first are
    images as well.
    """
    X = _as_numbers(X)
    if X is None:
        return None
    shape = image_shape(network)
    if X.shape[1:] not in (shape, (int(np.prod(shape)),)):
        return None
    return X.reshape(len(X), *shape)


def _as_numbers(X) -> np.ndarray | None:
    X = tensor_to_numpy(X, "X")
    X = X.to_numpy() if hasattr(X, "to_numpy") else X
    try:
        X = np.asarray(X)
    except ValueError:  # images of different shapes
        return None
    return X if X.dtype.kind in "biuf" and X.ndim else None


def read_images(estimator, X) -> np.ndarray:
    """Return the images in X, (n, *sizes, n_channels).

    A pipeline's own input if it holds images, else what its network gets.

    Parameters
    ----------
    estimator : estimator
        A fitted network for images, or a Pipeline or another wrapper around one.
    X : array-like
        Its input.
    """
    network = image_network(estimator)
    images = user_images(network, X)
    if images is None:
        images = network.read_images(innermost_input(estimator, X))
    return channels_last(images, network.channel_axis_)


def as_rows(network, X) -> Any:
    """Return X with a single image, or the path of one, as rows."""
    if isinstance(X, (str, os.PathLike)):
        return [X]
    shape = image_shape(network)
    n_values = int(np.prod(shape))
    found = np.shape(X) if hasattr(X, "shape") else None
    is_single = found == shape or (found == (n_values,) and n_values > 1)
    return X[np.newaxis] if is_single and isinstance(X, np.ndarray) else X


def guess_images(images, shape, argument: str) -> np.ndarray:
    """Return images of an unknown layout as (n, *sizes, n_channels).

    Parameters
    ----------
    images : array-like
        Signals (2-D), images (3-D, or 4-D with channels) or volumes (5-D).
    shape : tuple of int or None
        The shape of one image, if the rows are flat.
    argument : str
        The name of the user's argument, for messages.

    Raises
    ------
    ValueError
        If these are not images.
    """
    numbers = _as_numbers(images)
    if numbers is None:
        raise ValueError(
            f"{argument} must hold numbers: images of the same shape. Files of images "
            "are read by the method read_images of the network."
        )
    if shape is not None:
        numbers = _with_axes(numbers, _check_shape(shape), argument)
    if not 2 <= numbers.ndim <= 5 or 0 in numbers.shape[1:]:
        raise ValueError(
            f"{argument} must hold images, (n, height, width[, channels]), signals or "
            f"volumes, got shape {numbers.shape}."
        )
    return channels_last(numbers, _guess_axis(numbers.shape[1:]))


def check_labels(y, argument: str, n: int, of: str = "images") -> np.ndarray:
    """Return a column of n labels."""
    y = tensor_to_numpy(y, argument)
    with naming(argument):
        y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (n,):
        raise ValueError(
            f"{argument} must have one class for each of the {n} {of}, got shape "
            f"{y.shape}."
        )
    return y


def _check_shape(shape) -> tuple[int, ...]:
    """Return the user's ``image_shape``."""
    lengths = shape if isinstance(shape, (tuple, list)) else ()
    is_valid = all(isinstance(n, Integral) and int(n) > 0 for n in lengths)
    if not lengths or not is_valid:
        raise ValueError(
            "image_shape must be a tuple of positive integers, such as (28, 28), got "
            f"{short(shape)}."
        )
    return tuple(int(n) for n in lengths)


def _with_axes(images: np.ndarray, shape: tuple[int, ...], argument: str):
    n_values = int(np.prod(shape))
    if images[:1].size != n_values * len(images[:1]):
        raise ValueError(
            f"image_shape={shape} has {n_values} values, but {argument} has shape "
            f"{images.shape}."
        )
    return images.reshape(len(images), *shape)


def _guess_axis(shape: tuple[int, ...]) -> int | None:
    if len(shape) < 3:
        return None
    if shape[-1] <= _MOST_CHANNELS or len(shape) == 4:
        return -1
    return 0 if shape[0] <= _MOST_CHANNELS else None
