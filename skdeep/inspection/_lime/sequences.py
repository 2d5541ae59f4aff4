"""Sequences, and the windows that a forecaster reads."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skdeep.inspection._lime.cells import REPLACEMENTS, CellRows, mean_cells
from skdeep.inspection._lime.user_input import (
    as_floats,
    equals_string,
    feature_names,
    has_labels,
    named_groups,
    numbered_groups,
    read_rows,
    time_labels,
)

_GROUPS = ("cell", "feature", "time")

# Default number of time segments.
_N_SEGMENTS = 10


def sequence_rows(
    X, background, names: list, options: dict, times: list | None = None
) -> CellRows:
    """Return sequences as rows to explain.

    ``times`` are the names of the timesteps; None counts back from the last one.
    """
    X, background = as_floats(X, "X"), as_floats(background, "background")
    if np.isnan(background).all():
        raise ValueError("background must contain numbers, got only NaN.")
    means = np.broadcast_to(mean_cells(background), X.shape)
    return _sequences(X, background, means, names, options, times or _times(X.shape[1]))


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
    if groups is None or equals_string(groups, "cell"):
        cells = [f"{name} {_time(time)}" for time in times for name in names]
        return np.arange(len(cells)).reshape(shape), cells
    if equals_string(groups, "feature"):
        return np.broadcast_to(np.arange(shape[1]), shape), [str(n) for n in names]
    if equals_string(groups, "time"):
        n_segments = min(options["n_segments"] or _N_SEGMENTS, len(times))
        segments = [
            list(part) for part in np.array_split(range(len(times)), n_segments)
        ]
        of_time = np.repeat(range(n_segments), [len(part) for part in segments])
        return np.broadcast_to(of_time[:, np.newaxis], shape), [
            _span(times[part[0]], times[part[-1]]) for part in segments
        ]
    if isinstance(groups, dict):
        found = named_groups(groups, names)
        of_feature = np.empty(len(names), dtype=int)
        for k, features in enumerate(found.values()):
            of_feature[features] = k
        return np.broadcast_to(of_feature, shape), list(found)
    if isinstance(groups, str):
        raise ValueError(
            f"groups={groups!r} must be one of {list(_GROUPS)} for sequences."
        )
    numbers = numbered_groups(groups, shape, "a sequence")
    return numbers, [f"group {k}" for k in range(numbers.max() + 1)]


def _times(n_before: int, n_after: int = 0) -> list:
    """Return the times of rows; the last known row is at 0."""
    return list(range(1 - n_before, 1 + n_after))


def _time(time) -> str:
    """Return the name of a timestep: its label, or its distance from the last one."""
    if not isinstance(time, int):
        return str(time).removesuffix(" 00:00:00")
    return f"t{time:+d}" if time else "t"


def _span(first, last) -> str:
    """Return the name of a time segment."""
    return _time(first) if first == last else f"{_time(first)} … {_time(last)}"


def window_rows(forecaster, X, background, options: dict) -> CellRows:
    """Return the windows of a forecaster as rows to explain."""
    if forecaster.groups is not None:
        raise ValueError(
            "Forecasters of several series (groups) cannot be explained; fit one to a "
            "single series."
        )
    if forecaster.date_column is not None:
        raise ValueError(
            f"Forecasters with date_column={forecaster.date_column!r} cannot be "
            "explained; fit one to rows with the dates in their index."
        )
    n_ahead = forecaster.horizon if forecaster.known_columns else 0
    length = forecaster.window + n_ahead
    times = _times(forecaster.window, n_ahead)
    rows = _series(forecaster, X, "X")
    if rows.ndim == 2:
        if has_labels(X) and len(X) >= length:
            times = time_labels(X.index[-length:])
        rows = rows[np.newaxis, -length:]
    if rows.shape[1] != length:
        raise ValueError(
            f"X must have at least {length} rows, or be windows of {length} rows each "
            "(with known_columns these include the rows to forecast), got shape "
            f"{X.shape}."
        )
    _check_no_missing(rows, "X")
    # Not the mean of the whole series, which may be far from the window's level.
    means = np.ma.masked_invalid(rows).mean(axis=1, keepdims=True).filled(0.0)
    others = rows
    if background is not None:
        others = _make_windows(_series(forecaster, background, "background"), length)
        _check_no_missing(others, "background")
        means = mean_cells(others)
    elif options["replacement"] == "noise":
        raise ValueError(
            "background must be given for a forecaster if replacement='noise': the "
            "replacements come from its rows."
        )
    known = getattr(forecaster, "feature_names_in_", None)
    given = options["feature_names"]
    names = feature_names(forecaster, rows, known if given is None else given)
    means = np.broadcast_to(means, rows.shape)
    return _sequences(rows, others, means, names, options, times)


def _check_no_missing(windows: np.ndarray, name: str) -> None:
    """Raise if values are missing: the forecaster fills them from earlier rows."""
    if np.isnan(windows).any():
        raise ValueError(
            f"{name} must not have missing values (NaN) in the windows of a "
            "forecaster: fill them first."
        )


def _series(forecaster, X, name: str) -> np.ndarray:
    """Return the rows of a series, or windows, with the columns of ``fit``."""
    rows = read_rows(X, name)
    known = getattr(forecaster, "feature_names_in_", None)
    if isinstance(rows, pd.DataFrame) and known is not None:
        if not set(known) <= set(rows.columns):
            raise ValueError(
                f"{name} must have the columns {list(known)}, as in fit, got "
                f"{list(rows.columns)}."
            )
        rows = rows[list(known)]
    if rows.shape[-1] != forecaster.n_features_in_:
        raise ValueError(
            f"{name} must have {forecaster.n_features_in_} columns, as in fit, got "
            f"{rows.shape[-1]}."
        )
    return as_floats(rows, name)


def _make_windows(series: np.ndarray, length: int) -> np.ndarray:
    """Return the windows of a series; windows are returned as they are."""
    if series.ndim == 2 and len(series) > length:
        windows = np.lib.stride_tricks.sliding_window_view(series, length, axis=0)
        return windows.transpose(0, 2, 1)
    if series.ndim != 3 or series.shape[1] != length or len(series) < 2:
        raise ValueError(
            f"background must have more than {length} rows, or be several windows "
            f"like those of X, got shape {series.shape}."
        )
    return series
