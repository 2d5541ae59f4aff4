"""How unusual rows are, by their codes and their reconstruction errors."""

from __future__ import annotations

import numpy as np

# Rows that are farther away than this share of the training rows do not count for the
# location and the spread of the others: outliers would make themselves look usual.
_USUAL = 0.9
# Share of the mean variance of the codes that is added to each variance, so that the
# covariance of codes that depend on each other has an inverse.
_RIDGE = 1e-3


class CodeDistance:
    """The distance of a row from the usual ones.

    It is the squared Mahalanobis distance of the code, plus the reconstruction error
    divided by its mean: the squared distance in a space of the code and one further
    direction, which leads from the rows that can be reconstructed to those that cannot.
    The process-monitoring literature combines the two in the same way (Yue & Qin,
    2001).

    Parameters
    ----------
    codes : ndarray of shape (n_samples, code_size)
        Codes of the training rows.
    errors : ndarray of shape (n_samples,)
        Their reconstruction errors.
    weight : ndarray of shape (n_samples,), or None
        Their weights.
    """

    def __init__(
        self, codes: np.ndarray, errors: np.ndarray, weight: np.ndarray | None
    ):
        each = np.ones(len(codes)) if weight is None else weight.astype(np.float64)
        self._learn(codes, errors, each)
        far = self(codes, errors)
        limit = weighted_quantile(far, each, _USUAL)
        self._learn(codes, errors, each * ~(far > limit))

    def _learn(self, codes: np.ndarray, errors: np.ndarray, weight) -> None:
        """Learn location and spread; the spread of a single row is 1."""
        codes = codes.astype(np.float64)
        self.center = np.average(codes, axis=0, weights=weight)
        deviations = codes - self.center
        covariance = (deviations.T * weight) @ deviations / weight.sum()
        variance = covariance.trace() / len(covariance)
        size = codes.shape[1]
        if variance > 0:
            covariance += _RIDGE * variance * np.eye(size)
        else:
            covariance = np.eye(size)
        self.precision = np.linalg.inv(covariance)
        self.mean_error = float(np.average(errors, weights=weight)) or 1.0

    def __call__(self, codes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Return the distances of rows, (n_samples,)."""
        deviations = codes.astype(np.float64) - self.center
        distances = ((deviations @ self.precision) * deviations).sum(1)
        return distances + errors.astype(np.float64) / self.mean_error


def weighted_quantile(
    values: np.ndarray, weight: np.ndarray | None, share: float
) -> float:
    """Return a weighted quantile, for which a weight of 2 is the same as two rows.

    Where the distribution function equals ``share``, it is the mean of two values:
    numpy's method "averaged_inverted_cdf", which takes no weights.
    """
    order = values.argsort()
    each = np.ones(len(values)) if weight is None else weight[order]
    values, reached = values[order], each.cumsum(dtype=np.float64)
    target, slack = share * reached[-1], 1e-9 * reached[-1]
    last = len(values) - 1
    low = np.searchsorted(reached, target - slack)
    high = np.searchsorted(reached, target + slack, side="right")
    return float((values[min(low, last)] + values[min(high, last)]) / 2)
