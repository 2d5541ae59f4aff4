"""The time axis of rows: what their index says of when they are."""

from __future__ import annotations

import copy
import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skdeep._messages import warn
from skdeep.encoding._calendar import (
    Calendar,
    Fit,
    OffCalendar,
    Steps,
    as_offset,
    fit_calendar,
    lies_on,
)

# Of days of trading a step is usual if at least this share of them is as long, and at
# least so many; a gap is so many times as long.
_USUAL_SHARE, _USUAL_COUNT, _GAP = 0.01, 3, 1.8
# So many labels are looked at before all of them are.
_FEW = 20
_ADVICE = (
    "Rows on either side are taken as neighbours. Fill gaps before, for example by "
    "asfreq() and interpolate() of pandas."
)
# Index of time differences: they are counted as dates from here on.
_EPOCH = pd.Timestamp("1970-01-01")

_CLOCK = r"[T ]\d{2}(:?\d{2}(:?\d{2}([.,]\d+)?)?)? ?(Z|[+-]\d{2}(:?\d{2})?)?"
_ISO_DATE = re.compile(
    r"([12]\d{3}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?"
    r"|(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))"
    rf"({_CLOCK})?"
)
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_OTHER_DATE = re.compile(
    rf"(\d{{1,2}}([-/.])\d{{1,2}}\2(\d{{4}}|\d{{2}})|\d{{4}}([/.])\d{{1,2}}(\4\d{{1,2}})?"
    rf"|\d{{1,2}}[-/ ]{_MONTH}[-/ ,]+\d{{2,4}}|{_MONTH}[-/ ](\d{{1,2}},? )?\d{{4}}"
    rf"|\d{{4}}-\d-\d{{1,2}}|\d{{4}}-\d{{2}}-\d|\d{{4}}[- ]?Q[1-4])( .*)?",
    re.IGNORECASE,
)


class Origin(NamedTuple):
    """Where times were found, for messages: in the index of rows, or in a column."""

    rows: str = "X"
    column: Any = None

    @property
    def place(self) -> str:
        """What holds the times."""
        return "index" if self.column is None else f"column {self.column!r}"

    @property
    def code(self) -> str:
        """How the user may write it."""
        part = ".index" if self.column is None else f"[{self.column!r}]"
        return f"{self.rows}{part}"

    def __str__(self):
        return f"{self.place} of {self.rows}"


INDEX = Origin()


def times_of(X, origin: Origin = INDEX) -> pd.Index | None:
    """Return the time of each row of X, strictly increasing, or None.

    Times are what an index of dates, periods, time differences or numbers gives, and
    one of dates written as ISO 8601 has them (2024-01-31). Of an index of several
    levels, that of dates counts. Arrays have no times, and neither have rows with
    names.

    Raises
    ------
    ValueError
        If X has an index of dates that are missing, repeated, out of order or written
        as text in another way, or if numbers of a column are out of order.

    Warns
    -----
    UserWarning
        If an index of numbers is out of order, which makes it no time axis.
    """
    index = getattr(X, "index", None)
    if not isinstance(index, pd.Index):
        return None
    # A view: pandas keeps what it computes of an index in it, and that is the user's.
    index = _typed(_level_of_dates(index)[:], origin)
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)):
        _check_order(index, origin)
        return index
    if index.dtype.kind not in "iuf" or isinstance(index, pd.MultiIndex):
        return None
    _refuse_dates_as_numbers(index, origin)
    values = index.to_numpy()
    late = np.flatnonzero(~(values[1:] > values[:-1]))
    if not late.size:
        return index
    row = int(late[0]) + 1
    found = (
        f"The {origin} is out of order: row {row} has {values[row]} after "
        f"{values[row - 1]}."
    )
    if origin.column is not None:
        raise ValueError(f"{found} Sort the rows by it.")
    warn(
        f"{found} The rows are taken in the order in which they stand. Sort them by "
        f"{origin.rows}.sort_index() if they were shuffled; "
        f"{origin.rows}.reset_index(drop=True) removes numbers that are not times."
    )
    return None


def _level_of_dates(index: pd.Index) -> pd.Index:
    """Return the level of dates of an index of several levels, or the index."""
    if not isinstance(index, pd.MultiIndex):
        return index
    dates = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)
    places = [i for i, level in enumerate(index.levels) if isinstance(level, dates)]
    return index.get_level_values(places[0]) if len(places) == 1 else index


def _typed(index: pd.Index, origin: Origin) -> pd.Index:
    """Return dates that an index holds as objects or text as an index of dates."""
    if isinstance(index.dtype, pd.CategoricalDtype):
        index = pd.Index(index.to_numpy(), name=index.name)
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)):
        return index
    if pd.api.types.is_datetime64_any_dtype(index.dtype):  # of pyarrow
        return pd.DatetimeIndex(index)
    if index.dtype.kind not in "OU" or isinstance(index, pd.MultiIndex):
        return index
    kind = pd.api.types.infer_dtype(index, skipna=True)
    if kind == "string":
        return _read(index, origin)
    if kind == "period":
        return pd.PeriodIndex(index)
    if kind in ("date", "datetime", "datetime64"):
        return _parsed(index, origin)
    return index


def _read(index: pd.Index, origin: Origin) -> pd.Index:
    """Read text that is dates; return other text as it is."""
    some = index[:: max(1, len(index) // _FEW)]
    if not any(map(_may_be_date, some)):
        return index
    texts = [str(text).strip() for text in index]
    is_iso = np.array([_ISO_DATE.fullmatch(text) is not None for text in texts])
    if is_iso.all():
        return _parsed(index, origin, format="ISO8601")
    if is_iso.mean() > 0.5:
        row = int(np.argmin(is_iso))
        raise ValueError(
            f"The {origin} holds dates as text, but {index[row]!r} (row {row}) "
            f"is not one. Leave that row out, or make dates of the others by "
            f"{origin.code} = pd.to_datetime({origin.code})."
        )
    if all(_OTHER_DATE.fullmatch(text) for text in texts):
        raise ValueError(
            f"The {origin} holds dates as text, {index[0]!r} the first. Make "
            f"dates of them: {origin.code} = pd.to_datetime({origin.code}), with "
            "dayfirst=True or format= where the day comes first."
        )
    return index


def _may_be_date(text) -> bool:
    text = str(text).strip()
    return bool(_ISO_DATE.fullmatch(text) or _OTHER_DATE.fullmatch(text))


def _parsed(index: pd.Index, origin: Origin, **how) -> pd.DatetimeIndex:
    try:
        return pd.DatetimeIndex(pd.to_datetime(index, **how))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The {origin} holds dates that pandas cannot read. Make dates of "
            f"them: {origin.code} = pd.to_datetime({origin.code}), with utc=True where "
            f"they are of several time zones. {error}"
        ) from error


def _refuse_dates_as_numbers(index: pd.Index, origin: Origin) -> None:
    """Refuse dates written as numbers such as 20240131: they have no equal steps."""
    numbers = index.to_numpy()
    if numbers.dtype.kind not in "iu" or len(numbers) < 3:
        return
    months, days = numbers // 100 % 100, numbers % 100
    is_date = (numbers >= 19000101) & (numbers <= 21001231) & (months >= 1)
    if (is_date & (months <= 12) & (days >= 1) & (days <= 31)).all():
        raise ValueError(
            f"The {origin} holds dates as numbers, {numbers[0]} the first. Make "
            f'dates of them: {origin.code} = pd.to_datetime({origin.code}, format="%Y%m'
            '%d").'
        )


def _check_order(index: pd.Index, origin: Origin) -> None:
    if index.hasnans:
        raise ValueError(
            f"The {origin} must give the date of every row; it is missing for "
            f"row {int(np.flatnonzero(index.isna())[0])}."
        )
    late = np.flatnonzero(index[1:] <= index[:-1])
    if late.size:
        before, after = index[late[0]], index[late[0] + 1]
        problem = "is repeated" if before == after else f"comes after {before}"
        raise ValueError(
            f"The rows of {origin.rows} must be in time order, each date once; in its "
            f"{origin.place} "
            f"{after} {problem} (row {late[0] + 1}). Several series must be "
            "transformed one by one."
        )


# --- what is remembered ---------------------------------------------------------------


def _stamps(times: pd.Index) -> pd.Index:
    """Return times as dates, or as numbers where these do: what calendars count."""
    if isinstance(times, pd.TimedeltaIndex):
        return _EPOCH.as_unit(times.unit) + times
    if not isinstance(times, pd.PeriodIndex):
        return times
    if not isinstance(times.freq, (pd.offsets.Day, pd.offsets.Tick)):
        return pd.Index(times.asi8)  # the periods themselves are a calendar
    return times.to_timestamp()


def _kind_of(times: pd.Index) -> tuple:
    """Return what two indexes must have in common to be compared."""
    if isinstance(times, pd.PeriodIndex):
        return ("periods of", times.freqstr)
    if isinstance(times, pd.TimedeltaIndex):
        return ("differences",)
    if isinstance(times, pd.DatetimeIndex):
        return ("dates",) if times.tz is None else ("dates", "with a time zone")
    return ("numbers",)


def _portable(zone) -> Any:
    """Return the name of a time zone, or the zone if pandas knows none by the name."""
    if zone is None:
        return None
    try:
        named = pd.Timestamp(0, tz=str(zone)).tz
    except Exception:  # pandas raises what the library of zones does
        return zone
    return str(zone) if named == zone else zone


class TimeAxis:
    """Where the times of rows begin and end, and how they go on.

    Everything stored is a numpy array or plain, so that it can be pickled and written
    by skops.

    Parameters
    ----------
    times : Index
        The time of each row, as `times_of` gives it.
    fit : Fit or None
        The calendar of these times; None if they tell none.
    source : {"freq", "index", "rows"}
        Whether the calendar is a parameter of the user's, the ``freq`` of the index or
        inferred from the rows.
    n_ahead : int, default=1
        How many rows ahead will be asked for.
    origin : Origin
        Where the times were found.
    """

    def __init__(
        self,
        times: pd.Index,
        fit: Fit | None,
        source: str,
        n_ahead: int = 1,
        origin: Origin = INDEX,
    ):
        stamps = _stamps(times)
        self.kind = _kind_of(times)
        self.name, self.zone = times.name, _portable(getattr(times, "tz", None))
        values = _in_utc(stamps)
        steps = np.diff(values)
        self.ends = values[[0, -1]]
        self.longest_step = steps.max(keepdims=True) if steps.size else steps
        self.source = source
        self.place = str(origin)
        self.calendar: Any = None if fit is None else fit.calendar
        self.is_exact = fit is not None and not fit.is_rough
        self.is_regular = fit is not None and not (fit.is_rough or fit.is_irregular)
        places = np.arange(len(times)) if fit is None else fit.places
        self.reach = _reach(places, n_ahead)

    @property
    def has_dates(self) -> bool:
        """Whether the times are more than numbers."""
        return self.kind[0] != "numbers"

    @property
    def end(self) -> Any:
        """The last time, as an index has it."""
        return self._index_of(self._stamps_of(self.ends))[-1]

    def after(self, n_steps: int) -> pd.Index | None:
        """Return the times that follow; None if the calendar is not known."""
        if self.calendar is None:
            return None
        return self._index_of(self.calendar.after(self._last, n_steps))

    def is_like(self, times: pd.Index | None) -> bool:
        """Whether times can be compared with these."""
        return times is not None and _kind_of(times) == self.kind

    def follows(self, times: pd.Index) -> bool:
        """Whether times go on where these end.

        On a calendar no more steps may be missing between them than between two
        training rows, or two holidays.
        """
        stamps = self._alike(times)
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
            If they are not, and the user has named the calendar.

        Warns
        -----
        UserWarning
            If more steps are missing between two rows than ever in training.
        """
        if not self.is_regular or times is None or not self.is_like(times):
            return
        places = self.calendar.places(self._alike(times))
        is_off = places < 0
        if is_off.any() and self.source == "freq":
            row = int(np.argmax(is_off))
            raise ValueError(_off(self.place, self.calendar.name, times[row], row))
        steps = np.diff(places)
        factor = _GAP if self.calendar.leeway else 1
        gaps = np.flatnonzero(steps > factor * self._longest_gap)
        if not is_off.any() and len(gaps):
            warn(_gapped(times, steps, gaps, self.place))

    @property
    def _longest_gap(self) -> int:
        """How many steps apart on the calendar neighbours may be."""
        return max(int(self.reach[0]), 1 + self.calendar.leeway)

    def is_before(self, times: pd.Index) -> bool:
        """Whether these end before times of the same kind begin."""
        return bool(self._alike(times)[0] > self._last)

    def begins_with(self, times: pd.Index) -> bool:
        """Whether the first of times of the same kind is the first of these."""
        return bool(_in_utc(self._alike(times))[0] == self.ends[0])

    def moved_to(self, times: pd.Index) -> TimeAxis | None:
        """Return the axis of other rows on the same calendar; None if on another."""
        if self.calendar is None or not self.is_like(times):
            return None
        stamps = self._alike(times)
        is_off = self.is_regular and (self.calendar.places(stamps) < 0).any()
        if is_off and self.source != "freq":
            warn(
                f"The {self.place} is not on the calendar of the training rows, in "
                f"steps of {self.calendar.name}: its own dates tell what comes next."
            )
        if is_off:
            return None
        moved = copy.copy(self)
        moved.ends = _in_utc(stamps)[[0, -1]]
        return moved

    def check_future(self, times: pd.Index, n_steps: int, of: str) -> pd.Index | None:
        """Return the times of the steps that follow, after checking those given.

        Parameters
        ----------
        times : Index
            The times of the rows given as the future; there may be more or fewer.
        n_steps : int
            Number of steps to name.
        of : str
            What the rows are called.

        Raises
        ------
        ValueError
            If the times do not go on where these end, step by step of the calendar.
            Where training rows were missing, as many may be missing here.
        """
        if not self.is_like(times):
            found, known = (
                " ".join(map(str, kind)) for kind in (_kind_of(times), self.kind)
            )
            raise ValueError(
                f"The dates of {of} do not fit: they are {found}, those known {known}."
            )
        stamps = self._alike(times)
        if stamps[0] <= self._last:
            raise ValueError(
                f"{of} begins at {times[0]}, but the rows known end at {self.end}: it "
                "must follow them."
            )
        stamps = stamps[: len(self.reach)]
        self._check_steps(stamps, of)
        given = self._index_of(stamps)[:n_steps]
        if len(given) == n_steps or self.calendar is None:
            return given
        rest = self.calendar.after(stamps[-1], n_steps - len(given))
        return given.append(self._index_of(rest))

    def _check_steps(self, stamps: pd.Index, of: str) -> None:
        """Refuse later times that are not the next, nor so many steps on as rows were.

        Between irregular rows twice as many steps may be missing.
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
            f"{of} must go on where the rows known end, at {self.end}, in steps of "
            f"{self.calendar.name}: its row {row} is {found}, where {next_one} is "
            "expected. If holidays are left out, name the calendar by freq=, such as "
            "pd.offsets.CustomBusinessDay(holidays=...)."
        )

    def _steps_to(self, stamps: pd.Index) -> np.ndarray:
        """Count the steps from the last time to later ones; -1 off the calendar."""
        from_last = self._stamps_of(self.ends[1:]).append(stamps)
        return self.calendar.places(from_last)[1:]

    @property
    def _last(self) -> Any:
        return self._stamps_of(self.ends[1:])[0]

    def _alike(self, times: pd.Index) -> pd.Index:
        """Return times of the same kind as these are counted."""
        stamps = _stamps(times)
        return stamps if self.zone is None else stamps.tz_convert(self.zone)

    def _stamps_of(self, values: np.ndarray) -> pd.Index:
        stamps = pd.Index(values)
        if self.zone is None:
            return stamps
        return stamps.tz_localize("UTC").tz_convert(self.zone)

    def _index_of(self, stamps: pd.Index) -> pd.Index:
        """Return what is counted as an index of the user's kind."""
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


def _reach(places: np.ndarray, n_ahead: int) -> np.ndarray:
    """Return how far on the calendar so many rows ever reached, for 1 to n_ahead."""
    reach = [
        (places[n:] - places[:-n]).max() if n < len(places) else 0
        for n in range(1, n_ahead + 1)
    ]
    return np.maximum(reach, np.arange(1, n_ahead + 1))


# --- learned from the training rows ---------------------------------------------------


def learn_time_axis(
    times: pd.Index | None, freq=None, n_ahead: int = 1, origin: Origin = INDEX
) -> TimeAxis | None:
    """Find out how the times of rows go on.

    Parameters
    ----------
    times : Index or None
        As `times_of` gives them.
    freq : str, offset or None
        The user's own calendar.
    n_ahead : int, default=1
        How many rows ahead will be asked for.
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
    fit: Fit | None
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
    """Return the axis of rows that are numbered across several series."""
    return TimeAxis(times, None, "rows")


def _fit_found(stamps: pd.Index) -> tuple[Fit | None, str]:
    offset = getattr(stamps, "freq", None)
    if offset is not None:
        return Fit(Calendar.of(offset), np.arange(len(stamps))), "index"
    return fit_calendar(stamps), "rows"


def _fit_given(times: pd.Index | None, freq, origin: Origin) -> tuple[pd.Index, Fit]:
    if times is None or _kind_of(times) == ("numbers",):
        told = (
            f"{origin.rows} has no index of dates. Keep it through the steps of a "
            'pipeline by set_output(transform="pandas").'
        )
        if origin.column is not None:
            told = f"the {origin} holds no dates."
        raise ValueError(f"freq={freq!r} was given, but {told}")
    stamps = _stamps(times)
    if isinstance(times, pd.PeriodIndex) and _is_same_period(freq, times.freq):
        freq = times.freq
    if not isinstance(stamps, pd.DatetimeIndex):
        if freq is not times.freq:
            raise ValueError(
                f"The {origin} has periods of {times.freqstr!r}, which freq="
                f"{freq!r} is not."
            )
        steps = Steps(freq.n)
        return times, Fit(steps, steps.places(stamps))
    try:
        return times, lies_on(as_offset(freq), stamps)
    except OffCalendar as error:
        name = repr(getattr(freq, "freqstr", freq))
        raise ValueError(
            _off(str(origin), name, times[error.row], error.row)
        ) from error


def _off(place: str, name: str, time, row: int) -> str:
    return (
        f"The {place} is not on the calendar freq={name}: {time} (row {row}) is "
        "not one of its dates."
    )


def _is_same_period(freq, offset) -> bool:
    try:
        return pd.tseries.frequencies.to_offset(freq, is_period=True) == offset
    except (ValueError, TypeError):
        return False


def _warn_of_gaps(times: pd.Index, fit: Fit, origin: Origin) -> None:
    """Tell what is irregular: how many times are missing, where, what is assumed."""
    if len(times) < 3:
        return
    steps = np.diff(fit.places)
    gaps = _find_gaps(steps, fit.calendar.leeway)
    if fit.is_rough:
        if fit.is_irregular:
            warn(_uneven(times, fit, origin))
        return
    if fit.is_irregular:
        gaps = np.flatnonzero(steps > 1)
        warn(
            f"The {origin} is irregular: of its {fit.places[-1] + 1} steps of "
            f"{fit.calendar.name} {fit.n_missing} have no row. It has {len(gaps)} "
            f"gap(s); {_longest(times, steps, gaps)}. The next row is taken to come "
            f"one step of {fit.calendar.name} after the last. {_ADVICE}"
        )
    elif len(gaps):
        warn(_gapped(times, steps, gaps, str(origin)))


def _gapped(times: pd.Index, steps: np.ndarray, gaps: np.ndarray, place: str) -> str:
    return (
        f"The {place} has {len(gaps)} gap(s); {_longest(times, steps, gaps)}. {_ADVICE}"
    )


def _find_gaps(steps: np.ndarray, leeway: int) -> np.ndarray:
    """Return where steps are missing: of days of trading, more than is usual."""
    if not leeway:
        return np.flatnonzero(steps > 1)
    lengths, counts = np.unique(steps, return_counts=True)
    usual = lengths[counts >= max(_USUAL_SHARE * len(steps), _USUAL_COUNT)]
    return np.flatnonzero(steps > _GAP * max([1 + leeway, *usual]))


def _longest(times: pd.Index, steps: np.ndarray, gaps: np.ndarray) -> str:
    place = gaps[np.argmax(steps[gaps])]
    before, after = (
        time.isoformat() if isinstance(time, pd.Timestamp) else time
        for time in times[[place, place + 1]]
    )
    return f"the longest is between {before} and {after}"


def _uneven(times: pd.Index, fit: Fit, origin: Origin) -> str:
    steps = times[1:] - times[:-1]
    return (
        f"The {origin} is irregular: its steps differ, from {steps.min()} to "
        f"{steps.max()}, and the rows are taken as if they were equal. The next row is "
        f"taken to come {fit.calendar.name} after the last, about their median. Bring "
        "the rows to equal steps before, for example by resample() of pandas."
    )
