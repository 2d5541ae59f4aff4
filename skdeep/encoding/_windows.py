"""Windows of time series, and what follows them, into inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import r2_score
from torch import Tensor

from skdeep.encoding._rows import as_tensor

# Share of the training rows' spread that a window's is never taken to be below.
_SMALLEST_SPREAD = 0.1
# A column that is no target is scaled by the rows of all series, unless its spread in
# one series is below this share of the spread over all.
_SMALLEST_SHARE = 0.1
# Windows that are looked at together.
_CHUNK = 200
# Errors are kept as this many quantiles.
_N_LEVELS = 201
# The largest numbers whose differences, squares and forecasts stay finite.
_LARGEST = {np.dtype(np.float64): 1e150, np.dtype(np.float32): 8e37}
# Rounding alone makes the spread of a constant column this share of its mean.
_ROUNDING = 64 * np.finfo(np.float64).eps

# The code of a series that was not among those of training.
UNSEEN = -1


@dataclass
class Windows:
    """Places in rows where the past is read and the future begins.

    Parameters
    ----------
    numeric : ndarray of shape (n_rows, n_features)
        Rows in order of time, of one series after another. Gaps are filled; of what is
        not known yet at the start, columns that are no targets may hold NaN.
    targets : ndarray of shape (n_rows, n_targets), optional
        What is forecast; NaN where it is missing.
    starts : ndarray of shape (n_windows,)
        The first row of each window.
    futures : ndarray of shape (n_windows,)
        The first row of the future of each window.
    spans : list of (int, int)
        Where the rows of each series begin and end.
    is_padded : ndarray of shape (n_windows,), optional
        Which windows hold rows that are made up.
    series : int or ndarray of int of shape (n_rows,), default=0
        The code of the series of each row, or of all; -1 stands for a series that is
        not among those of training.
    given : ndarray of shape (n_rows, n_features), optional
        The rows before gaps were filled; None if there were none.
    is_unknown : ndarray of shape (n_windows, n_own), optional
        Which targets have no value yet at the end of a window.
    is_apart : bool, default=False
        Whether each window and its future have rows of their own, one after another.
    """

    numeric: np.ndarray
    targets: np.ndarray | None
    starts: np.ndarray
    futures: np.ndarray
    spans: Sequence[tuple[int, int]] = ()
    is_padded: np.ndarray | None = None
    series: Any = 0
    given: np.ndarray | None = None
    is_unknown: np.ndarray | None = None
    is_apart: bool = False

    @classmethod
    def inside(
        cls, numeric, targets, spans, window: int, horizon: int, own=(), codes=(0,)
    ) -> Windows:
        """Return every window that lies, with its future, within one of the spans.

        Parameters
        ----------
        numeric, targets : ndarray
            Rows and what is forecast of them; gaps are filled.
        spans : list of (int, int)
            Where the rows of each series begin and end.
        window, horizon : int
            Numbers of rows.
        own : list of int
            Columns that are forecast.
        codes : sequence of int
            The code of each series.
        """
        starts = np.concatenate(
            [np.arange(start, stop - window - horizon + 1) for start, stop in spans]
        )
        lengths = [stop - start for start, stop in spans]
        series = np.repeat(codes, lengths) if len(spans) > 1 else codes[0]
        windows = cls(numeric, targets, starts, starts + window, spans, series=series)
        return windows.filled(own)

    @classmethod
    def before_each(
        cls, before, rows, unknown, window: int, horizon: int, own=(), code: int = 0
    ) -> Windows:
        """Return a window for each row, which ends ``horizon`` rows before it.

        What is missing at the beginning is filled with copies of the first row; where
        nothing is known at all that long before, the window is ``unknown`` rows.

        Parameters
        ----------
        before : ndarray of shape (n_before, n_features)
            Rows that came before.
        rows : ndarray of shape (n_rows, n_features)
            The rows.
        unknown : ndarray of shape (n_features,)
            What stands for a row of which nothing is known.
        window, horizon : int
            Numbers of rows.
        own : list of int
            Columns that are forecast.
        code : int, default=0
            The code of the series.
        """
        known = np.concatenate([before, rows])
        n_edge = max(window, horizon)
        blank = np.broadcast_to(unknown, (window, len(unknown)))
        edge = np.broadcast_to(known[0], (n_edge, len(unknown)))
        padded = np.concatenate([blank, edge, known])
        first = window + n_edge  # row of ``padded`` where what is known begins
        last_read = first + len(before) + np.arange(len(rows)) - horizon
        starts = np.where(last_read >= first, last_read - window + 1, 0)
        is_padded = starts < first
        windows = cls(
            padded,
            None,
            starts,
            last_read + 1,
            [(window, len(padded))],
            is_padded=is_padded,
            series=code,
        )
        return windows.filled(own)

    def filled(self, own) -> Windows:
        """Carry values on over gaps within each span.

        A target that begins later than its rows gets copies of its first value before
        it, as rows do that are missing at the beginning of a window.
        """
        if not np.isnan(self.numeric).any():
            return self
        own = list(own)
        numeric = self.numeric.copy()
        begins = np.empty((len(numeric), len(own)), int)
        for start, stop in self.spans:
            rows = pd.DataFrame(numeric[start:stop]).ffill()
            known = rows[own].notna().to_numpy()
            first = np.where(known.any(axis=0), known.argmax(axis=0), stop - start)
            begins[start:stop] = start + first
            rows[own] = rows[own].bfill()
            numeric[start:stop] = rows
        is_unknown = self.futures[:, np.newaxis] <= begins[self.futures - 1]
        return replace(self, numeric=numeric, given=self.numeric, is_unknown=is_unknown)

    def some(self, index) -> Windows:
        """Return some of the windows."""
        padded = None if self.is_padded is None else self.is_padded[index]
        unknown = None if self.is_unknown is None else self.is_unknown[index]
        return replace(
            self,
            starts=self.starts[index],
            futures=self.futures[index],
            is_padded=padded,
            is_unknown=unknown,
        )

    def with_targets(self, horizon: int) -> Windows:
        """Return the windows of whose future at least one value is known."""
        targets: Any = self.targets
        if not np.isnan(targets).any():
            return self
        counts = np.zeros(len(targets) + 1, int)
        counts[1:] = (~np.isnan(targets)).any(axis=1).cumsum()
        is_known = counts[self.futures + horizon] > counts[self.futures]
        return self.some(np.flatnonzero(is_known))

    def apart(self, window: int, horizon: int) -> Windows:
        """Return a copy of each window and of its future, one after another."""
        firsts = np.arange(len(self)) * (window + horizon)
        places = np.concatenate(
            [
                self.starts[:, np.newaxis] + np.arange(window),
                self.futures[:, np.newaxis] + np.arange(horizon),
            ],
            axis=1,
        )
        # The future of the last windows may reach beyond the rows.
        places = places.clip(max=len(self.numeric) - 1).ravel()
        return replace(
            self,
            numeric=self.numeric[places],
            starts=firsts,
            futures=firsts + window,
            spans=(),
            given=None,
            is_apart=True,
        )

    def rows_used(self, window: int, horizon: int) -> np.ndarray:
        """Tell which rows lie in a window or in its future, (n_rows,)."""
        changes = np.zeros(len(self.numeric) + 1, dtype=int)
        for firsts, length in ((self.starts, window), (self.futures, horizon)):
            np.add.at(changes, firsts, 1)
            np.add.at(changes, firsts + length, -1)
        return changes[:-1].cumsum() > 0

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def dtype(self) -> np.dtype:
        """The float type of the rows."""
        return self.numeric.dtype


class WindowRows:
    """Windows and their known futures, cut out of the series when they are needed.

    Parameters
    ----------
    past : Tensor of shape (n_rows, n_features)
        What windows are cut from.
    known : Tensor of shape (n_rows, n_known)
        What is known in advance.
    starts, futures : Tensor of shape (n_windows,)
        First rows of the windows and of their futures.
    window, horizon : int
        Numbers of rows.
    series : ndarray of shape (n_windows,)
        The code of the series of each window.
    """

    def __init__(
        self,
        past: Tensor,
        known: Tensor,
        starts: Tensor,
        futures: Tensor,
        window: int,
        horizon: int,
        series: np.ndarray,
    ):
        self.past = _all_windows(past, window)
        self.known = _all_windows(known, horizon) if known.shape[1] else None
        self.starts = starts
        self.futures = futures
        self.series = series

    def __len__(self) -> int:
        return len(self.starts)

    def take(
        self, index: Tensor | slice, out: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        past = self.past.index_select(0, self.starts[index])
        if self.known is None:
            return (past,)
        return past, self.known.index_select(0, self.futures[index])

    def spreads(self, n_own: int) -> np.ndarray:
        """Return how much each target moves within each window, (n_windows, n_own).

        In units of its spread over the training rows, and never below a tenth of it.
        """
        chunks = [slice(s, s + _CHUNK) for s in range(0, len(self), _CHUNK)]
        parts = [self.take(c)[0][:, :, :n_own].std(1, correction=0) for c in chunks]
        return torch.cat(parts).clamp_min(_SMALLEST_SPREAD).cpu().numpy()


def _all_windows(rows: Tensor, length: int) -> Tensor:
    """View rows as windows that begin at each: (n, f) -> (n_windows, length, f)."""
    rows = rows.contiguous()
    width = rows.shape[1]
    shape = (max(len(rows) - length + 1, 0), length, width)
    return rows.as_strided(shape, (width, width, 1))


class WindowEncoder:
    """Turns windows into rows that a forecasting network takes.

    Columns are scaled by the mean and spread of the training rows, those that are
    forecast put first. Each series has its own scale for what is forecast. For other
    columns, whose level may tell series apart, it has one only where the column moves
    much less than over all series.

    Parameters
    ----------
    own : list of int
        Columns that are forecast.
    known : list of int
        Columns that are known in advance.
    window, horizon : int
        Numbers of rows.
    """

    def __init__(self, own: list[int], known: list[int], window: int, horizon: int):
        self.own = own
        self.known = known
        self.window = window
        self.horizon = horizon

    def fit(self, table: Windows) -> WindowEncoder:
        """Learn the means and spreads of the columns."""
        used = table.rows_used(self.window, self.horizon)
        rows = table.numeric if table.given is None else table.given
        shared = [i for i in range(rows.shape[1]) if i not in self.own]
        self.scaling_ = Scaling(rows, used, table.series, shared)
        self.order_ = [*self.own, *shared]
        return self

    def encode(
        self, table: Windows, dtype: torch.dtype, device: torch.device
    ) -> WindowRows:
        """Return the windows as tensors of the given type on the given device."""
        scaled = self._scaled(table)
        scaled[np.isnan(scaled)] = 0  # the mean stands for what is not known yet
        rows = as_tensor(scaled).to(dtype).to(device)
        return WindowRows(
            rows[:, self.order_],
            rows[:, self.known],
            torch.from_numpy(table.starts).to(device),
            torch.from_numpy(table.futures).to(device),
            self.window,
            self.horizon,
            np.broadcast_to(table.series, len(scaled))[table.starts],
        )

    def _scaled(self, table: Windows) -> np.ndarray:
        mean, scale = self.scaling_.of(table.series)
        if table.is_apart:
            shape = (len(table), len(self.order_))
            mean, scale = (np.broadcast_to(p, shape).copy() for p in (mean, scale))
            mean[:, self.own], scale[:, self.own] = self.own_scaling(table)
            length = self.window + self.horizon
            mean, scale = (np.repeat(part, length, axis=0) for part in (mean, scale))
        with np.errstate(over="ignore"):  # whether all is finite is looked at later
            return (table.numeric - mean) / scale

    def own_scaling(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each target in each window, (n_windows, n_own).

        For windows that stand apart: of a series that training has not seen, nothing
        else is known than the rows of the window.
        """
        n_windows, n_features = len(windows), windows.numeric.shape[1]
        blocks = windows.numeric.reshape(n_windows, -1, n_features)[:, : self.window]
        own = blocks[:, :, self.own].swapaxes(0, 1).reshape(self.window, -1)
        mean, scale = (part.reshape(n_windows, -1) for part in _moments(own))
        usual_mean, usual_scale = (p[self.own] for p in self.scaling_.of(UNSEEN))
        is_missing = np.isnan(own).all(axis=0).reshape(n_windows, -1)
        mean = np.where(is_missing, usual_mean, mean)
        if windows.is_padded is not None:
            # Copies of one row do not tell how large a change is.
            is_told = (scale > 0) | ~windows.is_padded[:, np.newaxis]
            scale = np.where(is_told, scale, usual_scale)
        return mean, np.where(scale == 0, 1, scale)


class Scaling:
    """Means and spreads of columns over the training rows, of each series and of all.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        May hold NaN.
    used : ndarray of shape (n_rows,)
        Which rows count.
    series : int or ndarray of shape (n_rows,)
        The code of the series of each row, ascending, or of all.
    shared : list of int, default=()
        Columns for which series are to have one scale.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_series + 1, n_columns)
        The last row is that of all series together; of one series it is the only row.
        The scale of a constant column is 1.
    """

    def __init__(self, rows: np.ndarray, used, series, shared: Sequence[int] = ()):
        usual = _moments(rows[used])
        parts = []
        if np.ndim(series):
            # Rows of one series stand together, in the order of their codes.
            ends = np.searchsorted(series, np.arange(series[-1] + 2))
            for first, end in pairwise(ends):
                part = rows[first:end][used[first:end]]
                parts.append(_moments(part) if len(part) else usual)
        parts.append(usual)
        mean, spread = (np.array(each) for each in zip(*parts, strict=True))
        others = list(shared)
        usual_mean, usual_spread = mean[-1, others], spread[-1, others]
        is_alike = spread[:, others] >= _SMALLEST_SHARE * usual_spread
        is_alike |= spread[:, others] == 0
        mean[:, others] = np.where(is_alike, usual_mean, mean[:, others])
        spread[:, others] = np.where(is_alike, usual_spread, spread[:, others])
        self.mean_ = mean.astype(rows.dtype)
        self.scale_ = spread.astype(rows.dtype)
        self.scale_[self.scale_ == 0] = 1

    @property
    def n_series(self) -> int:
        """Number of series of training."""
        return max(len(self.mean_) - 1, 1)

    def of(self, series) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of a series, or of each of several rows."""
        return self.mean_[series], self.scale_[series]


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each column; the spread is 0 if all values are equal.

    NaN does not count. Computed in powers of 2 of the largest value, so that squares of
    tiny or huge values neither vanish nor overflow.
    """
    is_missing = np.isnan(rows)
    if is_missing.any():
        columns = zip(rows.T, is_missing.T, strict=True)
        parts = [_moments(c[~missing, np.newaxis]) for c, missing in columns]
        return np.concatenate([m for m, _ in parts]), np.concatenate(
            [s for _, s in parts]
        )
    if not len(rows):
        return np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    largest = np.abs(rows).max(axis=0)
    if largest.max() > _LARGEST[rows.dtype]:
        raise ValueError(
            "X or y holds values too large to be scaled, the largest being "
            f"{largest.max():.3g}."
        )
    exponent = np.frexp(largest)[1]
    parts = np.ldexp(rows.astype(np.float64), -exponent)
    mean, spread = parts.mean(axis=0), parts.std(axis=0)
    spread[spread <= _ROUNDING * np.abs(mean)] = 0.0
    return np.ldexp(mean, exponent), np.ldexp(spread, exponent)


class ForecastTargets:
    """The rows after each window, scaled.

    Parameters
    ----------
    window, horizon : int
        Numbers of rows.
    """

    def __init__(self, window: int, horizon: int):
        self.window = window
        self.horizon = horizon

    def fit(self, windows: Windows) -> ForecastTargets:
        """Learn the means and spreads of the targets."""
        targets: Any = windows.targets
        used = windows.rows_used(self.window, self.horizon)
        self.scaling_ = Scaling(targets, used, windows.series)
        return self

    @property
    def is_fitted(self) -> bool:
        """Whether the means and spreads are known."""
        return hasattr(self, "scaling_")

    @property
    def n_targets(self) -> int:
        """Number of series that are forecast."""
        return self.scaling_.mean_.shape[1]

    def _cut(self, windows: Windows, dtype: torch.dtype) -> Tensor:
        """Return the futures, (n_windows, horizon * n_targets, 1)."""
        targets: Any = windows.targets
        mean, scale = self.scaling_.of(windows.series)
        with np.errstate(over="ignore"):  # looked at by the caller
            scaled = as_tensor((targets - mean) / scale).to(dtype)
        futures = _all_windows(scaled, self.horizon).flatten(1)
        first, n_windows = int(windows.futures[0]), len(windows)
        if np.array_equal(windows.futures, first + np.arange(n_windows)):
            # One series: a view does, where a copy would be horizon times as large.
            return futures[first : first + n_windows, :, None]
        return futures.index_select(0, torch.from_numpy(windows.futures))[:, :, None]

    def as_tensor(self, windows: Windows, kind: str, dtype: torch.dtype) -> Tensor:
        """Return encoded targets; NaN where one is missing."""
        return self._cut(windows, dtype)

    def as_paths(self, values: np.ndarray) -> np.ndarray:
        """Return scaled forecasts, (n_windows, horizon, n_targets)."""
        return values.reshape(-1, self.horizon, self.n_targets)

    def score(self, values: Tensor, windows: Windows, weight) -> float:
        """Return R² over all steps of all windows, the mean over the targets.

        In units of the spread of each series.
        """
        shape = (-1, self.n_targets)
        if len(values) * self.horizon < 2:  # R² needs two values
            return float("nan")
        expected = self._cut(windows, torch.float64).reshape(shape)
        predicted = values.cpu().double().reshape(shape)
        return known_r2(expected.numpy(), predicted.numpy())


def known_r2(expected: np.ndarray, predicted: np.ndarray) -> float:
    """Return R², the mean over the columns, of the values that are not missing."""
    with np.errstate(over="ignore"):
        is_known = ~np.isnan(expected)
        if is_known.all():
            return float(r2_score(expected, predicted))
        pairs = zip(expected.T, predicted.T, is_known.T, strict=True)
        scores = [r2_score(y[k], p[k]) for y, p, k in pairs if k.sum() > 1]
    return float(np.mean(scores)) if scores else float("nan")


class ErrorQuantiles:
    """How large errors on validation rows are, relative to the spread of their window.

    Half the width of an interval is a quantile of them times the spread of the window
    (split conformal prediction with normalised errors: Papadopoulos et al., 2002; Lei
    et al., 2018). For windows that are exchangeable with those of the validation rows
    the interval then holds as many values as it promises.

    Of several series each has quantiles of its own, as far as its windows are enough
    for the level; beyond that, those of all series.

    Parameters
    ----------
    errors : ndarray of shape (n_windows, horizon, n_targets)
        Absolute errors on validation rows, in units of the spread of each series; NaN
        where a value is missing.
    spreads : ndarray of shape (n_windows, n_targets)
        Spread of each target in each window; 1 where there is none.
    series : ndarray of int of shape (n_windows,)
        The code of the series of each window.
    n_series : int
        Number of series of training.
    """

    def __init__(
        self,
        errors: np.ndarray,
        spreads: np.ndarray,
        series: np.ndarray,
        n_series: int,
    ):
        relative = errors / spreads[:, np.newaxis]
        usual = _quantiles(relative)
        values = [usual]
        if n_series > 1:
            parts = [relative[series == code] for code in range(n_series)]
            values = [_quantiles(part, usual) for part in parts] + values
        self.values = np.array(values)

    def radius(self, coverage: float, spreads: np.ndarray, series: int) -> np.ndarray:
        """Return half the widths of intervals, (n_windows, horizon, n_targets).

        Parameters
        ----------
        coverage : float
            Share of cases that they are to hold.
        spreads : ndarray of shape (n_windows, n_targets)
            As of the validation rows.
        series : int
            The code of the series; -1 for one that training has not seen.
        """
        levels = np.linspace(0, 1, _N_LEVELS)
        values = self.values[series][np.searchsorted(levels, coverage)]
        return values * spreads[:, np.newaxis]


def _quantiles(errors: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
    """Return conformal quantiles of each step, (_N_LEVELS, horizon, n_targets).

    Of n errors, as many are not exceeded as guarantee the level for one more. Where
    there are too few for that, the largest stands in, or ``usual``.
    """
    levels = np.linspace(0, 1, _N_LEVELS)[:, np.newaxis, np.newaxis]
    n = np.count_nonzero(~np.isnan(errors), axis=0)  # (horizon, n_targets)
    ranks = np.ceil((n + 1) * levels).astype(int).clip(min=1)
    if usual is not None and not n.any():
        return usual
    ordered = np.sort(errors, axis=0)  # NaN last
    found = np.take_along_axis(ordered, np.minimum(ranks, n.clip(min=1)) - 1, axis=0)
    if usual is None:
        # A step without any error has those of others.
        largest = np.nanmax(found, axis=(1, 2), keepdims=True)
        return np.where(np.isnan(found), largest, found)
    found = np.where(ranks <= n, found, usual)
    return np.maximum.accumulate(found, axis=0)
