"""Checks of the images passed to `fit` and `predict`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdeep.encoding import (
    FileFormat,
    ImageFiles,
    ImageLayout,
    Images,
    explaining_non_numeric,
    find_channel_axis,
    find_format,
    is_paths,
    naming,
    tensor_to_numpy,
)
from skdeep.estimators._validation import Checked, Schema, check_target, stand_in

_TEXT = "X must hold numbers, or paths of image files."


def check_images(
    estimator, X, y="no_validation", *, dtype, schema: Schema | None = None
) -> Checked:
    """Check images, and y if it is given.

    Parameters
    ----------
    estimator : estimator
        Its parameters ``image_shape``, ``image_size``, ``channels`` and
        ``memory_budget`` determine how X is read.
    X : array-like of images, or of paths of image files
        The user's images.
    y : array-like
        Their targets.
    dtype : sequence of type
        Float types to compute in: that of X if it is among them, else the first one.
    schema : Schema, optional
        The schema of the training images; its layout is an ``ImageLayout``. None if
        these are the training images.

    Returns
    -------
    Checked
    """
    paths = is_paths(X)
    has_target = not (isinstance(y, str) and y == "no_validation")
    with naming("X"):
        if paths is not None:
            table, schema = _read_files(estimator, paths, dtype, schema, has_target)
        else:
            table, schema = _read_array(estimator, X, dtype, schema)
    if not has_target:
        return Checked(table, None, schema)
    return Checked(table, check_target(estimator, y, len(table)), schema)


# -- files -----------------------------------------------------------------------------


def _read_files(
    estimator, paths, dtype, schema, checks_all: bool
) -> tuple[Images, Schema]:
    """Read files; if ``checks_all``, an error names all that cannot be read."""
    if schema is None:
        found = find_format(paths, estimator.image_size)
        schema = Schema(1, layout=_layout_of_files(found))
    layout = schema.layout
    if layout.files is None:
        raise ValueError(
            f"{type(estimator).__name__} was trained on arrays of images, but X holds "
            "paths of files. Read them in the way in which the training images were."
        )
    files = ImageFiles(paths, layout.files, estimator.memory_budget)
    if checks_all or files.nbytes <= estimator.memory_budget:
        files.load()
    return Images(files, layout, np.dtype(dtype[0])), schema


def _layout_of_files(found: FileFormat) -> ImageLayout:
    shape = (found.n_channels, *found.size)
    return ImageLayout(shape, None if found.n_channels == 1 else -1, files=found)


# -- arrays ----------------------------------------------------------------------------


def _read_array(estimator, X, dtype, schema) -> tuple[Images, Schema]:
    X = _as_array(tensor_to_numpy(X, "X"))
    # Integers stay as they are until the batch: they take less memory than floats.
    is_text = getattr(getattr(X, "dtype", None), "kind", None) in ("S", "U")
    kind = np.float64 if is_text else "numeric"
    arguments: dict[str, Any] = dict(dtype=kind, allow_nd=True)
    with explaining_non_numeric(X, text=_TEXT):
        if _n_axes(X) > 2:
            X, checked = check_array(X, input_name="X", **arguments), None
        else:
            checked = stand_in(estimator, schema)
            X = validate_data(checked, X, reset=schema is None, **arguments)
    if X.size == 0:
        raise ValueError(f"X holds images without pixels: its shape is {X.shape}.")
    if schema is None:
        layout = _find_layout(estimator, X)
        schema = Schema(layout.n_values, layout=layout)
        if checked is not None:
            schema = Schema.of(checked, layout=layout)
    X = _checked_shape(estimator, _native(X), schema.layout)
    return Images(X, _layout_of(X, schema.layout), _computed_type(X, dtype)), schema


def _as_array(X):
    """Return an array for anything that is no array or data frame."""
    if isinstance(X, (list, tuple)) or _holds_objects(X):
        return _stacked(X)
    if not hasattr(X, "shape") and hasattr(X, "__array__"):
        return np.asarray(X)
    return X


def _holds_objects(X) -> bool:
    is_object = getattr(X, "dtype", None) == np.dtype(object)
    return is_object and len(X.shape) == 1


def _stacked(images):
    """Return a list of images, or of nested lists, as one array."""
    if not len(images) or not hasattr(images[0], "__array__"):
        return np.asarray(images) if isinstance(images, (list, tuple)) else images
    arrays = [np.asarray(tensor_to_numpy(image, "X")) for image in images]
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"The images in X must have the same shape, but image 0 has shape "
                f"{arrays[0].shape} and image {i} has {array.shape}. Resize them; "
                "image files are resized to image_size."
            )
    return np.stack(arrays)


def _n_axes(X) -> int:
    return len(X.shape) if hasattr(X, "shape") else np.ndim(X)


def _native(X: np.ndarray) -> np.ndarray:
    """Return X in a type that torch has."""
    if not X.dtype.isnative:
        X = X.astype(X.dtype.newbyteorder("="))
    if X.dtype in (np.uint32, np.uint64, np.longdouble):
        return X.astype(np.float64)
    return X


def _find_layout(estimator, X: np.ndarray) -> ImageLayout:
    """Return the layout of training images."""
    shape, is_flat = X.shape[1:], False
    asked = estimator.image_shape
    if asked is not None and shape != tuple(asked):
        n_values = int(np.prod(asked))
        if shape != (n_values,):
            raise ValueError(
                f"image_shape={asked!r} has {n_values} values, but X has shape "
                f"{X.shape}: its rows must have {n_values} columns."
            )
        shape, is_flat = tuple(asked), True
    axis = _channel_axis(estimator.channels, shape)
    layout = ImageLayout.of(shape, axis, is_flat=is_flat)
    if not 1 <= len(layout.shape) - 1 <= 3:
        raise ValueError(
            "X must hold signals, images or volumes, with 1 to 3 axes and perhaps one "
            f"for the channels; with channels={estimator.channels!r}, X of shape "
            f"{X.shape} has {len(layout.shape) - 1}."
        )
    return layout


def _channel_axis(channels, shape: tuple[int, ...]) -> int | None:
    if channels == "auto":
        return find_channel_axis(shape) if len(shape) < 5 else -1
    if channels is None:
        return None
    if len(shape) == 1:
        raise ValueError(
            f"channels={channels!r} needs X with an axis for the channels, but each "
            f"image in X has shape {shape}. Use channels='auto'."
        )
    return 0 if channels == "first" else -1


def _checked_shape(estimator, X: np.ndarray, layout: ImageLayout) -> np.ndarray:
    """Raise if X does not hold images of the shape of the training images."""
    expected = layout.image_shape
    found = X.shape[1:]
    is_flat_match = layout.is_flat and found == (layout.n_values,)
    if is_flat_match or found == expected:
        return X
    # A gray image may come with an axis of length 1 for its only channel.
    if layout.files is not None and layout.shape[0] == 1 and found == (*expected, 1):
        return X[..., 0]
    name = type(estimator).__name__
    shape = (layout.n_values,) if layout.is_flat else expected
    raise ValueError(
        f"X holds images of shape {found}, but {name} was trained on images of shape "
        f"{shape}."
    )


def _layout_of(X: np.ndarray, layout: ImageLayout) -> ImageLayout:
    """Return the layout of X, which need not be flat if the training images were."""
    if layout.is_flat and X.ndim > 2:
        return ImageLayout(layout.shape, layout.channel_axis)
    return layout


def _computed_type(X: np.ndarray, accepted) -> np.dtype:
    """Return the float type to compute in; raise if it does not hold the values."""
    dtype = np.dtype(X.dtype.type if X.dtype.type in accepted else accepted[0])
    if X.dtype.kind == "f" and X.dtype.itemsize > dtype.itemsize:
        if max(X.max(), -X.min()) > np.finfo(dtype).max:
            raise ValueError(
                "Input X contains infinity or a value too large for "
                f"dtype({dtype.name!r})."
            )
    return dtype
