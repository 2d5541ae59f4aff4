"""The columns of a table: as numbers, as codes, and back in the user's types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skdeep._input_checks import naming

# Numeric columns with at most this many distinct values are switched like categories.
_FEW = 2

# Larger values overflow when they are squared.
_LARGEST = 1e150

# The least standard deviation of draws of integers: a third reach the next integer.
_TO_NEXT_INTEGER = 0.5


class Columns:
    """Columns of any type, from whose values new rows can be made.

    Parameters
    ----------
    table : DataFrame or ndarray of shape (n_rows, n_features)
        The rows.
    n_background : int
        Number of background rows, which come first.

    Attributes
    ----------
    numbers : ndarray of shape (n_rows, n_features)
        The values of numeric columns; NaN in others.
    is_continuous : ndarray of bool of shape (n_features,)
        Which columns are numeric with more than two distinct values.
    """

    def __init__(self, table, n_background: int):
        self._table = table
        self._n_background = n_background
        frame = table if isinstance(table, pd.DataFrame) else pd.DataFrame(table)
        columns = [frame.iloc[:, j] for j in range(frame.shape[1])]
        if frame is not table:
            # Arrays of objects may hold numbers. Object columns of a user's DataFrame
            # keep their dtype: the user has chosen it.
            columns = [column.infer_objects() for column in columns]
        self._columns = columns
        self.numbers = np.column_stack([_as_numbers(c) for c in self._columns])
        self._codes = np.column_stack([_codes(c) for c in self._columns])
        self._is_whole = np.array([_holds_integers(c) for c in self._columns])
        self._describe()
        is_numeric = np.array([_is_numeric_column(c) for c in self._columns])
        self._others = [int(j) for j in np.flatnonzero(~is_numeric)]
        self.is_continuous = is_numeric & (self._n_values > _FEW) & (self._sd > 0)
        self._bins: dict[int, np.ndarray] = {}

    def _check_size(self) -> None:
        """Raise if a value is infinite or too large to square."""
        for place in np.argwhere(np.abs(self.numbers) > _LARGEST):
            name = "background" if place[0] < self._n_background else "X"
            raise ValueError(
                f"{name} must not contain infinity or values as large as "
                f"{self.numbers[*place]:g}."
            )

    def _describe(self) -> None:
        """Find mean, standard deviation and range of the background."""
        self._check_size()
        known = np.ma.masked_invalid(self.numbers[: self._n_background])
        self._mean = known.mean(axis=0).filled(0.0)
        self._sd = known.std(axis=0).filled(0.0)
        # inf and -inf if all are missing: the row's own number is then the range.
        self._low = known.min(axis=0).filled(np.inf)
        self._high = known.max(axis=0).filled(-np.inf)
        self._n_values = np.array([len(np.unique(c.compressed())) for c in known.T])
        # A constant column may vary by rounding; dividing by that would blow it up.
        self._sd[self._sd <= 1e-12 * np.abs(self._mean)] = 0

    def step_sizes(self, spread: float, columns) -> np.ndarray:
        """Return the standard deviations of the draws of columns.

        Those of integers are large enough to reach the next one.
        """
        least = np.where(self._is_whole[columns], _TO_NEXT_INTEGER, 0)
        return np.maximum(spread * self._sd[columns], least)

    def are_whole(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows have no missing numbers."""
        missing = np.isnan(self.numbers[rows])
        missing[:, self._others] = False
        return ~missing.any(axis=1)

    def cut(self, column: int, n_bins: int) -> None:
        """Replace the codes of a numeric column by bins of equal frequency."""
        numbers = self.numbers[:, column]
        shares = np.linspace(0, 1, n_bins + 1)[1:-1]
        known = numbers[: self._n_background]
        edges = np.unique(np.quantile(known[~np.isnan(known)], shares))
        self._bins[column] = edges
        bins = np.searchsorted(edges, numbers)
        self._codes[:, column] = np.where(np.isnan(numbers), -1, bins)

    def show(self, row: int, column: int):
        """Return a value in its original type, or its bin as text."""
        value = self._columns[column].array[row]
        if column not in self._bins or np.isnan(self.numbers[row, column]):
            return value
        edges = self._bins[column]
        place = self._codes[row, column]
        low = f"{edges[place - 1]:.4g} < " if place else ""
        high = f" ≤ {edges[place]:.4g}" if place < len(edges) else ""
        return f"{low}{value:.4g}{high}"

    def content(self, row: int) -> bytes:
        """Return the values of a row as bytes."""
        # Not the codes: they depend on the other rows.
        others = [repr(self._columns[j].array[row]) for j in self._others]
        return self.numbers[row].tobytes() + "\0".join(others).encode()

    def standardize(self, numbers: np.ndarray, columns) -> np.ndarray:
        """Return numbers of columns in standard deviations from their means."""
        away = numbers - self._mean[columns]
        away /= self._sd[columns]
        return away

    def move(self, own: np.ndarray, columns, steps: np.ndarray) -> np.ndarray:
        """Return a row's numbers moved by some steps, computed in place.

        They stay within the range of the background and the row, and are rounded in
        columns of integers.
        """
        steps += own
        for place in np.flatnonzero(self._is_whole[columns]):
            np.rint(steps[:, place], out=steps[:, place])
        low, high = self._low[columns], self._high[columns]
        return np.clip(steps, np.minimum(low, own), np.maximum(high, own), out=steps)

    def others(self, row: int, columns) -> np.ndarray:
        """Return the background rows whose values differ in some columns."""
        codes = self._codes[: self._n_background, columns]
        return np.flatnonzero((codes != self._codes[row, columns]).any(axis=1))

    @property
    def n_others(self) -> int:
        """Number of columns that are not numeric."""
        return len(self._others)

    def put(self, places, columns, taken, numbers, sources) -> None:
        """Write the values of other rows into the arguments of :meth:`rows`."""
        for column in columns:
            if column in self._others:
                sources[places, self._others.index(column)] = taken
            else:
                numbers[places, column] = self.numbers[taken, column]

    def rows(self, numbers: np.ndarray, sources: np.ndarray) -> Any:
        """Return rows in the user's types.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows, n_features)
            The values of numeric columns.
        sources : ndarray of int of shape (n_rows, n_others)
            The rows from which the values of the other columns are taken.
        """
        is_array = isinstance(self._table, np.ndarray)
        if is_array and self._table.dtype.kind in "iuf":
            return _as_type(numbers, self._table.dtype)
        columns = {
            j: pd.Series(numbers[:, j]).astype(column.dtype)
            if j not in self._others
            else column.take(sources[:, self._others.index(j)]).reset_index(drop=True)
            for j, column in enumerate(self._columns)
        }
        frame = pd.DataFrame(columns)
        if is_array:
            return frame.to_numpy(dtype=self._table.dtype)
        frame.columns = self._table.columns
        return frame


def concatenate_tables(first, second) -> Any:
    """Return the rows of two tables below each other, in the types of the first."""
    if isinstance(first, np.ndarray):
        with naming("background"):
            return np.concatenate([first, second])
    first, second = first.copy(deep=False), second.copy(deep=False)
    for j, dtype in enumerate(first.dtypes):
        if isinstance(dtype, pd.CategoricalDtype):
            # pandas joins columns of different categories to a column of objects.
            values = second.iloc[:, j].astype(object)
            unseen = values[~values.isin(dtype.categories)].dropna().unique()
            if len(unseen):
                first.isetitem(j, first.iloc[:, j].cat.add_categories(unseen))
            second.isetitem(j, values.astype(first.dtypes.iloc[j]))
    return pd.concat([first, second], ignore_index=True)


def _is_numeric_column(column: pd.Series) -> bool:
    types = pd.api.types
    return types.is_numeric_dtype(column) and not types.is_bool_dtype(column)


def _holds_integers(column: pd.Series) -> bool:
    return pd.api.types.is_integer_dtype(column)


def _as_numbers(column: pd.Series) -> np.ndarray:
    """Return the values of a numeric column, or NaN for any other column."""
    if not _is_numeric_column(column):
        return np.full(len(column), np.nan)
    if pd.api.types.is_complex_dtype(column):
        raise ValueError(
            f"Complex data not supported: the column {column.name!r} of X or "
            "background contains complex numbers."
        )
    # Nullable dtypes of pandas refuse to become floats without na_value.
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _codes(column: pd.Series) -> np.ndarray:
    """Return an integer for each distinct value; missing values count as one."""
    try:
        # Without a sentinel, missing is a value that a column can be switched to.
        return pd.factorize(column, use_na_sentinel=False)[0]
    except TypeError as error:
        raise TypeError(
            f"X and background must contain numbers or labels: {error}."
        ) from error


def _as_type(numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return floats in another dtype, clipped to its range."""
    if dtype.kind in "iu":
        # The largest int64 is no float64; the next float is out of range.
        limits = np.iinfo(dtype)
        last = float(limits.max)
        last = last if int(last) <= limits.max else np.nextafter(last, 0)
        numbers = np.clip(numbers, limits.min, last)
    return numbers.astype(dtype, copy=False)
