"""The local linear model: fitted to draws around a row by the core of lime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from lime.lime_base import LimeBase

from skdeep.inspection._lime_draws import N_PARTS

# The width of lime's kernel, for one unit; it grows with the root of their number.
_KERNEL_WIDTH = 0.75

# For lime, which draws nothing here and would make a generator for every row.
_UNUSED = np.random.RandomState(0)

# Half of the parts of the draws against the other half tells how far chance decides.
_HALVES = np.array([[[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0, 3], [1, 2]]])

# Relative to the variance of the units. Keeps units that never change at 0.
_JITTER = 1e-10

# An output that varies by so many of the last bits is constant but for rounding.
_ROUNDING = 16


@dataclass
class Draws:
    """What was drawn around a row: the row itself comes first.

    Parameters
    ----------
    units : ndarray of shape (n_draws, n_units)
        The draws in the terms of the local model.
    distances : ndarray of shape (n_draws,)
        How far they are from the row.
    outputs : ndarray of shape (n_draws,)
        What the estimator says of them.
    """

    units: np.ndarray
    distances: np.ndarray
    outputs: np.ndarray

    def add(self, other: Draws) -> None:
        """Add more draws."""
        self.units = np.concatenate([self.units, other.units])
        self.distances = np.concatenate([self.distances, other.distances])
        self.outputs = np.concatenate([self.outputs, other.outputs])


@dataclass
class LocalModel:
    """A linear model near a row; ``weights`` is of shape (n_units,)."""

    intercept: float
    weights: np.ndarray
    prediction: float
    r2: float


def default_kernel_width(n_units: int) -> float:
    """Return the width of the kernel that lime takes for so many units."""
    return _KERNEL_WIDTH * np.sqrt(n_units)


def fit_local_model(draws, kernel_width, num_features, selection) -> LocalModel:
    """Fit a linear model to draws, the near ones counting most."""
    base = LimeBase(partial(_kernel, width=kernel_width), random_state=_UNUSED)
    intercept, weights, r2, prediction = base.explain_instance_with_data(
        draws.units,
        draws.outputs[:, np.newaxis],
        draws.distances,
        label=0,
        num_features=num_features,
        feature_selection=selection or "none",
        model_regressor=_LeastSquares(),
    )
    coefficients = np.zeros(draws.units.shape[1])
    for unit, weight in weights:
        coefficients[unit] = weight
    return LocalModel(intercept, coefficients, prediction[0], r2)


def check_kernel(draws, kernel_width: float) -> None:
    """Refuse a kernel so narrow that fewer draws count than there are units."""
    weights = _kernel(draws.distances, kernel_width)
    n_counting = weights.sum() ** 2 / (weights**2).sum()
    n_varying = int(_varying(draws.units).sum())
    if n_counting < n_varying + 2:
        raise ValueError(
            f"kernel_width={kernel_width:.4g} leaves {n_counting:.1f} of "
            f"{len(weights)} draws to tell {n_varying} units apart; the default is "
            f"{default_kernel_width(n_varying):.3g} here. A smaller spread, too, looks "
            "nearer at numeric columns."
        )


def measure_stability(draws, kernel_width, num_features) -> float:
    """Return how far two halves of the draws agree on the largest effects.

    The weighted Jaccard index of the effects found by each, mean over three ways of
    halving: the sum of what both find over the sum of what either finds.
    """
    weights = _kernel(draws.distances, kernel_width)
    # The row itself would be in both halves.
    if _is_constant(draws.outputs):
        return 1.0
    row = draws.units[0]
    parts = np.array(
        [
            _moments(draws.units[part], row, draws.outputs[part], weights[part])
            for part in _parts(len(weights))
        ]
    )
    halves = parts[_HALVES].sum(axis=-3)  # (ways, 2, n_units + 2, n_units + 2)
    effects = _solve(halves)[..., 1:] * row
    return float(
        np.mean([_overlap(*found) for found in _largest(effects, num_features)])
    )


def _varying(units: np.ndarray) -> np.ndarray:
    """Return which units vary, (n_units,)."""
    return (units != units[0]).any(axis=0)


def _is_constant(outputs: np.ndarray) -> bool:
    """Return whether outputs vary by rounding alone."""
    is_single = (outputs == outputs.astype(np.float32)).all()
    rounding = _ROUNDING * np.finfo(np.float32 if is_single else np.float64).eps
    return np.ptp(outputs) <= rounding * np.abs(outputs).max()


def _kernel(distances: np.ndarray, width: float) -> np.ndarray:
    """Return how much draws count by their distance: the kernel of lime."""
    return np.sqrt(np.exp(-(distances**2) / width**2))


def _parts(n_draws: int) -> list[slice]:
    """Return the parts of draws, without the row itself."""
    edges = np.linspace(1, n_draws, N_PARTS + 1).astype(int)
    return [slice(*pair) for pair in pairwise(edges)]


def _moments(units, row, outputs, weights) -> np.ndarray:
    """Return the weighted products of all columns: 1, the units, the output.

    The units are counted from the row, so that those that never change are 0.
    """
    table = np.empty((len(units), units.shape[1] + 2))
    table[:, 0], table[:, -1] = 1, outputs
    np.subtract(units, row, out=table[:, 1:-1])
    table *= np.sqrt(weights)[:, np.newaxis]
    return table.T @ table


def _solve(moments: np.ndarray) -> np.ndarray:
    """Return the output at the row and the coefficients, by least squares.

    ``moments`` is (..., n_units + 2, n_units + 2); the result (..., n_units + 1).
    """
    squares = moments[..., :-1, :-1]
    diagonal = np.einsum("...ii->...i", squares)
    jitter = _JITTER * diagonal.mean(axis=-1)[..., np.newaxis, np.newaxis]
    squares = squares + jitter * np.eye(diagonal.shape[-1])
    return np.linalg.solve(squares, moments[..., :-1, -1:])[..., 0]


def _largest(effects: np.ndarray, n: int) -> np.ndarray:
    """Return effects, (..., n_units), with all but the n largest set to 0."""
    if n >= effects.shape[-1]:
        return effects
    smallest = np.argpartition(-np.abs(effects), n)[..., n:]
    kept = effects.copy()
    np.put_along_axis(kept, smallest, 0, axis=-1)
    return kept


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return the weighted Jaccard index of effects; opposite signs share nothing."""
    sizes = np.abs(first), np.abs(second)
    either = np.maximum(*sizes).sum()
    opposed = first * second < 0
    either += np.minimum(*sizes)[opposed].sum()
    both = np.minimum(*sizes)[~opposed].sum()
    return both / either if either > 0 else 1.0


class _LeastSquares:
    """Weighted least squares for lime: ridge regression as good as without penalty.

    The Ridge that lime takes by default shrinks coefficients, and checks its input at
    greater length than it takes to fit.
    """

    def fit(self, X, y, sample_weight):
        if _is_constant(y):
            self.coef_, self.intercept_ = np.zeros(X.shape[1]), y[0]
            return self
        row = X[0]
        at_row, *coefficients = _solve(_moments(X, row, y, sample_weight))
        self.coef_ = np.array(coefficients)
        self.intercept_ = at_row - row @ self.coef_
        return self

    def predict(self, X):
        return X @ self.coef_ + self.intercept_

    def score(self, X, y, sample_weight):
        """Return R², adjusted for the number of units that vary."""
        if _is_constant(y):
            return 1.0
        mean = np.average(y, weights=sample_weight)
        variance = np.average((y - mean) ** 2, weights=sample_weight)
        error = np.average((y - self.predict(X)) ** 2, weights=sample_weight)
        n_varying = int(_varying(X).sum())
        return 1 - error / variance * (len(y) - 1) / (len(y) - n_varying - 1)
