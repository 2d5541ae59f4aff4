"""Checks of time series that a user passes to a forecaster, and of their columns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
)

from skdeep._messages import warn
from skdeep.encoding import (
    Origin,
    TimeAxis,
    find_columns,
    float_dtype,
    holding_numbers,
    learn_time_axis,
    naming,
    numbered_rows,
    refuse_text,
    split_columns,
    tensor_to_numpy,
    times_of,
)
from skdeep.estimators._validation import Schema, check_target, stand_in

_DATES = "Name the column of the rows' dates in date_column, or make it the index."
_NAMES = "The name of a series goes into the column that groups names."

# Parameters that name columns which hold no numbers.
LABEL_PARAMETERS = ("groups", "date_column")


@dataclass
class Layout:
    """Which columns are what, as positions among those that hold numbers.

    ``own`` are the columns of the targets' own past, ``known`` those known in advance;
    ``names`` are the names of the targets, if they have some; ``has_y`` tells whether
    they were given as y. ``columns`` are the positions of ``own`` among all columns.
    ``numeric`` are the positions of all columns that hold numbers, ``labels`` the names
    of all columns of X, if they have some.
    """

    own: list[int]
    known: list[int]
    n_targets: int
    names: list | None
    has_y: bool
    columns: list[int]
    numeric: list[int]
    labels: list | None

    def name_of(self, column: int) -> Any:
        """Return the name, or position, of a column that holds numbers."""
        place = self.numeric[column]
        return place if self.labels is None else self.labels[place]

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
    """One of several series: where its rows are, and their times if they have some.

    ``origin`` tells where the times were found.
    """

    key: Any
    rows: np.ndarray
    times: pd.Index | None
    origin: Origin

    @property
    def has_dates(self) -> bool:
        """Whether the times are more than numbers."""
        return self.times is not None and not is_numeric_dtype(self.times.dtype)

    @property
    def has_numbers_of_its_own(self) -> bool:
        """Whether the times are numbers that pandas did not count up itself."""
        if self.times is None or self.has_dates:
            return False
        if self.origin.column is not None:
            return True
        is_counted = isinstance(self.times, pd.RangeIndex) and self.times[0] == 0
        return self.key is None and not is_counted

    def time_axis(self, freq, n_ahead: int) -> TimeAxis | None:
        """Learn how the times go on."""
        is_index = self.origin.column is None and self.times is not None
        if is_index and freq is None and self.key is not None and not self.has_dates:
            return numbered_rows(self.times)
        origin = self.origin
        if self.key is not None:
            origin = origin._replace(rows=f"{origin.rows} of the series {self.key!r}")
        return learn_time_axis(self.times, freq, n_ahead, origin)


@dataclass
class Series:
    """Checked rows of one series or several.

    ``numeric`` is (n_rows, n_columns) without the columns of names and dates, NaN where
    a value is missing; ``index`` are the dates of the rows, if they have some;
    ``float_type`` names the type that the user's numbers have.
    """

    numeric: np.ndarray
    groups: list[Group]
    index: pd.Index | None
    float_type: str

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in."""
        return self.numeric.dtype


def as_rows(X, takes_arrays: bool = True, name: str = "X"):
    """Return a single series, which has one axis, as rows of one column.

    A list of numbers, a one-dimensional array and a Series of pandas or polars are
    series; all else is returned as it is. What a mask hides becomes NaN.

    Parameters
    ----------
    X : array-like
        The user's rows.
    takes_arrays : bool, default=True
        Whether an array or a list of numbers, which could be a single row of several
        columns as well, is a series.
    name : str, default="X"
        What the rows are called.
    """
    X = tensor_to_numpy(X, name)
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(X.astype(float), np.nan)
    if hasattr(X, "to_frame") and hasattr(X, "name"):
        return X.to_frame()
    if not takes_arrays:
        return X
    is_list = isinstance(X, (list, tuple, range))
    if is_list and (not X or isinstance(X[0], (Real, Decimal))):
        X = np.array(X, dtype=float if not X else None)
    if getattr(X, "ndim", None) == 1 and not sparse.issparse(X):
        return np.asarray(X).reshape(-1, 1)
    return X


def check_series(
    estimator, X, *, dtype, schema: Schema | None, name: str = "X", known=None
) -> tuple[Series, Schema]:
    """Check the rows of X.

    Parameters
    ----------
    estimator : estimator
        Tells by ``groups`` and ``date_column`` which columns hold no numbers.
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
    _refuse_repeated_columns(X, name)
    _check_feature_names(estimator, X, reset=reset)
    rest, keys, times, labels = _split_labels(estimator, X, reset, name)
    if hasattr(rest, "columns") and not len(rest.columns):
        raise ValueError(
            f"Found array with 0 feature(s) (shape={rest.shape}) while a minimum of 1 "
            f"is required: {name} has no column of numbers."
        )
    arguments = dict(dtype=dtype, input_name=name, estimator=estimator)
    with naming(name), holding_numbers(rest, name, dates=_DATES, text=_NAMES):
        numeric = _check_numbers(rest, known, arguments)
    if times is X:  # else the number of columns is known to be right
        _check_n_features(estimator, X, reset=reset)
    origin = Origin(name, estimator.date_column)
    groups = _groups(times, keys, len(numeric), origin)
    if known is None:
        _look_at_missing(numeric, groups, labels, is_training=reset)
    index = times.index if groups[0].has_dates else None
    float_type = float_dtype(rest) or numeric.dtype.name
    series = Series(numeric, groups, index, float_type)
    return series, schema or Schema.of(estimator)


def _refuse_repeated_columns(X, name: str) -> None:
    columns = list(getattr(X, "columns", ()))
    repeated = [c for i, c in enumerate(columns) if c in columns[:i]]
    if repeated:
        raise ValueError(f"{name} has several columns of one name: {repeated}.")


def _split_labels(estimator, X, reset: bool, name: str) -> tuple[Any, Any, Any, list]:
    """Split off the columns that hold no numbers.

    Returns
    -------
    rest : array-like
        The other columns.
    keys : ndarray or None
        The series of each row, if X holds several.
    times : object
        Its index holds the rows' times, if they have some.
    labels : list
        Names or positions of the other columns.
    """
    asked = [p for p in LABEL_PARAMETERS if getattr(estimator, p) is not None]
    if asked and not hasattr(X, "shape") and not hasattr(X, "columns"):
        X = np.array(X, dtype=object)
    if not asked or sparse.issparse(X) or len(X.shape) != 2:
        return X, None, X, list(getattr(X, "columns", ()))
    _check_n_features(estimator, X, reset=reset)
    n_features = estimator.n_features_in_
    columns = {p: _columns(estimator, p, X, n_features)[0] for p in asked}
    if len(set(columns.values())) < len(asked):
        raise ValueError(
            f"groups={estimator.groups!r} and date_column={estimator.date_column!r} "
            "name the same column."
        )
    keys, times = None, X
    rest, _ = split_columns(X, sorted(columns.values()))
    if "groups" in columns:
        keys = _keys(estimator, split_columns(X, [columns["groups"]])[1][:, 0])
    if "date_column" in columns:
        column = _column(X, columns["date_column"])
        times = pd.DataFrame(index=as_times(column, estimator.date_column, name))
    names = list(getattr(X, "columns", range(n_features)))
    labels = [n for i, n in enumerate(names) if i not in columns.values()]
    return rest, keys, times, labels


def _keys(estimator, keys: np.ndarray) -> np.ndarray:
    """Return the names of the series of the rows, none of which may be missing."""
    if pd.isna(keys).any():
        raise ValueError(
            f"The column groups={estimator.groups!r} must name the series of every "
            f"row; row {int(np.flatnonzero(pd.isna(keys))[0])} has no name."
        )
    return keys


def _column(X, place: int) -> pd.Series:
    """Return a column with the type that pandas gives it."""
    if hasattr(X, "iloc"):
        return X.iloc[:, place]
    names = getattr(X, "columns", None)
    name = None if names is None else list(names)[place]
    return pd.Series(list(X[:, place]), name=name, dtype=object).infer_objects()


def as_times(column: pd.Series, parameter, name: str) -> pd.Index:
    """Return the index that a column of dates makes.

    Parameters
    ----------
    column : Series
        Dates, periods, text in ISO 8601, or numbers.
    parameter : str or int
        What ``date_column`` names.
    name : str
        What the rows are called.
    """
    if column.isna().any():
        raise ValueError(
            f"The column date_column={parameter!r} of {name} must give the date of "
            f"every row; row {int(np.flatnonzero(column.isna())[0])} has none."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    column = column.infer_objects()
    if pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
        try:
            column = pd.to_datetime(column, format="ISO8601")
        except (ValueError, TypeError) as error:
            told = str(error).partition(". ")[0]
            raise ValueError(
                f"The column date_column={parameter!r} of {name} holds text that is no "
                f"date in ISO 8601 ({told}). Pass dates, as pandas.to_datetime gives "
                "them."
            ) from error
    index = pd.Index(column)
    if index.dtype.kind not in "iufmM" and not isinstance(index, pd.PeriodIndex):
        raise ValueError(
            f"The column date_column={parameter!r} of {name} must hold dates, got "
            f"values of type {index.dtype}."
        )
    return index


def _look_at_missing(
    numeric: np.ndarray, groups: list[Group], labels: list, is_training: bool
) -> None:
    """Refuse columns without any value; warn of values missing inside a series.

    A series may begin later than its rows. After training it may also end earlier:
    what is to be forecast has no value yet.
    """
    is_missing = np.isnan(numeric)
    if not is_missing.any():
        return
    counts: dict = {}
    for group in groups:
        missing = is_missing[group.rows]
        inside = missing & ~np.logical_and.accumulate(missing)
        if not is_training:
            inside &= ~np.logical_and.accumulate(missing[::-1])[::-1]
        for column, n in enumerate(inside.sum(axis=0)):
            label = labels[column] if labels else column
            if is_training and missing[:, column].all():
                where = "X" if group.key is None else f"the series {group.key!r}"
                raise ValueError(
                    f"The column {label!r} of {where} has no value: all of its "
                    f"{len(missing)} rows hold NaN."
                )
            if n:
                counts[label] = counts.get(label, 0) + int(n)
    if counts:
        told = ", ".join(f"{n} in {label!r}" for label, n in counts.items())
        warn(
            f"X has missing values (NaN) inside its series: {told}. Each is read as "
            "the value before it, and is not learnt as a target. Fill gaps before if "
            "something else is known of them."
        )


def _check_numbers(X, known: list[int] | None, arguments: dict) -> np.ndarray:
    """Check the columns that hold numbers, or of these only what is known."""
    if known is None:
        return check_array(X, ensure_all_finite="allow-nan", **arguments)
    rows = check_array(X, ensure_all_finite=False, **arguments)
    numeric = np.zeros_like(rows)
    if rows.shape[1] > max(known):  # if not, the number of columns is refused next
        numeric[:, known] = check_array(rows[:, known], **arguments)
    return numeric


def groups_of(estimator, future, schema: Schema) -> list[Group]:
    """Return which rows of a future, of which nothing else is read, are of a series."""
    estimator = stand_in(estimator, schema)
    _, keys, times, _ = _split_labels(estimator, future, False, "future")
    return _groups(times, keys, 0, Origin("future", estimator.date_column))


def _groups(times, keys: np.ndarray | None, n_rows: int, origin: Origin) -> list[Group]:
    """Sort rows by series, the series in the order in which they first come.

    The index of ``times`` holds their times, if they have some.
    """
    if keys is None:
        return [Group(None, np.arange(n_rows), times_of(times, origin), origin)]
    groups = []
    for key in pd.unique(keys):
        rows = np.flatnonzero(keys == key)
        part = times.iloc[rows] if hasattr(times, "iloc") else None
        try:
            found = times_of(part, origin)
        except ValueError as error:
            raise ValueError(f"In the series {key!r}: {error}") from error
        groups.append(Group(key, rows, found, origin))
    return groups


def check_series_target(estimator, y, series: Series) -> np.ndarray:
    """Check y: one target (n_rows,), or several (n_rows, n_targets)."""
    y = check_target(estimator, y, len(series.numeric))
    refuse_text(y, "y")
    return y.astype(series.dtype, copy=False)


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
    labelling = [_columns(estimator, p, X, n_features) for p in LABEL_PARAMETERS]
    numeric = [i for i in range(n_features) if [i] not in labelling]
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
    return Layout(
        own,
        known,
        n_targets,
        target_names,
        has_y=target is not None,
        columns=columns,
        numeric=numeric,
        labels=names if is_named else None,
    )


def complete_future(future, estimator, layout: Layout):
    """Return rows of the future with all columns of X, if they hold but some.

    Needed are those known in advance, and those of the series and of the dates.

    Parameters
    ----------
    future : array-like
        Of a frame the columns are found by name; further ones are not read. An array
        holds all columns of X, or those known in advance in their order.
    estimator : estimator
        Names the columns.
    layout : Layout
        Of the training rows.
    """
    rows = as_rows(future, name="future")
    known = [layout.numeric[i] for i in layout.known]
    n_features = estimator.n_features_in_
    is_flat = rows is not future and len(known) == 1  # needs no name
    if hasattr(rows, "columns") and layout.labels is not None and not is_flat:
        return _by_name(rows, estimator, layout, known)
    if not hasattr(rows, "shape"):
        rows = np.array(rows, dtype=object)
    is_part = len(rows.shape) == 2 and rows.shape[1] == len(known) < n_features
    if not is_part or any(getattr(estimator, p) is not None for p in LABEL_PARAMETERS):
        return rows
    full = np.full((len(rows), n_features), np.nan, dtype=object)
    full[:, known] = np.asarray(rows, dtype=object)
    if layout.labels is None:
        return full
    return pd.DataFrame(full, getattr(rows, "index", None), layout.labels)


def _by_name(future, estimator, layout: Layout, known: list[int]) -> pd.DataFrame:
    """Return a frame with all columns of X, NaN in those that are not read."""
    labels: Any = layout.labels
    asked = [
        _columns(estimator, p, _Named(labels), len(labels)) for p in LABEL_PARAMETERS
    ]
    needed = [labels[i] for part in (known, *asked) for i in part]
    names = list(future.columns)
    missing = [name for name in needed if name not in names]
    if missing:
        raise ValueError(
            f"future must hold the columns {needed}, which are known in advance or "
            f"name the series or date of a row; {missing} are missing among {names}."
        )
    _refuse_repeated_columns(future, "future")
    columns = {name: _column(future, names.index(name)) for name in needed}
    index = getattr(future, "index", pd.RangeIndex(len(future)))
    frame = pd.DataFrame(columns, index=index)
    return frame.reindex(columns=labels)


@dataclass
class _Named:
    """The names of the columns of X."""

    columns: list


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
        named = [
            f"{other}={getattr(estimator, other)!r}"
            for other in LABEL_PARAMETERS
            if getattr(estimator, other) is not None
        ]
        raise ValueError(
            f"{parameter}={getattr(estimator, parameter)!r} holds a column that "
            f"{' or '.join(named)} names."
        )
    return numeric.index(column)


def _names_of(y) -> list | None:
    """Return the names of the columns of y, if it has some."""
    if hasattr(y, "columns"):
        return list(y.columns)
    name = getattr(y, "name", None)
    return None if name is None or name == "" else [name]  # polars says ""
