"""Perturbations of sequences and images: cells that are kept or replaced."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from skdeep.inspection._lime.perturbations import Perturbations, draw_switches


class CellRows:
    """Rows of many cells, and their perturbations.

    A unit is one or several cells, which are kept or replaced together.

    Parameters
    ----------
    X : ndarray of shape (n_rows, ...)
        The explained rows: (n_timesteps, n_features) each, or images.
    units : ndarray of int, broadcast against X
        The unit of each cell.
    replacement : callable
        Takes the position of a row, a mask of the cells to keep, (n_draws, ...), and a
        random generator; returns the values of the other cells, (n_draws, ...).
    unit_names : list of str
        Names of the units.
    feature_names : list
        Names of the features.
    drawing : dict
        Arguments of ``LimeExplanation`` that pictures of the rows need.
    """

    def __init__(
        self, X, units, replacement, *, kind, unit_names, feature_names, drawing
    ):
        self.kind = kind
        self.X = X
        self.unit_names = unit_names
        self.feature_names = feature_names
        self.drawing = drawing
        self._units = np.broadcast_to(units, X.shape)
        self._replacement = replacement
        every = np.arange(len(unit_names))
        self._is_cell_each = np.array_equal(self._units[0].ravel(), every)

    def draw_size(self) -> int:
        """Return how many numbers a draw holds in memory."""
        return len(self.unit_names) + 3 * self.X[0].size

    def has_units(self, row: int) -> np.ndarray:
        """Return a mask of a row's units: those with cells that are not missing."""
        has = np.zeros(len(self.unit_names), dtype=bool)
        has[self._units[row][~np.isnan(self.X[row])]] = True
        return has

    def values(self, row: int) -> list:
        """Return the value of each unit, None for units of several cells."""
        cells = self._units[row].ravel()
        values = np.full(len(self.unit_names), None, dtype=object)
        is_alone = np.bincount(cells, minlength=len(values))[cells] == 1
        values[cells[is_alone]] = self.X[row].ravel()[is_alone]
        return list(values)

    def content(self, row: int) -> bytes:
        """Return the values of a row as bytes."""
        return self.X[row].astype(np.float64).tobytes()

    def in_units(self, row: int) -> np.ndarray:
        """Return the row in units, (n_units,): all are on."""
        return np.ones(len(self.unit_names))

    def draw(self, row: int, rng, n_draws: int) -> Perturbations:
        """Draw perturbations of a row."""
        has = self.has_units(row)
        units = is_on = draw_switches(rng, n_draws, int(has.sum()))
        if not has.all():
            is_on = np.ones((n_draws, len(has)), dtype=bool)
            is_on[:, has] = units
        own = self.X[row]
        kept = self._spread(row, is_on) | np.isnan(own)
        other = self._replacement(row, kept, rng)
        # As exact as np.where, and far faster: random masks defeat branch prediction.
        drawn = np.multiply(kept, own, dtype=self.X.dtype)
        drawn += np.multiply(~kept, other, dtype=self.X.dtype)
        return Perturbations(units, np.sqrt((~units).sum(axis=1)), drawn)

    def _spread(self, row: int, is_on: np.ndarray) -> np.ndarray:
        """Return which cells are on, (n_draws, ...)."""
        cells = self._units[row]
        if self._is_cell_each:
            return is_on.reshape(-1, *cells.shape)
        return is_on[:, cells]

    def join(self, parts: list[np.ndarray]) -> Any:
        """Return the contents of several draws as rows for the estimator."""
        return np.concatenate(parts)

    def others(self) -> np.ndarray:
        """Return the content of some other rows, for :meth:`join`."""
        # A separate generator: the draws of the explanation must not depend on this.
        return self.draw(0, np.random.default_rng(0), 2).content

    def contents(self, rows: np.ndarray) -> np.ndarray:
        """Return the content of unchanged rows, for :meth:`join`."""
        return self.X[rows]


class PartRows(ABC):
    """Rows that consist of parts, and their perturbations.

    A unit is a part, such as a word. A draw leaves out some of the row's units.
    Subclasses make a row from the remaining parts.

    Parameters
    ----------
    X : object
        The explained rows, in the estimator's format.
    units : list of ndarray of int
        The units of each row, in an order that does not depend on other rows: the draws
        for a row must not change if other rows are explained with it.
    unit_names : list of str
        Names of the units of all rows.
    feature_names : list
        Names of the features.
    """

    kind: str

    def __init__(self, X, units, unit_names, feature_names):
        self.X = X
        self.unit_names = unit_names
        self.feature_names = feature_names
        self.drawing: dict = {}
        self._units = units

    @abstractmethod
    def draw_size(self) -> int:
        """Return how many numbers a draw holds in memory."""

    @abstractmethod
    def values(self, row: int) -> list:
        """Return the value of each unit."""

    @abstractmethod
    def content(self, row: int) -> bytes:
        """Return the values of a row as bytes."""

    @abstractmethod
    def contents(self, rows: np.ndarray) -> Any:
        """Return the content of unchanged rows, for :meth:`join`."""

    @abstractmethod
    def join(self, parts: list) -> Any:
        """Return the contents of several draws as rows for the estimator."""

    @abstractmethod
    def keep(self, row: int, is_on: np.ndarray) -> Any:
        """Return a row without the parts that are off, for each draw."""

    def has_units(self, row: int) -> np.ndarray:
        """Return a mask of a row's units."""
        has = np.zeros(len(self.unit_names), dtype=bool)
        has[self._units[row]] = True
        return has

    def in_units(self, row: int) -> np.ndarray:
        """Return the row in units, (n_units,): all are on."""
        return np.ones(len(self.unit_names))

    def draw(self, row: int, rng, n_draws: int) -> Perturbations:
        """Draw perturbations of a row."""
        is_on = draw_switches(rng, n_draws, len(self._units[row]))
        distances = np.sqrt((~is_on).sum(axis=1))
        # The local model has the units in the order of all units, the switches in the
        # order of the row's own, which does not depend on other rows.
        ordered = is_on[:, np.argsort(self._units[row])]
        return Perturbations(ordered, distances, self.keep(row, is_on))

    def others(self) -> Any:
        """Return the content of some other rows, for :meth:`join`."""
        return self.draw(0, np.random.default_rng(0), 2).content


def replace_by_mean(X, background, means):
    """Return a replacement of cells of sequences by their means."""
    return lambda row, kept, rng: means[row]


def replace_by_interpolation(X, background, means):
    """Return a replacement of cells by lines between the nearest cells kept."""

    def replacement(row, kept, rng):
        return _interpolate(X[row], kept & ~np.isnan(X[row]), means[row])

    return replacement


def replace_by_noise(X, background, means):
    """Return a replacement of the cells of a draw by those of a background sequence."""

    def replacement(row, kept, rng):
        others = background[rng.integers(len(background), size=len(kept))]
        return np.where(np.isnan(others), means[row], others)

    return replacement


REPLACEMENTS = {
    "mean": replace_by_mean,
    "interpolation": replace_by_interpolation,
    "noise": replace_by_noise,
}


def replace_by_color(images, units):
    """Return a replacement of superpixels by their mean colors.

    ``images`` is (n_rows, height, width, n_colors).
    """

    def replacement(row, kept, rng):
        cells = units[row].ravel()
        counts = np.maximum(np.bincount(cells), 1)
        colors = images[row].reshape(len(cells), -1).T
        means = [np.bincount(cells, color) / counts for color in colors]
        return np.stack(means, axis=-1)[units[row]]

    return replacement


def mean_cells(background: np.ndarray) -> np.ndarray:
    """Return the mean of each cell, or of its feature if the cell is always missing."""
    known = np.ma.masked_invalid(background)
    overall = known.mean(axis=(0, 1)).filled(0.0)
    mean = known.mean(axis=0)
    return np.where(np.ma.getmaskarray(mean), overall, mean.filled(0.0))


def _interpolate(own, kept, mean) -> np.ndarray:
    """Interpolate along time, (n_draws, n_timesteps, n_features).

    Cells before the first and after the last cell kept repeat it; if none is kept, they
    are the mean.
    """
    n_timesteps = len(own)
    times = np.arange(n_timesteps)[:, np.newaxis]
    before = np.maximum.accumulate(np.where(kept, times, -1), axis=1)
    after = np.where(kept, times, n_timesteps)[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    # Positions of the nearest cells kept; -1 and n_timesteps mean that there is none on
    # this side, and the other side is taken twice.
    has_none = before[:, -1:] < 0
    before, after = (
        np.where(before < 0, after, before).clip(max=n_timesteps - 1),
        np.where(after == n_timesteps, before, after).clip(min=0),
    )
    columns = np.arange(own.shape[1])
    start, end = own[before, columns], own[after, columns]
    share = (times - before) / np.maximum(after - before, 1)
    return np.where(has_none, mean, start + share * (end - start))
