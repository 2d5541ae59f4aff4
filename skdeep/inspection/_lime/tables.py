"""Perturbations of the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from skdeep.inspection._lime.cells import PartRows
from skdeep.inspection._lime.columns import Columns, concatenate_tables
from skdeep.inspection._lime.perturbations import (
    Perturbations,
    draw_normal,
    draw_switches,
)

_BINS = {"quartile": 4, "decile": 10}

# Token ids with a meaning of their own.
_PADDING, _UNKNOWN = 0, 1


class TableRows:
    """Rows of a table, and their perturbations.

    A unit is a column, or a group of columns. A numeric column is moved around the
    row's value. Other columns are switched to another value from the background, with
    the value's frequency there. A group of columns is switched to the values of one
    background row, so that they fit together.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_rows, n_features)
        The explained rows.
    background : DataFrame or ndarray of shape (n_background, n_features)
        The background data.
    names : list
        Names of the columns.
    groups : dict
        The positions of the columns of each unit, by its name.
    categorical : list of int
        Columns that are switched although they are numeric.
    discretize : {"quartile", "decile"} or None
        Bins between which numeric columns are switched.
    spread : float
        Standard deviation of the draws, in standard deviations of the background.
    are_tokens : bool
        Whether the columns are token ids. 0 is padding: it is never changed, and never
        replaces another token.
    """

    kind = "table"

    def __init__(
        self,
        X,
        background,
        *,
        names,
        groups,
        categorical,
        discretize,
        spread,
        are_tokens=False,
    ):
        self.X = X
        self.feature_names = names
        self.unit_names = list(groups)
        self.drawing: dict = {}
        self._units = [np.asarray(columns) for columns in groups.values()]
        self._n_background = len(background)
        self._spread = spread
        self._are_tokens = are_tokens
        self._table = Columns(concatenate_tables(background, X), len(background))
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
        """Return how many numbers a draw holds in memory."""
        return len(self._units) + 2 * len(self.feature_names)

    def has_units(self, row: int) -> np.ndarray:
        """Return a mask of a row's units: all but padding."""
        there = self._is_not_padding(self._place(row))
        return np.array([there[unit].any() for unit in self._units])

    def values(self, row: int) -> list:
        """Return the value of each unit, None for units of several columns."""
        return [
            self._table.show(self._place(row), unit[0]) if len(unit) == 1 else None
            for unit in self._units
        ]

    def content(self, row: int) -> bytes:
        """Return the values of a row as bytes."""
        return self._table.content(self._place(row))

    def in_units(self, row: int) -> np.ndarray:
        """Return the row in units, (n_units,)."""
        own = np.ones(len(self._units))
        moved = self._moved(row)
        columns = self._single_columns(moved)
        numbers = self._table.numbers[self._place(row), columns]
        own[moved] = self._table.standardize(numbers, columns)
        return own

    def draw(self, row: int, rng, n_draws: int) -> Perturbations:
        """Draw perturbations of a row; their content is numbers and sources."""
        place = self._place(row)
        sources = np.full((n_draws, self._table.n_others), place, dtype=np.intp)
        moved = self._moved(row)
        columns = self._single_columns(moved)
        moved_to, in_units, squares = self._move(place, rng, n_draws, columns)
        # The common case, in which nothing is copied.
        if len(columns) == len(self.feature_names):
            return Perturbations(in_units, np.sqrt(squares), (moved_to, sources))
        has = self.has_units(row)
        numbers = np.repeat(self._table.numbers[[place]], n_draws, axis=0)
        units = np.ones((n_draws, len(self._units)))
        numbers[:, columns], units[:, moved] = moved_to, in_units
        squares += self._switch(place, rng, has & ~moved, units, numbers, sources)
        return Perturbations(units[:, has], np.sqrt(squares), (numbers, sources))

    def _move(self, place, rng, n_draws, columns) -> tuple:
        """Return moved numeric columns, the same in units, and squared distances."""
        own = self._table.numbers[place, columns]
        sizes = self._table.step_sizes(self._spread, columns)
        steps = draw_normal(rng, n_draws, len(own))
        steps *= sizes
        moved_to = self._table.move(own, columns, steps)
        in_units = self._table.standardize(moved_to, columns)
        away = (moved_to - own) / sizes
        return moved_to, in_units, np.einsum("ij,ij->i", away, away)

    def _switch(self, place, rng, switched, units, numbers, sources):
        """Switch the other units in place; return how many are off in each draw."""
        switched = np.flatnonzero(switched)
        is_on = draw_switches(rng, len(units), len(switched))
        for unit, on in zip(switched, is_on.T, strict=True):
            columns = self._units[unit]
            columns = columns[self._is_not_padding(place)[columns]]
            others = self._replacement_rows(place, columns)
            off = np.flatnonzero(~on)
            if len(others):
                taken = others[rng.integers(len(others), size=len(off))]
                self._table.put(off, columns, taken, numbers, sources)
            elif self._are_tokens:
                numbers[np.ix_(off, columns)] = _UNKNOWN
            else:
                # Nothing to switch to: the unit stays on, and its effect is 0.
                continue
            units[off, unit] = 0
        return (units[:, switched] == 0).sum(axis=1)

    def join(self, parts: list[tuple]) -> Any:
        """Return the contents of several draws as rows for the estimator."""
        numbers = np.concatenate([numbers for numbers, _ in parts])
        sources = np.concatenate([sources for _, sources in parts])
        return self._table.rows(numbers, sources)

    def others(self) -> tuple:
        """Return the content of some rows without missing values, for :meth:`join`."""
        background = np.arange(self._n_background)
        whole = background[
            self._table.are_whole(background)
            & self._is_not_padding(background).any(axis=1)
        ][-3:]
        return self.contents(whole - self._n_background)

    def contents(self, rows: np.ndarray) -> tuple:
        """Return the content of unchanged rows, for :meth:`join`."""
        places = self._n_background + rows
        sources = np.repeat(places[:, np.newaxis], self._table.n_others, axis=1)
        return self._table.numbers[places], sources

    def _is_not_padding(self, places) -> np.ndarray:
        """Return a mask of the values that are not padding, (..., n_features)."""
        numbers = self._table.numbers[places]
        return numbers != _PADDING if self._are_tokens else np.full(numbers.shape, True)

    def _replacement_rows(self, place: int, columns) -> np.ndarray:
        """Return the background rows that some columns can be switched to."""
        others = self._table.others(place, columns)
        if not self._are_tokens:
            return others
        return others[self._is_not_padding(others)[:, columns].all(axis=1)]

    def _place(self, row: int) -> int:
        """Return the position of a row in the table, where the background is first."""
        return self._n_background + row

    def _moved(self, row: int) -> np.ndarray:
        """Return a mask of the units that are moved; missing numbers cannot be."""
        moved = self._is_moved.copy()
        numbers = self._table.numbers[self._place(row), self._single_columns(moved)]
        moved[moved] = ~np.isnan(numbers)
        return moved

    def _single_columns(self, units: np.ndarray) -> np.ndarray:
        """Return the columns of units with one column each."""
        columns = [self._units[unit][0] for unit in np.flatnonzero(units)]
        return np.array(columns, dtype=np.intp)


class SparseTableRows(PartRows):
    """Rows of a sparse table, and their perturbations.

    The nonzero entries of a row are its units; a draw sets some of them to 0.

    Parameters
    ----------
    X : sparse matrix or array of shape (n_rows, n_features)
        The rows.
    names : list
        Names of the columns.
    """

    kind = "table"

    def __init__(self, X, names: list):
        self._entries = sparse.csr_array(X)
        # Duplicates and stored zeros are legal in CSR, but would be units of their own.
        self._entries.sum_duplicates()
        self._entries.eliminate_zeros()
        self._columns, units = np.unique(self._entries.indices, return_inverse=True)
        of_rows = np.split(units, self._entries.indptr[1:-1])
        super().__init__(X, of_rows, [str(names[j]) for j in self._columns], names)

    def draw_size(self) -> int:
        """Return how many numbers a draw holds if an estimator makes it dense."""
        return self._entries.shape[1]

    def values(self, row: int) -> list:
        """Return the value of each unit, including zeros."""
        return list(self._entries[[row]].toarray()[0, self._columns])

    def content(self, row: int) -> bytes:
        """Return the entries of a row as bytes."""
        entries = self._entries[[row]]
        return entries.indices.astype(np.int64).tobytes() + entries.data.tobytes()

    def keep(self, row: int, is_on: np.ndarray) -> sparse.csr_array:
        """Return a row without the entries that are off, for each draw."""
        entries, shape = self._entries[[row]], (len(is_on), self._entries.shape[1])
        places = np.nonzero(is_on)[1]
        ends = np.r_[0, np.cumsum(is_on.sum(axis=1))]
        kept = entries.data[places], entries.indices[places], ends
        return sparse.csr_array(kept, shape=shape)

    def contents(self, rows: np.ndarray) -> sparse.csr_array:
        """Return the content of unchanged rows."""
        return self._entries[rows]

    def join(self, parts: list) -> Any:
        """Return rows in the type of X."""
        rows = sparse.vstack(parts, format="csr")
        # Random entries fill most diagonals: the DIA format would be larger than dense.
        return rows if self.X.format == "dia" else type(self.X)(rows)


def sparse_rows(X, names: list, options: dict) -> SparseTableRows:
    """Return the rows of a sparse table as rows to explain."""
    if len(X.shape) != 2 or 0 in X.shape:
        raise ValueError(
            f"X must hold rows of a table if it is sparse, got shape {X.shape}."
        )
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X must hold real numbers, got {X.dtype}.")
    for name in ("groups", "discretize", "categorical_features"):
        if options[name] is not None:
            raise ValueError(
                f"{name} is for dense tables, but X is sparse; pass X.toarray()."
            )
    return SparseTableRows(X, names)
