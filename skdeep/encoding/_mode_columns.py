"""Columns of a table as choices among modes and numbers within these."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pandas as pd

from skdeep.encoding._columns import moments
from skdeep.encoding._inputs import _codes_of, _known_values

# Numeric columns of at most this many distinct values are choices among them, if each
# of these occurs this many times on average: else training rows would be returned.
FEW_VALUES, FEW_OCCURRENCES = 20, 3
# Categories beyond the most frequent ones share a code.
MOST_CATEGORIES = 250
# A number in this share of the rows, and in this many, is a mode of its own if it is
# this many times as frequent as those around it: as zeros in a column of amounts.
REPEATED_SHARE, REPEATED_ROWS, OUTSTANDING = 0.003, 10, 4.0
MOST_REPEATED = 20
# Numbers of modes that are tried; a mode has to increase the mean log-likelihood by
# this much and has at least this share of the rows.
MODE_NUMBERS, GAIN, LEAST_SHARE = (1, 2, 3, 4, 6, 8, 10), 0.01, 0.01
MOST_ITERATIONS = 60
# Points to which modes are fitted, and distinct numbers that are reproduced exactly.
MOST_POINTS = 2000
# Half the width of a mode in standard deviations.
REACH = 4.0
MOST_DECIMALS = 8


def number_column(column: np.ndarray, rng):
    """Return the encoder of a numeric column."""
    column = column.astype(np.float64)
    present = column[~np.isnan(column)]
    n_missing = len(column) - len(present)
    known, counts = np.unique(present, return_counts=True)
    if not len(known) or (len(known) == 1 and not n_missing):
        return Constant(known[0] if len(known) else np.nan)
    is_repeated = len(present) >= FEW_OCCURRENCES * len(known)
    if len(known) <= 2 or (len(known) <= FEW_VALUES and is_repeated):
        return NumberChoice(known, counts, n_missing)
    return Modes(column, known, counts, n_missing, rng)


def category_column(column: np.ndarray):
    """Return the encoder of a column of categories."""
    known = _known_values(column)
    counts = np.bincount(_codes_of(column, known), minlength=len(known) + 2)
    n_missing, counts = int(counts[0]), counts[2:]
    if not len(known) or (len(known) == 1 and not n_missing):
        return Constant(known[0] if len(known) else None)
    return CategoryChoice(known, counts, n_missing)


def standard_column(column: np.ndarray):
    """Return the encoder of a numeric column that is standardized."""
    column = column.astype(np.float64)
    present = column[~np.isnan(column)]
    if not len(present) or (
        present.min() == present.max() and len(present) == len(column)
    ):
        return Constant(present[0] if len(present) else np.nan)
    return Standardized(column, present)


class Constant:
    """A column of one value, or without any: nothing is encoded.

    Parameters
    ----------
    value : object
        The value; None or NaN if there is none.
    """

    n_numbers = n_choices = 0
    blocks: tuple = ()

    def __init__(self, value):
        self.value = value

    def encode(self, column, rng):
        """Return no numbers and no codes."""
        return None, None

    def restore(self, numbers, codes, rng):
        """Return the value for each row."""
        kind = np.float64 if isinstance(self.value, float) else object
        return np.full(len(codes), self.value, dtype=kind)


class _Choice(ABC):
    """A column of few values, each of which has a code.

    Parameters
    ----------
    known : ndarray
        The distinct values of the training rows.
    counts : ndarray of int
        How often each occurs.
    n_missing : int
        How many values are missing; if any, the last code stands for a missing value.
    """

    n_numbers, n_choices = 0, 1

    def __init__(self, known, counts, n_missing):
        self.known = known
        self.counts = np.append(counts, n_missing) if n_missing else counts
        self.has_missing = n_missing > 0

    @property
    def blocks(self):
        """The only block of values: a one-hot choice."""
        return (("choice", len(self.counts)),)

    @abstractmethod
    def _find(self, column):
        """Return the codes of the known values, -1 for others."""

    def encode(self, column, rng):
        """Return no numbers, and the codes."""
        codes = self._find(column)
        if self.has_missing:
            codes[pd.isna(column)] = len(self.counts) - 1
        return None, _draw_unknown(codes, self.counts, rng)


class NumberChoice(_Choice):
    """A numeric column of few distinct values."""

    def _find(self, column):
        middles = (self.known[1:] + self.known[:-1]) / 2
        codes = np.searchsorted(middles, column)
        codes[np.isnan(column)] = -1
        return codes

    def restore(self, numbers, codes, rng):
        """Return the numbers, NaN where missing."""
        values = np.append(self.known, np.nan) if self.has_missing else self.known
        return values[codes]


class CategoryChoice(_Choice):
    """A column of categories; the rarest of many share a code."""

    def __init__(self, known, counts, n_missing):
        order = np.argsort(-counts, kind="stable")
        kept = np.sort(order[:MOST_CATEGORIES])
        rare = np.sort(order[MOST_CATEGORIES:])
        self.rare, self.rare_counts = known[rare], counts[rare]
        common = counts[kept]
        if len(rare):
            common = np.append(common, counts[rare].sum())
        super().__init__(known[kept], common, n_missing)

    def _find(self, column):
        codes = _codes_of(column, self.known) - 2
        if len(self.rare):
            codes[_codes_of(column, self.rare) > 1] = len(self.known)
        return np.maximum(codes, -1)

    def restore(self, numbers, codes, rng):
        """Return the categories, None where missing."""
        values = np.append(self.known.astype(object), [None, None])
        column = values[np.minimum(codes, len(self.known))]
        if len(self.rare):
            is_rare = codes == len(self.known)
            shares = self.rare_counts / self.rare_counts.sum()
            column[is_rare] = rng.choice(self.rare, is_rare.sum(), p=shares)
        return column


class Modes:
    """A numeric column as the choice of a mode and a number from -1 to 1 within it.

    The codes stand for the modes of a mixture of Gaussians, then for frequently
    repeated numbers, then for a missing value if there were any in the training rows.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
        The numbers, NaN where missing.
    known : ndarray
        The distinct numbers.
    counts : ndarray of int
        How often each occurs.
    n_missing : int
        How many values are missing.
    rng : numpy.random.Generator
        Draws among overlapping modes.
    """

    n_numbers = 1

    def __init__(self, column, known, counts, n_missing, rng):
        mean, spread = moments(column[:, None], np.isnan(column)[:, None])
        self.unit, self.offset = spread[0], mean[0] / spread[0]
        self.low, self.high = known[[0, -1]]
        self.known = known if _is_grid(known, counts) else None
        self.decimals = _n_decimals(known)
        is_exact = _stand_out(known, counts)
        self.exact = known[is_exact]
        points = self._scaled(known[~is_exact])
        self.means, self.spreads, self.shares = _mixture(points, counts[~is_exact])
        self.has_missing = n_missing > 0
        self.counts = np.zeros(
            len(self.means) + len(self.exact) + self.has_missing, np.int64
        )
        _, codes = self.encode(column, rng)
        self.counts = np.bincount(codes, minlength=len(self.counts))

    @property
    def n_choices(self):
        """One choice, if there is more than one mode."""
        return int(len(self.counts) > 1)

    @property
    def has_spread(self):
        """For each code, whether there is a number within its mode."""
        return np.arange(len(self.counts)) < len(self.means)

    @property
    def blocks(self):
        """A number, after the choice if there is one."""
        choice = [("choice", len(self.counts))] * self.n_choices
        return (*choice, ("number", 1))

    def _scaled(self, numbers):
        return numbers / self.unit - self.offset

    def encode(self, column, rng):
        """Return numbers from -1 to 1, and the codes of the modes."""
        column = column.astype(np.float64).clip(self.low, self.high)
        x = self._scaled(self._spread_out(column, rng))
        is_missing = np.isnan(x)
        x[is_missing] = 0.0
        codes = self._draw_modes(x, rng)
        numbers = (x - self.means[codes]) / (REACH * self.spreads[codes])
        place = np.searchsorted(self.exact, column)
        place[place == len(self.exact)] = 0
        if len(self.exact):
            is_exact = self.exact[place] == column
            codes = np.where(is_exact, len(self.means) + place, codes)
        if is_missing.any():
            self._fill(numbers, codes, is_missing, rng)
        numbers[codes >= len(self.means)] = 0.0
        return numbers.clip(-1, 1), codes

    def _fill(self, numbers, codes, is_missing, rng):
        """Write the code of missing values, or draws if there were none in training."""
        if self.has_missing:
            codes[is_missing] = len(self.counts) - 1
            return
        codes[is_missing] = _draw(self.counts, is_missing.sum(), rng)
        numbers[is_missing] = rng.normal(size=is_missing.sum()) / REACH

    def _spread_out(self, column, rng):
        """Return numbers of a grid with noise, which rounding removes.

        A discriminator would tell the generator's numbers from those of a grid.
        """
        noise = rng.uniform(-0.5, 0.5, len(column))
        if self.known is not None:
            place = np.searchsorted(self.known, column).clip(0, len(self.known) - 1)
            steps = np.diff(self.known, prepend=self.known[0], append=self.known[-1])
            return column + noise * np.where(noise < 0, steps[place], steps[place + 1])
        if self.decimals is None:
            return column.copy()
        return column + noise * 10.0**-self.decimals

    def _draw_modes(self, x, rng):
        """Draw a mode for each number by the probabilities of the mixture."""
        if len(self.means) == 1:
            return np.zeros(len(x), np.int64)
        z = (x[:, None] - self.means) / self.spreads
        logits = np.log(self.shares / self.spreads) - np.square(z) / 2
        return (logits + rng.gumbel(size=logits.shape)).argmax(1)

    def restore(self, numbers, codes, rng):
        """Return the numbers in the unit of the table, NaN where missing."""
        modes = np.minimum(codes, len(self.means) - 1)
        x = self.means[modes] + numbers * REACH * self.spreads[modes]
        x = ((x + self.offset) * self.unit).clip(self.low, self.high)
        if self.known is not None:
            middles = self.known[1:] / 2 + self.known[:-1] / 2
            x = self.known[np.searchsorted(middles, x)]
        elif self.decimals is not None:
            x = np.round(x, self.decimals)
        place = codes - len(self.means)
        is_exact = (place >= 0) & (place < len(self.exact))
        x[is_exact] = self.exact[place[is_exact]]
        if self.has_missing:
            x[codes == len(self.counts) - 1] = np.nan
        return x


class Standardized:
    """A numeric column with mean 0 and variance 1.

    If values are missing, there is a choice between numbers and missing values, too.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
        The numbers, NaN where missing.
    present : ndarray
        Those that are not missing.
    """

    n_numbers = 1

    def __init__(self, column, present):
        mean, spread = moments(column[:, None], np.isnan(column)[:, None])
        self.mean, self.spread = mean[0], spread[0]
        self.low, self.high = present.min(), present.max()
        n_missing = len(column) - len(present)
        self.counts = np.array([len(present), n_missing] if n_missing else [])

    @property
    def n_choices(self):
        """One choice, if there are missing values."""
        return int(len(self.counts) > 0)

    @property
    def has_spread(self):
        """For each code, whether there is a number."""
        return np.array([True, False])

    @property
    def blocks(self):
        """A number, after the choice if there is one."""
        choice = [("choice", len(self.counts))] * self.n_choices
        return (*choice, ("linear", 1))

    def encode(self, column, rng):
        """Return scaled numbers, and the codes of numbers and of missing values."""
        is_missing = np.isnan(column)
        numbers = (column.astype(np.float64) - self.mean) / self.spread
        numbers[is_missing] = 0.0
        return numbers, is_missing.astype(np.int64) if self.n_choices else None

    def restore(self, numbers, codes, rng):
        """Return the numbers in the unit of the table, NaN where missing."""
        values = (numbers * self.spread + self.mean).clip(self.low, self.high)
        return np.where(codes == 1, np.nan, values) if self.n_choices else values


def _draw(counts, n, rng):
    """Draw codes by their frequencies."""
    return rng.choice(len(counts), n, p=counts / counts.sum())


def _draw_unknown(codes, counts, rng):
    """Replace negative codes by draws."""
    is_unknown = codes < 0
    if is_unknown.any():
        codes[is_unknown] = _draw(counts, is_unknown.sum(), rng)
    return codes


def _is_grid(known, counts):
    """Return whether numbers recur so often that new ones are not to be expected."""
    return len(known) <= MOST_POINTS and counts.sum() >= 10 * len(known)


def _n_decimals(known):
    """Return the number of digits after the decimal point, None if there are many."""
    points = known[:: max(1, len(known) // MOST_POINTS)]
    if np.abs(points).max() >= 2.0**52:  # whole numbers all
        return None
    for n in range(MOST_DECIMALS + 1):
        if np.array_equal(np.round(points, n), points):
            return n
    return None


def _stand_out(known, counts):
    """Return whether each number is much more frequent than its neighbors."""
    n = counts.sum()
    found = np.zeros(len(known), bool)
    least = max(REPEATED_ROWS, REPEATED_SHARE * n)
    for i in np.argsort(-counts, kind="stable")[:MOST_REPEATED]:
        around = np.append(counts[max(0, i - 5) : i], counts[i + 1 : i + 6])
        found[i] = counts[i] >= max(least, OUTSTANDING * np.median(around))
    if found.all():
        found[counts.argmin()] = False
    return found


def _mixture(points, counts):
    """Fit a mixture of Gaussians by expectation maximization.

    Parameters
    ----------
    points : ndarray of shape (n_points,)
        Distinct numbers in increasing order.
    counts : ndarray of int of shape (n_points,)
        How often each occurs.

    Returns
    -------
    means, spreads, shares : ndarray of shape (n_modes,)
        Parameters of the modes in increasing order of the means.
    """
    points, weights = _fewer(points, counts / counts.sum())
    found = [_maximize(points, weights, n) for n in MODE_NUMBERS if n <= len(points)]
    cost = max(GAIN, 1.5 * np.log(counts.sum()) / counts.sum())
    best = max(found, key=lambda fit: fit[1] - cost * len(fit[0][0]))
    means, spreads, shares = best[0]
    order = means.argsort()
    return means[order], spreads[order], shares[order]


def _maximize(points, weights, n_modes):
    """Return means, spreads and shares, and the mean log-likelihood."""
    least = _least_spread(points, weights)
    means, spreads = _start(points, weights, n_modes)
    spreads = np.maximum(spreads, least)
    shares = np.full(len(means), 1 / len(means))
    last = -np.inf
    for _ in range(MOST_ITERATIONS):
        p, likelihood = _memberships(points, weights, means, spreads, shares)
        new = p.sum(0)
        if len(new) > 1 and new.min() < LEAST_SHARE:
            keep = np.arange(len(new)) != new.argmin()
            means, spreads, shares = means[keep], spreads[keep], shares[keep]
            shares = shares / shares.sum()
            continue
        if likelihood - last < 1e-5:
            break
        last = likelihood
        shares, means = new, points @ p / new
        variances = (np.square(points[:, None] - means) * p).sum(0) / new
        spreads = np.maximum(np.sqrt(variances), least)
    return (means, spreads, shares), likelihood


def _memberships(points, weights, means, spreads, shares):
    """Return the weight of each point in each mode, and the mean log-likelihood."""
    logits = np.log(shares / spreads)
    logits = logits - np.square((points[:, None] - means) / spreads) / 2
    top = logits.max(1)
    p = np.exp(logits - top[:, None])
    sums = p.sum(1)
    return p * (weights / sums)[:, None], weights @ (np.log(sums) + top)


def _least_spread(points, weights):
    """Return a spread below which a mode would be a single point of a grid."""
    step = np.median(np.diff(points)) if len(points) > 1 else 1.0
    whole = np.sqrt(weights @ np.square(points - weights @ points))
    return max(1e-3 * whole, 0.5 * min(step, whole), 1e-9)


def _fewer(points, weights):
    """Return at most MOST_POINTS points: means of groups of neighbors."""
    if len(points) <= MOST_POINTS:
        return points, weights
    groups = np.linspace(0, len(points), MOST_POINTS + 1).astype(int)[:-1]
    sums = np.add.reduceat(weights, groups)
    return np.add.reduceat(points * weights, groups) / sums, sums


def _start(points, weights, n):
    """Return means and spreads of groups of equal weight."""
    group = np.minimum((weights.cumsum() - weights / 2) * n, n - 1).astype(int)
    total = np.bincount(group, weights, minlength=n)
    used = total > 0
    total = np.where(used, total, 1)
    means = np.bincount(group, weights * points, minlength=n) / total
    squares = np.bincount(group, weights * np.square(points), minlength=n) / total
    spreads = np.sqrt(np.maximum(squares - np.square(means), 0))
    return means[used], spreads[used]
