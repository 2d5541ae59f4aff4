"""Texts, numbers and shapes that plots and HTML pages of explanations share."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd

# Local models with a smaller R² are not to be trusted.
R2_TO_TRUST = 0.5
_MANY = 0.05  # share of rows from which on the warning is emphasized
# Persian, Hindi and other scripts, and composed emoji, need these between letters.
_JOINERS = "\u200c\u200d"
_LABEL_WIDTH, _VALUE_WIDTH = 42, 26
_TIMES = "\u00d7"


class Line(NamedTuple):
    """A bar of a plot or a line of a table: a unit, or the sum of the other units."""

    name: str
    value: str  # "" where a unit is more than one number
    effect: float
    unit: int | None  # None for the sum of the others

    @property
    def label(self):
        """The name and the value, shortened to fit into a plot."""
        name = shorten(self.name, max(18, _LABEL_WIDTH - len(self.value)))
        if not self.value:
            return name
        if self.value.startswith(_TIMES):  # the count of a word
            return f"{name} {self.value}"
        is_bin = "<" in self.value or "≤" in self.value
        return f"{name}: {self.value}" if is_bin else f"{name} = {self.value}"


# ---------------------------------------------------------------------------- words


def clean(text) -> str:
    """Return a text on one line, with unprintable characters replaced."""
    return printable(" ".join(str(text).split()))


def printable(text: str) -> str:
    """Return a text with its line breaks, and with unprintable characters replaced."""
    spaces = {c: c if c in "\n " else " " for c in set(text) if c.isspace()}
    return "".join(
        spaces.get(c, c if c.isprintable() or c in _JOINERS else "\ufffd") for c in text
    )


def shorten(text: str, width: int) -> str:
    """Shorten a text in the middle: names often differ at their beginnings or ends."""
    if len(text) <= width:
        return text
    n_end = (width - 1) // 2
    return f"{text[: width - 1 - n_end]}…{text[len(text) - n_end :]}"


def describe_value(value) -> str:
    """Return a value of a row as text."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "missing"
    if isinstance(value, (pd.Timestamp, datetime.datetime, np.datetime64)):
        return _describe_time(pd.Timestamp(value))
    if isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, Real):
        return _describe_number(value)
    return shorten(clean(value), _VALUE_WIDTH)


def describe_unit_value(explanation, row: int, unit: int) -> str:
    """Return the value of a unit as text, "" for units of several values.

    The value of a word is its count, shown if it is more than one.
    """
    value = explanation.values_[row, unit]
    if explanation.kind == "document":
        return f"{_TIMES}{value}" if value is not None and value > 1 else ""
    is_column = explanation.unit_names_[unit] in explanation.feature_names_
    if value is None and not (explanation.kind == "table" and is_column):
        return ""
    return describe_value(value)


def describe_output(explanation, row: int | None) -> str:
    """Return the name of the output that was explained for a row, or for all rows."""
    if row is not None:
        return shorten(clean(explanation.outputs_[row]), 40)
    names = list(dict.fromkeys(map(clean, explanation.outputs_)))
    if len(names) > 3:
        return f"{len(names)} outputs"
    return shorten(", ".join(names), 40)


def count_rows(n: int) -> str:
    """Return a number of rows as text."""
    return "1 row" if n == 1 else f"{n} rows"


def describe_row(explanation, row: int) -> str:
    """Return the label of a row as text."""
    kind = "document" if explanation.kind == "document" else "row"
    return f"{kind} {describe_value(explanation.rows_[row])}"


def describe_fidelity(explanation, row: int) -> dict:
    """Return the predictions, R², stability and number of draws, by their names."""
    predicted, local = explanation.prediction_[row], explanation.local_prediction_[row]
    texts = format_numbers([predicted, local])
    numbers = {"Model": texts[0], "Local model": texts[1]}
    for name, value in [("R²", explanation.r2_), ("Stability", explanation.stability_)]:
        numbers[name] = "–" if np.isnan(value[row]) else _minus(f"{value[row]:.2f}")
    return numbers | {"Draws": f"{int(explanation.num_samples_[row]):,}"}


def describe_range(values) -> str:
    """Return the range of some numbers as text."""
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        return "–"
    ends = [_minus(f"{end(values):.2f}") for end in (np.nanmin, np.nanmax)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def is_poor(explanation) -> np.ndarray:
    """Return a mask of the rows whose local models fit poorly."""
    return ~(np.asarray(explanation.r2_, float) >= R2_TO_TRUST)


def warn_of_row(explanation, row: int) -> list[str]:
    """Return a warning about a row on two lines, or no lines if the fit is good."""
    if not is_poor(explanation)[row]:
        return []
    r2 = explanation.r2_[row]
    if np.isnan(r2):
        return ["No R²: the output does not change near this row;", "no effects"]
    return [
        _minus(f"R² {r2:.2f}: the model is not linear here;"),
        "do not trust these effects",
    ]


def warn_of_rows(explanation) -> list[str]:
    """Return a warning about all rows on two lines, or nothing if all fits are good."""
    n_poor, n_rows = int(is_poor(explanation).sum()), len(explanation)
    if n_poor == 0:
        return []
    percent = 100 * n_poor / n_rows
    share = f"{percent:.0f} %" if percent >= 1 else "below 1 %"
    return [
        f"R² below {R2_TO_TRUST} in {n_poor} of {n_rows} rows ({share}):",
        "the model is not linear there; do not trust their effects",
    ]


def are_many_poor(explanation) -> bool:
    """Return whether the warning about poor fits is to be emphasized."""
    return bool(is_poor(explanation).mean() >= _MANY)


def _describe_time(time: pd.Timestamp) -> str:
    if time == time.normalize():
        return f"{time:%Y-%m-%d}"
    return f"{time:%Y-%m-%d %H:%M}" if time.second == 0 else f"{time:%Y-%m-%d %X}"


def _describe_number(value) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size < 1e7 and value == int(value):
        return _minus(f"{int(value)}")
    if not 1e-4 <= size < 1e7:
        return _minus(f"{value:.3e}")
    decimals = max(0, 3 - math.floor(math.log10(size)))
    return _minus(f"{value:.{decimals}f}".rstrip("0").rstrip("."))


def _minus(number: str) -> str:
    return number.replace("-", "−")


# -------------------------------------------------------------------------- numbers


def format_numbers(values, sign: bool = False, like=()) -> list[str]:
    """Return numbers as texts with equally many decimals.

    The largest has three digits. If ``like`` is given, the decimals are those of its
    numbers.
    """
    try:
        values = np.asarray(values, float)
    except (TypeError, ValueError):  # predictions that are not numbers
        return [describe_value(value) for value in values]
    form = _number_format(like) if _needs_no_exponent(like) else _number_format(values)
    # "z" writes -0.0 without a sign; the sign of an effect is information, though.
    return [_minus(f"{value:{'+' if sign else 'z'}{form}}") for value in values]


def _largest_size(values) -> float:
    sizes = np.abs(np.asarray(values, float))
    return float(sizes[np.isfinite(sizes)].max(initial=0.0))


def _needs_no_exponent(values) -> bool:
    """Return whether numbers can be written without exponents."""
    return 1e-3 <= _largest_size(values) < 1e7


def _number_format(values) -> str:
    """Return the format for numbers of these sizes."""
    largest = _largest_size(values)
    if largest and not _needs_no_exponent(values):
        return ".2e"
    decimals = 2 - math.floor(math.log10(largest)) if largest else 0
    return f",.{max(0, decimals)}f"


def shown_lines(explanation, row: int, limit: int | None = None) -> list[Line]:
    """Return the largest effects of a row, and the sum of the others at the end."""
    effects = np.asarray(explanation.effects_[row], float)
    shown = explanation.top(row)[:limit]
    lines = [
        Line(
            clean(explanation.unit_names_[unit]),
            describe_unit_value(explanation, row, unit),
            float(effects[unit]),
            int(unit),
        )
        for unit in shown
    ]
    rest = np.setdiff1d(np.flatnonzero(np.nan_to_num(effects)), shown)
    if len(rest):
        name = f"{len(rest)} other{'s' if len(rest) > 1 else ''}"
        lines.append(Line(name, "", float(effects[rest].sum()), None))
    return lines


def mean_sizes(explanation) -> np.ndarray:
    """Return the mean absolute effect of each unit, NaN for units that no row has."""
    sizes = np.abs(np.asarray(explanation.effects_, float))
    n_rows = np.isfinite(sizes).sum(axis=0)
    return np.where(n_rows > 0, np.nansum(sizes, axis=0), np.nan) / np.maximum(
        n_rows, 1
    )


def largest_units(explanation, limit: int | None = None) -> np.ndarray:
    """Return the units with the largest mean absolute effects, the largest first."""
    sizes = np.nan_to_num(mean_sizes(explanation))
    order = np.argsort(-sizes, kind="stable")[: explanation.num_features][:limit]
    return order[sizes[order] > 0]


def value_ranks(explanation, unit: int) -> np.ndarray:
    """Return the rank of each row's value, scaled to 0 to 1; NaN if not a number."""
    values = pd.Series(list(explanation.values_[:, unit]), dtype=object)
    is_number = values.map(lambda v: isinstance(v, Real) and type(v) is not bool)
    numbers = values.where(is_number).astype(float)
    n = numbers.count()
    if n < 2 or numbers.nunique() < 2:
        return np.full(len(values), np.nan)
    return ((numbers.rank() - 1) / (n - 1)).to_numpy()


# --------------------------------------------------------------------------- shapes


def row_units(explanation, row: int) -> np.ndarray:
    """Return the unit of each cell of a row: features × times, or pixels."""
    if explanation.kind == "image":
        return np.asarray(explanation.units_[row])
    return np.asarray(explanation.units_).T


def spread_over_cells(units: np.ndarray, numbers) -> np.ndarray:
    """Return the number of each cell's unit, NaN for cells without a unit."""
    numbers = np.asarray(numbers, float)
    return np.where(units >= 0, numbers[np.maximum(units, 0)], np.nan)


def name_units(units: np.ndarray) -> str:
    """Return what a unit of a sequence is called, depending on its cells."""
    cells = units[units >= 0]
    if len(np.unique(cells)) == len(cells):
        return "cell"
    if (units == units[:1]).all():
        return "time segment"
    if (units == units[:, :1]).all():
        return "feature"
    return "group of cells"


def runs(line: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the start and the stop of each run of true values."""
    padded = np.concatenate([[False], line, [False]]).astype(np.int8)
    steps = np.diff(padded)
    yield from zip(
        np.flatnonzero(steps == 1).tolist(),
        np.flatnonzero(steps == -1).tolist(),
        strict=True,
    )


def outlines(units: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Return the lines between cells of different units as (x0, y0, x1, y1)."""
    down = [
        (x + 1, start, x + 1, stop)
        for x in range(units.shape[1] - 1)
        for start, stop in runs(units[:, x] != units[:, x + 1])
    ]
    across = [
        (start, y + 1, stop, y + 1)
        for y in range(units.shape[0] - 1)
        for start, stop in runs(units[y] != units[y + 1])
    ]
    return down + across


def evenly_spaced(n: int, most: int) -> list[int]:
    """Return at most ``most`` of n positions, evenly spaced, including the last."""
    step = max(1, -(-n // max(1, most)))
    return list(range((n - 1) % step, n, step))


def n_labels(labels: list[str], room: int) -> int:
    """Return how many labels fit next to each other in ``room`` letters."""
    widest = max(map(len, labels), default=1)
    return int(np.clip(room // (widest + 3), 2, 8))
