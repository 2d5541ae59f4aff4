"""What a forecaster stores of each series, and the windows and intervals of series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skdeep._messages import warn
from skdeep.encoding import UNSEEN, RowContext, TimeAxis, Windows, width_factors
from skdeep.estimators._series import Group, Series
from skdeep.estimators._series_columns import ColumnLayout


@dataclass
class SeriesPast:
    """What a forecaster stores of a series: its context, time axis and code."""

    key: Any
    context: RowContext
    code: int

    @property
    def axis(self) -> TimeAxis | None:
        """The time axis of the series."""
        return self.context.axis


@dataclass
class KnownRows:
    """The last rows of a series, from which its future is forecast."""

    key: Any
    rows: np.ndarray
    axis: TimeAxis | None
    code: int


def targets_of(series: Series, target, layout: ColumnLayout) -> np.ndarray:
    """Return the targets, (n_rows, n_targets)."""
    if target is None and layout.has_y:
        raise ValueError("y is required, because fit was given y.")
    if target is None:
        return series.numeric[:, layout.own]
    target = target.reshape(len(target), -1)
    if target.shape[1] != layout.n_targets:
        raise ValueError(
            f"y must have {layout.n_targets} target(s), as in training, got "
            f"{target.shape[1]}."
        )
    return target


def borrow_calendar(
    axis: TimeAxis | None, group: Group, others: list[TimeAxis | None]
) -> TimeAxis | None:
    """Return the axis of a series; one of a single date uses another's calendar."""
    if axis is None or axis.calendar is not None or not axis.has_dates:
        return axis
    usual = next((other for other in others if other and other.calendar), None)
    moved = None if usual is None else usual.moved_to(group.times)
    if moved is None:
        return axis
    moved.label = axis.label  # messages name this series, not the other one
    return moved


def check_times(pasts: dict[Any, SeriesPast], series: Series) -> None:
    """Check that each series is on the calendar of its training rows."""
    for group in series.groups:
        if group.key in pasts:
            pasts[group.key].context.check(group.times)


def target_spreads(rows, layout: ColumnLayout) -> np.ndarray:
    """Return the spread of each target in each window, (n_windows, n_targets)."""
    n_own, n_targets = len(layout.own), layout.n_targets
    return rows.spreads(n_own) if n_own else np.ones((len(rows), n_targets))


def adapt_intervals(
    ends: np.ndarray, truth: np.ndarray, windows: Windows, coverage: float, horizon: int
) -> np.ndarray:
    """Widen or narrow intervals by the errors of the rows before them.

    Parameters
    ----------
    ends : ndarray of shape (n_rows, n_targets, 2)
        The intervals of consecutive rows, each from a forecast ``horizon`` rows before.
    truth : ndarray of shape (n_rows, n_targets)
        The values of these rows; NaN where one is missing or does not count.
    windows : Windows
        The windows of the forecasts. The errors from padded ones do not count.
    coverage : float
        Nominal coverage.
    horizon : int
        Number of rows until an error is known.
    """
    wide = ends.astype(np.float64)
    centers, radii = wide.mean(axis=2), np.ptp(wide, axis=2) / 2
    errors = np.abs(truth - centers)
    for is_unusual in (windows.is_padded, windows.is_unknown):
        if is_unusual is not None and is_unusual.size:
            errors[is_unusual] = np.nan
    radii *= width_factors(errors, radii, coverage, horizon)
    return np.stack([centers - radii, centers + radii], axis=2).astype(ends.dtype)


def select_long_series(
    groups: list[Group], window: int, horizon: int, is_silent: bool = False
) -> list[Group]:
    """Return the series with room for a window and its future; warn of the others."""
    needed = window + horizon
    short = [group for group in groups if len(group.rows) < needed]
    if not short:
        return groups
    lengths = ", ".join(
        f"{group.key!r} ({len(group.rows)} rows)" for group in short[:5]
    )
    if groups[0].key is None:
        n_rows = len(groups[0].rows)
        # scikit-learn's checks look for "1 sample".
        found = "1 sample" if n_rows == 1 else f"{n_rows} rows"
        raise ValueError(
            f"X has {found}; window={window} and horizon={horizon} need at least "
            f"{needed}."
        )
    reason = (
        f"window={window} and horizon={horizon} need at least {needed} rows per "
        f"series, got {lengths}{', …' if len(short) > 5 else ''}."
    )
    if len(short) == len(groups):
        raise ValueError(f"All series are too short: {reason}")
    if not is_silent:
        warn(
            f"{len(short)} of {len(groups)} series are too short to learn from: "
            f"{reason}"
        )
    return [group for group in groups if len(group.rows) >= needed]


def windows_inside(
    series: Series, targets, groups: list[Group], codes: dict, own: list[int], sizes
) -> Windows:
    """Return all windows that lie, with their futures, within one series."""
    # Rows of different series may alternate in X; a window needs contiguous rows.
    order = np.concatenate([group.rows for group in groups])
    ends = np.cumsum([len(group.rows) for group in groups]).tolist()
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    return Windows.inside(
        series.numeric[order],
        targets[order],
        spans,
        sizes.window,
        sizes.horizon,
        own,
        [codes.get(group.key, UNSEEN) for group in groups],
    )


def windows_after(
    series: Series, targets, contexts: list, codes: list[int], own: list[int], sizes
) -> Windows:
    """Return the windows whose futures lie within rows that follow training rows.

    ``contexts`` are the training rows before each series, ``codes`` their codes.
    """
    rows, values, starts, spans, n_rows = [], [], [], [], 0
    for group, before in zip(series.groups, contexts, strict=True):
        first = n_rows + max(len(before) - sizes.window, 0)
        rows += [before, series.numeric[group.rows]]
        # Placeholders: no window starts early enough to forecast these rows.
        empty = np.zeros((len(before), targets.shape[1]), targets.dtype)
        values += [empty, targets[group.rows]]
        spans.append((n_rows, n_rows + len(before) + len(group.rows)))
        n_rows = spans[-1][1]
        starts.append(np.arange(first, n_rows - sizes.window - sizes.horizon + 1))
    joined = np.concatenate(starts)
    windows = Windows(
        np.concatenate(rows),
        np.concatenate(values),
        joined,
        joined + sizes.window,
        spans,
        series=np.repeat(codes, [stop - start for start, stop in spans]),
    )
    return windows.filled(own)
