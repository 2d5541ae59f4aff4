"""Tables as the inputs of a network: numbers, missing values and categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from skdeep._input_checks import tensor_to_numpy
from skdeep.encoding._rows import DenseRows, SparseMatrixRows, as_tensor


def _dtypes(X) -> list:
    """Return the column types of a data frame, an empty list for anything else."""
    if isinstance(X, np.ndarray):  # narwhals would ask twenty libraries
        return []
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return list(frame.schema.values()) if isinstance(frame, nw.DataFrame) else []


# Column types of a data frame whose common type with float32 is float32.
_NARROW = {"Float32", "Int8", "Int16", "UInt8", "UInt16", "Boolean"}


def float_dtype(X) -> str | None:
    """Return the name of the float type of X, None if X is not of a float type.

    Parameters
    ----------
    X : array-like
        The user's data.
    """
    # Categories become codes, whose type says nothing about the precision of X.
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
        All columns of a categorical type; none; or a mask, positions or names.
    X : array-like
        The user's data.
    n_features : int
        Number of its columns.

    Raises
    ------
    ValueError
        If a requested column is not in X.
    """
    if categorical_features is None:
        return []
    if isinstance(categorical_features, str):
        return [i for i, t in enumerate(_dtypes(X)) if t in (nw.Categorical, nw.Enum)]
    found = find_columns(categorical_features, X, n_features, "categorical_features")
    return sorted(set(found))


def find_columns(asked, X, n_features: int, parameter: str) -> list[int]:
    """Return the positions of columns of X, in the order in which they are requested.

    Parameters
    ----------
    asked : array-like
        A mask, positions or names.
    X : array-like
        The user's data.
    n_features : int
        Number of its columns.
    parameter : str
        Name of the parameter, for messages.

    Raises
    ------
    ValueError
        If a requested column is not in X.
    """
    columns = np.asarray(tensor_to_numpy(asked, parameter))
    if columns.ndim == 0:
        raise ValueError(f"{parameter} must be a list of columns, got {asked!r}.")
    if columns.size == 0:
        return []
    if columns.dtype == bool:
        if columns.shape != (n_features,):
            raise ValueError(
                f"A boolean {parameter} must have {n_features} entries, one for each "
                f"column of X, got shape {columns.shape}."
            )
        return np.flatnonzero(columns).tolist()
    if np.issubdtype(columns.dtype, np.integer):
        return _checked_positions(columns, n_features, parameter)
    # Names of several levels are tuples, which numpy turns into a second axis.
    names = [tuple(n) if isinstance(n, list) else n for n in columns.tolist()]
    return _positions_of_names(names, X, parameter)


def _checked_positions(
    positions: np.ndarray, n_features: int, parameter: str
) -> list[int]:
    wrong = positions[(positions < 0) | (positions >= n_features)]
    if wrong.size:
        raise ValueError(
            f"{parameter} holds {wrong.tolist()}, but the columns of X are 0 to "
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
    """Return the other columns unchanged, and the categorical ones as objects."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        names = [frame.columns[i] for i in categorical]
        columns = [frame.get_column(name).to_numpy().astype(object) for name in names]
        return frame.drop(names).to_native(), np.column_stack(columns)
    X = np.asarray(X)
    return np.delete(X, categorical, axis=1), X[:, categorical].astype(object)


@dataclass
class Table:
    """Checked inputs: numbers, and objects of categorical columns if there are any.

    ``is_finite`` is True if the numbers are known to hold no NaN.
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
        return Table(self.numeric[index], categories, self.is_finite)


class InputEncoder:
    """Turns checked columns into the inputs of a network.

    Missing numbers are replaced by the column's mean over the training rows; columns
    with missing numbers in the training rows get an indicator column. Categories become
    codes: 0 for a missing one, 1 for one not seen in training, then the known ones.

    A column without any value in the training rows carries no information: its values
    in later rows are treated as missing.
    """

    def fit(self, table: Table) -> InputEncoder:
        """Learn means and categories from training rows."""
        numeric, categories = table.numeric, table.categories
        self.n_numeric_ = numeric.shape[1]
        self.means_: np.ndarray | None = None
        self.indicated_ = np.arange(0)
        self.empty_ = np.arange(0)
        if _may_be_imputed(numeric):
            self._fit_missing(numeric, table.is_finite)
        self.known_: list[np.ndarray] | None = None
        if categories is not None:
            self.known_ = [_known_values(column) for column in categories.T]
        return self

    def _fit_missing(self, numeric: np.ndarray, is_finite: bool) -> None:
        if is_finite or not _has_nan(numeric):
            self.means_ = as_tensor(numeric).mean(0).numpy()
            if not np.isfinite(self.means_).all():
                self.means_ = _means_of_large(numeric, np.array(len(numeric)))
            return
        missing = np.isnan(numeric)
        counts = np.maximum((~missing).sum(axis=0), 1)
        filled = np.where(missing, 0, numeric)
        with np.errstate(over="ignore", invalid="ignore"):
            means = filled.sum(axis=0, dtype=np.float64) / counts
        if not np.isfinite(means).all():
            means = _means_of_large(filled, counts)
        self.means_ = means.astype(numeric.dtype)
        self.indicated_ = np.flatnonzero(missing.any(axis=0))
        self.empty_ = np.flatnonzero(missing.all(axis=0))

    @property
    def n_inputs_(self) -> int:
        """Number of numeric inputs, indicators included."""
        return self.n_numeric_ + len(self.indicated_)

    @property
    def n_codes_(self) -> list[int]:
        """Number of codes of each categorical column."""
        return [len(known) + 2 for known in self.known_ or ()]

    def encode(self, table: Table, dtype: torch.dtype, device: torch.device):
        """Return the rows as tensors of the given type on the given device."""
        numeric: Any = table.numeric
        if sparse.issparse(numeric):
            return SparseMatrixRows(numeric, dtype, device)
        if self.means_ is not None and (len(self.indicated_) or not table.is_finite):
            numeric = self._impute(numeric, self.means_)
        tensor = as_tensor(numeric).to(device, dtype)
        categories = table.categories
        if self.known_ is None or categories is None:
            return DenseRows(tensor)
        codes = np.empty(categories.shape, dtype=np.int64)
        for j, known in enumerate(self.known_):
            codes[:, j] = _codes_of(categories[:, j], known)
        return DenseRows(tensor, torch.from_numpy(codes).to(device))

    def _impute(self, numeric: np.ndarray, means: np.ndarray) -> np.ndarray:
        if not len(self.indicated_) and not _has_nan(numeric):
            return numeric
        missing = np.isnan(numeric)
        missing[:, self.empty_] = True  # values where training had none are ignored
        filled = np.where(missing, means, numeric).astype(numeric.dtype)
        indicators = missing[:, self.indicated_].astype(numeric.dtype)
        return np.concatenate([filled, indicators], axis=1)


def _has_nan(numeric: np.ndarray) -> bool:
    """Return whether there is a NaN; finite rows need no mask of their size."""
    # A finite sum proves that there is no NaN; an overflow proves nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(numeric.sum()):
            return False
    return bool(np.isnan(numeric).any())


def _may_be_imputed(numeric) -> bool:
    return not sparse.issparse(numeric) and numeric.ndim == 2


def _means_of_large(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the means of columns whose sums overflow."""
    return (values / counts).sum(axis=0, dtype=np.float64).astype(values.dtype)


def _known_values(column: np.ndarray) -> np.ndarray:
    """Return the distinct values of a column of categories, sorted."""
    values = column[~pd.isna(column)]
    try:
        return np.unique(pd.unique(values))  # hashing first leaves few values to sort
    except TypeError as error:
        raise TypeError(_MIXED_CATEGORIES.format(kinds=_type_names(values))) from error


def _codes_of(column: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the code of each category of a column."""
    if not len(known):
        return np.zeros(len(column), dtype=np.int64)
    try:
        # As objects, values are compared by ==: 1, 1.0 and np.int8(1) are one category.
        codes = pd.Index(known, dtype=object).get_indexer(
            pd.Index(column, dtype=object)
        )
    except TypeError as error:
        raise TypeError(_MIXED_CATEGORIES.format(kinds=_type_names(column))) from error
    # -1, for an unknown value, becomes 1.
    codes = codes.astype(np.int64) + 2
    codes[pd.isna(column)] = 0
    return codes


_MIXED_CATEGORIES = (
    "A categorical column must hold values of one kind, strings or numbers, got "
    "{kinds}."
)


def _type_names(values: np.ndarray) -> str:
    return " and ".join(sorted({type(value).__name__ for value in values}))
