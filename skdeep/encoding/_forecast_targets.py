"""Forecast targets, their score, and the errors that prediction intervals come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor

from skdeep.encoding._rows import as_tensor
from skdeep.encoding._window_scaling import Scaling
from skdeep.encoding._windows import Windows, windows_view

# Errors are kept as this many quantiles.
_N_LEVELS = 201
# The rates at which the logarithms of widths of intervals follow the rows outside, of
# the target and of all targets, times the number of rows until an error is known; and
# the smallest such number.
_OWN_RATE, _SHARED_RATE, _SHORTEST_DELAY = 0.5, 2.0, 25
_LARGEST_CHANGE = np.log(10.0)


class ForecastTargets:
    """The targets of the rows after each window, scaled.

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
        """Number of targets."""
        return self.scaling_.mean_.shape[1]

    def _cut_futures(self, windows: Windows, dtype: torch.dtype) -> Tensor:
        """Return the futures, (n_windows, horizon * n_targets, 1)."""
        targets: Any = windows.targets
        mean, scale = self.scaling_.for_series(windows.series)
        with np.errstate(over="ignore"):  # the caller checks that losses are finite
            scaled = as_tensor((targets - mean) / scale).to(dtype)
        futures = windows_view(scaled, self.horizon).flatten(1)
        first, n_windows = int(windows.futures[0]), len(windows)
        if np.array_equal(windows.futures, first + np.arange(n_windows)):
            # One series: a view is enough; a copy would be ``horizon`` times as large.
            return futures[first : first + n_windows, :, None]
        return futures.index_select(0, torch.from_numpy(windows.futures))[:, :, None]

    def as_tensor(self, windows: Windows, kind: str, dtype: torch.dtype) -> Tensor:
        """Return encoded targets; NaN where one is missing."""
        return self._cut_futures(windows, dtype)

    def as_paths(self, values: np.ndarray) -> np.ndarray:
        """Return scaled forecasts, (n_windows, horizon, n_targets)."""
        return values.reshape(-1, self.horizon, self.n_targets)

    def score(self, values: Tensor, windows: Windows, weight) -> float:
        """Return R² over all steps of all windows, averaged over the targets.

        Each series is scaled by its own mean and spread.
        """
        shape = (-1, self.n_targets)
        if len(values) * self.horizon < 2:  # R² needs two values
            return float("nan")
        expected = self._cut_futures(windows, torch.float64).reshape(shape)
        predicted = values.cpu().double().reshape(shape)
        return known_r2(expected.numpy(), predicted.numpy())


def known_r2(expected: np.ndarray, predicted: np.ndarray) -> float:
    """Return R² of the values that are not missing, averaged over the columns."""
    with np.errstate(over="ignore"):
        is_known = ~np.isnan(expected)
        if is_known.all():
            return float(r2_score(expected, predicted))
        pairs = zip(expected.T, predicted.T, is_known.T, strict=True)
        scores = [r2_score(y[k], p[k]) for y, p, k in pairs if k.sum() > 1]
    return float(np.mean(scores)) if scores else float("nan")


class ErrorQuantiles:
    """Quantiles of the errors on validation rows, relative to the window's spread.

    Half the width of a prediction interval is such a quantile times the spread of the
    window (split conformal prediction with normalized errors: Papadopoulos et al.,
    2002; Lei et al., 2018). The interval has the nominal coverage for windows that are
    exchangeable with those of the validation rows.

    Each of several series has its own quantiles up to the level for which it has
    enough validation windows; beyond that level, those of all series are used.

    Parameters
    ----------
    errors : ndarray of shape (n_windows, horizon, n_targets)
        Absolute errors on validation rows, in units of the spread of each series; NaN
        where a value is missing.
    spreads : ndarray of shape (n_windows, n_targets)
        Spread of each target in each window; 1 for targets that are not read.
    series : ndarray of int of shape (n_windows,)
        The code of the series of each window.
    n_series : int
        Number of series in the training rows.
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
            Nominal coverage of the intervals.
        spreads : ndarray of shape (n_windows, n_targets)
            Spread of each target in each window.
        series : int
            The code of the series; `UNSEEN` for one that was not in the training rows.
        """
        levels = np.linspace(0, 1, _N_LEVELS)
        # Between two levels, the higher one: the coverage is not less than requested.
        values = self.values[series][np.searchsorted(levels, coverage)]
        return values * spreads[:, np.newaxis]


def _quantiles(errors: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
    """Return conformal quantiles of each step, (_N_LEVELS, horizon, n_targets).

    The quantile at a level is the ceil((n + 1) * level)-th smallest of the n errors.
    Where n is smaller than that, it is ``usual``, or the largest error if that is None.
    """
    levels = np.linspace(0, 1, _N_LEVELS)[:, np.newaxis, np.newaxis]
    n = np.count_nonzero(~np.isnan(errors), axis=0)  # (horizon, n_targets)
    ranks = np.ceil((n + 1) * levels).astype(int).clip(min=1)
    if usual is not None and not n.any():
        return usual
    ordered = np.sort(errors, axis=0)  # NaN last, so the first n are the known errors
    found = np.take_along_axis(ordered, np.minimum(ranks, n.clip(min=1)) - 1, axis=0)
    if usual is None:
        # A step of a target without errors has the largest of the other steps.
        largest = np.nanmax(found, axis=(1, 2), keepdims=True)
        return np.where(np.isnan(found), largest, found)
    found = np.where(ranks <= n, found, usual)
    # Higher levels must not have narrower intervals where ``usual`` takes over.
    return np.maximum.accumulate(found, axis=0)


def width_factors(
    errors: np.ndarray, radii: np.ndarray, coverage: float, delay: int
) -> np.ndarray:
    """Return factors by which intervals are widened, according to earlier errors.

    Adaptive conformal inference (Gibbs & Candès, 2021) in the form of the quantile
    tracker of Angelopoulos et al. (2023): after each row outside of its interval the
    next intervals become wider, after each row inside a little narrower, such that the
    share of rows inside tends to the coverage even if the series changes. Differences
    from the papers: the logarithm of the width is tracked, so that a width is neither
    negative nor infinite; an error counts only ``delay`` rows later, when it is known;
    the rate is inversely proportional to the delay, because nothing corrects a step
    until its effect is known; and a target follows its own errors slowly and those of
    all targets faster, because their mean varies less.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_targets)
        Absolute errors of the forecasts; NaN where unknown, which changes nothing.
    radii : ndarray of shape (n_rows, n_targets)
        Half the widths of the intervals without the factors.
    coverage : float
        Nominal coverage.
    delay : int
        Number of rows after which an error is known: the horizon.

    Returns
    -------
    factors : ndarray of shape (n_rows, n_targets)
        The factor of a row depends on the errors up to ``delay`` rows before it.
    """
    rate = 1 / max(delay, _SHORTEST_DELAY)
    shared = _SHARED_RATE * (1 - 1 / errors.shape[1])  # 0 for a single target
    factors = np.ones(errors.shape)
    logs, steps = np.zeros(errors.shape[1]), None
    # The errors of a block of rows are known in the next one.
    for start in range(0, len(errors), delay):
        block = slice(start, start + delay)
        n_rows = len(errors[block])
        path = np.zeros((n_rows, 1)) if steps is None else steps.cumsum(0)[:n_rows]
        path = (logs + path).clip(-_LARGEST_CHANGE, _LARGEST_CHANGE)
        factors[block] = np.exp(path)
        excess = (errors[block] > radii[block] * factors[block]) - (1 - coverage)
        excess[np.isnan(errors[block])] = 0
        usual = excess.mean(axis=1, keepdims=True)
        steps = rate * (_OWN_RATE * excess + shared * usual)
        logs = path[-1]
    return factors
