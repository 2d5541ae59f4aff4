"""Checks of the rows of time series that are passed to a forecaster."""

from __future__ import annotations

from dataclasses import dataclass
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
    check_not_text,
    explaining_non_numeric,
    float_dtype,
    learn_time_axis,
    naming,
    numbered_rows,
    split_columns,
    times_of,
)
from skdeep.estimators._series_columns import (
    LABEL_PARAMETERS,
    check_unique_columns,
    get_column,
    requested_columns,
)
from skdeep.estimators._validation import Schema, check_target, stand_in

_DATE_COLUMN_ADVICE = "Set date_column to the column of dates, or make it the index."
_NAMES_ADVICE = "If a column holds the names of series, set groups to it."
_GROUPS_ADVICE = (
    "If they are several series, set groups to the column that names the series."
)


@dataclass
class Group:
    """One series: its key, the positions of its rows, and their times if any.

    ``origin`` is where the times were found. The key of a single series is None.
    """

    key: Any
    rows: np.ndarray
    times: pd.Index | None
    origin: Origin

    @property
    def has_dates(self) -> bool:
        """Whether the times are dates, periods or time differences."""
        return self.times is not None and not is_numeric_dtype(self.times.dtype)

    @property
    def has_own_numbers(self) -> bool:
        """Whether the times are numbers other than the default row numbers."""
        if self.times is None or self.has_dates:
            return False
        if self.origin.column is not None:
            return True
        is_counted = isinstance(self.times, pd.RangeIndex) and self.times[0] == 0
        return self.key is None and not is_counted

    def time_axis(self, freq, n_ahead: int) -> TimeAxis | None:
        """Return the time axis of the series; None without times."""
        is_index = self.origin.column is None and self.times is not None
        if is_index and freq is None and self.key is not None and not self.has_dates:
            # The default row numbers of one series skip the rows of the others, which
            # must not be reported as gaps.
            return numbered_rows(self.times)
        origin = self.origin
        if self.key is not None:
            origin = origin._replace(rows=f"{origin.rows} of the series {self.key!r}")
        return learn_time_axis(self.times, freq, n_ahead, origin)


@dataclass
class Series:
    """Checked rows of one or more series.

    ``numeric`` is (n_rows, n_columns) without the columns of names and dates, with NaN
    for missing values; ``index`` holds the dates of the rows, if any; ``float_type`` is
    the name of the float type of the user's numbers.
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
        Its ``groups`` and ``date_column`` name the columns that are not numeric.
    X : array-like of shape (n_rows, n_features)
        The user's rows.
    dtype : sequence of type
        Types that X may keep; any other is converted to the first.
    schema : Schema or None
        The columns of the training rows. None if these are the training rows.
    name : str, default="X"
        Name of the rows in messages.
    known : list of int, optional
        For future rows: the only columns to read. The others may hold NaN; they become
        0.
    """
    reset = schema is None
    estimator = stand_in(estimator, schema)
    # Names first: all later checks find columns by name.
    check_unique_columns(X, name)
    _check_feature_names(estimator, X, reset=reset)
    rest, keys, times, labels = _split_labels(estimator, X, reset, name)
    if hasattr(rest, "columns") and not len(rest.columns):
        raise ValueError(
            f"Found array with 0 feature(s) (shape={rest.shape}) while a minimum of 1 "
            f"is required: {name} has no numeric column."
        )
    arguments = dict(dtype=dtype, input_name=name, estimator=estimator)
    with (
        naming(name),
        explaining_non_numeric(
            rest, name, dates=_DATE_COLUMN_ADVICE, text=_NAMES_ADVICE
        ),
    ):
        numeric = _check_numbers(rest, known, arguments)
    if times is X:  # otherwise `_split_labels` has checked the number of columns
        _check_n_features(estimator, X, reset=reset)
    groups = _split_series(times, keys, len(numeric), _origin(estimator, name))
    if known is None:
        _check_missing(numeric, groups, labels, is_training=reset)
    index = None
    if groups[0].has_dates:
        # Results must be aligned with the rows of a data frame of pandas.
        index = X.index if hasattr(X, "iloc") else times.index
    float_type = float_dtype(rest) or numeric.dtype.name
    series = Series(numeric, groups, index, float_type)
    return series, schema or Schema.of(estimator)


def _origin(estimator, name: str) -> Origin:
    """Return where the times of rows are found, for messages."""
    advice = _GROUPS_ADVICE if estimator.groups is None else ""
    return Origin(name, estimator.date_column, advice)


def _split_labels(estimator, X, reset: bool, name: str) -> tuple[Any, Any, Any, list]:
    """Split off the columns named by ``groups`` and ``date_column``.

    Returns
    -------
    rest : array-like
        The other columns.
    keys : ndarray or None
        The series of each row, if X holds several.
    times : object
        Its index holds the times of the rows, if any.
    labels : list
        Names or positions of the other columns.
    """
    asked = [p for p in LABEL_PARAMETERS if getattr(estimator, p) is not None]
    if asked and not hasattr(X, "shape") and not hasattr(X, "columns"):
        X = np.array(X, dtype=object)  # otherwise names would turn all into text
    if not asked or sparse.issparse(X) or len(X.shape) != 2:
        return X, None, X, list(getattr(X, "columns", ()))
    _check_n_features(estimator, X, reset=reset)
    n_features = estimator.n_features_in_
    columns = {p: requested_columns(estimator, p, X, n_features)[0] for p in asked}
    if len(set(columns.values())) < len(asked):
        raise ValueError(
            f"groups={estimator.groups!r} and date_column={estimator.date_column!r} "
            "must name different columns."
        )
    keys, times = None, X
    rest, _ = split_columns(X, sorted(columns.values()))
    if "groups" in columns:
        keys = _check_keys(estimator, split_columns(X, [columns["groups"]])[1][:, 0])
    if "date_column" in columns:
        column = get_column(X, columns["date_column"])
        times = pd.DataFrame(index=_dates_index(column, estimator.date_column, name))
    names = list(getattr(X, "columns", range(n_features)))
    labels = [n for i, n in enumerate(names) if i not in columns.values()]
    return rest, keys, times, labels


def _check_keys(estimator, keys: np.ndarray) -> np.ndarray:
    """Check that no name of a series is missing, and return the names."""
    if pd.isna(keys).any():
        raise ValueError(
            f"The column groups={estimator.groups!r} must name the series of every "
            f"row; it is missing in row {int(np.flatnonzero(pd.isna(keys))[0])}."
        )
    return keys


def _dates_index(column: pd.Series, parameter, name: str) -> pd.Index:
    """Convert a column of dates to an index.

    Parameters
    ----------
    column : Series
        Dates, periods, text in ISO 8601, or numbers.
    parameter : str or int
        Value of the parameter ``date_column``, for messages.
    name : str
        Name of the rows in messages.
    """
    if column.isna().any():
        raise ValueError(
            f"The column date_column={parameter!r} of {name} must hold the date of "
            f"every row; it is missing in row {int(np.flatnonzero(column.isna())[0])}."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    column = column.infer_objects()
    if pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
        try:
            column = pd.to_datetime(column, format="ISO8601")
        except (ValueError, TypeError) as error:
            reason = str(error).partition(". ")[0]
            raise ValueError(
                f"The column date_column={parameter!r} of {name} holds text that is "
                f"not a date in ISO 8601 ({reason}). Convert it by pandas.to_datetime, "
                "with utc=True if the dates are in several time zones."
            ) from error
    index = pd.Index(column)
    if index.dtype.kind not in "iufmM" and not isinstance(index, pd.PeriodIndex):
        raise ValueError(
            f"The column date_column={parameter!r} of {name} must hold dates, got "
            f"values of type {index.dtype}."
        )
    return index


def _check_missing(
    numeric: np.ndarray, groups: list[Group], labels: list, is_training: bool
) -> None:
    """Raise if a column has no value; warn of values missing inside a series.

    A column may begin with missing values. In prediction it may also end with them: the
    rows to forecast have no value yet.
    """
    is_missing = np.isnan(numeric)
    if not is_missing.any():
        return
    counts: dict = {}
    for group in groups:
        missing = is_missing[group.rows]
        # Accumulated, "missing so far" is the beginning of a column without values.
        inside = missing & ~np.logical_and.accumulate(missing)
        if not is_training:
            inside &= ~np.logical_and.accumulate(missing[::-1])[::-1]
        for column, n in enumerate(inside.sum(axis=0)):
            label = labels[column] if labels else column
            if is_training and missing[:, column].all():
                where = "X" if group.key is None else f"the series {group.key!r}"
                raise ValueError(
                    f"The column {label!r} of {where} has no value: all its "
                    f"{len(missing)} rows are NaN."
                )
            if n:
                counts[label] = counts.get(label, 0) + int(n)
    if counts:
        listed = ", ".join(f"{n} in {label!r}" for label, n in counts.items())
        warn(
            f"X has missing values (NaN) inside its series: {listed}. As inputs they "
            "are replaced by the value before; as targets they are ignored. Fill them "
            "first if you know better values."
        )


def _check_numbers(X, known: list[int] | None, arguments: dict) -> np.ndarray:
    """Check the numeric columns, or only those known in advance."""
    if known is None:
        return check_array(X, ensure_all_finite="allow-nan", **arguments)
    rows = check_array(X, ensure_all_finite=False, **arguments)
    numeric = np.zeros_like(rows)
    if rows.shape[1] > max(known):  # otherwise `_check_n_features` raises next
        numeric[:, known] = check_array(rows[:, known], **arguments)
    return numeric


def split_future(estimator, future, schema: Schema) -> list[Group]:
    """Split future rows by series, reading their dates but none of their numbers."""
    estimator = stand_in(estimator, schema)
    _, keys, times, _ = _split_labels(estimator, future, False, "future")
    return _split_series(times, keys, 0, _origin(estimator, "future"))


def _split_series(
    times, keys: np.ndarray | None, n_rows: int, origin: Origin
) -> list[Group]:
    """Split rows by series, in the order in which the series first occur.

    The index of ``times`` holds the times of the rows, if any.
    """
    if keys is None:
        return [Group(None, np.arange(n_rows), times_of(times, origin), origin)]
    groups = []
    # In order of occurrence. numpy.unique sorts, and fails for keys of several types.
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
    check_not_text(y, "y")
    return y.astype(series.dtype, copy=False)
