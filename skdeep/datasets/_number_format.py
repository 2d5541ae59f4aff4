"""Parsing of numbers in the formats of price vendors: $1,234.50, 1.234,50 or 1.2M."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd

from skdeep.datasets._csv import TextFile

MISSING = frozenset(
    ["", "-", "--", "–", "—", ".", "null", "nan", "na", "n/a", "#n/a", "none", "nil"]
)
SUFFIXES = {"K": "e3", "M": "e6", "B": "e9"}  # for volumes only
# Ratio by which the range of prices grows if a mark is misread.
FAR_APART = 50.0

_CURRENCY = "[$€£¥₹]"
_SPACES = " \u00a0\u202f'’"  # thousands separators in every style


class NumberStyle(NamedTuple):
    """The decimal mark, and the character that groups thousands."""

    decimal: str
    thousands: str


def _compile(style: NumberStyle) -> re.Pattern:
    mark, group = re.escape(style.decimal), f"[{re.escape(style.thousands)}{_SPACES}]"
    # Indian numbers have groups of two digits before the last three: 12,34,567.
    whole = rf"[1-9]\d{{0,2}}(?P<group>{group})(?:\d{{2,3}}(?P=group))*\d{{3}}|\d+"
    return re.compile(
        rf"(?:[A-Z]{{0,3}}{_CURRENCY} ?)?(?P<sign>[+-]?)"
        rf"(?:(?P<whole>{whole})(?:{mark}(?P<rest>\d*))?|{mark}(?P<only_rest>\d+))"
        rf"(?P<power>[eE][+-]?\d+)?(?P<suffix>[KMBkmb]?)(?: ?{_CURRENCY})?"
    )


# The usual styles, by their decimal mark.
_STYLES = {".": NumberStyle(".", ","), ",": NumberStyle(",", ".")}
_NUMBER_PATTERNS = {mark: _compile(style) for mark, style in _STYLES.items()}


def is_missing(cell: str) -> bool:
    """Return whether a cell marks a missing number."""
    return cell.casefold() in MISSING


def looks_like_number(cell: str) -> bool:
    """Return whether a cell is a number in one of the usual styles."""
    return bool(_read_in_both_styles(cell))


def _read_in_both_styles(cell: str) -> dict[str, float]:
    """Return the number in a cell by decimal mark, without invalid readings."""
    matches = {
        mark: pattern.fullmatch(cell) for mark, pattern in _NUMBER_PATTERNS.items()
    }
    return {mark: _to_float(match) for mark, match in matches.items() if match}


def choose_style(
    file: TextFile, cells: pd.DataFrame, decimal: str | None, thousands: str | None
) -> NumberStyle:
    """Return the style of all numbers of a file.

    Parameters
    ----------
    file : TextFile
        The file, for errors.
    cells : DataFrame of shape (n_rows, n_columns)
        The text of the prices and of "volume", if there is one, by line.
    decimal, thousands : str or None
        The user's options; one of them determines the other.
    """
    if decimal is None and thousands in _STYLES:
        decimal = _STYLES[thousands].thousands
    if decimal is None:
        decimal = _choose_decimal(file, cells)
    if thousands == decimal:
        raise ValueError(
            f"decimal={decimal!r} and thousands={thousands!r} must be different."
        )
    return NumberStyle(decimal, thousands or _STYLES[decimal].thousands)


def _choose_decimal(file: TextFile, cells: pd.DataFrame) -> str:
    """Infer the decimal mark from cells with a single reading.

    "1.5", "0,123", "1,234.5" and "1,234,567" have one; "1.234" and "1,234" have two.
    If all cells have two, prices without a mark may decide: 998 is near 1,002 and far
    from 1.002. Otherwise a dot in prices is the decimal mark, as usual in CSV files,
    and a mark in volumes, which are integers, is the thousands separator. It is an
    error if these two disagree, or if prices have commas.
    """
    clear: dict[str, int] = {}
    unclear: dict[str, dict[str, int]] = {"prices": {}, "volume": {}}
    prices = []
    for name, column in cells.items():
        for line, cell in column.items():
            readings = _read_in_both_styles(cell)
            if name != "volume" and readings:
                prices.append(readings)
            if len(readings) == 1:
                clear.setdefault(next(iter(readings)), line)
            elif len(set(readings.values())) == 2 and cell[-1].isdigit():
                kind = "volume" if name == "volume" else "prices"
                unclear[kind].setdefault("," if "," in cell else ".", line)
    if len(clear) == 2:
        raise _two_marks_error(file, clear)
    if clear:
        return next(iter(clear))
    return _compare_spreads(prices) or _choose_by_convention(file, **unclear)


def _two_marks_error(file: TextFile, marks: dict[str, int]) -> ValueError:
    (mark, first), (other, line) = sorted(marks.items(), key=lambda item: item[1])
    return file.error(
        line,
        f"a number has the decimal mark {other!r}, but one in line {first} has "
        f"{mark!r}. All numbers must have the same.",
    )


def _compare_spreads(prices: list[dict[str, float]]) -> str:
    """Return the decimal mark with which the prices are much closer together.

    Empty if there is no clear difference.
    """
    if not prices:
        return ""
    spread = {}
    for mark in _STYLES:
        values = [readings[mark] for readings in prices]
        # A price of 0 makes the ratio infinite. Floats of Python: those of numpy would
        # warn about it.
        spread[mark] = max(values) / max(min(values), sys.float_info.min)
    if spread["."] > FAR_APART * spread[","]:
        return ","
    return "." if spread[","] > FAR_APART * spread["."] else ""


def _choose_by_convention(
    file: TextFile, prices: dict[str, int], volume: dict[str, int]
) -> str:
    """Choose the decimal mark by convention, given each ambiguous mark and its line."""
    if prices.keys() <= {"."} and volume.keys() <= {","}:
        return "."
    if prices.keys() == {","} and volume.keys() == {"."}:
        return ","
    raise file.error(
        min([*prices.values(), *volume.values()]),
        "a mark before three digits is ambiguous: it may be the decimal mark or the "
        "thousands separator. Pass decimal='.' or decimal=','.",
    )


def parse_numbers(
    file: TextFile, cells: pd.Series, spelled: str, style: NumberStyle
) -> np.ndarray:
    """Return the numbers of a column, NaN for cells that mark missing ones.

    Parameters
    ----------
    file : TextFile
        The file, for errors.
    cells : Series of shape (n_rows,)
        The text, by line. Suffixes such as "1.2M" are allowed if its name is "volume".
    spelled : str
        The name of the column in the file.
    style : NumberStyle
        The style of the numbers.
    """
    pattern, has_suffix = _compile(style), cells.name == "volume"
    numbers = np.full(len(cells), np.nan)
    for i, (line, cell) in enumerate(cells.items()):
        if is_missing(cell):
            continue
        match = pattern.fullmatch(cell)
        if match and (has_suffix or not match["suffix"]):
            numbers[i] = _to_float(match)
        if not np.isfinite(numbers[i]):
            raise file.error(
                line,
                f"column {spelled!r} holds {cell!r}, which is not a number with "
                f"decimal={style.decimal!r} and thousands={style.thousands!r}.",
            )
    return numbers


def _to_float(match: re.Match) -> float:
    part = match.groupdict(default="")
    whole = "".join(digit for digit in part["whole"] if digit.isdigit())
    # Append the power of ten to the text: a product would not be correctly rounded.
    power = part["power"] or SUFFIXES.get(part["suffix"].upper(), "")
    return float(f"{part['sign']}{whole}.{part['rest'] or part['only_rest']}{power}")
