"""What a table looked like, so that reconstructed rows look the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd


@dataclass(frozen=True)
class TableFormat:
    """The kind of a table, with the types and names of its columns.

    Parameters
    ----------
    n_columns : int
        Number of columns.
    categorical : sequence of int
        Positions of the categorical columns.
    dtypes : list of str
        Names of the types of the columns; a single one for an array.
    backend : str or None
        The library of a data frame, such as "pandas"; None for an array.
    names : list or None
        Names of the columns of a data frame.
    categories : dict of int to (list, bool), optional
        Of each categorical column of a data frame with declared categories, these, and
        whether they are ordered.
    """

    n_columns: int
    categorical: Sequence[int]
    dtypes: list[str]
    backend: str | None = None
    names: list | None = None
    categories: dict | None = None

    @classmethod
    def of(cls, X, n_columns: int, categorical: Sequence[int]) -> TableFormat:
        """Return the format of the user's table."""
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        if not isinstance(frame, nw.DataFrame):
            array = X if hasattr(X, "dtype") else np.asarray(X)
            return cls(n_columns, categorical, [array.dtype.str])
        if isinstance(X, pd.DataFrame):
            return cls._of_pandas(X, categorical)
        types = frame.schema.values()
        categories = {
            j: (list(dtype.categories), False)
            for j, dtype in enumerate(types)
            if isinstance(dtype, nw.Enum)
        }
        return cls(
            n_columns,
            categorical,
            [type(dtype).__name__ for dtype in types],
            frame.implementation.value,
            list(frame.columns),
            categories,
        )

    @classmethod
    def _of_pandas(cls, X: pd.DataFrame, categorical) -> TableFormat:
        categories = {
            j: (list(dtype.categories), bool(dtype.ordered))
            for j, dtype in enumerate(X.dtypes)
            if isinstance(dtype, pd.CategoricalDtype)
        }
        names = list(X.columns)
        dtypes = [str(dtype) for dtype in X.dtypes]
        return cls(X.shape[1], categorical, dtypes, "pandas", names, categories)

    def restore(
        self, numbers: np.ndarray, categories: list[np.ndarray], index: Any = None
    ):
        """Return a table in this format.

        Parameters
        ----------
        numbers : ndarray of shape (n_samples, n_numbers)
            The numeric columns.
        categories : list of ndarray of object of shape (n_samples,)
            The categorical columns.
        index : pandas.Index, optional
            The index of a data frame of pandas.

        Returns
        -------
        table : ndarray or data frame of shape (n_samples, n_columns)
            Whole numbers where the table had integers, and True or False where it had
            these.
        """
        if self.backend is None:
            return self._array(numbers, categories)
        columns = self._columns(numbers, categories)
        if self.backend == "pandas":
            made = {j: self._pandas(j, column) for j, column in enumerate(columns)}
            frame = pd.DataFrame(made)
            frame.columns = pd.Index(self.names)
            return frame if index is None else frame.set_axis(index, axis=0)
        names: Any = self.names
        series = [
            self._series(j, name, column)
            for j, (name, column) in enumerate(zip(names, columns, strict=True))
        ]
        return nw.concat([s.to_frame() for s in series], how="horizontal").to_native()

    def _columns(self, numbers, categories) -> list[np.ndarray]:
        """Return the columns in the order of the table."""
        numeric, others = iter(numbers.T), iter(categories)
        chosen = set(self.categorical)
        return [next(others if j in chosen else numeric) for j in range(self.n_columns)]

    def _array(self, numbers, categories):
        dtype = np.dtype(self.dtypes[0])
        if not categories:
            # Booleans and integers; other types, such as objects, are computed in the
            # type of ``numbers``.
            return cast_numbers(numbers, dtype) if dtype.kind in "biu" else numbers
        columns = self._columns(numbers, categories)
        if dtype.kind in "biuf":
            columns = [
                cast_numbers(column.astype(np.float64), dtype) for column in columns
            ]
            return np.column_stack(columns)
        return np.column_stack([column.astype(object) for column in columns])

    def _pandas(self, j: int, column: np.ndarray):
        name = self.dtypes[j]
        if self.categories and j in self.categories:
            values, ordered = self.categories[j]
            return pd.Categorical(column, categories=values, ordered=ordered)
        if j in self.categorical:
            return pd.Series(column).astype(name)
        dtype = pd.api.types.pandas_dtype(name)
        if isinstance(dtype, np.dtype):
            return cast_numbers(column, dtype)
        if pd.api.types.is_bool_dtype(dtype):
            yes = pd.array(column > 0.5, dtype=dtype)
            yes[np.isnan(column)] = pd.NA
            return yes
        if pd.api.types.is_integer_dtype(dtype):
            whole = (
                cast_numbers(column, np.dtype(name.lower()))
                if name.lower() in _WHOLE
                else np.rint(column)
            )
            values = pd.array(whole, dtype=dtype)
            values[np.isnan(column)] = pd.NA
            return values
        return pd.array(column, dtype=dtype)

    def _series(self, j: int, name: str, column: np.ndarray):
        """Return a column of a frame of another library, such as polars."""
        backend: Any = self.backend
        dtype: Any = getattr(nw, self.dtypes[j])
        if j in self.categorical:
            if self.categories and j in self.categories:
                dtype = nw.Enum(self.categories[j][0])
            series = nw.new_series(name, column.tolist(), backend=backend)
            return series.cast(dtype)
        is_missing = np.isnan(column)
        whole = self.dtypes[j].lower()
        if self.dtypes[j] == "Boolean" or whole in _WHOLE:
            kind = np.dtype(whole if whole in _WHOLE else bool)
            present = np.where(is_missing, 0.0, column)
            values = cast_numbers(present, kind).astype(object)
            values[is_missing] = None
            return nw.new_series(name, values.tolist(), dtype, backend=backend)
        return nw.new_series(name, column, backend=backend).cast(dtype)


_WHOLE = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def cast_numbers(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return numbers in a type: rounded and within its range if it has integers."""
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind not in "iu":
        return values.astype(dtype) if dtype.kind == "f" else values
    if np.isnan(values).any():  # a column without any value
        return np.rint(values)
    limits = np.iinfo(dtype)
    # The largest int64 is not a float: the next smaller float is.
    high = np.nextafter(float(limits.max), 0) if dtype.itemsize == 8 else limits.max
    return np.rint(values).clip(limits.min, high).astype(dtype)
