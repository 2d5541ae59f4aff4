"""Images, whose superpixels are kept or replaced by their mean color."""

from __future__ import annotations

import numpy as np

from skdeep._optional_dependencies import import_optional
from skdeep.inspection._lime.cells import CellRows, replace_by_color
from skdeep.inspection._lime.user_input import as_floats, equals_string, numbered_groups

SUPERPIXEL = "superpixel"

# Default number of superpixels, and the least mean number of pixels in one.
_N_SUPERPIXELS, _PIXELS_OF_ONE = 50, 4
# Weight of distance relative to color in SLIC, for colors between 0 and 1.
_COMPACTNESS = 0.1
_N_COLORS = (1, 3, 4)


def image_rows(X: np.ndarray, options: dict, color_axis: int | None = None) -> CellRows:
    """Return images as rows to explain.

    ``color_axis`` is the axis of X that holds the colors; if it is None, the shape of X
    tells which one it is.
    """
    # Integers stay integers: a model may recognize the range 0 to 255 by the dtype.
    X = X if X.dtype.kind in "iu" else as_floats(X, "X")
    if X.size == 0:
        raise ValueError("X must have at least one row, got none.")
    if not np.isfinite(X).all():
        raise ValueError("X must not contain NaN or infinity if it holds images.")
    axis = _color_axis(X.shape) if color_axis is None else color_axis
    canonical = X[..., np.newaxis] if axis is None else np.moveaxis(X, axis, -1)
    pictures = _scale_to_unit_range(canonical)
    # Images may have fewer superpixels than others: their last units are missing.
    units = _superpixels(pictures, options)
    n_units = int(units.max()) + 1
    colors = replace_by_color(canonical, units)

    def replacement(row, kept, rng):
        image = colors(row, kept, rng)
        if X.dtype.kind in "iu":
            image = np.rint(image).astype(X.dtype)
        return image[..., 0] if axis is None else np.moveaxis(image, -1, axis - 1)

    spread = units if axis is None else np.expand_dims(units, axis)
    return CellRows(
        X,
        spread,
        replacement,
        kind="image",
        unit_names=[f"superpixel {k}" for k in range(n_units)],
        feature_names=[],
        drawing={"units": units, "images": _gray_or_rgb(pictures)},
    )


def _color_axis(shape: tuple) -> int | None:
    """Return the axis of the colors: the first, unless only the last one fits."""
    if len(shape) == 3:
        return None
    return 3 if shape[3] in _N_COLORS and shape[1] not in _N_COLORS else 1


def _scale_to_unit_range(images: np.ndarray) -> np.ndarray:
    images = as_floats(images, "X")
    low, high = images.min(), images.max()
    return (images - low) / (high - low if high > low else 1)


def _gray_or_rgb(pictures: np.ndarray) -> np.ndarray:
    """Return images (n, height, width, n_colors) in gray or RGB."""
    n_colors = pictures.shape[-1]
    return pictures[..., :3] if n_colors in (3, 4) else pictures.mean(axis=-1)


def _superpixels(pictures: np.ndarray, options: dict) -> np.ndarray:
    """Return the superpixel of each pixel, (n, height, width)."""
    groups, shape = options["groups"], pictures.shape[:3]
    if groups is not None and not equals_string(groups, SUPERPIXEL):
        if isinstance(groups, (str, dict)):
            raise ValueError(
                f"groups={groups!r} must be {SUPERPIXEL!r} or integers for images."
            )
        return np.broadcast_to(numbered_groups(groups, shape[1:], "an image"), shape)
    user = "lime_explain of images (unless groups numbers their pixels)"
    segmentation = import_optional("skimage.segmentation", extra="explain", user=user)
    n_pixels = shape[1] * shape[2]
    n_segments = options["n_segments"] or min(
        _N_SUPERPIXELS, max(2, n_pixels // _PIXELS_OF_ONE)
    )
    found = [
        segmentation.slic(
            # Scaled alone, so that the other images do not change its superpixels.
            _scale_to_unit_range(picture),
            n_segments=n_segments,
            compactness=_COMPACTNESS,
            start_label=0,
            channel_axis=-1,
        )
        for picture in pictures
    ]
    return np.stack(found)
