"""Simple forecasts that a network is compared with on the validation rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skdeep.training import RowSource

# Largest number of features of the ridge; older rows of the window are left out.
_MOST_FEATURES = 1500
# Training windows from which ridge and season are computed: at least this many rows of
# the regression, and this many for each feature. More would take longer for nothing,
# because neighboring windows overlap.
_ROWS, _ROWS_PER_FEATURE = 10_000, 20
_WINDOWS_PER_CHUNK = 256
# Penalties of the ridge, relative to the mean square of a feature, and the share of the
# training windows, from the end of each series, that the penalty is chosen on.
_PENALTIES = 10.0 ** np.arange(-6, 2)
_CHECKED_SHARE = 1 / 3
# A season must lower the squared error of the last value at least by this share.
_SEASON_GAIN = 0.05


class LinearBaseline:
    """Forecast that is a linear function of the window.

    It takes the inputs of a forecasting network and returns its raw scores. Its state
    is a numpy array, so that it can be pickled.

    Parameters
    ----------
    weights : ndarray
        If the targets are columns of the window: (horizon, n_read). They multiply the
        last ``n_read`` values of a target minus its last value, and the last value is
        added to the product. Otherwise (horizon * n_targets, n_read * n_features).
    n_own : int
        Number of targets that are columns of the window.
    """

    def __init__(self, weights: np.ndarray, n_own: int):
        self.weights = weights
        self.n_own = n_own

    def __call__(self, past: Tensor, known: Tensor | None = None) -> Tensor:
        """Return forecasts (n_windows, horizon * n_targets, 1), step by step."""
        # Not in half precision: the differences between the baselines are small.
        with torch.autocast(past.device.type, enabled=False):
            weights = torch.from_numpy(self.weights).to(past)
            if not self.n_own:
                n_read = weights.shape[1] // past.shape[2]
                return (past[:, -n_read:].flatten(1) @ weights.T).unsqueeze(-1)
            own = past[:, :, : self.n_own]
            last = own[:, -1:]
            paths = last + weights @ (own[:, -weights.shape[1] :] - last)
            return paths.flatten(1).unsqueeze(-1)


@dataclass
class _Moments:
    """Sums over the rows of a regression: XᵀX, XᵀY and the squares of Y."""

    xx: Tensor
    xy: Tensor
    yy: Tensor

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(self.xx + other.xx, self.xy + other.xy, self.yy + other.yy)

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> _Moments:
        return cls(x.T @ x, x.T @ y, y.square().sum(0))

    def ridge(self, penalty: float) -> Tensor:
        """Return the coefficients, (n_features, n_outputs)."""
        size = len(self.xx)
        scale = self.xx.diagonal().mean()
        unit = torch.eye(size, dtype=self.xx.dtype)
        # Without any variance in X, any positive penalty gives coefficients of 0.
        matrix = self.xx + penalty * (scale if scale > 0 else 1.0) * unit
        return torch.linalg.solve(matrix, self.xy)

    def squared_error(self, coefficients: Tensor) -> float:
        """Return the squared error of coefficients on these rows."""
        explained = (coefficients * (self.xx @ coefficients - 2 * self.xy)).sum()
        return float(self.yy.sum() + explained)


def make_baselines(
    train: RowSource, n_own: int, n_targets: int, horizon: int
) -> dict[str, LinearBaseline]:
    """Return the baselines by name, fitted to the training windows.

    Parameters
    ----------
    train : RowSource
        All training windows and their targets.
    n_own : int
        Number of targets that are columns of the windows: all or 0.
    n_targets, horizon : int
        Numbers of targets and of steps.

    Returns
    -------
    baselines : dict of str to LinearBaseline
        The last value, the value of a season before if there is a season, and ridge;
        or the mean of the training rows and ridge, if the targets are not columns of
        the windows.
    """
    fitted, checked, rest = _moments(train, n_own, n_targets, horizon)
    total = fitted + checked + rest
    ridge = total.ridge(_choose_penalty(fitted, checked)).T
    # Rows near the largest float may overflow.
    ridge = ridge if ridge.isfinite().all() else torch.zeros_like(ridge)
    baselines = {}
    if n_own:
        baselines["last_value"] = LinearBaseline(np.zeros((horizon, 1)), n_own)
        season = _find_season(total)
        if season is not None:
            steps = np.arange(horizon)
            weights = np.zeros((horizon, season))
            weights[steps, steps % season] = 1
            baselines["seasonal_naive"] = LinearBaseline(weights, n_own)
    else:
        baselines["mean"] = LinearBaseline(np.zeros(ridge.shape), n_own)
    baselines["ridge"] = LinearBaseline(ridge.numpy().copy(), n_own)
    return baselines


def _choose_penalty(fitted: _Moments, checked: _Moments) -> float:
    """Return the penalty with the least error on later training windows."""
    errors = [checked.squared_error(fitted.ridge(p)) for p in _PENALTIES]
    # Without rows to fit or to check, all errors are equal: the largest is the safest.
    return float(_PENALTIES[::-1][np.argmin(errors[::-1])])


def _find_season(total: _Moments) -> int | None:
    """Return the number of rows of a season, None if there is none.

    A season is the period by which the training rows are forecast best from the values
    of a period before.
    """
    n_read, horizon = total.xy.shape
    if n_read < 2:
        return None
    # The squared difference between the j-th value of a window and the k-th step.
    differences = total.xx.diagonal()[:, None] + total.yy - 2 * total.xy
    steps = np.arange(horizon)
    periods = np.arange(2, n_read + 1)
    first = n_read - periods[:, None] + steps % periods[:, None]
    errors = differences.numpy()[first, steps].sum(axis=1)
    best = int(np.argmin(errors))
    is_found = errors[best] < (1 - _SEASON_GAIN) * float(total.yy.sum())
    return int(periods[best]) if is_found else None


def _moments(
    train: RowSource, n_own: int, n_targets: int, horizon: int
) -> list[_Moments]:
    """Return the moments of the windows to fit, to check, and between them.

    A horizon lies between the last target of the windows to fit and the first of those
    to check.
    """
    past = train.rows.take(slice(0, 1))[0]
    n_columns = past.shape[2]
    if n_own:
        n_read, n_outputs = min(past.shape[1], _MOST_FEATURES), horizon
        n_features, rows_per_window = n_read, n_own
    else:
        n_read = max(1, min(past.shape[1], _MOST_FEATURES // n_columns))
        n_features, rows_per_window = n_read * n_columns, 1
        n_outputs = horizon * n_targets
    needed = max(_ROWS, _ROWS_PER_FEATURE * n_features) // rows_per_window
    parts = []
    for windows in _split_windows(train, horizon, needed):
        moments = _Moments(
            torch.zeros(n_features, n_features, dtype=torch.float64),
            torch.zeros(n_features, n_outputs, dtype=torch.float64),
            torch.zeros(n_outputs, dtype=torch.float64),
        )
        for x, y in _regressions(train, windows, n_read, n_own, horizon):
            moments += _Moments.of(x, y)
        parts.append(moments)
    return parts


def _split_windows(train: RowSource, horizon: int, needed: int) -> list[Tensor]:
    """Return the windows to fit, to check, and between them: ``needed`` at most."""
    series = train.rows.series  # type: ignore[attr-defined]
    n_windows = len(series)
    # The place of each window in its series, whose windows are adjacent.
    firsts = np.flatnonzero(np.diff(series, prepend=series[0] - 1))
    counts = np.diff(firsts, append=n_windows)
    place = np.arange(n_windows) - np.repeat(firsts, counts)
    first_checked = np.repeat(np.ceil(counts * (1 - _CHECKED_SHARE)), counts)
    is_fitted = place + horizon <= first_checked
    is_checked = place >= first_checked
    n_chosen = min(needed, n_windows)
    chosen = np.linspace(0, n_windows - 1, n_chosen).astype(int)
    parts = (is_fitted, is_checked, ~is_fitted & ~is_checked)
    return [torch.from_numpy(chosen[part[chosen]]) for part in parts]


def _regressions(
    train: RowSource, windows: Tensor, n_read: int, n_own: int, horizon: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and outputs of the regression.

    A missing output is the value before it, as in the inputs.
    """
    rows, target = train.rows, train.target
    assert target is not None
    for index in windows.split(_WINDOWS_PER_CHUNK) if len(windows) else ():
        index = index.to(target.device)
        past = rows.take(index)[0][:, -n_read:].cpu().double()
        y = target[index].cpu().double()
        y = y.unflatten(1, (horizon, -1)).squeeze(-1)  # (n, horizon, n_targets)
        if n_own:
            own = past[:, :, :n_own]
            last = own[:, -1:]
            y = _filled(torch.cat([last, y], dim=1))[:, 1:]
            # The targets are rows of one regression: (n * n_targets, ...)
            x, y = ((a - last).transpose(1, 2).flatten(0, 1) for a in (own, y))
        else:
            x, y = past.flatten(1), y.flatten(1)
        yield x, y


def _filled(values: Tensor) -> Tensor:
    """Replace missing values by the one before them, along the second axis."""
    steps = torch.arange(values.shape[1]).view(1, -1, 1)
    last_known = torch.where(values.isnan(), 0, steps).cummax(1).values
    return values.gather(1, last_known)
