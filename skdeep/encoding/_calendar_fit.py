"""Find the calendar that the dates of rows are on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skdeep.encoding._calendar import (
    JITTER,
    Calendar,
    Steps,
    count_ticks,
    localize,
)

# An axis is irregular if at least this many of its steps, and more than this share of
# them, are missing.
_MISSING_COUNT, _MISSING_SHARE = 3, 0.2
# If more than this share is missing, the calendar is meaningless: the median step is
# assumed.
_SPARSE_SHARE = 2 / 3
# If no more than this share is missing, no other calendar is tried.
_FEW_SHARE = 0.005
# Dates whose steps differ from the median by no more than this share are evenly spaced.
_EVEN_SHARE = 0.01
# How many days dates may lie off their calendar, and how large a share of them.
_OFF_DAYS, _OFF_SHARE = 4, 0.4
# Consecutive trading days that may be missing without a gap: holidays.
_HOLIDAYS = 2
_DAY = 86_400_000_000  # microseconds


class CalendarFit(NamedTuple):
    """A calendar, and the positions of the times of an index on it.

    ``positions`` counts the steps from the first time, (n_times,). If ``is_rough``, the
    times are on no calendar and the step is their median; if ``is_even``, all steps are
    close to it.
    """

    calendar: Any
    positions: np.ndarray
    is_rough: bool = False
    is_even: bool = False

    @property
    def n_missing(self) -> int:
        """Number of steps between the first and the last time that have no row."""
        return int(self.positions[-1]) + 1 - len(self.positions)

    @property
    def missing_share(self) -> float:
        """The share of all steps that have no row."""
        return self.n_missing / (int(self.positions[-1]) + 1)

    @property
    def is_irregular(self) -> bool:
        """Whether the times are too irregular to predict the next one."""
        if self.is_rough:
            return not self.is_even
        is_sparse = self.missing_share > _MISSING_SHARE
        return is_sparse and self.n_missing >= _MISSING_COUNT


def fit_calendar(times: pd.Index) -> CalendarFit | None:
    """Find the calendar of dates or the step of numbers; None for a single time.

    Of the calendars that all dates are on, take the first with few dates missing.
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
    best = _choose_exact_fit(_exact_fits(times))
    if not best.is_irregular:
        return best
    inexact = [fit for fit in _inexact_fits(times) if not fit.is_irregular]
    if inexact:
        return max(inexact, key=lambda fit: _n_exact(fit, times))
    return _rough_fit(times, best)


def _choose_exact_fit(fits: Iterator[CalendarFit]) -> CalendarFit:
    """Return the first fit, or a later one with less than half as many dates missing.

    The most usual calendar comes first, and is kept unless another is clearly better.
    """
    best = next(fits)
    for fit in fits:
        if fit.n_missing < best.n_missing / 2:
            best = fit
    return best


class OffCalendar(ValueError):
    """The date of a row is not on the user's calendar."""

    def __init__(self, row: int):
        super().__init__(f"row {row} is not on the calendar")
        self.row = row


def fit_offset(offset, times: pd.DatetimeIndex) -> CalendarFit:
    """Return the positions of dates on a calendar that the user has named.

    Raises
    ------
    OffCalendar
        If a date is not on it.
    """
    calendar = Calendar.of(offset)
    positions = calendar.positions(times)
    if (positions < 0).any():
        raise OffCalendar(int(np.argmax(positions < 0)))
    return CalendarFit(calendar, positions)


def _on_calendar(calendar: Calendar, times) -> CalendarFit | None:
    """Return the fit to a calendar if all dates are on it, each on its own position."""
    try:
        positions = calendar.positions(times)
    except (OverflowError, pd.errors.OutOfBoundsDatetime):
        return None
    positions = positions - positions[0] if positions[0] >= 0 else positions
    is_on = (positions >= 0).all() and (np.diff(positions) > 0).all()
    return CalendarFit(calendar, positions) if is_on else None


def _exact_fits(times: pd.DatetimeIndex) -> Iterator[CalendarFit]:
    """Yield the fits of calendars that all dates are on, the most usual first."""
    local = times.tz_localize(None)
    clock = _most_frequent((local - local.normalize()).to_numpy())
    days = local.normalize()
    rebuilt = localize(days + clock, times.tz)
    if len(rebuilt) == len(times) and bool((rebuilt == times).all()):
        calendars = _daily(days)
        if times.tz is not None:
            calendars = (replace(c, clock=clock.value // 1000) for c in calendars)
    else:
        # The greatest common divisor of all steps always fits.
        tick = _common_tick(times)
        on_ticks = CalendarFit(Calendar.of(tick), count_ticks(times, tick))
        yield on_ticks
        if on_ticks.missing_share < _FEW_SHARE:
            return
        calendars = _times_of_day(local)
    for calendar in calendars:
        fit = _on_calendar(calendar, times)
        if fit is not None:
            yield fit


def _common_tick(times: pd.DatetimeIndex) -> Any:
    step = int(np.gcd.reduce(np.diff(times.asi8)))
    return pd.tseries.frequencies.to_offset(pd.Timedelta(step, unit=times.unit))


def _offset_of(step: pd.Timedelta) -> Any:
    """Return a step as an offset, of whole months or days if it is close to them."""
    days, rest = divmod(step, pd.Timedelta(days=1))
    months = round(days / 30.44)
    if months and days % 7 and abs(days / 30.44 - months) < JITTER:
        return pd.DateOffset(months=months)
    return pd.tseries.frequencies.to_offset(step) if rest else pd.offsets.Day(days)


def _most_frequent(values: np.ndarray) -> pd.Timedelta:
    found, counts = np.unique(values, return_counts=True)
    return pd.Timedelta(found[np.argmax(counts)])


def _daily(days: pd.DatetimeIndex) -> Iterator[Calendar]:
    """Yield calendars of whole days that the days may be on."""
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
    """Yield monthly offsets that the days may be on."""
    months = np.diff(days.year * 12 + days.month)
    if months.min() < 1:
        yield from _half_monthly(days)
        return
    # Plain days of a month first; business days and weekdays are less usual.
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
    """Yield offsets of two days a month that the days may be on."""
    for is_edge, offset in (
        (days.day == 1, pd.offsets.SemiMonthBegin),
        (days.day == days.days_in_month, pd.offsets.SemiMonthEnd),
    ):
        others = np.unique(days.day[~is_edge])
        if len(others) == 1 and 2 <= others[0] <= 27:
            yield offset(day_of_month=int(others[0]))


def _times_of_day(local: pd.DatetimeIndex) -> Iterator[Calendar]:
    """Yield calendars of times that recur every week, on all days or on some."""
    clock = (local.as_unit("ns") - local.normalize()) // pd.Timedelta(1, unit="us")
    moments = np.unique(clock)
    if len(moments) > len(local) / 2:
        return
    weekdays = local.day_of_week.to_numpy().astype(np.int64)
    seen, n_days = np.unique(weekdays), (local[-1] - local[0]) / pd.Timedelta(days=1)
    open_days = np.arange(7)
    if seen.max() < 5:
        open_days = np.arange(5)
    elif n_days >= 14:  # in two weeks every open day has been seen
        open_days = seen
    leeway = _HOLIDAYS * len(moments) if len(open_days) < 7 else 0
    for days, n_skipped in ((open_days, leeway), (np.arange(7), 0)):
        marks = (days[:, np.newaxis] * _DAY + moments).ravel()
        yield Calendar(marks=marks, leeway=n_skipped)
    if n_days >= 21:
        marks = np.unique(weekdays * _DAY + clock.to_numpy())
        yield Calendar(marks=marks, leeway=leeway)


def _inexact_fits(times: pd.DatetimeIndex) -> Iterator[CalendarFit]:
    """Yield the fits of calendars that most dates are on, the others a few days off."""
    n_days = np.median(np.diff(times.as_unit("s").asi8)) / 86_400
    if n_days < _OFF_DAYS + 1:  # a date could stand for either of two neighbors
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
        fit = _on_calendar(Calendar.of(offset, slack=_OFF_DAYS), times)
        if fit and _n_exact(fit, times) >= (1 - _OFF_SHARE) * len(times):
            yield fit


def _n_exact(fit: CalendarFit, times: pd.DatetimeIndex) -> int:
    """Return how many of the times are exactly on the calendar."""
    return int(times.isin(fit.calendar.between(times[0], times[-1])).sum())


def _rough_fit(times: pd.DatetimeIndex, best: CalendarFit) -> CalendarFit:
    """Return the best calendar, or the median step if too many dates are missing."""
    steps = np.diff(times.asi8)
    median = np.median(steps)
    is_even = np.abs(steps - median).max() <= _EVEN_SHARE * median
    if not is_even and best.missing_share <= _SPARSE_SHARE:
        return best
    offset = _offset_of(_rounded(pd.Timedelta(int(median), unit=times.unit)))
    return CalendarFit(Calendar.of(offset), np.arange(len(times)), True, is_even)


def _rounded(step: pd.Timedelta) -> pd.Timedelta:
    """Round a step to at least two digits of the largest common unit."""
    for name in ("D", "h", "min", "s", "ms", "us"):
        unit = pd.Timedelta(1, unit=name)
        if step >= 10 * unit:
            return step.round(unit)
    return step


def _leeway_of(offset, times: pd.DatetimeIndex) -> int:
    """Return how many missing steps are holidays: none if the user gave the offset."""
    is_inferred = times.freq is None and isinstance(offset, pd.offsets.BusinessDay)
    return _HOLIDAYS if is_inferred else 0


def _fit_numbers(numbers: pd.Index) -> CalendarFit:
    steps = np.diff(numbers.to_numpy())
    step: float
    if steps.dtype.kind in "iu":
        step = int(np.gcd.reduce(steps))
    else:
        smallest = steps.min()
        step = float(steps.sum() / np.rint(steps / smallest).sum())
    calendar = Steps(step)
    positions = calendar.positions(numbers)
    if (positions < 0).any() or (np.diff(positions) < 1).any():
        middle = Steps(float(np.median(steps)))
        return CalendarFit(middle, np.arange(len(numbers)), is_rough=True)
    return CalendarFit(calendar, positions)
