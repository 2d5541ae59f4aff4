"""Learning a decision rule, with a tuned threshold, from out-of-fold probabilities."""

from __future__ import annotations

import numpy as np
from scipy.special import logit

from skdeep.estimators._cost_sensitive._calibration import CALIBRATORS
from skdeep.estimators._cost_sensitive._decisions import (
    PROBABILITY_EDGE,
    DecisionRule,
    LabelledRows,
    abstains,
    binary_error_costs,
)

# Standard deviation of the kernel that smooths the costs over thresholds, in log-odds.
_BANDWIDTH = 0.3


def fit_rule(
    p: np.ndarray,
    rows: LabelledRows,
    positive: int,
    calibration: str | None = None,
    tune: bool = False,
) -> DecisionRule:
    """Learn a decision rule from out-of-fold probabilities.

    Parameters
    ----------
    p : ndarray of shape (n_samples, n_classes)
        Probabilities of rows that the model was not trained on.
    rows : LabelledRows
        True classes and costs of these rows.
    positive : int
        Index of the positive class of two.
    calibration : str, optional
        Name of the calibrator.
    tune : bool
        Whether to tune the threshold.
    """
    calibrator = None
    if calibration is not None and len(np.unique(rows.codes)) > 1:
        calibrator = CALIBRATORS[calibration]().fit(p, rows.codes, rows.weight)
        # The threshold is tuned on calibrated probabilities, which decisions use too.
        p = calibrator(p)
    shift = _cheapest_shift(p, rows, positive) if tune else 0.0
    return DecisionRule(positive, calibrator, shift)


def _cheapest_shift(p, rows: LabelledRows, positive: int) -> float:
    """Return the shift of the threshold's log-odds with the lowest cost.

    The minimum of the raw costs is a matter of chance, so they are smoothed over
    neighboring shifts. Ties are broken in favor of 0, then of an infinite shift
    (which makes the same decision for all rows), then of the shift nearest to 0.
    """
    flips, changes = _flips_and_changes(p, rows, positive)
    shifts, costs = _smoothed_costs(flips, changes)
    best = np.flatnonzero(costs <= costs.min() + 1e-9 * np.ptp(costs))
    low, high = shifts[best[0]], shifts[best[-1]]
    if low <= 0 <= high:
        return 0.0
    if best[0] == 0:
        return -np.inf
    if best[-1] == len(shifts) - 1:
        return np.inf
    return float(low if low > 0 else high)


def _flips_and_changes(p, rows: LabelledRows, positive: int) -> tuple:
    """Return the shift at which each decision flips, and the change of its cost.

    Up to its flip a row is decided positive; the change is the cost of a positive
    decision minus that of a negative one. Rows that no shift flips are left out.
    """
    fp, fn = binary_error_costs(rows.costs, positive)
    can_flip = (fp > 0) & (fn > 0) & ~abstains(p, rows.costs)
    fp, fn, p = fp[can_flip], fn[can_flip], p[can_flip, positive]
    log_odds = logit(p.clip(PROBABILITY_EDGE, 1 - PROBABILITY_EDGE))
    flips = log_odds - np.log(fp) + np.log(fn)
    is_positive = rows.codes[can_flip] == positive
    return flips, np.where(is_positive, -fn, fp) * rows.weight[can_flip]


def _smoothed_costs(flips, changes) -> tuple[np.ndarray, np.ndarray]:
    """Return shifts from "all positive" to "all negative", and the cost at each."""
    if len(flips) == 0:
        return np.zeros(3), np.array([1.0, 0.0, 1.0])
    reach = 4 * _BANDWIDTH
    shifts = np.linspace(flips.min() - reach, flips.max() + reach, 2001)
    changes, _ = np.histogram(flips, shifts, weights=changes)
    # Rows whose flip is above a shift are decided positive there: a sum from the right.
    costs = np.append(np.cumsum(changes[::-1])[::-1], 0.0)
    step = shifts[1] - shifts[0]
    offsets = np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1) * step
    kernel = np.exp(-0.5 * (offsets / _BANDWIDTH) ** 2)
    padded = np.pad(costs, len(offsets) // 2, mode="edge")
    return shifts, np.convolve(padded, kernel / kernel.sum(), "valid")
