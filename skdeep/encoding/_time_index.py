"""The times of rows, from their index or a column of dates."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skdeep._messages import warn

# Number of labels that are inspected to decide whether text may be dates.
_N_PROBED = 20

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
    """Where times were found, in messages: in the index of rows or in a column.

    ``advice`` is added to messages in case the rows are those of several series.
    """

    rows: str = "X"
    column: Any = None
    advice: str = "If they are several series, transform each one separately."

    @property
    def location(self) -> str:
        """The index, or the name of the column."""
        return "index" if self.column is None else f"column {self.column!r}"

    @property
    def code(self) -> str:
        """Python code for the index or the column, for messages."""
        part = ".index" if self.column is None else f"[{self.column!r}]"
        return f"{self.rows}{part}"

    def __str__(self):
        return f"{self.location} of {self.rows}"


INDEX = Origin()


def times_of(X, origin: Origin = INDEX) -> pd.Index | None:
    """Return the time of each row of X, strictly increasing, or None.

    An index of dates, periods, time differences or numbers holds times, and so does
    one of text in ISO 8601 (2024-01-31). Of a MultiIndex, the only level of dates
    is used. Arrays and rows labeled by names have no times.

    Raises
    ------
    ValueError
        If dates are missing, repeated, out of order or text in another format, or if
        the numbers of a column are out of order.

    Warns
    -----
    UserWarning
        If an index of numbers is out of order, and so is not a time axis.
    """
    index = getattr(X, "index", None)
    if not isinstance(index, pd.Index):
        return None
    # A view: pandas caches results inside an index, and the user's must not change.
    index = _parse_dates(_level_of_dates(index)[:], origin)
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)):
        _check_order(index, origin)
        return index
    if index.dtype.kind not in "iuf" or isinstance(index, pd.MultiIndex):
        return None
    _check_not_numeric_dates(index, origin)
    values = index.to_numpy()
    late = np.flatnonzero(~(values[1:] > values[:-1]))  # NaN counts as out of order
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
        f"{found} The rows are used in their present order. If they were shuffled, "
        f"sort them by {origin.rows}.sort_index(); if the numbers are not times, "
        f"remove them by {origin.rows}.reset_index(drop=True)."
    )
    return None


def _level_of_dates(index: pd.Index) -> pd.Index:
    """Return the only level of dates of an index of several levels, or the index."""
    if not isinstance(index, pd.MultiIndex):
        return index
    dates = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)
    levels = [i for i, level in enumerate(index.levels) if isinstance(level, dates)]
    return index.get_level_values(levels[0]) if len(levels) == 1 else index


def _parse_dates(index: pd.Index, origin: Origin) -> pd.Index:
    """Convert an index of objects or text that are dates; return others unchanged."""
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
        return _parse_text(index, origin)
    if kind == "period":
        return pd.PeriodIndex(index)
    if kind in ("date", "datetime", "datetime64"):
        return _to_datetime(index, origin)
    return index


def _parse_text(index: pd.Index, origin: Origin) -> pd.Index:
    """Convert text that is dates; return other text unchanged."""
    # Matching every label is slow, and most indexes of text are names.
    some = index[:: max(1, len(index) // _N_PROBED)]
    if not any(map(_may_be_date, some)):
        return index
    texts = [str(text).strip() for text in index]
    is_iso = np.array([_ISO_DATE.fullmatch(text) is not None for text in texts])
    if is_iso.all():
        return _to_datetime(index, origin, format="ISO8601")
    if is_iso.mean() > 0.5:
        row = int(np.argmin(is_iso))
        raise ValueError(
            f"The {origin} holds dates as text, but {index[row]!r} (row {row}) "
            f"is not a date in ISO 8601. Drop that row, or convert all of them by "
            f"{origin.code} = pd.to_datetime({origin.code})."
        )
    if all(_OTHER_DATE.fullmatch(text) for text in texts):
        raise ValueError(
            f"The {origin} holds dates as text, such as {index[0]!r}. Convert "
            f"them by {origin.code} = pd.to_datetime({origin.code}), with "
            "dayfirst=True or format= if the day comes first."
        )
    return index


def _may_be_date(text) -> bool:
    text = str(text).strip()
    return bool(_ISO_DATE.fullmatch(text) or _OTHER_DATE.fullmatch(text))


def _to_datetime(index: pd.Index, origin: Origin, **how) -> pd.DatetimeIndex:
    try:
        return pd.DatetimeIndex(pd.to_datetime(index, **how))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The {origin} holds dates that pandas cannot read: {error} Convert "
            f"them by {origin.code} = pd.to_datetime({origin.code}), with utc=True if "
            "they are in several time zones."
        ) from error


def _check_not_numeric_dates(index: pd.Index, origin: Origin) -> None:
    """Raise if numbers are dates such as 20240131, whose steps are not equal."""
    numbers = index.to_numpy()
    if numbers.dtype.kind not in "iu" or len(numbers) < 3:
        return
    months, days = numbers // 100 % 100, numbers % 100
    is_date = (numbers >= 19000101) & (numbers <= 21001231) & (months >= 1)
    if (is_date & (months <= 12) & (days >= 1) & (days <= 31)).all():
        raise ValueError(
            f"The {origin} holds dates as numbers, such as {numbers[0]}. Convert them "
            f'by {origin.code} = pd.to_datetime({origin.code}, format="%Y%m%d").'
        )


def _check_order(index: pd.Index, origin: Origin) -> None:
    if index.hasnans:
        raise ValueError(
            f"The {origin} must hold the date of every row; it is missing for "
            f"row {int(np.flatnonzero(index.isna())[0])}."
        )
    late = np.flatnonzero(index[1:] <= index[:-1])
    if late.size:
        before, after = index[late[0]], index[late[0] + 1]
        problem = "is repeated" if before == after else f"comes after {before}"
        raise ValueError(
            f"The rows of {origin.rows} must be in time order, each date once; in its "
            f"{origin.location} {after} {problem} (row {late[0] + 1}). "
            f"{origin.advice}".rstrip()
        )
