"""The local linear model: weighted least squares on perturbations of a row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skdeep.inspection._lime.perturbations import N_PARTS, Perturbations
from skdeep.inspection._lime.selection import select_units

# Width of lime's kernel for one unit; it grows with the square root of their number.
_KERNEL_WIDTH = 0.75

# All ways to split the four parts of the draws into two halves.
_HALVES = np.array([[[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0, 3], [1, 2]]])

# Added to the diagonal, relative to the variance of each unit: units that always change
# together would make the system singular.
_JITTER = 1e-10

# From this number of units on, a Cholesky solve per system is faster than one stacked
# LU solve.
_LARGE = 100

_NEGLIGIBLE = 1e-9

# An output whose range is at most this many units in the last place is constant.
_ROUNDING = 16


@dataclass
class LocalModel:
    """A linear model near a row.

    ``weights`` has the shape (n_units,); ``prediction`` is the model's at the row.
    """

    weights: np.ndarray
    prediction: float
    r2: float


class LocalFit:
    """Fits a linear model to perturbations of a row, weighted by their distance.

    It does not keep the draws, only their moments (weighted sums of products), one
    matrix for each part of the draws. They suffice to solve for any union of parts and
    any selection of units.

    Parameters
    ----------
    row : ndarray of shape (n_units,)
        The row, in units.
    prediction : float
        The estimator's output for the row.
    kernel_width : float
        Width of the kernel.
    selection : str or None
        Method of selecting units; None fits all.
    """

    def __init__(self, row, prediction: float, kernel_width: float, selection):
        self._row, self._prediction = row, prediction
        self._width, self._selection = kernel_width, selection
        self._moments = np.zeros(0)
        self._sum_of_squares = 1.0  # of the weights; the row itself has weight 1
        self._least = self._most = prediction
        self._is_single = prediction == np.float32(prediction)
        self.n_draws = 0

    def add(self, drawn: Perturbations, outputs: np.ndarray) -> None:
        """Add perturbations and the estimator's outputs for them, (n_draws,)."""
        weights = _kernel(drawn.distances, self._width)
        self._sum_of_squares += weights @ weights
        self._least = min(self._least, outputs.min())
        self._most = max(self._most, outputs.max())
        # Networks in float32 return constants that differ by more than float64 rounds.
        self._is_single &= bool((outputs == outputs.astype(np.float32)).all())
        edges = np.linspace(0, len(outputs), N_PARTS + 1).astype(int)
        parts = [slice(*pair) for pair in pairwise(edges)]
        moments = np.array(
            [self._products(drawn.units[p], outputs[p], weights[p]) for p in parts]
        )
        # (N_PARTS, n_units + 2, n_units + 2): too large to allocate for rows that wait.
        self._moments = self._moments + moments if self.n_draws else moments
        self.n_draws += len(outputs)

    def _products(self, units, outputs, weights) -> np.ndarray:
        """Return the weighted products of 1, the units and the output."""
        table = np.empty((len(units), units.shape[1] + 2))
        table[:, 0] = 1
        # Relative to the row, so that units that never change are exactly 0.
        np.subtract(units, self._row, out=table[:, 1:-1])
        np.subtract(outputs, self._prediction, out=table[:, -1])
        table *= np.sqrt(weights)[:, np.newaxis]
        # BLAS computes half of a symmetric product; a weighted einsum is far slower.
        return table.T @ table

    def check_kernel(self) -> None:
        """Raise if the kernel is so narrow that fewer draws count than units vary."""
        moments = self._all_moments()
        # Kish's effective sample size.
        n_counting = moments[0, 0] ** 2 / self._sum_of_squares
        n_varying = self._n_varying(moments)
        if n_counting < n_varying + 2:
            raise ValueError(
                f"kernel_width={self._width:.4g} leaves {n_counting:.1f} effective "
                f"draws of {self.n_draws} for {n_varying} units; use a larger one (the "
                f"default is {default_kernel_width(len(self._row)):.3g} here). To keep "
                "numeric columns closer to the row, use a smaller spread."
            )

    def stability(self, num_features: int) -> float:
        """Return how well two halves of the draws agree on the largest effects.

        This is the weighted Jaccard index of the effects of both halves, averaged over
        the three ways to split the draws.
        """
        if self._is_constant():
            return 1.0
        halves = self._moments[_HALVES].sum(axis=-3)  # (ways, 2, ...)
        effects = _keep_largest(_solve(halves)[..., 1:] * self._row, num_features)
        return float(np.mean([_overlap(*found) for found in effects]))

    def solve(self, num_features: int) -> LocalModel:
        """Return the local model."""
        weights = np.zeros(len(self._row))
        if self._is_constant():
            return LocalModel(weights, self._prediction, 1.0)
        moments, units = self._all_moments(), np.arange(len(self._row))
        if self._selection is not None:
            units = select_units(
                moments, self._row, self.n_draws + 1, num_features, self._selection
            )
        kept = np.r_[0, 1 + units, len(self._row) + 1]
        moments = moments[np.ix_(kept, kept)]
        solution = _solve(moments)
        weights[units] = solution[1:]
        # Rounding leaves tiny weights of units without an effect.
        weights[np.abs(weights) <= _NEGLIGIBLE * np.abs(weights).max(initial=0)] = 0
        r2 = self._adjusted_r2(moments, solution)
        return LocalModel(weights, self._prediction + solution[0], r2)

    def _all_moments(self) -> np.ndarray:
        """Return the moments of all draws and the row, which has weight 1."""
        moments = self._moments.sum(axis=0)
        # Relative to the row, its units and its output are 0.
        moments[0, 0] += 1
        return moments

    def _adjusted_r2(self, moments: np.ndarray, solution: np.ndarray) -> float:
        """Return R², adjusted for the number of varying units."""
        error = moments[-1, -1] - solution @ moments[:-1, -1]
        variation = moments[-1, -1] - moments[0, -1] ** 2 / moments[0, 0]
        n_rows = self.n_draws + 1
        adjustment = (n_rows - 1) / (n_rows - self._n_varying(moments) - 1)
        with np.errstate(invalid="ignore", divide="ignore"):  # draws of no weight
            return float(1 - max(error, 0) / variation * adjustment)

    @staticmethod
    def _n_varying(moments: np.ndarray) -> int:
        """Return the number of units that vary."""
        return int((np.diag(moments)[1:-1] > 0).sum())

    def _is_constant(self) -> bool:
        """Return whether the outputs are constant up to rounding."""
        rounding = np.finfo(np.float32 if self._is_single else np.float64).eps
        size = max(abs(self._least), abs(self._most))
        return bool(self._most - self._least <= _ROUNDING * rounding * size)


def default_kernel_width(n_units: int) -> float:
    """Return lime's default width of the kernel for a number of units."""
    return _KERNEL_WIDTH * np.sqrt(n_units)


def _kernel(distances: np.ndarray, width: float) -> np.ndarray:
    """Return the weights of draws by their distances: lime's kernel."""
    width = min(max(float(width), 1e-150), 1e150)  # or its square is 0 or infinite
    return np.exp(-(distances**2) / (2 * width**2))


def _solve(moments: np.ndarray) -> np.ndarray:
    """Return the least-squares intercept (at the row) and coefficients.

    ``moments`` is (..., n_units + 2, n_units + 2); the result is (..., n_units + 1).
    """
    squares = moments[..., :-1, :-1]
    diagonal = np.einsum("...ii->...i", squares)
    # 1 for units that never change, whose coefficients are then exactly 0.
    jitter = np.where(diagonal > 0, _JITTER * diagonal, 1.0)
    squares = squares + jitter[..., np.newaxis] * np.eye(jitter.shape[-1])
    products = moments[..., :-1, -1]
    if products.shape[-1] < _LARGE:
        return np.linalg.solve(squares, products[..., np.newaxis])[..., 0]
    solution = np.empty_like(products)
    for place in np.ndindex(products.shape[:-1]):
        factor = cho_factor(squares[place], lower=True, check_finite=False)
        solution[place] = cho_solve(factor, products[place], check_finite=False)
    return solution


def _keep_largest(effects: np.ndarray, n: int) -> np.ndarray:
    """Return effects, (..., n_units), with all but the n largest set to 0."""
    if n >= effects.shape[-1]:
        return effects
    smallest = np.argpartition(-np.abs(effects), n)[..., n:]
    kept = effects.copy()
    np.put_along_axis(kept, smallest, 0, axis=-1)
    return kept


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return the weighted Jaccard index of effects; opposite signs do not overlap."""
    sizes = np.abs(first), np.abs(second)
    either = np.maximum(*sizes).sum()
    opposed = first * second < 0
    either += np.minimum(*sizes)[opposed].sum()
    both = np.minimum(*sizes)[~opposed].sum()
    return both / either if either > 0 else 1.0
