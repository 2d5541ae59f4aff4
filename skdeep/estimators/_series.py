"""Checks of time series that a user passes to a forecaster, and of their columns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_y,
    column_or_1d,
)

from skdeep.encoding import find_columns, split_columns, time_labels

# A step between labels is usual if at least this share of them is as long.
_USUAL_SHARE = 0.01


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
    ``index`` is that of a DataFrame whose rows have dates.
    """

    numeric: np.ndarray
    groups: list[Group]
    index: pd.Index | None

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in."""
        return self.numeric.dtype

    def dates(self, group: Group) -> Dates | None:
        """Return where the dates of a series end and how they go on."""
        return None if self.index is None else Dates.of(self.index[group.rows])


def check_series(estimator, X, *, dtype, reset: bool, known=None) -> Series:
    """Check the rows of X.

    Parameters
    ----------
    estimator : estimator
        Tells by ``groups`` which column names the series; gets ``n_features_in_`` and
        ``feature_names_in_``.
    X : array-like of shape (n_rows, n_features)
        The user's rows.
    dtype : sequence of type
        Types that X may keep, the first being what it is converted to.
    reset : bool
        Whether these are the data to remember for later checks.
    known : list of int, optional
        The columns that alone are to be read; the others may hold NaN, and give 0.
    """
    keys = None
    rest = X
    _check_feature_names(estimator, X, reset=reset)
    if estimator.groups is not None and len(getattr(X, "shape", ())) == 2:
        _check_n_features(estimator, X, reset=reset)
        (column,) = find_columns([estimator.groups], X, X.shape[1], "groups")
        rest, objects = split_columns(X, [column])
        keys = objects[:, 0]
        if pd.isna(keys).any():
            raise ValueError(
                f"The column groups={estimator.groups!r} must name the series of every "
                f"row; row {int(np.flatnonzero(pd.isna(keys))[0])} has no name."
            )
    arguments = dict(dtype=dtype, input_name="X", estimator=estimator)
    if known is None:
        numeric = check_array(rest, **arguments)
    else:
        read = check_array(rest, ensure_all_finite=False, **arguments)[:, known]
        numeric = np.zeros((len(read), np.shape(rest)[1]), read.dtype)
        numeric[:, known] = check_array(read, **arguments)
    if keys is None:
        _check_n_features(estimator, X, reset=reset)
    groups = _groups(X, keys, len(numeric))
    if reset:
        for group in groups:
            _warn_of_gaps(group)
    index = getattr(X, "index", None)
    has_dates = isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex))
    return Series(numeric, groups, index if has_dates else None)


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
    steps = np.diff(group.labels)
    lengths, counts = np.unique(steps, return_counts=True)
    usual = lengths[counts >= max(_USUAL_SHARE * len(steps), 2)]
    if not len(usual):
        return
    # Days of trading skip weekends and holidays; what is regular skips nothing.
    is_regular = counts.max() >= (1 - _USUAL_SHARE) * len(steps)
    limit = lengths[counts.argmax()] if is_regular else 2 * usual.max()
    gaps = np.flatnonzero(steps > limit)
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
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return y.astype(series.dtype, copy=False)


def names_of(y) -> list | None:
    """Return the names of the columns of y, if it has some."""
    if isinstance(y, pd.Series):
        return None if y.name is None else [y.name]
    columns = getattr(y, "columns", None)
    return None if columns is None else list(columns)


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
    def of(cls, index: pd.Index) -> Dates | None:
        """Read them off an index; a single date tells no step."""
        step = _step_of(index)
        if step is None:
            return None
        zone = getattr(index, "tz", None)
        is_period = isinstance(index, pd.PeriodIndex)
        last = str(index[-1]) if zone is None else str(index[-1].tz_convert("UTC"))
        return cls(
            last, step, None if zone is None else str(zone), index.name, is_period
        )

    def after(self, n_steps: int) -> pd.Index:
        """Return the dates that follow."""
        if self.is_period:
            last = pd.Period(self.last, freq=self.step)
            return pd.period_range(last + 1, periods=n_steps, name=self.name)
        stamp = pd.Timestamp(self.last)
        stamp = stamp if self.timezone is None else stamp.tz_convert(self.timezone)
        offset = pd.tseries.frequencies.to_offset(self.step)
        return pd.date_range(
            stamp + offset, periods=n_steps, freq=offset, name=self.name
        )


def _step_of(index: pd.Index) -> str | None:
    """Return the offset at which the dates of an index go on, as pandas writes it.

    The rows of shares have none of pandas' own, since holidays are missing: what is
    daily and skips every weekend goes on by business days.
    """
    if len(index) < 2 or index.freqstr is not None:
        return index.freqstr
    found = pd.infer_freq(index) if len(index) > 2 else None
    if found is not None:
        return found
    step = index.to_series().diff().median()
    if step == pd.Timedelta(days=1) and not (index.dayofweek >= 5).any():
        return "B"
    return pd.tseries.frequencies.to_offset(step).freqstr
