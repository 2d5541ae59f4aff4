"""Numbers as the vendors of prices write them: $1,234.50, 1.234,50 or 1.2M."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from skdeep.datasets._csv import TextFile

MISSING = frozenset(
    ["", "-", "--", "–", "—", ".", "null", "nan", "na", "n/a", "#n/a", "none", "nil"]
)
SUFFIXES = {"K": "e3", "M": "e6", "B": "e9"}  # of volumes

FAR_APART = 50.0  # how much farther apart prices are if a mark is misread

_CURRENCY = r"(?:[A-Z]{0,3}[$€£¥₹] ?)?"
_SPACES = " \u00a0\u202f'’"  # group thousands in any style
_MARKED = re.compile(
    rf"{_CURRENCY}[+-]?(?P<whole>[\d.,{_SPACES}]*?)"
    rf"(?:(?P<mark>[.,])(?P<rest>\d*))?(?:[eE][+-]?\d+)?(?P<suffix>[KMBkmb]?)"
    r"(?: ?[$€£¥₹])?"
)
_OTHER = {".": ",", ",": "."}


class NumberStyle(NamedTuple):
    """The decimal mark, and the character that groups thousands."""

    decimal: str
    thousands: str


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no number."""
    return cell.casefold() in MISSING


def looks_like_number(cell: str) -> bool:
    """Whether a cell is a number in some style."""
    return _MARKED.fullmatch(cell) is not None and any(c.isdigit() for c in cell)


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
        What the user says; one follows from the other.
    """
    if decimal is None and thousands in _OTHER:
        decimal = _OTHER[thousands]
    if decimal is None:
        decimal = _choose_decimal(file, cells)
    if thousands == decimal:
        raise ValueError(f"decimal={decimal!r} and thousands={thousands!r} are equal.")
    return NumberStyle(decimal, thousands or _OTHER[decimal])


def _choose_decimal(file: TextFile, cells: pd.DataFrame) -> str:
    """Find the mark from cells that can be read in one way only.

    "1.5", "0,123", "1,234.5" and "1,234,567" tell; "1.234" and "1,234" may be
    either. Where no cell tells, prices without a mark may: 998 is near to 1,002 and far
    from 1.002. Else a point in prices is taken for the decimal mark, as nearly
    everywhere in files, and a mark in volumes, which are whole numbers, for that of
    thousands. It is an error where the two disagree, or prices have commas.
    """
    told: dict[str, int] = {}
    of_prices: dict[str, int] = {}
    of_volumes: dict[str, int] = {}
    for name, column in cells.items():
        unclear = of_volumes if name == "volume" else of_prices
        for line, cell in column.items():
            mark, is_sure = _read_mark(cell)
            if is_sure:
                told.setdefault(mark, line)
            elif mark:
                unclear.setdefault(mark, line)
    if len(told) == 2:
        (mark, first), (other, line) = sorted(told.items(), key=lambda item: item[1])
        raise file.error(
            line,
            f"a number has the decimal mark {other!r}, and one of line {first} has "
            f"{mark!r}. A file must keep to one.",
        )
    if told:
        return next(iter(told))
    if len(of_prices) == 1:
        (mark,) = of_prices
        nearer = _compare_spreads(cells.drop(columns="volume", errors="ignore"), mark)
        if nearer:
            return nearer
    if of_prices.keys() <= {"."} and of_volumes.keys() <= {","}:
        return "."
    if of_prices.keys() == {","} and of_volumes.keys() == {"."}:
        return ","
    raise file.error(
        min([*of_prices.values(), *of_volumes.values()]),
        "a mark before three digits may stand for decimals or thousands, and no other "
        "line tells: pass decimal='.' or decimal=','.",
    )


def _compare_spreads(cells: pd.DataFrame, mark: str) -> str:
    """Return the decimal mark with which the prices are much nearer to each other.

    It is empty if neither is.
    """
    matches = [_MARKED.fullmatch(cell) for cell in cells.to_numpy().ravel()]
    texts = [f"{m['whole']}{m['mark'] or ''}{m['rest'] or ''}" for m in matches if m]
    decimals = _spread([text.replace(mark, ".") for text in texts])
    thousands = _spread([text.replace(mark, "") for text in texts])
    if decimals > FAR_APART * thousands:
        return _OTHER[mark]
    return mark if thousands > FAR_APART * decimals else ""


def _spread(texts: list[str]) -> float:
    """Return the largest number over the smallest."""
    texts = ["".join(c for c in text if c not in _SPACES) for text in texts]
    numbers = [float(text) for text in texts if any(c.isdigit() for c in text)]
    return max(numbers) / max(min(numbers), np.finfo(float).tiny)


def _read_mark(cell: str) -> tuple[str, bool]:
    """Return the decimal mark that a cell shows, and whether it can be no other.

    A mark that is not sure is the one that the cell has. Without one it is empty.
    """
    match = _MARKED.fullmatch(cell)
    if match is None or not match["mark"]:
        return "", False
    whole, mark = match["whole"], match["mark"]
    if _OTHER[mark] in whole:
        return mark, True
    if mark in whole:
        return _OTHER[mark], True
    groups = len(match["rest"]) == 3 and 0 < len(whole) <= 3 and whole[0] != "0"
    return ("", False) if groups and match["suffix"] else (mark, not groups)


def parse_numbers(
    file: TextFile, cells: pd.Series, spelled: str, style: NumberStyle
) -> np.ndarray:
    """Return the numbers of a column, NaN where a cell says that there is none.

    Parameters
    ----------
    file : TextFile
        The file, for errors.
    cells : Series of shape (n_rows,)
        The text, by line. If its name is "volume", "1.2M" is a number too.
    spelled : str
        The name of the column in the file.
    style : NumberStyle
        How the numbers are written.
    """
    pattern = _compile(style, with_suffix=cells.name == "volume")
    numbers = np.full(len(cells), np.nan)
    for i, (line, cell) in enumerate(cells.items()):
        if is_missing(cell):
            continue
        match = pattern.fullmatch(cell)
        numbers[i] = _to_float(match, style) if match else np.inf
        if np.isinf(numbers[i]):
            how = f" with decimal={style.decimal!r} and thousands={style.thousands!r}"
            raise file.error(
                line,
                f"column {spelled!r} holds {cell!r}, which is not a number"
                f"{how if looks_like_number(cell) else ''}.",
            )
    return numbers


def _compile(style: NumberStyle, with_suffix: bool) -> re.Pattern:
    mark, group = re.escape(style.decimal), f"[{re.escape(style.thousands)}{_SPACES}]"
    # Groups of two digits stand before the last of three in India: 12,34,567.
    whole = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|\d+"
    suffix = "[KMBkmb]?" if with_suffix else ""
    return re.compile(
        rf"{_CURRENCY}(?P<sign>[+-]?)(?:(?P<whole>{whole})(?:{mark}(?P<rest>\d*))?"
        rf"|{mark}(?P<only_rest>\d+))(?P<power>[eE][+-]?\d+)?(?P<suffix>{suffix})"
        r"(?: ?[$€£¥₹])?"
    )


def _to_float(match: re.Match, style: NumberStyle) -> float:
    part = match.groupdict(default="")
    whole = "".join(digit for digit in part["whole"] if digit.isdigit())
    # A power of ten in the text, not a product: the float is the nearest one.
    power = SUFFIXES.get(part["suffix"].upper(), part["power"])
    return float(f"{part['sign']}{whole}.{part['rest'] or part['only_rest']}{power}")
