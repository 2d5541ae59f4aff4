"""Calendars: how one date follows another, and which calendar an index keeps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# An axis is irregular if more than this share of its steps is missing, and so many.
_MISSING_SHARE, _MISSING_COUNT = 0.2, 3
# If most steps are missing, these say little, and the median step is assumed.
_SPARSE_SHARE = 2 / 3
# If no more are missing, no other calendar is looked for.
_FEW_SHARE = 0.005
# Steps that differ by no more than this share are one step, measured roughly: those of
# numbers, which may be rounded, and those of dates.
_JITTER, _DATES_JITTER = 0.05, 0.01
# Dates beside their calendar: by so many days, and no more than this share of them.
_BESIDE_DAYS, _BESIDE_SHARE = 4, 0.4
# Days of trading that may be missing without a gap: holidays.
_HOLIDAYS = 2
_LARGEST_GRID = 5_000_000
_DAY, _WEEK = 86_400_000_000, 7 * 86_400_000_000  # microseconds


def as_offset(freq) -> Any:
    """Return the offset of pandas that a parameter ``freq`` names, or None.

    Raises
    ------
    ValueError
        If pandas knows no such frequency, or if it does not lead forward in time.
    """
    if freq is None:
        return None
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
        stamps = [pd.Timestamp("2000-01-15 12:00")]
        stamps += [stamps[0] + offset, stamps[0] + offset + offset]
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"freq={freq!r} is not a frequency of pandas, such as 'D', 'B', 'MS' or "
            f"pd.offsets.CustomBusinessDay(): {error}"
        ) from error
    if not stamps[0] < stamps[1] < stamps[2]:
        raise ValueError(f"freq={freq!r} must lead forward in time.")
    return offset


# --- offsets as plain values ----------------------------------------------------------


def _packed(offset) -> Any:
    """Return an offset as a list of plain values, which any file format can hold."""
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
    is_own = getattr(pd.offsets, name, None) is type(offset)
    return packed if is_own and all(map(_is_plain, arguments.values())) else offset


def _is_plain(value) -> bool:
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
    """The dates of an offset of pandas, or of times that come again every week.

    Everything stored is plain, so that it can be pickled and written by skops.

    Parameters
    ----------
    rule : list or offset
        The offset, packed in plain values if it is one of pandas' own.
    marks : ndarray of int64, optional
        Instead, the times of a week in microseconds after Monday's midnight.
    slack : int, default=0
        By how many days a date may lie beside its calendar: the first day of trading
        in a month is a later one where the first is a holiday.
    leeway : int, default=0
        How many steps may be missing without a gap: holidays.
    clock : int, optional
        The time of every day in microseconds after midnight, in a time zone in which a
        change of the clock may have moved that of a date.
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
        """The offset, if it is a calendar of one."""
        return None if self.rule is None else _unpacked(self.rule)

    @property
    def name(self) -> str:
        """How the calendar is called in a message."""
        if self.marks is not None:
            return f"{len(self.marks)} times a week"
        return repr(self.offset.freqstr)

    def after(self, last: pd.Timestamp, n_steps: int) -> pd.DatetimeIndex:
        """Return the dates that follow one date of the calendar.

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
                f"pandas can hold: {error}"
            ) from error
        return self._with_freq(dates[dates > self._nearest(last)][:n_steps])

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
        """Return all dates of the calendar from one of them to another."""
        return self._dates(first, end=last)

    def places(self, dates: pd.DatetimeIndex) -> np.ndarray:
        """Count the steps from the first date to each; -1 for one off the calendar."""
        if self._is_absolute:
            return _multiples(dates, self.offset)
        if self._size(dates) > _LARGEST_GRID:
            return np.r_[0, np.full(len(dates) - 1, -1)]
        grid = self.between(dates[0], dates[-1])
        if not len(grid):
            return np.full(len(dates), -1)
        tolerance = pd.Timedelta(days=self.slack)
        return grid.get_indexer(dates, method="nearest", tolerance=tolerance)

    @property
    def _is_absolute(self) -> bool:
        """Whether a step is a time that passes, whatever a clock on the wall shows."""
        is_day = isinstance(self.offset, pd.offsets.Day)
        return isinstance(self.offset, pd.offsets.Tick) and not is_day

    def _size(self, dates) -> float:
        days = (dates[-1] - dates[0]) / pd.Timedelta(days=1)
        return days * (1 if self.marks is None else len(self.marks) / 7)

    def _dates(self, first, *, end=None, periods=None) -> pd.DatetimeIndex:
        """Return dates from one on, to an end or so many."""
        zone, unit = first.tz, first.unit
        if self._is_absolute:
            dates = pd.date_range(first, end, periods, freq=self.offset)
            return dates.as_unit(unit)
        # All longer steps are those of the clock on the wall.
        start = self._on_the_wall(first)
        end = None if end is None else self._on_the_wall(end)
        if self.marks is None:
            dates = pd.date_range(start, end, periods, freq=self.offset)
        else:
            dates = _weekly(self.marks, start, end, periods)
        return _localized(dates, zone).as_unit(unit)

    def _on_the_wall(self, date: pd.Timestamp) -> pd.Timestamp:
        """Return what the clock shows, or would show had it not been changed."""
        shown = self._nearest(date).tz_localize(None)
        if self.clock is None:
            return shown
        return shown.normalize() + pd.Timedelta(self.clock, unit="us")

    def _nearest(self, date: pd.Timestamp) -> pd.Timestamp:
        """Return the date of the calendar that a date stands beside."""
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
        """Let pandas know the offset, where it agrees."""
        if self.marks is None:
            with contextlib.suppress(ValueError):
                return pd.DatetimeIndex(dates, freq=self.offset)
        return dates


def _day_of(month: pd.Period, day: int, like: pd.Timestamp) -> pd.Timestamp:
    """Return a day of a month, the last if there is none, at the time of another."""
    naive = like.tz_localize(None)
    first = month.to_timestamp() + (naive - naive.normalize())
    found = first + pd.Timedelta(days=min(day, month.days_in_month) - 1)
    return _localized(pd.DatetimeIndex([found]), like.tz)[0]


def _localized(dates: pd.DatetimeIndex, zone) -> pd.DatetimeIndex:
    """Return wall-clock times as dates of a time zone.

    A time that the change of the clock skips is the first after it, and of one that
    comes twice the first is taken.
    """
    if zone is None:
        return dates
    first = np.ones(len(dates), bool)
    dates = dates.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return dates.unique()


def _weekly(marks: np.ndarray, first, end, periods) -> pd.DatetimeIndex:
    """Return the times of each week from one of them on, as the clock shows them."""
    monday = first.normalize() - pd.Timedelta(days=first.day_of_week)
    if end is None:
        n_weeks = periods // len(marks) + 2
    else:
        n_weeks = (end - monday) // pd.Timedelta(days=7) + 1
    times = np.arange(n_weeks)[:, np.newaxis] * _WEEK + marks
    dates = monday.as_unit("us") + pd.to_timedelta(times.ravel(), unit="us")
    dates = dates[dates >= first]
    return dates[:periods] if end is None else dates[dates <= end]


def _multiples(dates: pd.DatetimeIndex, tick) -> np.ndarray:
    """Count the ticks from the first date to each; -1 where it is no whole number."""
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
        From one to the next.
    """

    step: float
    leeway: int = 0

    @property
    def name(self) -> str:
        """How the step is called in a message."""
        return f"{self.step:g}"

    def after(self, last, n_steps: int) -> pd.Index:
        """Return the numbers that follow one."""
        return pd.Index(last + self.step * np.arange(1, n_steps + 1))

    def places(self, numbers: pd.Index) -> np.ndarray:
        """Count the steps from the first number to each; -1 for one between two."""
        steps = (numbers.to_numpy() - numbers[0]) / self.step
        places = np.rint(steps)
        is_off = np.abs(steps - places) > _JITTER
        return np.where(is_off, -1, places).astype(np.int64)


# --- which calendar an index keeps ----------------------------------------------------


class Fit(NamedTuple):
    """A calendar, and where on it the times of an index are.

    ``places`` counts steps from the first, (n_times,). ``is_rough`` tells that the
    times are on no calendar, and the step is their median; ``is_even``, that all steps
    are close to it.
    """

    calendar: Any
    places: np.ndarray
    is_rough: bool = False
    is_even: bool = False

    @property
    def n_missing(self) -> int:
        """Number of steps between the first and the last time that have no row."""
        return int(self.places[-1]) + 1 - len(self.places)

    @property
    def missing_share(self) -> float:
        """Their share of all steps."""
        return self.n_missing / (int(self.places[-1]) + 1)

    @property
    def is_irregular(self) -> bool:
        """Whether the times say little of what comes next."""
        if self.is_rough:
            return not self.is_even
        is_sparse = self.missing_share > _MISSING_SHARE
        return is_sparse and self.n_missing >= _MISSING_COUNT


def fit_calendar(times: pd.Index) -> Fit | None:
    """Find the calendar of dates or the step of numbers; one of them tells none.

    Of the calendars that every date lies on, one with few dates missing.
    """
    if len(times) < 2:
        return None
    if not isinstance(times, pd.DatetimeIndex):
        return _fit_numbers(times)
    known = times.freq or pd.DatetimeIndex(times, freq="infer").freq
    if known is not None:
        fit = _on_calendar(Calendar.of(known, leeway=_leeway_of(known, times)), times)
        if fit is not None and not fit.n_missing:
            return fit
    best = _best(_exact_fits(times))
    if not best.is_irregular:
        return best
    beside = [fit for fit in _fits_beside(times) if not fit.is_irregular]
    if beside:
        return max(beside, key=lambda fit: _n_exact(fit, times))
    return _rough_fit(times, best)


def _best(fits: Iterator[Fit]) -> Fit:
    """Return the first fit, or a later one with less than half as many missing."""
    best = next(fits)
    for fit in fits:
        if fit.n_missing < best.n_missing / 2:
            best = fit
    return best


class OffCalendar(ValueError):
    """A date is not on the user's calendar; ``row`` tells which."""

    def __init__(self, row: int):
        super().__init__(f"row {row} is not on the calendar")
        self.row = row


def lies_on(offset, times: pd.DatetimeIndex) -> Fit:
    """Return where dates are on a calendar that the user names.

    Raises
    ------
    OffCalendar
        If a date is not on it.
    """
    calendar = Calendar.of(offset)
    places = calendar.places(times)
    if (places < 0).any():
        raise OffCalendar(int(np.argmax(places < 0)))
    return Fit(calendar, places)


def _on_calendar(calendar: Calendar, times) -> Fit | None:
    """Return where the dates are on a calendar, if all are and no two at one place."""
    try:
        places = calendar.places(times)
    except (OverflowError, pd.errors.OutOfBoundsDatetime):
        return None
    places = places - places[0] if places[0] >= 0 else places
    is_on = (places >= 0).all() and (np.diff(places) > 0).all()
    return Fit(calendar, places) if is_on else None


def _exact_fits(times: pd.DatetimeIndex) -> Iterator[Fit]:
    """Try the calendars that all dates may lie on, the most usual first."""
    wall = times.tz_localize(None)
    clock = _usual((wall - wall.normalize()).to_numpy())
    days = wall.normalize()
    rebuilt = _localized(days + clock, times.tz)
    if len(rebuilt) == len(times) and bool((rebuilt == times).all()):
        calendars = _daily(days)
        if times.tz is not None:
            calendars = (replace(c, clock=clock.value // 1000) for c in calendars)
    else:
        # The step that divides all others always fits.
        tick = _common_tick(times)
        on_ticks = Fit(Calendar.of(tick), _multiples(times, tick))
        yield on_ticks
        if on_ticks.missing_share < _FEW_SHARE:
            return
        calendars = _times_of_day(wall)
    for calendar in calendars:
        fit = _on_calendar(calendar, times)
        if fit is not None:
            yield fit


def _common_tick(times: pd.DatetimeIndex) -> Any:
    step = int(np.gcd.reduce(np.diff(times.asi8)))
    return pd.tseries.frequencies.to_offset(pd.Timedelta(step, unit=times.unit))


def _offset_of(step: pd.Timedelta) -> Any:
    """Return a step as an offset: of months or days, if it is about so many."""
    days, rest = divmod(step, pd.Timedelta(days=1))
    months = round(days / 30.44)
    if months and days % 7 and abs(days / 30.44 - months) < _JITTER:
        return pd.DateOffset(months=months)
    return pd.tseries.frequencies.to_offset(step) if rest else pd.offsets.Day(days)


def _usual(values: np.ndarray) -> Any:
    found, counts = np.unique(values, return_counts=True)
    return pd.Timedelta(found[np.argmax(counts)])


def _daily(days: pd.DatetimeIndex) -> Iterator[Calendar]:
    """Name calendars of whole days that some days may lie on."""
    step = int(np.gcd.reduce(np.diff(days.as_unit("s").asi8))) // 86_400
    weeks, rest = divmod(step, 7)
    weekdays, counts = np.unique(days.day_of_week, return_counts=True)
    monthly = list(map(Calendar.of, _monthly(days, weekdays)))
    if step >= 28:  # four weeks from one February to March
        yield from monthly
    if rest == 0:
        yield Calendar.of(pd.offsets.Week(weeks, weekday=int(weekdays[0])))
    yield Calendar.of(pd.offsets.Day(step))
    if weekdays.max() < 5:
        dates = days.to_numpy().astype("datetime64[D]")
        step = int(np.gcd.reduce(np.busday_count(dates[:-1], dates[1:])))
        yield Calendar.of(pd.offsets.BusinessDay(step), leeway=_HOLIDAYS)
    if len(weekdays) < 7 and counts.min() >= 3:
        mask = "".join("01"[day in weekdays] for day in range(7))
        offset = pd.offsets.CustomBusinessDay(weekmask=mask)
        yield Calendar.of(offset, leeway=_HOLIDAYS)
    yield from monthly


def _monthly(days: pd.DatetimeIndex, weekdays: np.ndarray) -> Iterator[Any]:
    """Name offsets of months that some days may lie on."""
    months = np.diff(days.year * 12 + days.month)
    if months.min() < 1:
        yield from _half_monthly(days)
        return
    n = int(np.gcd.reduce(months))
    lengths, last = days.days_in_month, int(days.day.max())
    if (days.day == lengths).all():
        yield pd.offsets.MonthEnd(n)
    elif last == 1:
        yield pd.offsets.MonthBegin(n)
    elif (days.day == np.minimum(last, lengths)).all():
        yield pd.DateOffset(months=n, day=last)
    yield pd.offsets.BusinessMonthBegin(n)
    yield pd.offsets.BusinessMonthEnd(n)
    if len(weekdays) == 1:
        weekday, weeks = int(weekdays[0]), np.unique((days.day - 1) // 7)
        if len(weeks) == 1 and weeks[0] < 4:
            yield pd.offsets.WeekOfMonth(n, week=int(weeks[0]), weekday=weekday)
        if (days.day + 7 > lengths).all():
            yield pd.offsets.LastWeekOfMonth(n, weekday=weekday)


def _half_monthly(days: pd.DatetimeIndex) -> Iterator[Any]:
    """Name offsets of two days a month that some days may lie on."""
    for is_edge, offset in (
        (days.day == 1, pd.offsets.SemiMonthBegin),
        (days.day == days.days_in_month, pd.offsets.SemiMonthEnd),
    ):
        others = np.unique(days.day[~is_edge])
        if len(others) == 1 and 2 <= others[0] <= 27:
            yield offset(day_of_month=int(others[0]))


def _times_of_day(wall: pd.DatetimeIndex) -> Iterator[Calendar]:
    """Name times that come again every week: those of every day, or of some."""
    clock = (wall.as_unit("ns") - wall.normalize()) // pd.Timedelta(1, unit="us")
    moments = np.unique(clock)
    if len(moments) > len(wall) / 2:
        return
    weekdays = wall.day_of_week.to_numpy().astype(np.int64)
    seen, n_days = np.unique(weekdays), (wall[-1] - wall[0]) / pd.Timedelta(days=1)
    some = np.arange(7)
    if seen.max() < 5:
        some = np.arange(5)
    elif n_days >= 14:
        some = seen
    leeway = _HOLIDAYS * len(moments) if len(some) < 7 else 0
    for days, n_skipped in ((some, leeway), (np.arange(7), 0)):
        marks = (days[:, np.newaxis] * _DAY + moments).ravel()
        yield Calendar(marks=marks, leeway=n_skipped)
    if n_days >= 21:
        marks = np.unique(weekdays * _DAY + clock.to_numpy())
        yield Calendar(marks=marks, leeway=leeway)


def _fits_beside(times: pd.DatetimeIndex) -> Iterator[Fit]:
    """Try calendars that most dates lie on, and the others a few days beside."""
    n_days = np.median(np.diff(times.as_unit("s").asi8)) / 86_400
    if n_days < _BESIDE_DAYS + 1:
        return
    months = max(1, round(n_days / 30.44))
    day, weekday = (
        int(np.bincount(values).argmax()) for values in (times.day, times.day_of_week)
    )
    for offset in (
        pd.offsets.BusinessMonthBegin(months),
        pd.offsets.BusinessMonthEnd(months),
        pd.DateOffset(months=months, day=day),
        pd.offsets.Week(max(1, round(n_days / 7)), weekday=weekday),
    ):
        fit = _on_calendar(Calendar.of(offset, slack=_BESIDE_DAYS), times)
        if fit and _n_exact(fit, times) >= (1 - _BESIDE_SHARE) * len(times):
            yield fit


def _n_exact(fit: Fit, times: pd.DatetimeIndex) -> int:
    return int(times.isin(fit.calendar.between(times[0], times[-1])).sum())


def _rough_fit(times: pd.DatetimeIndex, best: Fit) -> Fit:
    """Return the best calendar, or the median step if too many dates are missing."""
    steps = np.diff(times.asi8)
    median = np.median(steps)
    is_even = np.abs(steps - median).max() <= _DATES_JITTER * median
    if not is_even and best.missing_share <= _SPARSE_SHARE:
        return best
    offset = _offset_of(_rounded(pd.Timedelta(int(median), unit=times.unit)))
    return Fit(Calendar.of(offset), np.arange(len(times)), True, is_even)


def _rounded(step: pd.Timedelta) -> pd.Timedelta:
    """Round a step to two digits or more of a unit that people use."""
    for name in ("D", "h", "min", "s", "ms", "us"):
        unit = pd.Timedelta(1, unit=name)
        if step >= 10 * unit:
            return step.round(unit)
    return step


def _leeway_of(offset, times: pd.DatetimeIndex) -> int:
    """Return how many days of trading may be holidays, if that is not known."""
    is_inferred = times.freq is None and isinstance(offset, pd.offsets.BusinessDay)
    return _HOLIDAYS if is_inferred else 0


def _fit_numbers(numbers: pd.Index) -> Fit:
    steps = np.diff(numbers.to_numpy())
    step: float
    if steps.dtype.kind in "iu":
        step = int(np.gcd.reduce(steps))
    else:
        smallest = steps.min()
        step = float(steps.sum() / np.rint(steps / smallest).sum())
    calendar = Steps(step)
    places = calendar.places(numbers)
    if (places < 0).any() or (np.diff(places) < 1).any():
        middle = Steps(float(np.median(steps)))
        return Fit(middle, np.arange(len(numbers)), is_rough=True)
    return Fit(calendar, places)
