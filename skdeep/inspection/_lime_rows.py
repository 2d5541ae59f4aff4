"""What X is: a table, sequences or images; and what its units are."""

from __future__ import annotations

from collections.abc import Hashable
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from skdeep.inspection._lime_cells import (
    REPLACEMENTS,
    CellRows,
    mean_cells,
    replace_by_color,
)
from skdeep.inspection._lime_outputs import is_forecaster
from skdeep.inspection._lime_tables import TableRows

SUPERPIXEL = "superpixel"
SEQUENCE_GROUPS = ("cell", "feature", "time")

# As many segments of time are told apart at a glance.
_N_SEGMENTS = 10
# A superpixel of fewer pixels shows nothing.
_N_SUPERPIXELS, _PIXELS_OF_ONE = 50, 4
# How far slic heeds nearness beside color, both between 0 and 1.
_COMPACTNESS = 0.1
_N_COLORS = (1, 3, 4)


def read_rows(X, name: str) -> Any:
    """Return X as a DataFrame or an array."""
    if sparse.issparse(X):
        raise TypeError(
            f"{name} is sparse, which lime_explain does not take; {name}.toarray() is "
            "dense."
        )
    if hasattr(type(X), "collect"):
        raise TypeError(f"{name} is a {type(X).__name__}; {name}.collect() has rows.")
    if hasattr(type(X), "to_dict") and not hasattr(X, "iloc"):
        X = pd.DataFrame(X.to_dict(as_series=False))  # a DataFrame of polars
    try:
        rows = X if isinstance(X, pd.DataFrame) else np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{name} must hold rows of the same length.") from error
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "c":
        raise ValueError(f"{name} must not hold complex numbers.")
    if rows.ndim not in (2, 3, 4) or 0 in rows.shape:
        raise ValueError(
            f"{name} must hold rows of a table (2-D), sequences (3-D) or images (3-D "
            f"or 4-D), got shape {rows.shape}. A single row is X[[i]] or X.iloc[[i]]."
        )
    return rows


def make_rows(estimator, X, background, options) -> TableRows | CellRows:
    """Return the rows to explain, and how to draw around them."""
    X = read_rows(X, "X")
    if is_forecaster(estimator):
        return _windows(estimator, X, background, options)
    is_image = X.ndim == 4 or _is_name(options["groups"], SUPERPIXEL)
    if is_image and X.ndim > 2:
        return _images(X, options)
    background = _check_background(background, X)
    names = _feature_names(estimator, X, options["feature_names"])
    if X.ndim == 2:
        return _table(X, background, names, options)
    X, background = _as_floats(X), _as_floats(background)
    means = np.broadcast_to(mean_cells(background), X.shape)
    return _sequences(X, background, means, names, options, _times(X.shape[1]))


def _times(n_before: int, n_after: int = 0) -> list:
    """Return the times of rows: 0 is the last one known."""
    return list(range(1 - n_before, 1 + n_after))


def labels_of(X, given) -> list:
    """Return the names of rows: those given, the index, or positions."""
    if given is not None:
        return _names(given, len(X), "row_names")
    return list(getattr(X, "index", range(len(X))))


def _names(given, n: int, parameter: str) -> list:
    """Return names that were given, or refuse other than so many."""
    if isinstance(given, (str, bytes)) or np.ndim(given) != 1 or len(given) != n:
        raise ValueError(f"{parameter} must be a list of {n} names, got {given!r}.")
    return list(given)


def _is_name(value, name: str) -> bool:
    """Return whether a value, of whatever type, is a name."""
    return isinstance(value, str) and value == name


def _as_floats(X: np.ndarray) -> np.ndarray:
    return X if X.dtype.kind == "f" else X.astype(np.float64)


def _check_background(background, X) -> Any:
    """Return the rows that tell how the features are distributed."""
    if background is None:
        if len(X) < 2:
            raise ValueError(
                "background must tell how the features are distributed, as the rows of "
                "training do: one row of X alone cannot."
            )
        return X
    rows = read_rows(background, "background")
    if len(rows) < 2:
        raise ValueError(f"background must hold several rows, got {len(rows)}.")
    if isinstance(X, pd.DataFrame) and isinstance(rows, pd.DataFrame):
        if list(X.columns) == list(rows.columns):
            return rows
        missing = [column for column in X.columns if column not in rows.columns]
        if missing:
            raise ValueError(f"background lacks the columns {missing} of X.")
        return rows[X.columns]
    if isinstance(X, pd.DataFrame) != isinstance(rows, pd.DataFrame):
        raise TypeError(
            f"background must be of the type of X, a {type(X).__name__}, got a "
            f"{type(rows).__name__}."
        )
    if rows.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"background must hold rows like those of X, of shape {X.shape[1:]}, got "
            f"{rows.shape[1:]}."
        )
    return rows


def _feature_names(estimator, X, given) -> list:
    """Return the names of the last axis of X."""
    n_features = X.shape[-1]
    if given is not None:
        return _names(given, n_features, "feature_names")
    if isinstance(X, pd.DataFrame):
        return list(X.columns)
    known = getattr(estimator, "feature_names_in_", ())
    if len(known) == n_features:
        return list(known)
    return [f"x{j}" for j in range(n_features)]


def _positions(chosen, names: list, parameter: str) -> list[int]:
    """Return the positions of features that are given by name or position."""
    if isinstance(chosen, Hashable) and not isinstance(chosen, tuple):
        raise ValueError(f"{parameter} must be a list of features, got {chosen!r}.")
    if np.ndim(chosen) == 1 and np.asarray(chosen).dtype == bool:
        raise ValueError(
            f"{parameter} must be a list of names or positions, got a mask, {chosen!r}."
        )
    positions = []
    for feature in chosen:
        if isinstance(feature, Hashable) and feature in names:
            positions.append(names.index(feature))
        elif isinstance(feature, (int, np.integer)) and 0 <= feature < len(names):
            positions.append(int(feature))
        else:
            raise ValueError(
                f"{parameter} names {feature!r}, which is none of the {len(names)} "
                f"features {names[:10]}."
            )
    return positions


def _named_groups(groups: dict, names: list) -> dict[str, list[int]]:
    """Return the features of each group, or refuse groups that leave some out."""
    found = {
        str(name): _positions(features, names, f"groups[{name!r}]")
        for name, features in groups.items()
    }
    members = [j for features in found.values() for j in features]
    left_out = [name for j, name in enumerate(names) if j not in members]
    if left_out:
        raise ValueError(f"groups must cover all features; {left_out} are in none.")
    twice = [names[j] for j in sorted(set(members)) if members.count(j) > 1]
    if twice:
        raise ValueError(f"groups must not overlap; {twice} are in more than one.")
    empty = [name for name, features in found.items() if not features]
    if empty:
        raise ValueError(f"groups must not be empty; {empty} are.")
    return found


def _numbered_groups(groups, shape: tuple, what: str) -> np.ndarray:
    """Return an array of groups as the position of the group of each cell."""
    try:
        numbers = np.asarray(groups)
    except ValueError:  # lists of different lengths
        numbers = np.empty(0)
    if numbers.shape != shape or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"groups must number the cells of {what} by integers of shape {shape}, got "
            f"{short(groups)}."
        )
    if (numbers < 0).any():
        raise ValueError(
            f"groups must cover all cells of {what}; {int((numbers < 0).sum())} have "
            "negative numbers."
        )
    return np.unique(numbers, return_inverse=True)[1].reshape(shape)


def _table(X, background, names: list, options: dict) -> TableRows:
    groups = options["groups"]
    if groups is None:
        # Two columns of one name are two units.
        columns = {str(name): [j] for j, name in enumerate(names)}
        if len(columns) < len(names):
            columns = {f"{name} ({j})": [j] for j, name in enumerate(names)}
    elif isinstance(groups, dict):
        columns = _named_groups(groups, names)
    elif isinstance(groups, str):
        raise ValueError(
            f"groups={groups!r} is for sequences and images; of a table it is a dict "
            "of the columns that belong together."
        )
    else:
        numbers = _numbered_groups(groups, (len(names),), "a row")
        columns = {
            f"group {k}": list(np.flatnonzero(numbers == k))
            for k in range(numbers.max() + 1)
        }
    name = "categorical_features"
    given = options[name]
    return TableRows(
        X,
        background,
        names=names,
        groups=columns,
        categorical=[] if given is None else _positions(given, names, name),
        discretize=options["discretize"],
        spread=options["spread"],
    )


def _sequences(X, background, means, names, options: dict, times: list) -> CellRows:
    units, unit_names = _sequence_units(times, names, options)
    return CellRows(
        X,
        units,
        REPLACEMENTS[options["replacement"]](X, background, means),
        kind="sequence",
        unit_names=unit_names,
        feature_names=names,
        drawing={"units": units, "times": times},
    )


def _sequence_units(times: list, names: list, options: dict) -> tuple:
    """Return the unit of each cell, (n_timesteps, n_features), and their names."""
    groups, shape = options["groups"], (len(times), len(names))
    if groups is None or _is_name(groups, "cell"):
        cells = [f"{name} {_time(time)}" for time in times for name in names]
        return np.arange(len(cells)).reshape(shape), cells
    if _is_name(groups, "feature"):
        return np.broadcast_to(np.arange(shape[1]), shape), [str(n) for n in names]
    if _is_name(groups, "time"):
        n_segments = min(options["n_segments"] or _N_SEGMENTS, len(times))
        segments = [
            list(part) for part in np.array_split(range(len(times)), n_segments)
        ]
        of_time = np.repeat(range(n_segments), [len(part) for part in segments])
        return np.broadcast_to(of_time[:, np.newaxis], shape), [
            _span(times[part[0]], times[part[-1]]) for part in segments
        ]
    if isinstance(groups, dict):
        found = _named_groups(groups, names)
        of_feature = np.empty(len(names), dtype=int)
        for k, features in enumerate(found.values()):
            of_feature[features] = k
        return np.broadcast_to(of_feature, shape), list(found)
    if isinstance(groups, str):
        raise ValueError(
            f"groups={groups!r} must be one of {list(SEQUENCE_GROUPS)} for sequences."
        )
    numbers = _numbered_groups(groups, shape, "a sequence")
    return numbers, [f"group {k}" for k in range(numbers.max() + 1)]


def _time(time) -> str:
    """Return the name of a timestep: its label, or how far from the last one."""
    if not isinstance(time, int):
        return str(time)
    return f"t{time:+d}" if time else "t"


def _span(first, last) -> str:
    """Return the name of a segment of time."""
    return _time(first) if first == last else f"{_time(first)} … {_time(last)}"


def _windows(forecaster, X, background, options: dict) -> CellRows:
    """Return windows of rows, and draws around them, for a forecaster."""
    if forecaster.groups is not None:
        raise ValueError(
            "A forecaster of several series (groups) is not explained; fit one to a "
            "single series."
        )
    names = _feature_names(forecaster, X, options["feature_names"])
    n_ahead = forecaster.horizon if forecaster.known_columns else 0
    length = forecaster.window + n_ahead
    times = _times(forecaster.window, n_ahead)
    if X.ndim == 2:
        if isinstance(X, pd.DataFrame) and len(X) >= length:
            times = list(X.index[-length:])
        X = np.asarray(X, dtype=np.float64)[np.newaxis, -length:]
    if X.ndim != 3 or X.shape[1] != length:
        raise ValueError(
            f"X must hold the rows of a window, {length} at least, or windows of as "
            f"many (with known_columns the rows to forecast too), got shape {X.shape}."
        )
    X = _as_floats(X)
    X = _as_floats(X)
    # Series wander: their mean may be far from where a window is.
    means = np.broadcast_to(np.nanmean(X, axis=1, keepdims=True), X.shape)
    if background is None and options["replacement"] == "noise":
        raise ValueError(
            "background must hold the rows that replacement='noise' takes for a "
            "forecaster, got None."
        )
    if background is not None:
        background = _windows_of(background, X.shape)
        means = np.broadcast_to(mean_cells(background), X.shape)
    return _sequences(
        X, X if background is None else background, means, names, options, times
    )


def _windows_of(series, shape: tuple) -> np.ndarray:
    """Return the windows of a series, or windows that are given as such."""
    rows = np.asarray(read_rows(series, "background"), dtype=np.float64)
    length, n_features = shape[1:]
    if rows.shape[1:] == (n_features,) and len(rows) > length:
        windows = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)
        return windows.transpose(0, 2, 1)
    if rows.shape[1:] != (length, n_features) or len(rows) < 2:
        raise ValueError(
            f"background must hold more than {length} rows of {n_features} features, "
            f"or several windows like those of X, got shape {rows.shape}."
        )
    return rows


def _images(X: np.ndarray, options: dict) -> CellRows:
    """Return images, and draws around them: superpixels in their mean colors."""
    X = _as_floats(X)
    axis = _color_axis(X.shape)
    canonical = X[..., np.newaxis] if axis is None else np.moveaxis(X, axis, -1)
    pictures = _between_0_and_1(canonical)
    units = _superpixels(pictures, options)
    n_units = int(units.max()) + 1
    colors = replace_by_color(canonical, units)

    def replacement(row, kept, rng):
        image = colors(row, kept, rng)
        return image[..., 0] if axis is None else np.moveaxis(image, -1, axis - 1)

    spread = units if axis is None else np.expand_dims(units, axis)
    return CellRows(
        X,
        spread,
        replacement,
        kind="image",
        unit_names=[f"superpixel {k}" for k in range(n_units)],
        feature_names=[],
        drawing={"units": units, "images": _drawn_images(pictures)},
    )


def _color_axis(shape: tuple) -> int | None:
    """Return the axis of the colors of images: the first, unless only the last fits."""
    if len(shape) == 3:
        return None
    return 3 if shape[3] in _N_COLORS and shape[1] not in _N_COLORS else 1


def _between_0_and_1(images: np.ndarray) -> np.ndarray:
    low, high = images.min(), images.max()
    return (images - low) / (high - low if high > low else 1)


def _drawn_images(pictures: np.ndarray) -> np.ndarray:
    """Return images (n, height, width, n_colors) in gray, or in three colors."""
    n_colors = pictures.shape[-1]
    return pictures[..., :3] if n_colors in (3, 4) else pictures.mean(axis=-1)


def _superpixels(pictures: np.ndarray, options: dict) -> np.ndarray:
    """Return the superpixel of each pixel, (n, height, width)."""
    from skimage.segmentation import slic

    groups, shape = options["groups"], pictures.shape[:3]
    if groups is not None and not _is_name(groups, SUPERPIXEL):
        if isinstance(groups, (str, dict)):
            raise ValueError(
                f"groups={groups!r} must be {SUPERPIXEL!r} or integers for images."
            )
        return np.broadcast_to(_numbered_groups(groups, shape[1:], "an image"), shape)
    n_pixels = shape[1] * shape[2]
    n_segments = options["n_segments"] or min(
        _N_SUPERPIXELS, max(2, n_pixels // _PIXELS_OF_ONE)
    )
    found = [
        slic(
            _between_0_and_1(picture),  # by its own scale: others have no say
            n_segments=n_segments,
            compactness=_COMPACTNESS,
            start_label=0,
            channel_axis=-1,
        )
        for picture in pictures
    ]
    return np.stack(found)
