"""Checks of the images passed to `fit` and `predict`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdeep._input_checks import is_integer, short
from skdeep.encoding import (
    FileFormat,
    ImageFiles,
    ImageLayout,
    Images,
    check_image_size,
    explaining_non_numeric,
    find_channel_axis,
    find_format,
    image_column,
    is_paths,
    naming,
    tensor_to_numpy,
)
from skdeep.estimators._validation import Checked, Schema, check_target, stand_in

_PATH = (str, PathLike)
_TEXT = "X must hold numbers, or paths of image files."


def check_shape_parameters(estimator) -> None:
    """Raise if the sizes in ``image_shape`` or ``image_size`` are invalid."""
    _asked_shape(estimator)
    check_image_size(estimator.image_size)


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
    if schema is not None:
        _check_not_single(X, schema.layout)
    # Integers stay as they are until the batch: they take less memory than floats.
    kind = "numeric" if _holds_numbers(X) else np.float64
    arguments: dict[str, Any] = dict(dtype=kind, allow_nd=True)
    # The sum of infinite half-precision numbers, by which they are found.
    with explaining_non_numeric(X, text=_TEXT), np.errstate(invalid="ignore"):
        if n_axes(X) > 2:
            X, checked = check_array(X, input_name="X", **arguments), None
        else:
            checked = stand_in(estimator, schema)
            X = validate_data(checked, X, reset=schema is None, **arguments)
    if X.size == 0:
        raise ValueError(f"X holds images without pixels: its shape is {X.shape}.")
    if schema is None:
        _check_scaling(estimator.scaling, X.dtype)
        layout = _find_layout(estimator, X)
        schema = Schema(layout.n_values, layout=layout)
        if checked is not None:
            schema = Schema.of(checked, layout=layout)
    X = _checked_shape(estimator, _native(X), schema.layout)
    return Images(X, _layout_of(X, schema.layout), _computed_type(X, dtype)), schema


def _as_array(X):
    """Return an array for anything that is neither an array nor a data frame."""
    if isinstance(X, _PATH):
        raise TypeError(
            f"X must hold many images or paths, got the single path {X!r}. Pass a list "
            "of paths; skdeep.datasets.load_images lists the images of a folder."
        )
    if isinstance(X, (list, tuple)):
        return _stacked(X)
    column = image_column(X)
    if column is not None and any(map(_is_image_or_path, column)):
        return _stacked(list(column))
    is_column = hasattr(X, "to_numpy") and len(X.shape) == 1
    is_array = not hasattr(X, "shape") and hasattr(X, "__array__")
    return np.asarray(X) if is_column or is_array else X


def _stacked(images: Sequence):
    """Return a list of images, or of nested lists, as one array."""
    _check_not_mixed(images)
    if not len(images):
        raise ValueError(
            "Found array with 0 sample(s) while a minimum of 1 is required."
        )
    if not any(map(_is_array, images)):
        return np.asarray(images)
    arrays = [np.asarray(_as_array(tensor_to_numpy(x, "X"))) for x in images]
    for i, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(f"Item {i} of X is not an image: {short(images[i])}.")
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"The images in X must have the same shape, but image 0 has shape "
                f"{arrays[0].shape} and image {i} has {array.shape}. Resize them; "
                "image files are resized to image_size."
            )
    return np.stack(arrays)


def _is_image_or_path(item) -> bool:
    return isinstance(item, (list, tuple, *_PATH)) or _is_array(item)


def _is_array(image) -> bool:
    # Pillow's images have __array_interface__ alone.
    is_array = hasattr(image, "__array__") or hasattr(image, "__array_interface__")
    return is_array and np.ndim(image) > 0


def _check_not_mixed(images: Sequence) -> None:
    """Raise if some items are paths and others are not."""
    are_paths = [isinstance(image, _PATH) for image in images]
    if any(are_paths) and not all(are_paths):
        path, other = are_paths.index(True), are_paths.index(False)
        raise TypeError(
            f"X must hold paths of image files alone, or no paths: item {path} is "
            f"{images[path]!r}, but item {other} is {short(images[other])}."
        )


def _check_not_single(X, layout: ImageLayout) -> None:
    """Raise if X is a single image rather than an array of images."""
    shape = np.shape(X)
    if len(shape) == 1:  # scikit-learn has an error for it
        return
    if shape == layout.image_shape and shape[1:] != (layout.n_values,):
        raise ValueError(
            f"X is a single image of shape {shape}. Pass an array of images, such as "
            "X[np.newaxis]."
        )


def _check_scaling(scaling, dtype: np.dtype) -> None:
    """Raise if integers would be divided by a number far beyond that of pixels."""
    if scaling == "dtype" and dtype.kind in "iu" and dtype.itemsize > 2:
        raise ValueError(
            f"scaling='dtype' would divide X by the largest value of {dtype.name}, "
            f"{np.iinfo(dtype).max}. Convert X to uint8 or uint16, or use "
            "scaling='channel'."
        )


def _holds_numbers(X) -> bool:
    """Return whether the values of an array or a data frame have numeric types."""
    dtypes = getattr(X, "dtypes", [getattr(X, "dtype", None)])
    return all(isinstance(d, np.dtype) and d.kind in "biufc" for d in dtypes)


def n_axes(X) -> int:
    """Return the number of axes of an array or of a list, also of unequal arrays."""
    if not isinstance(X, (list, tuple)):
        return len(getattr(X, "shape", ()))
    try:
        return np.ndim(X)
    except ValueError:
        return 1 + np.ndim(X[0])


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
    asked = _asked_shape(estimator)
    if asked is not None and shape != asked:
        n_values = math.prod(asked)
        if len(shape) > 1:
            raise ValueError(
                f"image_shape={asked!r} differs from the shape of the images in X, "
                f"{shape}. image_shape is for flat rows: use image_shape=None."
            )
        if shape != (n_values,):
            raise ValueError(
                f"image_shape={asked!r} has {n_values} values, but X has shape "
                f"{X.shape}: its rows must have {n_values} columns."
            )
        shape, is_flat = asked, True
    axis = _channel_axis(estimator.channels, shape)
    layout = ImageLayout.of(shape, axis, is_flat=is_flat)
    if not 1 <= len(layout.shape) - 1 <= 3:
        raise ValueError(
            "X must hold signals, images or volumes, with 1 to 3 axes and perhaps one "
            f"for the channels; with channels={estimator.channels!r}, X of shape "
            f"{X.shape} has {len(layout.shape) - 1}."
        )
    return layout


def _asked_shape(estimator) -> tuple[int, ...] | None:
    """Return ``image_shape`` as a tuple of positive ints, or None."""
    asked = estimator.image_shape
    if asked is None:
        return None
    sizes = list(asked) if isinstance(asked, (list, tuple, np.ndarray)) else []
    if not sizes or not all(is_size(size) for size in sizes):
        raise ValueError(
            "image_shape must be None or a tuple of positive integers, such as "
            f"(28, 28), got {asked!r}."
        )
    return tuple(map(int, sizes))


def is_size(size) -> bool:
    """Return whether this is an integer > 0 and no bool."""
    return is_integer(size) and int(size) > 0


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
    may_be_flat = layout.is_flat or estimator.image_shape is not None
    if found == expected or (may_be_flat and found == (layout.n_values,)):
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
    """Return the layout of X, which may be flat if the training images were not."""
    is_flat = X.shape[1:] != layout.image_shape
    return replace(layout, is_flat=is_flat)


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
