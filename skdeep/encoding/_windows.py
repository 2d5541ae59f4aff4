"""Windows of time series as the inputs of a forecasting network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from skdeep.encoding._rows import as_tensor
from skdeep.encoding._window_scaling import Scaling, column_moments

# Smallest spread of a window, as a share of the spread of the training rows.
_MIN_WINDOW_SPREAD = 0.1
# Number of windows whose spreads are computed at a time; limits the memory.
_WINDOWS_PER_CHUNK = 200

# The code of a series that was not in the training rows. It indexes the last row of
# `Scaling` and of `ErrorQuantiles`, which holds what all series have in common.
UNSEEN = -1


@dataclass
class Windows:
    """Windows as positions in the rows, which are not copied.

    Parameters
    ----------
    numeric : ndarray of shape (n_rows, n_features)
        Rows in time order, one series after another. Gaps are filled; columns that are
        not targets may hold NaN until their first value.
    targets : ndarray of shape (n_rows, n_targets), optional
        Values to forecast; NaN where one is missing.
    starts : ndarray of shape (n_windows,)
        The first row of each window.
    futures : ndarray of shape (n_windows,)
        The first row of the future of each window.
    spans : list of (int, int)
        Where the rows of each series begin and end.
    is_padded : ndarray of shape (n_windows,), optional
        Which windows hold padding.
    series : int or ndarray of int of shape (n_rows,), default=0
        The code of the series of each row, or of all rows; `UNSEEN` for a series that
        was not in the training rows.
    unfilled : ndarray of shape (n_rows, n_features), optional
        The rows before gaps were filled; None if there were no gaps.
    is_unknown : ndarray of shape (n_windows, n_own), optional
        Which targets have no value yet at the end of a window.
    is_separate : bool, default=False
        Whether the rows of each window and its future are a copy of their own, one
        window after another.
    """

    numeric: np.ndarray
    targets: np.ndarray | None
    starts: np.ndarray
    futures: np.ndarray
    spans: Sequence[tuple[int, int]] = ()
    is_padded: np.ndarray | None = None
    series: Any = 0
    unfilled: np.ndarray | None = None
    is_unknown: np.ndarray | None = None
    is_separate: bool = False

    @classmethod
    def inside(
        cls, numeric, targets, spans, window: int, horizon: int, own=(), codes=(0,)
    ) -> Windows:
        """Return every window that fits, with its future, into one of the spans.

        Parameters
        ----------
        numeric, targets : ndarray
            Rows and the values to forecast; gaps are filled here.
        spans : list of (int, int)
            Where the rows of each series begin and end.
        window, horizon : int
            Numbers of rows.
        own : list of int
            Positions of the target columns.
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

        Windows that reach back before the first row are padded with copies of it. A
        window that would end before the first row consists of ``unknown`` rows.

        Parameters
        ----------
        before : ndarray of shape (n_before, n_features)
            The context: rows before the first of ``rows``.
        rows : ndarray of shape (n_rows, n_features)
            Rows to forecast.
        unknown : ndarray of shape (n_features,)
            The row used where nothing is known.
        window, horizon : int
            Numbers of rows.
        own : list of int
            Positions of the target columns.
        code : int, default=0
            The code of the series.
        """
        # Laid out as an unknown window, copies of the first row, and the known rows.
        known = np.concatenate([before, rows])
        n_edge = max(window, horizon)
        blank = np.broadcast_to(unknown, (window, len(unknown)))
        edge = np.broadcast_to(known[0], (n_edge, len(unknown)))
        padded = np.concatenate([blank, edge, known])
        first = window + n_edge  # the first row of ``padded`` that is not padding
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
        """Return windows in which each gap repeats the value before it.

        Values are not carried from one span to the next. The rows before the first
        value of a target repeat that value, as the padding of a window does.
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
        # The last row that a window reads is the one before its future.
        is_unknown = self.futures[:, np.newaxis] <= begins[self.futures - 1]
        return replace(
            self, numeric=numeric, unfilled=self.numeric, is_unknown=is_unknown
        )

    def select(self, index) -> Windows:
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
        """Return the windows whose future holds at least one value."""
        targets: Any = self.targets
        if not np.isnan(targets).any():
            return self
        counts = np.zeros(len(targets) + 1, int)
        counts[1:] = (~np.isnan(targets)).any(axis=1).cumsum()
        is_known = counts[self.futures + horizon] > counts[self.futures]
        return self.select(np.flatnonzero(is_known))

    def separate(self, window: int, horizon: int) -> Windows:
        """Return windows that each have a copy of their rows and their future.

        They can then be scaled one by one, although they overlap.
        """
        firsts = np.arange(len(self)) * (window + horizon)
        numbers = np.concatenate(
            [
                self.starts[:, np.newaxis] + np.arange(window),
                self.futures[:, np.newaxis] + np.arange(horizon),
            ],
            axis=1,
        )
        # The future of the last windows may reach beyond the rows.
        numbers = numbers.clip(max=len(self.numeric) - 1).ravel()
        return replace(
            self,
            numeric=self.numeric[numbers],
            starts=firsts,
            futures=firsts + window,
            spans=(),
            unfilled=None,
            is_separate=True,
        )

    def rows_used(self, window: int, horizon: int) -> np.ndarray:
        """Return which rows lie in a window or in its future, (n_rows,)."""
        # Count the windows that begin and end at each row. ``changes[firsts] += 1``
        # would count a repeated row only once.
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
    """Windows and their known columns, cut from the series batch by batch.

    Parameters
    ----------
    past : Tensor of shape (n_rows, n_features)
        Rows that the windows are cut from.
    known : Tensor of shape (n_rows, n_known)
        The columns that are known in advance.
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
        self.past = windows_view(past, window)
        self.known = windows_view(known, horizon) if known.shape[1] else None
        self.starts = starts
        self.futures = futures
        self.series = series

    def __len__(self) -> int:
        return len(self.starts)

    def take(
        self, index: Tensor | slice, out: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """Return the past (n, window, n_features), and the known columns if any."""
        # index_select copies only the windows of the batch out of the view.
        past = self.past.index_select(0, self.starts[index])
        if self.known is None:
            return (past,)
        return past, self.known.index_select(0, self.futures[index])

    def spreads(self, n_own: int) -> np.ndarray:
        """Return the standard deviation of each target in each window.

        Of shape (n_windows, n_own), in units of the target's standard deviation over
        the training rows, and never below a tenth of that.
        """
        chunks = [
            slice(s, s + _WINDOWS_PER_CHUNK)
            for s in range(0, len(self), _WINDOWS_PER_CHUNK)
        ]
        parts = [self.take(c)[0][:, :, :n_own].std(1, correction=0) for c in chunks]
        return torch.cat(parts).clamp_min(_MIN_WINDOW_SPREAD).cpu().numpy()


def windows_view(rows: Tensor, length: int) -> Tensor:
    """Return a view of all windows of the rows: (n, f) -> (n_windows, length, f)."""
    rows = rows.contiguous()  # the strides below are those of contiguous rows
    width = rows.shape[1]
    shape = (max(len(rows) - length + 1, 0), length, width)
    return rows.as_strided(shape, (width, width, 1))


class WindowEncoder:
    """Turns windows into the inputs of a forecasting network.

    Columns are scaled by the mean and spread of the training rows; target columns come
    first. Targets are scaled by series. Other columns are scaled by all rows, since
    their level may distinguish the series; a series has its own scale only for columns
    that move much less in it than over all series.

    Parameters
    ----------
    own : list of int
        Positions of the target columns.
    known : list of int
        Positions of the columns that are known in advance.
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
        rows = table.numeric if table.unfilled is None else table.unfilled
        shared = [i for i in range(rows.shape[1]) if i not in self.own]
        self.scaling_ = Scaling(rows, used, table.series, shared)
        self.order_ = [*self.own, *shared]
        return self

    def encode(
        self, table: Windows, dtype: torch.dtype, device: torch.device
    ) -> WindowRows:
        """Return the windows as tensors of the given type on the given device."""
        scaled = self._scaled(table)
        scaled[np.isnan(scaled)] = 0  # no value yet: use the mean
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
        mean, scale = self.scaling_.for_series(table.series)
        if table.is_separate:
            shape = (len(table), len(self.order_))
            mean, scale = (np.broadcast_to(p, shape).copy() for p in (mean, scale))
            mean[:, self.own], scale[:, self.own] = self.own_scaling(table)
            length = self.window + self.horizon
            mean, scale = (np.repeat(part, length, axis=0) for part in (mean, scale))
        with np.errstate(over="ignore"):  # the caller checks that forecasts are finite
            return (table.numeric - mean) / scale

    def own_scaling(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each target in each window, (n_windows, n_own).

        For separate windows: the rows of its window are all that is known of a series
        that was not in the training rows.
        """
        n_windows, n_features = len(windows), windows.numeric.shape[1]
        blocks = windows.numeric.reshape(n_windows, -1, n_features)[:, : self.window]
        own = blocks[:, :, self.own].swapaxes(0, 1).reshape(self.window, -1)
        mean, scale = (part.reshape(n_windows, -1) for part in column_moments(own))
        usual_mean, usual_scale = (
            p[self.own] for p in self.scaling_.for_series(UNSEEN)
        )
        is_missing = np.isnan(own).all(axis=0).reshape(n_windows, -1)
        mean = np.where(is_missing, usual_mean, mean)
        if windows.is_padded is not None:
            # A window that holds only padding is constant, unlike the series.
            is_usable = (scale > 0) | ~windows.is_padded[:, np.newaxis]
            scale = np.where(is_usable, scale, usual_scale)
        return mean, np.where(scale == 0, 1, scale)
