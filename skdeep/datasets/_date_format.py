"""Parsing of dates and timestamps in the formats of price vendors."""

from __future__ import annotations

import re
from collections import Counter
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from skdeep.datasets._csv import TextFile

_TIME = (
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<half>[AaPp][Mm])?"
    r"\s*(?P<zone>Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?)?"
    r"(?:\s+\(?[A-Za-z/_ ]+\)?)?)?"
)
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?"
_MONTH_NAME = r"(?P<month>[A-Za-z]{3,9})\.?"

# The formats of dates. A file uses one of them throughout. ("second_" is the second
# number; the group "second" belongs to the time.)
FORMATS = {
    "year-month-day": r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})",
    "yearmonthday": r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    "numbers": r"(?P<first>\d{1,2})([-/.])(?P<second_>\d{1,2})\2(?P<year>\d{4}|\d{2})",
    "day month year": (
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[-\s.]+{_MONTH_NAME}[-\s,]+(?P<year>\d{{4}}|\d{{2}})"
    ),
    "month day, year": (
        rf"{_WEEKDAY}{_MONTH_NAME}[-\s]+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})"
    ),
    "year month day": rf"(?P<year>\d{{4}})[-\s]{_MONTH_NAME}[-\s](?P<day>\d{{1,2}})",
}
_DATE_PATTERNS = {name: re.compile(date + _TIME) for name, date in FORMATS.items()}
_DATE_PATTERNS["unix time"] = re.compile(r"(?P<unix>\d{9,19})(?:\.\d*)?")

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)

# Unix times by their upper limits: seconds stay below 1e11 until the year 5138.
_UNITS = {1e11: "s", 1e14: "ms", 1e17: "us", np.inf: "ns"}

YEARS = range(1700, 2200)  # other years are errors
LATEST_OF_SHORT_YEARS = 68  # "68" is 2068 and "69" is 1969, as in the C library


def looks_like_date(cell: str) -> bool:
    """Return whether a cell starts like a date, even if it is not a valid one."""
    return re.match(rf"\d|{_WEEKDAY}[A-Za-z]{{3,9}}\.? \d{{1,2}}\b", cell) is not None


def parse_days(
    file: TextFile, cells: pd.Series, dayfirst: bool | None, tz: str | None
) -> tuple[pd.DatetimeIndex, dict]:
    """Return the trading day of each row, and how the dates were read.

    Parameters
    ----------
    file : TextFile
        The file, for errors.
    cells : Series of shape (n_rows,)
        The text, by line.
    dayfirst : bool or None
        Whether 1/2/2024 is the first of February; None infers it.
    tz : str or None
        The time zone of the exchange; None takes the day as written, or infers it if
        the timestamps are in UTC.

    Returns
    -------
    days : DatetimeIndex of shape (n_rows,)
        The trading days.
    read_as : dict
        "dates", the format, and "day_of", how the day of a timestamp was chosen.
    """
    zone = None if tz is None else _find_zone(tz)
    name, parts = _match(file, cells)
    if name == "unix time":
        times, unit = _read_unix(file, cells, parts)
        offsets = np.zeros(len(parts))
        read_as = {"dates": f"{name} ({unit})"}
    else:
        if name == "numbers":
            name, parts = _order_numbers(file, cells, parts, dayfirst)
        times = _read_times(file, cells, parts)
        offsets = np.array([_read_offset(part["zone"]) for part in parts])
        read_as = {"dates": name}
    days, read_as["day_of"] = _choose_days(file, cells, times, offsets, zone)
    return days, read_as


def _find_zone(tz: str) -> tzinfo:
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"tz={tz!r} is not a time zone, such as 'Asia/Tokyo'."
        ) from error


def _match(file: TextFile, cells: pd.Series) -> tuple[str, list[dict]]:
    """Return the format of the dates and their parts; raise if they have several."""
    found = [_match_one(cell) for cell in cells]
    formats = [name for name, _ in found]
    commonest = Counter(filter(None, formats)).most_common(1)
    # By majority: errors must name the odd line, even if it is the first one.
    name = commonest[0][0] if commonest else ""
    for line, cell, other in zip(cells.index, cells, formats, strict=True):
        if not other:
            raise file.error(line, f"{cell!r} is not a date.")
        if other != name:
            example = cells.index[formats.index(name)]
            raise file.error(
                line, f"{cell!r} is not a date written as in line {example}."
            )
    return name, [parts for _, parts in found]


def _match_one(cell: str) -> tuple[str, dict]:
    """Return the format of a date and its parts; both are empty if it is not a date."""
    for name, pattern in _DATE_PATTERNS.items():
        match = pattern.fullmatch(cell)
        if match is not None:
            return name, match.groupdict()
    return "", {}


def _read_unix(
    file: TextFile, cells: pd.Series, parts: list[dict]
) -> tuple[pd.DatetimeIndex, str]:
    numbers = [int(part["unix"]) for part in parts]
    unit = next(unit for limit, unit in _UNITS.items() if max(numbers) < limit)
    span = pd.Timestamp(YEARS.stop, 1, 1) - pd.Timestamp(1970, 1, 1)
    for line, number in zip(cells.index, numbers, strict=True):
        if number >= span // pd.Timedelta(1, unit=unit):
            raise file.error(line, f"{number} is not a time before {YEARS.stop}.")
    return pd.DatetimeIndex(pd.to_datetime(numbers, unit=unit)), unit


def _order_numbers(
    file: TextFile, cells: pd.Series, parts: list[dict], dayfirst: bool | None
) -> tuple[str, list[dict]]:
    """Decide which of the two numbers before the year is the day."""
    orders = {True: ("day", "month"), False: ("month", "day")}
    readings = {
        key: [part | {a: part["first"], b: part["second_"]} for part in parts]
        for key, (a, b) in orders.items()
    }
    if dayfirst is None:
        dayfirst = _choose_dayfirst(file, cells, readings)
    return "day/month/year" if dayfirst else "month/day/year", readings[dayfirst]


def _choose_dayfirst(
    file: TextFile, cells: pd.Series, readings: dict[bool, list[dict]]
) -> bool:
    """Infer the order: the dates must exist, be sorted, and be trading days."""
    dates = {key: _read_dates(parts) for key, parts in readings.items()}
    if dates[True].equals(dates[False]):
        return True
    n_wrong = {key: found.isna().sum() for key, found in dates.items()}
    if n_wrong[True] != n_wrong[False]:
        return bool(n_wrong[True] < n_wrong[False])
    if any(n_wrong.values()):
        bad = cells[(dates[True].isna() | dates[False].isna()).to_numpy()]
        raise file.error(
            bad.index[0],
            f"{bad.iloc[0]!r} is not a date, or has day and month in another order "
            "than other lines.",
        )
    for is_plausible in (_are_in_order, _are_trading_days):
        fitting = [key for key, found in dates.items() if is_plausible(found)]
        if len(fitting) == 1:
            return fitting[0]
    if "." in cells.iloc[0]:  # 25.03.2024: with dots, the day always comes first
        return True
    ways = " or ".join(f"{found.iloc[0]:%d %B %Y}" for found in dates.values())
    raise file.error(
        cells.index[0],
        f"{cells.iloc[0]!r} is ambiguous: it may be {ways}. Pass dayfirst=True or "
        "dayfirst=False.",
    )


def _are_in_order(dates: pd.Series) -> bool:
    steps = dates.diff().iloc[1:]
    return bool((steps > pd.Timedelta(0)).all() or (steps < pd.Timedelta(0)).all())


def _are_trading_days(dates: pd.Series | pd.DatetimeIndex) -> bool:
    """Return whether all dates are weekdays other than the first of January."""
    days = pd.DatetimeIndex(dates)
    return bool(((days.day_of_week < 5) & (days.day_of_year > 1)).all())


def _read_dates(parts: list[dict]) -> pd.Series:
    """Return the dates; NaT for days that do not exist."""
    years = pd.Series([_read_year(part["year"]) for part in parts])
    frame = pd.DataFrame(
        {
            "year": years,
            "month": [_read_month(part["month"]) for part in parts],
            "day": [int(part["day"]) for part in parts],
        }
    )
    return pd.to_datetime(frame, errors="coerce").where(years.isin(YEARS))


def _read_year(text: str) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    return year + (2000 if year <= LATEST_OF_SHORT_YEARS else 1900)


def _read_month(text: str) -> int:
    """Return the number of a month, 0 if there is no such month."""
    if text.isdigit():
        return int(text)
    name = text.lower()
    name = "sep" if name == "sept" else name
    fitting = [i for i, month in enumerate(_MONTHS, 1) if name in (month, month[:3])]
    return fitting[0] if fitting else 0


def _read_times(
    file: TextFile, cells: pd.Series, parts: list[dict]
) -> pd.DatetimeIndex:
    """Return the dates with their times, as written."""
    seconds = np.array([_read_clock(part) for part in parts])
    times = _read_dates(parts) + pd.to_timedelta(seconds, unit="s").to_series(
        index=range(len(parts))
    )
    bad = np.flatnonzero(times.isna())
    if bad.size:
        line, cell = cells.index[bad[0]], cells.iloc[bad[0]]
        raise file.error(line, f"{cell!r} is not a date: there is no such day or time.")
    return pd.DatetimeIndex(times)


def _read_clock(part: dict) -> float:
    """Return the seconds since midnight; NaN if there is no such time."""
    hour, minute, second = (int(part[k] or 0) for k in ("hour", "minute", "second"))
    if part["half"]:
        hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return np.nan
    return 3600.0 * hour + 60.0 * minute + second


def _read_offset(zone: str | None) -> float:
    """Return how many seconds a zone is ahead of UTC; NaN without a zone."""
    if not zone:
        return np.nan
    digits = re.sub(r"\D", "", zone).ljust(4, "0")
    seconds = 3600.0 * int(digits[:2]) + 60.0 * int(digits[2:])
    return -seconds if "-" in zone else seconds


def _choose_days(
    file: TextFile,
    cells: pd.Series,
    times: pd.DatetimeIndex,
    offsets: np.ndarray,
    zone: tzinfo | None,
) -> tuple[pd.DatetimeIndex, str]:
    """Return the day of each timestamp at the exchange, and how it was chosen."""
    days, is_local = times.normalize(), np.isnan(offsets)  # NaN: no offset is written
    if is_local.all() and zone is None:
        return days, "as written"
    unclear = np.flatnonzero(is_local & (days != times))
    if unclear.size:
        what = "unlike other lines" if zone is None else f"which tz={zone} requires"
        raise file.error(
            cells.index[unclear[0]],
            f"{cells.iloc[unclear[0]]!r} has no offset from UTC, {what}.",
        )
    if zone is not None:
        return _local_days(times, offsets, zone), str(zone)
    if np.nan_to_num(offsets).any():  # the offsets are those of the exchange
        return days, "as written"
    return _choose_utc_days(file, cells, times)


def _local_days(
    times: pd.DatetimeIndex, offsets: np.ndarray, zone: tzinfo
) -> pd.DatetimeIndex:
    """Return the day in a time zone; dates without a time do not change."""
    moments = times - pd.to_timedelta(np.nan_to_num(offsets), unit="s")
    moved = moments.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return moved.where(~np.isnan(offsets), times).normalize()


def _choose_utc_days(
    file: TextFile, cells: pd.Series, times: pd.DatetimeIndex
) -> tuple[pd.DatetimeIndex, str]:
    """Infer the trading day of timestamps in UTC.

    Daily prices are stamped with the start of the day at the exchange, or with its
    opening or close. East of Greenwich, the first two may be on the previous day in
    UTC: 2024-01-02T15:00Z is the start of 3 January in Tokyo, while 2024-01-02T21:00Z
    is the close of 2 January in New York. Choose the reading in which all days are
    trading days.
    """
    same, nearest = times.normalize(), (times + pd.Timedelta(hours=12)).normalize()
    if same.equals(nearest) or same.has_duplicates:
        return same, "UTC"
    fitting = [_are_trading_days(same), _are_trading_days(nearest)]
    if fitting == [True, False]:
        return same, "UTC"
    if fitting == [False, True]:
        return nearest, "the nearest midnight in UTC"
    late = int(np.flatnonzero(same != nearest)[0])
    raise file.error(
        cells.index[late],
        f"the timestamp is ambiguous: depending on the time zone of the exchange, its "
        f"day is {same[late]:%d %B} or {nearest[late]:%d %B}. Pass the time zone, such "
        "as tz='Asia/Tokyo'.",
    )
