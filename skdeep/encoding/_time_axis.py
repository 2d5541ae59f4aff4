"""The time axis of rows: when they end, and which times come next."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd

from skdeep._messages import warn
from skdeep.encoding._calendar import Calendar, Steps, as_offset
from skdeep.encoding._calendar_fit import (
    CalendarFit,
    OffCalendar,
    fit_calendar,
    fit_offset,
)
from skdeep.encoding._time_index import INDEX, Origin

# Between trading days, a step length is usual if at least this many steps, and this
# share of them, have it. A gap is longer than the longest usual step by this factor.
_USUAL_COUNT, _USUAL_SHARE, _GAP = 3, 0.01, 1.8
_ADVICE = (
    "The rows on either side of a gap are treated as neighbors. Fill gaps first, for "
    "example by asfreq() and interpolate() of pandas."
)
# Time differences are counted as dates from here on.
_EPOCH = pd.Timestamp("1970-01-01")

# --- times as calendars count them ----------------------------------------------------


def _stamps(times: pd.Index) -> pd.Index:
    """Return times as what calendars count: dates, or numbers."""
    if isinstance(times, pd.TimedeltaIndex):
        return _EPOCH.as_unit(times.unit) + times
    if not isinstance(times, pd.PeriodIndex):
        return times
    if not isinstance(times.freq, (pd.offsets.Day, pd.offsets.Tick)):
        return pd.Index(times.asi8)  # periods of a longer unit are numbered by pandas
    return times.to_timestamp()


def _index_kind(times: pd.Index) -> tuple:
    """Return what two indexes must have in common to be compared."""
    if isinstance(times, pd.PeriodIndex):
        return ("periods of", times.freqstr)
    if isinstance(times, pd.TimedeltaIndex):
        return ("differences",)
    if isinstance(times, pd.DatetimeIndex):
        return ("dates",) if times.tz is None else ("dates", "with a time zone")
    return ("numbers",)


def _portable(zone) -> Any:
    """Return the name of a time zone, or the zone if pandas does not know the name."""
    if zone is None:
        return None
    try:
        named = pd.Timestamp(0, tz=str(zone)).tz
    except Exception:  # pandas passes on the errors of several time zone libraries
        return zone
    return str(zone) if named == zone else zone  # an object, which skops may not store


class TimeAxis:
    """Where the times of rows begin and end, and which times come next.

    All attributes are numpy arrays or plain objects, so that it can be pickled and
    stored by skops.

    Parameters
    ----------
    times : Index
        The time of each row, as `times_of` returns it.
    fit : CalendarFit or None
        The calendar of these times; None if there are too few.
    source : {"freq", "index", "rows"}
        Whether the calendar is the user's parameter, the ``freq`` of the index, or
        inferred from the rows.
    n_ahead : int, default=1
        Largest number of rows ahead that `check_future` is to check.
    origin : Origin
        Where the times were found.
    """

    def __init__(
        self,
        times: pd.Index,
        fit: CalendarFit | None,
        source: str,
        n_ahead: int = 1,
        origin: Origin = INDEX,
    ):
        stamps = _stamps(times)
        self.kind = _index_kind(times)
        self.name, self.zone = times.name, _portable(getattr(times, "tz", None))
        # Differences of local times would jump at daylight-saving changes.
        values = _in_utc(stamps)
        steps = np.diff(values)
        self.ends = values[[0, -1]]
        self.longest_step = steps.max(keepdims=True) if steps.size else steps
        self.source = source
        self.label = str(origin)
        self.calendar: Any = None if fit is None else fit.calendar
        self.is_exact = fit is not None and not fit.is_rough
        self.is_regular = fit is not None and not (fit.is_rough or fit.is_irregular)
        # ``reach[n - 1]`` is the most steps that n rows took: with holidays left out of
        # the training rows, as many may be left out of the future.
        positions = np.arange(len(times)) if fit is None else fit.positions
        self.reach = _reach(positions, n_ahead)

    @property
    def has_dates(self) -> bool:
        """Whether the times are dates, periods or time differences, not numbers."""
        return self.kind[0] != "numbers"

    @property
    def end(self) -> Any:
        """The last time, of the type that an index holds."""
        return self._index_of(self._stamps_of(self.ends))[-1]

    def after(self, n_steps: int) -> pd.Index | None:
        """Return the next times; None if the calendar is not known."""
        if self.calendar is None:
            return None
        return self._index_of(self.calendar.after(self._last, n_steps))

    def is_like(self, times: pd.Index | None) -> bool:
        """Return whether times can be compared with these."""
        return times is not None and _index_kind(times) == self.kind

    def follows(self, times: pd.Index) -> bool:
        """Return whether times continue where these end.

        On a calendar, no more steps may be missing between them than between two
        training rows, or than holidays.
        """
        stamps = self._comparable(times)
        if stamps[0] <= self._last:
            return False
        if not self.is_regular:
            step = _in_utc(stamps[:1]) - self.ends[1:]
            return bool(np.any(step <= self.longest_step))
        (n_steps,) = self._steps_to(stamps[:1])
        return bool(0 < n_steps <= self._longest_gap)

    def check(self, times: pd.Index | None) -> None:
        """Check that the times of later rows are on the calendar.

        Raises
        ------
        ValueError
            If they are not, and the calendar is that of the user's ``freq``.

        Warns
        -----
        UserWarning
            If more steps are missing between two rows than in the training rows.
        """
        if not self.is_regular or times is None or not self.is_like(times):
            return
        positions = self.calendar.positions(self._comparable(times))
        is_off = positions < 0
        if is_off.any() and self.source == "freq":
            row = int(np.argmax(is_off))
            raise ValueError(
                _off_calendar(self.label, self.calendar.name, times[row], row)
            )
        steps = np.diff(positions)
        # Later holidays may be longer than those in the training rows, but not much.
        factor = _GAP if self.calendar.leeway else 1
        gaps = np.flatnonzero(steps > factor * self._longest_gap)
        if not is_off.any() and len(gaps):
            warn(_gap_message(times, steps, gaps, self.label))

    @property
    def _longest_gap(self) -> int:
        """Largest number of steps between neighboring rows."""
        return max(int(self.reach[0]), 1 + self.calendar.leeway)

    def is_before(self, times: pd.Index) -> bool:
        """Return whether these end before times of the same kind begin."""
        return bool(self._comparable(times)[0] > self._last)

    def n_until_end(self, times: pd.Index) -> int:
        """Return how many times of the same kind are not after the end of these."""
        return int((self._comparable(times) <= self._last).sum())

    def begins_with(self, times: pd.Index) -> bool:
        """Return whether times of the same kind begin at the same time as these."""
        return bool(_in_utc(self._comparable(times))[0] == self.ends[0])

    def moved_to(self, times: pd.Index) -> TimeAxis | None:
        """Return the axis of other rows on the same calendar; None if on another."""
        if self.calendar is None or not self.is_like(times):
            return None
        stamps = self._comparable(times)
        is_off = self.is_regular and (self.calendar.positions(stamps) < 0).any()
        if is_off and self.source != "freq":
            warn(
                f"The {self.label} is not on the calendar of the training rows (steps "
                f"of {self.calendar.name}); the next dates are inferred from X alone."
            )
        if is_off:
            return None
        # Reach and gaps stay those of the training rows; only the ends move.
        moved = copy.copy(self)
        moved.ends = _in_utc(stamps)[[0, -1]]
        return moved

    def check_future(self, times: pd.Index, n_steps: int, name: str) -> pd.Index | None:
        """Check the times of future rows; return those of the next steps.

        Parameters
        ----------
        times : Index
            The times of the future rows, which may be more or fewer than the steps.
        n_steps : int
            Number of times to return.
        name : str
            Name of the rows in messages.

        Raises
        ------
        ValueError
            If the times do not continue where these end, one step of the calendar
            after another. As many steps may be missing as in the training rows.
        """
        if not self.is_like(times):
            found, known = (
                " ".join(map(str, kind)) for kind in (_index_kind(times), self.kind)
            )
            raise ValueError(
                f"The dates of {name} must be {known}, like those of the known rows; "
                f"got {found}."
            )
        stamps = self._comparable(times)
        if stamps[0] <= self._last:
            raise ValueError(
                f"{name} must follow the known rows, which end at {self.end}; it "
                f"begins at {times[0]}."
            )
        stamps = stamps[: len(self.reach)]
        self._check_steps(stamps, name)
        given = self._index_of(stamps)[:n_steps]
        if len(given) == n_steps or self.calendar is None:
            return given
        rest = self.calendar.after(stamps[-1], n_steps - len(given))
        return given.append(self._index_of(rest))

    def _check_steps(self, stamps: pd.Index, name: str) -> None:
        """Raise if more steps are missing before or between times than in training.

        Between irregular rows, twice as many steps may be missing.
        """
        if self.calendar is None:
            return
        expected = self.calendar.after(self._last, len(stamps))
        if len(expected) == len(stamps) and (expected == stamps).all():
            return
        if self.is_exact:
            steps = self._steps_to(stamps)
            reach = self.reach[: len(stamps)] * (1 if self.is_regular else 2)
            is_wrong = (steps < 1) | (steps > reach) | (np.diff(steps, prepend=0) < 1)
        else:
            steps = np.diff(_in_utc(stamps), prepend=self.ends[1:])
            is_wrong = steps > 2 * self.longest_step
        if not is_wrong.any():
            return
        row = int(np.argmax(is_wrong))
        found, next_one = (self._index_of(index)[row] for index in (stamps, expected))
        raise ValueError(
            f"{name} must continue the known rows, which end at {self.end}, in steps "
            f"of {self.calendar.name}: its row {row} is {found}, expected {next_one}. "
            "If holidays are left out, pass the calendar as freq, such as "
            "pd.offsets.CustomBusinessDay(holidays=...)."
        )

    def _steps_to(self, stamps: pd.Index) -> np.ndarray:
        """Count the steps from the last time to later ones; -1 if off the calendar."""
        # Calendars count from the first of the dates they are given.
        from_last = self._stamps_of(self.ends[1:]).append(stamps)
        return self.calendar.positions(from_last)[1:]

    @property
    def _last(self) -> Any:
        return self._stamps_of(self.ends[1:])[0]

    def _comparable(self, times: pd.Index) -> pd.Index:
        """Return times of the same kind as stamps in the same time zone."""
        stamps = _stamps(times)
        return stamps if self.zone is None else stamps.tz_convert(self.zone)

    def _stamps_of(self, values: np.ndarray) -> pd.Index:
        stamps = pd.Index(values)
        if self.zone is None:
            return stamps
        return stamps.tz_localize("UTC").tz_convert(self.zone)

    def _index_of(self, stamps: pd.Index) -> pd.Index:
        """Return stamps as an index of the same kind as the user's."""
        if self.kind[0] == "differences":
            return (stamps - _EPOCH.as_unit(stamps.unit)).rename(self.name)
        if self.kind[0] != "periods of":
            return stamps.rename(self.name)
        if isinstance(stamps, pd.DatetimeIndex):
            return stamps.to_period(self.kind[1]).rename(self.name)
        ordinals = stamps.to_numpy()
        return pd.PeriodIndex.from_ordinals(ordinals, freq=self.kind[1], name=self.name)


def _in_utc(stamps: pd.Index) -> np.ndarray:
    if getattr(stamps, "tz", None) is not None:
        stamps = stamps.tz_convert("UTC").tz_localize(None)
    return stamps.to_numpy()


def _reach(positions: np.ndarray, n_ahead: int) -> np.ndarray:
    """Return the most steps between rows n apart, for n from 1 to ``n_ahead``."""
    reach = [
        (positions[n:] - positions[:-n]).max() if n < len(positions) else 0
        for n in range(1, n_ahead + 1)
    ]
    return np.maximum(reach, np.arange(1, n_ahead + 1))


# --- learned from the training rows ---------------------------------------------------


def learn_time_axis(
    times: pd.Index | None, freq=None, n_ahead: int = 1, origin: Origin = INDEX
) -> TimeAxis | None:
    """Learn the calendar that the times of rows are on.

    Parameters
    ----------
    times : Index or None
        As `times_of` returns them.
    freq : str, offset or None
        The calendar, if the user has given it.
    n_ahead : int, default=1
        Largest number of rows ahead that future times are checked for.
    origin : Origin
        Where the times were found.

    Raises
    ------
    ValueError
        If the times are not on the user's calendar.

    Warns
    -----
    UserWarning
        If there are gaps, or if the times are on no calendar.
    """
    fit: CalendarFit | None
    if freq is not None:
        times, fit, source = *_fit_given(times, freq, origin), "freq"
    elif times is None:
        return None
    else:
        fit, source = _fit_found(_stamps(times))
    if fit is not None:
        _warn_of_gaps(times, fit, origin)
    return TimeAxis(times, fit, source, n_ahead, origin)


def numbered_rows(times: pd.Index) -> TimeAxis:
    """Return the axis of rows that pandas numbers across several series."""
    return TimeAxis(times, None, "rows")


def _fit_found(stamps: pd.Index) -> tuple[CalendarFit | None, str]:
    offset = getattr(stamps, "freq", None)
    if offset is not None:
        return CalendarFit(Calendar.of(offset), np.arange(len(stamps))), "index"
    return fit_calendar(stamps), "rows"


def _fit_given(
    times: pd.Index | None, freq, origin: Origin
) -> tuple[pd.Index, CalendarFit]:
    if times is None or _index_kind(times) == ("numbers",):
        reason = (
            f"{origin.rows} has no index of dates. In a pipeline, keep the index by "
            'set_output(transform="pandas").'
        )
        if origin.column is not None:
            reason = f"the {origin} does not hold dates."
        raise ValueError(f"freq={freq!r} was given, but {reason}")
    stamps = _stamps(times)
    # A period alias may differ from that of the offset: "M" and "ME", "Y" and "YE".
    if isinstance(times, pd.PeriodIndex) and _is_same_period(freq, times.freq):
        freq = times.freq
    if not isinstance(stamps, pd.DatetimeIndex):
        if freq is not times.freq:
            raise ValueError(
                f"The {origin} has periods of {times.freqstr!r}, but freq={freq!r} was "
                "given."
            )
        steps = Steps(freq.n)
        return times, CalendarFit(steps, steps.positions(stamps))
    try:
        return times, fit_offset(as_offset(freq), stamps)
    except OffCalendar as error:
        name = repr(getattr(freq, "freqstr", freq))
        raise ValueError(
            _off_calendar(str(origin), name, times[error.row], error.row)
        ) from error


def _off_calendar(label: str, name: str, time, row: int) -> str:
    return (
        f"The {label} is not on the calendar freq={name}: {time} (row {row}) is "
        "not one of its dates."
    )


def _is_same_period(freq, offset) -> bool:
    try:
        return pd.tseries.frequencies.to_offset(freq, is_period=True) == offset
    except (ValueError, TypeError):
        return False


def _warn_of_gaps(times: pd.Index, fit: CalendarFit, origin: Origin) -> None:
    """Warn of missing times and uneven steps, and of what is assumed instead."""
    if len(times) < 3:
        return
    steps = np.diff(fit.positions)
    gaps = _find_gaps(steps, fit.calendar.leeway)
    if fit.is_rough:
        if fit.is_irregular:
            warn(_uneven_message(times, fit, origin))
        return
    if fit.is_irregular:
        gaps = np.flatnonzero(steps > 1)
        warn(
            f"The {origin} is irregular: {fit.n_missing} of its "
            f"{fit.positions[-1] + 1} steps of {fit.calendar.name} have no row. It has "
            f"{len(gaps)} gap(s); {_longest(times, steps, gaps)}. The next row is "
            f"assumed to come one step of {fit.calendar.name} after the last. {_ADVICE}"
        )
    elif len(gaps):
        warn(_gap_message(times, steps, gaps, str(origin)))


def _gap_message(
    times: pd.Index, steps: np.ndarray, gaps: np.ndarray, label: str
) -> str:
    return (
        f"The {label} has {len(gaps)} gap(s); {_longest(times, steps, gaps)}. {_ADVICE}"
    )


def _find_gaps(steps: np.ndarray, leeway: int) -> np.ndarray:
    """Return where steps are missing; between trading days, more than is usual."""
    if not leeway:
        return np.flatnonzero(steps > 1)
    lengths, counts = np.unique(steps, return_counts=True)
    usual = lengths[counts >= max(_USUAL_SHARE * len(steps), _USUAL_COUNT)]
    return np.flatnonzero(steps > _GAP * max([1 + leeway, *usual]))


def _longest(times: pd.Index, steps: np.ndarray, gaps: np.ndarray) -> str:
    longest = gaps[np.argmax(steps[gaps])]
    before, after = (
        time.isoformat() if isinstance(time, pd.Timestamp) else time
        for time in times[[longest, longest + 1]]
    )
    return f"the longest is between {before} and {after}"


def _uneven_message(times: pd.Index, fit: CalendarFit, origin: Origin) -> str:
    steps = times[1:] - times[:-1]
    return (
        f"The {origin} is irregular: its steps range from {steps.min()} to "
        f"{steps.max()}, but the rows are treated as evenly spaced. The next row is "
        f"assumed to come {fit.calendar.name} after the last, about the median step. "
        "Resample the rows to equal steps first, for example by resample() of pandas."
    )
