"""Draws around the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep.inspection._lime_columns import Columns, stacked
from skdeep.inspection._lime_draws import Drawn, draw_normal, draw_switches

_BINS = {"quartile": 4, "decile": 10}


class TableRows:
    """Rows of a table, and how to draw others around them.

    A unit is a column, or a group of columns. A numeric column is moved around the
    row's value. What has nothing between its values is switched: to another value that
    the background holds, as often as it holds it. A group of columns is switched to
    what one row of the background holds in all of them.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_rows, n_features)
        The rows explained.
    background : DataFrame or ndarray of shape (n_background, n_features)
        The rows that tell how the columns are distributed.
    names : list
        Names of the columns.
    groups : dict
        The positions of the columns of each unit, by its name.
    categorical : list of int
        Columns that are switched although they hold numbers.
    discretize : {"quartile", "decile"} or None
        Bins between which numeric columns are switched.
    spread : float
        How far columns are moved, in standard deviations of the background.
    """

    kind = "table"

    def __init__(
        self, X, background, *, names, groups, categorical, discretize, spread
    ):
        self.X = X
        self.feature_names = names
        self.unit_names = list(groups)
        self.drawing: dict = {}
        self._units = [np.asarray(columns) for columns in groups.values()]
        self._n_background = len(background)
        self._spread = spread
        self._table = Columns(stacked(background, X), len(background))
        is_moved = self._table.is_continuous.copy()
        is_moved[categorical] = False
        if discretize is not None:
            for column in np.flatnonzero(is_moved):
                self._table.cut(int(column), _BINS[discretize])
            is_moved[:] = False
        self._is_moved = np.array(
            [len(unit) == 1 and is_moved[unit[0]] for unit in self._units]
        )

    def draw_size(self) -> int:
        """Return how many numbers a draw takes."""
        return len(self._units) + 2 * len(self.feature_names)

    def has_units(self, row: int) -> np.ndarray:
        """Return which units a row has: all."""
        return np.ones(len(self._units), dtype=bool)

    def values(self, row: int) -> list:
        """Return what a row holds in each unit, None where that is several values."""
        return [
            self._table.show(self._place(row), unit[0]) if len(unit) == 1 else None
            for unit in self._units
        ]

    def content(self, row: int) -> bytes:
        """Return what tells a row from others."""
        return self._table.content(self._place(row))

    def in_units(self, row: int) -> np.ndarray:
        """Return a row in the terms of the local model, (n_units,)."""
        own = np.ones(len(self._units))
        moved = self._moved(row)
        columns = self._only_columns(moved)
        numbers = self._table.numbers[self._place(row), columns]
        own[moved] = self._table.standardize(numbers, columns)
        return own

    def draw(self, row: int, rng, n_draws: int) -> Drawn:
        """Draw around a row; what :meth:`join` needs is numbers and their sources."""
        place = self._place(row)
        sources = np.full((n_draws, self._table.n_others), place, dtype=np.intp)
        moved = self._moved(row)
        columns = self._only_columns(moved)
        moved_to, in_units, squares = self._move(place, rng, n_draws, columns)
        if len(columns) == len(self.feature_names):
            return Drawn(in_units, np.sqrt(squares), (moved_to, sources))
        numbers = np.repeat(self._table.numbers[[place]], n_draws, axis=0)
        units = np.ones((n_draws, len(self._units)))
        numbers[:, columns], units[:, moved] = moved_to, in_units
        squares += self._switch(place, rng, ~moved, units, numbers, sources)
        return Drawn(units, np.sqrt(squares), (numbers, sources))

    def _move(self, place, rng, n_draws, columns) -> tuple:
        """Move numeric columns: return them, in units, and the squared distances."""
        own = self._table.numbers[place, columns]
        sizes = self._table.step_sizes(self._spread, columns)
        steps = draw_normal(rng, n_draws, len(own))
        steps *= sizes
        moved_to = self._table.move(own, columns, steps)
        in_units = self._table.standardize(moved_to, columns)
        away = (moved_to - own) / sizes
        return moved_to, in_units, np.einsum("ij,ij->i", away, away)

    def _switch(self, place, rng, switched, units, numbers, sources):
        """Switch the other units; return how many are off."""
        switched = np.flatnonzero(switched)
        is_on = draw_switches(rng, len(units), len(switched))
        for unit, on in zip(switched, is_on.T, strict=True):
            columns = self._units[unit]
            others = self._table.others(place, columns)
            if not len(others):
                continue
            off = np.flatnonzero(~on)
            taken = others[rng.integers(len(others), size=len(off))]
            self._table.put(off, columns, taken, numbers, sources)
            units[off, unit] = 0
        return (units[:, switched] == 0).sum(axis=1)

    def join(self, parts: list[tuple]) -> Any:
        """Return all that was drawn as rows for the estimator."""
        numbers = np.concatenate([numbers for numbers, _ in parts])
        sources = np.concatenate([sources for _, sources in parts])
        return self._table.rows(numbers, sources)

    def others(self) -> tuple:
        """Return some other rows, from which nothing is missing, for :meth:`join`."""
        background = np.arange(self._n_background)
        whole = background[self._table.are_whole(background)][-3:]
        return self.contents(whole - self._n_background)

    def contents(self, rows: np.ndarray) -> tuple:
        """Return rows themselves as :meth:`join` takes what was drawn."""
        places = self._n_background + rows
        sources = np.repeat(places[:, np.newaxis], self._table.n_others, axis=1)
        return self._table.numbers[places], sources

    def _place(self, row: int) -> int:
        """Return where a row stands behind the background."""
        return self._n_background + row

    def _moved(self, row: int) -> np.ndarray:
        """Return which units are moved: none whose number is missing."""
        moved = self._is_moved.copy()
        numbers = self._table.numbers[self._place(row), self._only_columns(moved)]
        moved[moved] = ~np.isnan(numbers)
        return moved

    def _only_columns(self, units: np.ndarray) -> np.ndarray:
        """Return the columns of units that have one each."""
        columns = [self._units[unit][0] for unit in np.flatnonzero(units)]
        return np.array(columns, dtype=np.intp)
