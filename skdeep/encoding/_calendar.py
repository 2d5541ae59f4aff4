"""Calendars: which date follows another, and how many steps lie between two."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

# Numbers may be rounded: this share of a step counts as the same position.
JITTER = 0.05
# Largest number of dates that a calendar generates; more would fill the memory.
_LARGEST_GRID = 5_000_000
_WEEK = 7 * 86_400_000_000  # microseconds


def as_offset(freq) -> Any:
    """Return the pandas offset that the parameter ``freq`` names, or None.

    Raises
    ------
    ValueError
        If it is not a frequency of pandas, or does not lead forward in time.
    """
    if freq is None:
        return None
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
        stamps = [pd.Timestamp("2000-01-15 12:00")]
        # Offsets such as -1 day are valid in pandas, but do not lead forward.
        stamps += [stamps[0] + offset, stamps[0] + offset + offset]
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"freq={freq!r} is not a pandas frequency, such as 'D', 'B', 'MS' or "
            f"pd.offsets.CustomBusinessDay(): {error}"
        ) from error
    if not stamps[0] < stamps[1] < stamps[2]:
        raise ValueError(f"freq={freq!r} must lead forward in time.")
    return offset


# --- offsets as plain values ----------------------------------------------------------


def _packed(offset) -> Any:
    """Return an offset as a list of plain values, which skops can store."""
    name, arguments = type(offset).__name__, dict(offset.kwds)
    calendar = arguments.pop("calendar", None)
    if calendar is not None:
        arguments["weekmask"] = "".join(str(int(day)) for day in calendar.weekmask)
        arguments["holidays"] = calendar.holidays.astype(str).tolist()
    for key, value in arguments.items():
        if isinstance(value, timedelta):
            arguments[key] = value // timedelta(microseconds=1)
        elif key in ("start", "end"):
            arguments[key] = [moment.strftime("%H:%M") for moment in value]
        elif isinstance(value, tuple):  # holidays
            arguments[key] = [str(item) for item in value]
    packed = [name, {"n": offset.n, "normalize": offset.normalize, **arguments}]
    # A subclass written by the user cannot be found again by name: keep the object.
    is_of_pandas = getattr(pd.offsets, name, None) is type(offset)
    is_plain = all(map(_is_plain_value, arguments.values()))
    return packed if is_of_pandas and is_plain else offset


def _is_plain_value(value) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, (str, int, float))


def _unpacked(packed) -> Any:
    if not isinstance(packed, list):
        return packed
    name, arguments = packed
    arguments = dict(arguments)
    if isinstance(arguments.get("offset"), int):
        arguments["offset"] = timedelta(microseconds=arguments["offset"])
    return getattr(pd.offsets, name)(**arguments)


# --- one calendar ---------------------------------------------------------------------


@dataclass
class Calendar:
    """The dates of a pandas offset, or of times that recur every week.

    All attributes are plain, so that it can be pickled and stored by skops.

    Parameters
    ----------
    rule : list or offset
        The offset, packed into plain values if it is one of pandas' own.
    marks : ndarray of int64, optional
        Instead of a rule: the times of a week in microseconds after midnight of Monday.
    slack : int, default=0
        Number of days that a date may lie off the calendar: the first trading day of a
        month is a later one if the first is a holiday.
    leeway : int, default=0
        Number of consecutive missing steps that are holidays rather than a gap.
    clock : int, optional
        The time of day of all dates in microseconds after midnight. Set in a time zone,
        where a daylight-saving change may have moved the time of a date.
    """

    rule: Any = None
    marks: np.ndarray | None = None
    slack: int = 0
    leeway: int = 0
    clock: int | None = None

    @classmethod
    def of(cls, offset, **options) -> Calendar:
        """Return the calendar of an offset."""
        return cls(_packed(offset), **options)

    @property
    def offset(self) -> Any:
        """The pandas offset; None for times that recur every week."""
        return None if self.rule is None else _unpacked(self.rule)

    @property
    def name(self) -> str:
        """The name of the calendar in messages."""
        if self.marks is not None:
            return f"{len(self.marks)} times a week"
        return repr(self.offset.freqstr)

    def after(self, last: pd.Timestamp, n_steps: int) -> pd.DatetimeIndex:
        """Return the dates that follow a date of the calendar.

        Raises
        ------
        ValueError
            If they lie beyond the last date that pandas can hold.
        """
        try:
            dates = self._dates(last, periods=n_steps + 1)
        except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
            raise ValueError(
                f"The {n_steps} date(s) after {last} lie beyond the last date that "
                f"pandas can represent: {error}"
            ) from error
        return self._with_freq(dates[dates > self._nearest(last)][:n_steps])

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
        """Return all dates of the calendar from one date to another."""
        return self._dates(first, end=last)

    def positions(self, dates: pd.DatetimeIndex) -> np.ndarray:
        """Count the steps from the first date to each; -1 for one off the calendar."""
        if self._is_absolute:
            return count_ticks(dates, self.offset)
        if self._size(dates) > _LARGEST_GRID:
            return np.r_[0, np.full(len(dates) - 1, -1)]
        # pandas cannot count the steps of an offset between two dates: lay them out.
        grid = self.between(dates[0], dates[-1])
        if not len(grid):
            return np.full(len(dates), -1)
        tolerance = pd.Timedelta(days=self.slack)
        return grid.get_indexer(dates, method="nearest", tolerance=tolerance)

    @property
    def _is_absolute(self) -> bool:
        """Whether a step is a fixed duration, unaffected by daylight-saving changes."""
        is_day = isinstance(self.offset, pd.offsets.Day)
        return isinstance(self.offset, pd.offsets.Tick) and not is_day

    def _size(self, dates) -> float:
        days = (dates[-1] - dates[0]) / pd.Timedelta(days=1)
        return days * (1 if self.marks is None else len(self.marks) / 7)

    def _dates(self, first, *, end=None, periods=None) -> pd.DatetimeIndex:
        """Return the dates from ``first`` to ``end``, or the first ``periods``."""
        zone, unit = first.tz, first.unit
        if self._is_absolute:
            dates = pd.date_range(first, end, periods, freq=self.offset)
            return dates.as_unit(unit)
        # Days and longer steps are counted in local time, and localized at the end.
        start = self._local_time(first)
        end = None if end is None else self._local_time(end)
        if self.marks is None:
            dates = pd.date_range(start, end, periods, freq=self.offset)
        else:
            dates = _weekly_dates(self.marks, start, end, periods)
        return localize(dates, zone).as_unit(unit)

    def _local_time(self, date: pd.Timestamp) -> pd.Timestamp:
        """Return the local time of a date, before any daylight-saving shift."""
        local = self._nearest(date).tz_localize(None)
        if self.clock is None:
            return local
        return local.normalize() + pd.Timedelta(self.clock, unit="us")

    def _nearest(self, date: pd.Timestamp) -> pd.Timestamp:
        """Return the date of the calendar that stands for a date near it."""
        if not self.slack:
            return date
        offset = self.offset
        day = offset.kwds.get("day")
        if day is not None:
            months = date.tz_localize(None).to_period("M") + np.arange(-1, 2)
            days = [_day_of(month, day, date) for month in months]
            return min(days, key=lambda other: abs(other - date))
        return offset.rollforward(date - pd.Timedelta(days=self.slack))

    def _with_freq(self, dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Return the dates with their offset as ``freq``, if they conform to it."""
        if self.marks is None:
            # pandas raises if a date does not conform: daylight saving may shift one.
            with contextlib.suppress(ValueError):
                return pd.DatetimeIndex(dates, freq=self.offset)
        return dates


def _day_of(month: pd.Period, day: int, like: pd.Timestamp) -> pd.Timestamp:
    """Return a day of a month, or its last day, at the time of day of ``like``."""
    naive = like.tz_localize(None)
    first = month.to_timestamp() + (naive - naive.normalize())
    found = first + pd.Timedelta(days=min(day, month.days_in_month) - 1)
    return localize(pd.DatetimeIndex([found]), like.tz)[0]


def localize(dates: pd.DatetimeIndex, zone) -> pd.DatetimeIndex:
    """Return local times as dates of a time zone.

    A time that a daylight-saving change skips becomes the first time after it; of a
    time that occurs twice, the first is taken.
    """
    if zone is None:
        return dates
    first = np.ones(len(dates), bool)
    dates = dates.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    # A time that is shifted forward may coincide with the next one.
    return dates.unique()


def _weekly_dates(marks: np.ndarray, first, end, periods) -> pd.DatetimeIndex:
    """Return the times of each week from ``first`` on, in local time."""
    monday = first.normalize() - pd.Timedelta(days=first.day_of_week)
    if end is None:
        n_weeks = periods // len(marks) + 2
    else:
        n_weeks = (end - monday) // pd.Timedelta(days=7) + 1
    times = np.arange(n_weeks)[:, np.newaxis] * _WEEK + marks
    dates = monday.as_unit("us") + pd.to_timedelta(times.ravel(), unit="us")
    dates = dates[dates >= first]
    return dates[:periods] if end is None else dates[dates <= end]


def count_ticks(dates: pd.DatetimeIndex, tick) -> np.ndarray:
    """Count the ticks from the first date to each; -1 if not a whole number."""
    # In a common divisor of both units: nanoseconds overflow int64 for old dates.
    n_nanos = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[dates.unit]
    shared = math.gcd(n_nanos, tick.nanos)
    passed = (dates.asi8 - dates.asi8[0]) * (n_nanos // shared)
    steps, rest = np.divmod(passed, tick.nanos // shared)
    return np.where(rest == 0, steps, -1)


@dataclass
class Steps:
    """Numbers at equal steps.

    Parameters
    ----------
    step : int or float
        Difference between consecutive numbers.
    """

    step: float
    leeway: int = 0

    @property
    def name(self) -> str:
        """The step in messages."""
        return f"{self.step:g}"

    def after(self, last, n_steps: int) -> pd.Index:
        """Return the numbers that follow a number."""
        return pd.Index(last + self.step * np.arange(1, n_steps + 1))

    def positions(self, numbers: pd.Index) -> np.ndarray:
        """Count the steps from the first number to each; -1 if not a whole number."""
        steps = (numbers.to_numpy() - numbers[0]) / self.step
        positions = np.rint(steps)
        is_off = np.abs(steps - positions) > JITTER
        return np.where(is_off, -1, positions).astype(np.int64)
