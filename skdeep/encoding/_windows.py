"""Windows of time series, and what follows them, into inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor

from skdeep.encoding._rows import as_tensor

# Share of the training rows' spread that a window's is never taken to be below.
_SMALLEST_SPREAD = 0.1
# Windows that are looked at together.
_CHUNK = 200
# Errors are kept as this many quantiles.
_N_LEVELS = 201


@dataclass
class Windows:
    """Places in rows where the past is read and the future begins.

    Parameters
    ----------
    numeric : ndarray of shape (n_rows, n_features)
        Rows in order of time, of one series after another.
    targets : ndarray of shape (n_rows, n_targets), optional
        What is forecast.
    starts : ndarray of shape (n_windows,)
        The first row of each window.
    futures : ndarray of shape (n_windows,)
        The first row of the future of each window.
    spans : list of (int, int)
        Where the rows of each series begin and end.
    is_padded : ndarray of shape (n_windows,), optional
        Which windows hold rows that are made up.
    """

    numeric: np.ndarray
    targets: np.ndarray | None
    starts: np.ndarray
    futures: np.ndarray
    spans: Sequence[tuple[int, int]] = ()
    is_padded: np.ndarray | None = None

    @classmethod
    def inside(cls, numeric, targets, spans, window: int, horizon: int) -> Windows:
        """Return every window that lies, with its future, within one of the spans."""
        starts = np.concatenate(
            [np.arange(start, stop - window - horizon + 1) for start, stop in spans]
        )
        return cls(numeric, targets, starts, starts + window, spans)

    @classmethod
    def before_each(cls, before, rows, unknown, window: int, horizon: int) -> Windows:
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
        return cls(padded, None, starts, last_read + 1, is_padded=is_padded)

    def some(self, index) -> Windows:
        """Return some of the windows."""
        padded = None if self.is_padded is None else self.is_padded[index]
        return replace(
            self,
            starts=self.starts[index],
            futures=self.futures[index],
            is_padded=padded,
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
        """The float type to compute in."""
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
    """

    def __init__(
        self,
        past: Tensor,
        known: Tensor,
        starts: Tensor,
        futures: Tensor,
        window: int,
        horizon: int,
    ):
        self.past = _all_windows(past, window)
        self.known = _all_windows(known, horizon) if known.shape[1] else None
        self.starts = starts
        self.futures = futures

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
    forecast put first.

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
        self.mean_, self.scale_ = _moments(table.numeric[used])
        others = [i for i in range(len(self.mean_)) if i not in self.own]
        self.order_ = [*self.own, *others]
        return self

    def encode(
        self, table: Windows, dtype: torch.dtype, device: torch.device
    ) -> WindowRows:
        """Return the windows as tensors of the given type on the given device."""
        scaled = as_tensor((table.numeric - self.mean_) / self.scale_)
        scaled = scaled.to(device, dtype)
        return WindowRows(
            scaled[:, self.order_],
            scaled[:, self.known],
            torch.from_numpy(table.starts).to(device),
            torch.from_numpy(table.futures).to(device),
            self.window,
            self.horizon,
        )


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each column, a spread of 0 replaced by 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = rows.mean(axis=0, dtype=np.float64)
        scale = rows.std(axis=0, dtype=np.float64)
    if not np.isfinite(scale).all():
        raise ValueError(
            "X or y holds values too large to be scaled, the largest being "
            f"{np.abs(rows).max():.3g}."
        )
    # Rounding makes the spread of a constant column larger than 0.
    constant = scale <= 1e-10 * np.abs(mean)
    scale[constant] = 1.0
    return mean.astype(rows.dtype), scale.astype(rows.dtype)


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
        self.mean_, self.scale_ = _moments(targets[used])
        return self

    @property
    def n_targets(self) -> int:
        """Number of series that are forecast."""
        return len(self.mean_)

    def _cut(self, windows: Windows, dtype: torch.dtype) -> Tensor:
        """Return the futures, (n_windows, horizon * n_targets, 1)."""
        targets: Any = windows.targets
        scaled = as_tensor((targets - self.mean_) / self.scale_).to(dtype)
        futures = _all_windows(scaled, self.horizon).flatten(1)
        first, n_windows = int(windows.futures[0]), len(windows)
        if np.array_equal(windows.futures, first + np.arange(n_windows)):
            # One series: a view does, where a copy would be horizon times as large.
            return futures[first : first + n_windows, :, None]
        return futures.index_select(0, torch.from_numpy(windows.futures))[:, :, None]

    def as_tensor(self, windows: Windows, kind: str, dtype: torch.dtype) -> Tensor:
        """Return encoded targets."""
        return self._cut(windows, dtype)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return forecasts in the targets' units, (n_windows, horizon, n_targets)."""
        paths = values.reshape(-1, self.horizon, self.n_targets)
        return paths * self.scale_ + self.mean_

    def score(self, values: Tensor, windows: Windows, weight) -> float:
        """Return R² over all steps of all windows, the mean over the targets."""
        shape = (-1, self.n_targets)
        if len(values) * self.horizon < 2:  # R² needs two values
            return float("nan")
        expected = self._cut(windows, torch.float64).reshape(shape)
        predicted = values.cpu().double().reshape(shape)
        with np.errstate(over="ignore"):
            return float(r2_score(expected.numpy(), predicted.numpy()))


class ErrorQuantiles:
    """How large errors on validation rows are, relative to the spread of their window.

    Half the width of an interval is a quantile of them times the spread of the window
    (split conformal prediction with normalised errors: Papadopoulos et al., 2002; Lei
    et al., 2018). For windows that are exchangeable with those of the validation rows
    the interval then holds as many values as it promises.

    Parameters
    ----------
    errors : ndarray of shape (n_windows, horizon, n_targets)
        Absolute errors on validation rows.
    spreads : ndarray of shape (n_windows, n_targets)
        Spread of each target in each window; 1 where there is none.
    """

    def __init__(self, errors: np.ndarray, spreads: np.ndarray):
        relative = np.sort(errors / spreads[:, np.newaxis], axis=0)
        n = len(relative)
        # Of n errors, as many are not exceeded as guarantee the level for one more.
        levels = np.linspace(0, 1, _N_LEVELS)
        ranks = np.ceil((n + 1) * levels).astype(int).clip(1, n)
        self.values = relative[ranks - 1]

    def radius(self, coverage: float, spreads: np.ndarray) -> np.ndarray:
        """Return half the widths of intervals, (n_windows, horizon, n_targets)."""
        levels = np.linspace(0, 1, _N_LEVELS)
        values = self.values[np.searchsorted(levels, coverage)]
        return values * spreads[:, np.newaxis]
