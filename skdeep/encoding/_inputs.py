"""Tables into the inputs of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.preprocessing import OrdinalEncoder

from skdeep.encoding._rows import DenseRows, SparseRows, as_tensor


def _dtypes(X) -> list:
    """Return the column types of a data frame, none for anything else."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return list(frame.schema.values()) if isinstance(frame, nw.DataFrame) else []


# Column types of a data frame whose common type with float32 is float32.
_NARROW = {"Float32", "Int8", "Int16", "UInt8", "UInt16", "Boolean"}


def float_dtype(X) -> str | None:
    """Return the name of the float type that X has, None if it has none.

    Parameters
    ----------
    X : array-like
        The user's data.
    """
    names = {type(t).__name__ for t in _dtypes(X)} - {"Categorical", "Enum"}
    if names:
        narrow = "Float32" in names and names <= _NARROW
        return "float32" if narrow else "float64"
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype in (np.float32, np.float64):
        return dtype.name
    return None


def find_categorical(categorical_features, X, n_features: int) -> list[int]:
    """Return the positions of the categorical columns of X.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like
        Columns of a categorical type; none; or a mask, positions or names.
    X : array-like
        The user's data.
    n_features : int
        Number of its columns.

    Raises
    ------
    ValueError
        If a column is named or counted that X has not.
    """
    if categorical_features is None:
        return []
    if isinstance(categorical_features, str):
        return [i for i, t in enumerate(_dtypes(X)) if t in (nw.Categorical, nw.Enum)]
    found = find_columns(categorical_features, X, n_features, "categorical_features")
    return sorted(set(found))


def find_columns(asked, X, n_features: int, parameter: str) -> list[int]:
    """Return the positions of columns of X, in the order in which they are asked for.

    Parameters
    ----------
    asked : array-like
        A mask, positions or names.
    X : array-like
        The user's data.
    n_features : int
        Number of its columns.
    parameter : str
        Which parameter asks.

    Raises
    ------
    ValueError
        If a column is named or counted that X has not.
    """
    columns = np.asarray(asked)
    if columns.size == 0:
        return []
    if columns.dtype == bool:
        if columns.shape != (n_features,):
            raise ValueError(
                f"{parameter} as a mask must have {n_features} entries, one for each "
                f"column of X, got shape {columns.shape}."
            )
        return np.flatnonzero(columns).tolist()
    if np.issubdtype(columns.dtype, np.integer):
        return _checked_positions(columns, n_features, parameter)
    # Names of several levels are tuples, which numpy takes for an axis.
    names = [tuple(n) if isinstance(n, list) else n for n in columns.tolist()]
    return _positions_of_names(names, X, parameter)


def _checked_positions(
    positions: np.ndarray, n_features: int, parameter: str
) -> list[int]:
    wrong = positions[(positions < 0) | (positions >= n_features)]
    if wrong.size:
        raise ValueError(
            f"{parameter} holds {wrong.tolist()}, but X has columns 0 to "
            f"{n_features - 1}."
        )
    return positions.tolist()


def _positions_of_names(names: list, X, parameter: str) -> list[int]:
    columns = list(getattr(X, "columns", []))
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError(
            f"{parameter} names {missing}, but the columns of X are "
            f"{columns or 'not named'}."
        )
    return [columns.index(name) for name in names]


def split_columns(X, categorical: list[int]):
    """Return the other columns of X, as they are, and these as an array of objects."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        names = [frame.columns[i] for i in categorical]
        columns = [frame.get_column(name).to_numpy().astype(object) for name in names]
        return frame.drop(names).to_native(), np.column_stack(columns)
    X = np.asarray(X)
    return np.delete(X, categorical, axis=1), X[:, categorical].astype(object)


# Column types of a data frame that hold times, and all that cannot be read as numbers.
_TIMES = (nw.Date, nw.Datetime, nw.Duration, nw.Time)
_NO_NUMBERS = (nw.String, nw.Object, nw.Enum, *_TIMES)


def columns_without_numbers(X) -> list[str]:
    """Return the names of the columns of a data frame that hold text or dates."""
    return _columns_of(X, _NO_NUMBERS)


def columns_of_dates(X) -> list[str]:
    """Return the names of the columns of a data frame that hold dates or durations."""
    return _columns_of(X, _TIMES)


def _columns_of(X, types: tuple) -> list[str]:
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return []
    return [name for name, t in frame.schema.items() if t in types]


@dataclass
class Table:
    """Checked inputs: numbers, and objects of categorical columns if there are any.

    ``is_finite`` tells that the numbers are known to hold no NaN.
    """

    numeric: Any
    categories: np.ndarray | None = None
    is_finite: bool = False

    def __len__(self) -> int:
        return self.numeric.shape[0]

    @property
    def dtype(self) -> np.dtype:
        """The float type to compute in."""
        return self.numeric.dtype

    def rows(self, index) -> Table:
        """Return some of the rows."""
        categories = None if self.categories is None else self.categories[index]
        return Table(self.numeric[index], categories)


class InputEncoder:
    """Turns checked columns into rows that a network takes.

    Missing numbers are replaced by the column's mean over the training rows; columns
    in which training rows missed some get an indicator beside them. Categories become
    codes: 0 for a missing one, 1 for one not seen in training, then the known ones.
    """

    def fit(self, table: Table) -> InputEncoder:
        """Learn means and categories from training rows."""
        numeric, categories = table.numeric, table.categories
        self.n_numeric_ = numeric.shape[1]
        self.means_: np.ndarray | None = None
        self.indicated_ = np.arange(0)
        if _may_be_imputed(numeric):
            self._fit_missing(numeric)
        self.ordinal_: OrdinalEncoder | None = None
        if categories is not None:
            self.ordinal_ = _fit_ordinal(categories)
        return self

    def _fit_missing(self, numeric: np.ndarray) -> None:
        if not _has_nan(numeric):
            self.means_ = as_tensor(numeric).mean(0).numpy()
            return
        missing = np.isnan(numeric)
        counts = (~missing).sum(axis=0)
        totals = np.where(missing, 0, numeric).sum(axis=0, dtype=np.float64)
        self.means_ = (totals / np.maximum(counts, 1)).astype(numeric.dtype)
        self.indicated_ = np.flatnonzero(missing.any(axis=0))

    @property
    def n_inputs_(self) -> int:
        """Number of numeric inputs, indicators included."""
        return self.n_numeric_ + len(self.indicated_)

    @property
    def n_codes_(self) -> list[int]:
        """Number of codes of each categorical column."""
        if self.ordinal_ is None:
            return []
        return [len(known) + 2 for known in self.ordinal_.categories_]

    def encode(self, table: Table, dtype: torch.dtype, device: torch.device):
        """Return the rows as tensors of the given type on the given device."""
        numeric: Any = table.numeric
        if sparse.issparse(numeric):
            return SparseRows(numeric, dtype, device)
        if self.means_ is not None and (len(self.indicated_) or not table.is_finite):
            numeric = self._impute(numeric, self.means_)
        tensor = as_tensor(numeric).to(device, dtype)
        categories = table.categories
        if self.ordinal_ is None or categories is None:
            return DenseRows(tensor)
        missing = pd.isna(categories)
        codes = self.ordinal_.transform(_blank(categories, missing)) + 2
        codes[missing] = 0
        return DenseRows(tensor, torch.from_numpy(codes).to(device))

    def _impute(self, numeric: np.ndarray, means: np.ndarray) -> np.ndarray:
        if not len(self.indicated_) and not _has_nan(numeric):
            return numeric
        missing = np.isnan(numeric)
        filled = np.where(missing, means, numeric).astype(numeric.dtype)
        indicators = missing[:, self.indicated_].astype(numeric.dtype)
        return np.concatenate([filled, indicators], axis=1)


def _has_nan(numeric: np.ndarray) -> bool:
    """Say whether there is a NaN, without a mask as large as the rows if not."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(numeric.sum()):
            return False
    return bool(np.isnan(numeric).any())


def _may_be_imputed(numeric) -> bool:
    return not sparse.issparse(numeric) and numeric.ndim == 2


def _fit_ordinal(categories: np.ndarray) -> OrdinalEncoder:
    """Return an encoder of the values that are there, None standing for missing ones.

    Left to itself it would take a missing value that training lacked for an unknown
    one, and each of None, NaN and NA for a category of its own.
    """
    missing = pd.isna(categories)
    known = [
        _sorted(column[~gone])
        for column, gone in zip(categories.T, missing.T, strict=True)
    ]
    encoder = OrdinalEncoder(
        categories=known,
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        dtype=np.int64,
    )
    return encoder.fit(_blank(categories, missing))


def _blank(categories: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return a copy with None for each missing value."""
    blanked = categories.copy()
    blanked[missing] = None
    return blanked


def _sorted(values: np.ndarray) -> np.ndarray:
    """Return the different values of a column of categories, sorted."""
    try:
        return np.unique(values)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in values})
        raise TypeError(
            "A categorical column must hold values of one kind, strings or numbers, "
            f"got {' and '.join(kinds)}."
        ) from error
