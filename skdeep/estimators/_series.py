"""Checks of time series that a user passes to a forecaster, and of their columns."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_y,
)

from skdeep.encoding import (
    DATES_IN_INDEX,
    TimeAxis,
    find_columns,
    float_dtype,
    holding_numbers,
    learn_time_axis,
    numbered_rows,
    split_columns,
    times_of,
)
from skdeep.estimators._validation import Schema, flatten_column, stand_in

_NAMES = " The name of a series goes into the column that groups names."


@dataclass
class Layout:
    """Which columns are what, as positions among those that hold numbers.

    ``own`` are the columns of the targets' own past, ``known`` those known in advance;
    ``names`` are the names of the targets, if they have some; ``has_y`` tells whether
    they were given as y. ``columns`` are the positions of ``own`` among all columns.
    """

    own: list[int]
    known: list[int]
    n_targets: int
    names: list | None
    has_y: bool
    columns: list[int]

    def shaped(self, forecasts: np.ndarray, index: pd.Index | None):
        """Return forecasts (n, n_targets) shaped as the target, framed by an index."""
        is_flat = self.n_targets == 1
        if index is None:
            return forecasts[:, 0] if is_flat else forecasts
        if is_flat:
            name = None if self.names is None else self.names[0]
            return pd.Series(forecasts[:, 0], index=index, name=name)
        return pd.DataFrame(forecasts, index=index, columns=self.names)

    def interval(self, ends: np.ndarray, index: pd.Index | None):
        """Return intervals (n, n_targets, 2) likewise."""
        is_flat = self.n_targets == 1
        if index is None:
            return ends[:, 0] if is_flat else ends
        sides: Any = ["lower", "upper"]
        if not is_flat:
            names = self.names or range(self.n_targets)
            sides = pd.MultiIndex.from_product([names, sides])
        return pd.DataFrame(ends.reshape(len(ends), -1), index=index, columns=sides)


@dataclass
class Group:
    """One of several series: where its rows are, and their times if they have some."""

    key: Any
    rows: np.ndarray
    times: pd.Index | None

    @property
    def has_dates(self) -> bool:
        """Whether the times are more than numbers."""
        return self.times is not None and not is_numeric_dtype(self.times.dtype)

    @property
    def has_numbers_of_its_own(self) -> bool:
        """Whether the times are numbers that pandas did not count up itself."""
        is_counted = isinstance(self.times, pd.RangeIndex) and self.times[0] == 0
        is_own = self.key is None and self.times is not None and not is_counted
        return is_own and not self.has_dates

    def time_axis(self, freq, n_ahead: int) -> TimeAxis | None:
        """Learn how the times go on."""
        if self.key is not None and self.times is not None and not self.has_dates:
            return numbered_rows(self.times)
        of = "X" if self.key is None else f"X of the series {self.key!r}"
        return learn_time_axis(self.times, freq, n_ahead, of)


@dataclass
class Series:
    """Checked rows of one series or several.

    ``numeric`` is (n_rows, n_columns) without the column that names the series;
    ``index`` is that of a DataFrame whose rows have dates; ``float_type`` names the
    type that the user's numbers have.
    """

    numeric: np.ndarray
    groups: list[Group]
    index: pd.Index | None
    float_type: str

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in."""
        return self.numeric.dtype


def check_series(
    estimator, X, *, dtype, schema: Schema | None, name: str = "X", known=None
) -> tuple[Series, Schema]:
    """Check the rows of X.

    Parameters
    ----------
    estimator : estimator
        Tells by ``groups`` which column names the series.
    X : array-like of shape (n_rows, n_features)
        The user's rows.
    dtype : sequence of type
        Types that X may keep, the first being what it is converted to.
    schema : Schema or None
        What was found in the training rows. None if these are the training rows.
    name : str, default="X"
        What the rows are called.
    known : list of int, optional
        The columns that alone are to be read, of rows that a user passes as future; the
        others may hold NaN, and give 0.
    """
    reset = schema is None
    estimator = stand_in(estimator, schema)
    _check_feature_names(estimator, X, reset=reset)
    keys, rest = _split_keys(estimator, X, reset)
    arguments = dict(dtype=dtype, input_name=name, estimator=estimator)
    with holding_numbers(
        rest, name, dates=DATES_IN_INDEX, text=DATES_IN_INDEX + _NAMES
    ):
        numeric = _check_numbers(rest, known, arguments)
    if keys is None:
        _check_n_features(estimator, X, reset=reset)
    groups = _groups(X, keys, len(numeric), name)
    has_dates = groups[0].has_dates
    index = X.index if has_dates else None
    float_type = float_dtype(rest) or numeric.dtype.name
    series = Series(numeric, groups, index, float_type)
    return series, schema or Schema.of(estimator)


def _split_keys(estimator, X, reset: bool) -> tuple[np.ndarray | None, Any]:
    """Return the series of each row, if X holds several, and the other columns."""
    if estimator.groups is None or sparse.issparse(X):
        return None, X
    X = X if hasattr(X, "shape") else np.array(X, dtype=object)
    if len(X.shape) != 2:
        return None, X
    _check_n_features(estimator, X, reset=reset)
    (column,) = _columns(estimator, "groups", X, estimator.n_features_in_)
    rest, objects = split_columns(X, [column])
    keys = objects[:, 0]
    if pd.isna(keys).any():
        raise ValueError(
            f"The column groups={estimator.groups!r} must name the series of every "
            f"row; row {int(np.flatnonzero(pd.isna(keys))[0])} has no name."
        )
    return keys, rest


def _check_numbers(X, known: list[int] | None, arguments: dict) -> np.ndarray:
    """Check the columns that hold numbers, or of these only what is known."""
    if known is None:
        return check_array(X, **arguments)
    rows = check_array(X, ensure_all_finite=False, **arguments)
    numeric = np.zeros_like(rows)
    if rows.shape[1] > max(known):  # if not, the number of columns is refused next
        numeric[:, known] = check_array(rows[:, known], **arguments)
    return numeric


def groups_of(estimator, future, schema: Schema) -> list[Group]:
    """Return which rows of a future, of which nothing else is read, are of a series."""
    if estimator.groups is None:
        return [Group(None, np.arange(0), times_of(future, "future"))]
    keys, _ = _split_keys(stand_in(estimator, schema), future, reset=False)
    return _groups(future, keys, 0, "future")


def _groups(X, keys: np.ndarray | None, n_rows: int, name: str) -> list[Group]:
    """Sort rows by series, the series in the order in which they first come."""
    if keys is None:
        return [Group(None, np.arange(n_rows), times_of(X, name))]
    groups = []
    for key in pd.unique(keys):
        rows = np.flatnonzero(keys == key)
        part = X.iloc[rows] if hasattr(X, "iloc") else None
        try:
            times = times_of(part, name)
        except ValueError as error:
            raise ValueError(f"In the series {key!r}: {error}") from error
        groups.append(Group(key, rows, times))
    return groups


def check_series_target(estimator, y, series: Series) -> np.ndarray:
    """Check y: one target (n_rows,), or several (n_rows, n_targets)."""
    y = _check_y(y, multi_output=True, y_numeric=True, estimator=estimator)
    check_consistent_length(series.numeric, y)
    return flatten_column(y).astype(series.dtype, copy=False)


def find_layout(estimator, X, y, target: np.ndarray | None, n_features: int) -> Layout:
    """Find out which columns of X are what.

    Parameters
    ----------
    estimator : estimator
        Names columns by ``target_columns``, ``known_columns`` and ``groups``.
    X, y : array-like
        The user's data.
    target : ndarray or None
        y checked, if it was given.
    n_features : int
        Number of columns of X.
    """
    names = list(getattr(X, "columns", range(n_features)))
    grouping = _columns(estimator, "groups", X, n_features)
    numeric = [i for i in range(n_features) if i not in grouping]
    own, known = (
        [
            _place(i, numeric, parameter, estimator)
            for i in _columns(estimator, parameter, X, n_features)
        ]
        for parameter in ("target_columns", "known_columns")
    )
    target_names = None if target is None else _names_of(y)
    is_named = hasattr(X, "columns")
    if target is None and estimator.target_columns is None:
        own = [i for i in range(len(numeric)) if i not in known]
    elif not own and is_named and target_names and set(target_names) <= set(names):
        own = [numeric.index(names.index(name)) for name in target_names]
    if len(set(own)) < len(own):
        raise ValueError(
            f"target_columns={estimator.target_columns!r} names a column twice."
        )
    n_targets = len(own) if target is None else target.reshape(len(target), -1).shape[1]
    if own and len(own) != n_targets:
        raise ValueError(
            f"target_columns={estimator.target_columns!r} names {len(own)} columns as "
            f"the past of y, which has {n_targets}."
        )
    if n_targets == 0:
        raise ValueError("X has no column left to forecast.")
    shared = [names[numeric[i]] for i in own if i in known]
    if shared:
        raise ValueError(
            f"known_columns={estimator.known_columns!r} holds targets, {shared}: "
            "what is forecast is not known in advance."
        )
    if target is None and is_named:
        target_names = [names[numeric[i]] for i in own]
    columns = [numeric[i] for i in own]
    return Layout(own, known, n_targets, target_names, target is not None, columns)


def _columns(estimator, parameter: str, X, n_features: int) -> list[int]:
    """Return the positions of the columns of X that a parameter names."""
    asked = getattr(estimator, parameter)
    if asked is None:
        return []
    asked = [asked] if isinstance(asked, (str, Integral)) else asked
    return find_columns(asked, X, n_features, parameter)


def _place(column: int, numeric: list[int], parameter: str, estimator) -> int:
    """Return the position of a column among those that hold numbers."""
    if column not in numeric:
        raise ValueError(
            f"{parameter}={getattr(estimator, parameter)!r} holds the column that "
            f"groups={estimator.groups!r} names."
        )
    return numeric.index(column)


def _names_of(y) -> list | None:
    """Return the names of the columns of y, if it has some."""
    if hasattr(y, "columns"):
        return list(y.columns)
    name = getattr(y, "name", None)
    return None if name is None or name == "" else [name]  # polars says ""
