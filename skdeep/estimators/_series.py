"""Checks of time series that a user passes to a forecaster, and of their columns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_y,
)

from skdeep.encoding import (
    find_columns,
    float_dtype,
    holding_numbers,
    split_columns,
    time_labels,
)
from skdeep.estimators._validation import Schema, flatten_column, stand_in

# A step between labels is usual if at least this share of them is as long, and at least
# so many; a gap is so many times as long. (Days of trading skip weekends and holidays.)
_USUAL_SHARE, _USUAL_COUNT, _GAP = 0.01, 3, 1.8


_DATES = "The dates of the rows make the index."
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
    labels: np.ndarray | None


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

    def dates(self, group: Group, step: str | None = None) -> Dates | None:
        """Return where the dates of a series end and how they go on, if by no step."""
        return None if self.index is None else Dates.of(self.index[group.rows], step)


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
    with holding_numbers(rest, name, dates=_DATES, text=_DATES + _NAMES):
        numeric = _check_numbers(rest, known, arguments)
    if keys is None:
        _check_n_features(estimator, X, reset=reset)
    groups = _groups(X, keys, len(numeric))
    if reset:
        for group in groups:
            _warn_of_gaps(group)
    index = getattr(X, "index", None)
    has_dates = isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex))
    float_type = float_dtype(rest) or numeric.dtype.name
    series = Series(numeric, groups, index if has_dates else None, float_type)
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


def _groups(X, keys: np.ndarray | None, n_rows: int) -> list[Group]:
    """Sort rows by series, the series in the order in which they first come."""
    if keys is None:
        return [Group(None, np.arange(n_rows), time_labels(X))]
    groups = []
    for key in pd.unique(keys):
        rows = np.flatnonzero(keys == key)
        part = X.iloc[rows] if hasattr(X, "iloc") else None
        try:
            labels = time_labels(part)
        except ValueError as error:
            raise ValueError(f"In the series {key!r}: {error}") from error
        groups.append(Group(key, rows, labels))
    return groups


def _warn_of_gaps(group: Group) -> None:
    """Warn where a step between two dates is longer than any usual one."""
    if group.labels is None or len(group.labels) < 3:
        return
    if group.key is not None and group.labels.dtype.kind in "iuf":
        return  # rows numbered across several series
    steps = np.diff(group.labels)
    lengths, counts = np.unique(steps, return_counts=True)
    usual = lengths[counts >= max(_USUAL_SHARE * len(steps), _USUAL_COUNT)]
    if not len(usual):
        return
    gaps = np.flatnonzero(steps > _GAP * usual.max())
    if not len(gaps):
        return
    longest = gaps[np.argmax(steps[gaps])]
    name = "" if group.key is None else f" of the series {group.key!r}"
    warnings.warn(
        f"The index of X{name} has {len(gaps)} gap(s); the longest is between "
        f"{group.labels[longest]} and {group.labels[longest + 1]}. Rows on either side "
        "are taken as neighbours. Fill gaps before, for example by asfreq() and "
        "interpolate() of pandas.",
        UserWarning,
        stacklevel=8,
    )


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


@dataclass
class Dates:
    """Where an index of dates ends and how it goes on, in plain Python.

    Parameters
    ----------
    last : str
        The last date.
    step : str
        pandas' name of the offset from date to date.
    timezone, name : str or None
        Of the index.
    is_period : bool
        Whether it is an index of periods.
    """

    last: str
    step: str
    timezone: str | None
    name: str | None
    is_period: bool

    @classmethod
    def of(cls, index: pd.Index, step: str | None = None) -> Dates | None:
        """Read them off an index; a single date tells no step."""
        step = step or _step_of(index)
        if step is None:
            return None
        zone = getattr(index, "tz", None)
        is_period = isinstance(index, pd.PeriodIndex)
        last = str(index[-1]) if zone is None else str(index[-1].tz_convert("UTC"))
        return cls(
            last, step, None if zone is None else str(zone), index.name, is_period
        )

    @property
    def end(self) -> Any:
        """The last date, as an index has it."""
        if self.is_period:
            return pd.Period(self.last, freq=self.step)
        stamp = pd.Timestamp(self.last)
        return stamp if self.timezone is None else stamp.tz_convert(self.timezone)

    def after(self, n_steps: int) -> pd.Index:
        """Return the dates that follow."""
        if self.is_period:
            return pd.period_range(self.end + 1, periods=n_steps, name=self.name)
        offset = pd.tseries.frequencies.to_offset(self.step)
        return pd.date_range(
            self.end + offset, periods=n_steps, freq=offset, name=self.name
        )


def _step_of(index: pd.Index) -> str | None:
    """Return the offset at which the dates of an index go on, as pandas writes it.

    The rows of shares have none of pandas' own, since holidays are missing: what is
    daily and skips every weekend goes on by business days.
    """
    if len(index) < 2 or index.freqstr is not None:
        return index.freqstr
    found = pd.DatetimeIndex(index, freq="infer").freqstr
    if found is not None:
        return found
    step = index.to_series().diff().median()
    if step == pd.Timedelta(days=1) and not (index.day_of_week >= 5).any():
        return "B"
    return pd.tseries.frequencies.to_offset(step).freqstr
