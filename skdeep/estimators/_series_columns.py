"""The columns of time series: their roles, and those of future rows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from skdeep.encoding import find_columns, tensor_to_numpy

# Parameters that name columns that are not numeric.
LABEL_PARAMETERS = ("groups", "date_column")


@dataclass
class ColumnLayout:
    """The roles of the columns.

    Parameters
    ----------
    own : list of int
        Positions, among the numeric columns, of those that hold the targets' past.
    known : list of int
        Positions, among the numeric columns, of those known in advance.
    n_targets : int
        Number of targets.
    names : list or None
        Names of the targets, if they have names.
    has_y : bool
        Whether the targets were passed as y.
    columns : list of int
        Positions of ``own`` among all columns of X.
    numeric : list of int
        Positions of the numeric columns among all columns of X.
    labels : list or None
        Names of all columns of X, if they have names.
    holds_targets : bool
        Whether ``own`` hold the targets themselves; y may differ from them.
    """

    own: list[int]
    known: list[int]
    n_targets: int
    names: list | None
    has_y: bool
    columns: list[int]
    numeric: list[int]
    labels: list | None
    holds_targets: bool = False

    def name_of(self, column: int) -> Any:
        """Return the name of a numeric column, or its position in X."""
        position = self.numeric[column]
        return position if self.labels is None else self.labels[position]

    def shaped(self, forecasts: np.ndarray, index: pd.Index | None):
        """Return forecasts (n, n_targets) in the shape of the target.

        With an index, they are a Series or a DataFrame.
        """
        is_flat = self.n_targets == 1
        if index is None:
            return forecasts[:, 0] if is_flat else forecasts
        if is_flat:
            name = None if self.names is None else self.names[0]
            return pd.Series(forecasts[:, 0], index=index, name=name)
        return pd.DataFrame(forecasts, index=index, columns=self.names)

    def interval(self, ends: np.ndarray, index: pd.Index | None):
        """Return intervals (n, n_targets, 2) in the shape of the target.

        With an index, they are a DataFrame with columns "lower" and "upper".
        """
        is_flat = self.n_targets == 1
        if index is None:
            return ends[:, 0] if is_flat else ends
        sides: Any = ["lower", "upper"]
        if not is_flat:
            names = self.names or range(self.n_targets)
            sides = pd.MultiIndex.from_product([names, sides])
        return pd.DataFrame(ends.reshape(len(ends), -1), index=index, columns=sides)


def as_rows(X, takes_arrays: bool = True, name: str = "X"):
    """Return a single series, which has one axis, as rows of one column.

    A list of numbers, a one-dimensional array and a Series of pandas or polars are
    series; anything else is returned unchanged. Masked values become NaN.

    Parameters
    ----------
    X : array-like
        The user's rows.
    takes_arrays : bool, default=True
        Whether an array or a list of numbers is a series; it could also be a single row
        of several columns.
    name : str, default="X"
        Name of the rows in messages.
    """
    X = tensor_to_numpy(X, name)
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(X.astype(float), np.nan)
    if hasattr(X, "to_frame") and hasattr(X, "name"):
        return X.to_frame()
    if not takes_arrays:
        return X
    is_list = isinstance(X, (list, tuple, range))
    if is_list and (not X or isinstance(X[0], (Real, Decimal))):
        X = np.array(X, dtype=float if not X else None)
    if getattr(X, "ndim", None) == 1 and not sparse.issparse(X):
        return np.asarray(X).reshape(-1, 1)
    return X


def check_unique_columns(X, name: str) -> None:
    """Raise if a data frame repeats a column name: columns are found by name."""
    columns = list(getattr(X, "columns", ()))
    repeated = [c for i, c in enumerate(columns) if c in columns[:i]]
    if repeated:
        raise ValueError(
            f"The column names of {name} must be unique, got {repeated} more than once."
        )


def requested_columns(estimator, parameter: str, X, n_features: int) -> list[int]:
    """Return the positions of the columns of X that a parameter names."""
    asked = getattr(estimator, parameter)
    if asked is None:
        return []
    asked = [asked] if isinstance(asked, (str, Integral)) else asked
    return find_columns(asked, X, n_features, parameter)


def get_column(X, position: int) -> pd.Series:
    """Return a column with the type that pandas gives it."""
    if hasattr(X, "iloc"):
        return X.iloc[:, position]
    names = getattr(X, "columns", None)
    name = None if names is None else list(names)[position]
    # In an array of objects, dates are still Timestamps: restore the type.
    return pd.Series(list(X[:, position]), name=name, dtype=object).infer_objects()


def find_layout(
    estimator, X, y, target: np.ndarray | None, n_features: int
) -> ColumnLayout:
    """Find the roles of the columns of X.

    Parameters
    ----------
    estimator : estimator
        Names columns by ``target_columns``, ``known_columns``, ``groups`` and
        ``date_column``.
    X, y : array-like
        The user's data.
    target : ndarray or None
        The checked y, if given.
    n_features : int
        Number of columns of X.
    """
    names = list(getattr(X, "columns", range(n_features)))
    labeling = [
        requested_columns(estimator, p, X, n_features) for p in LABEL_PARAMETERS
    ]
    numeric = [i for i in range(n_features) if [i] not in labeling]
    own, known = (
        [
            _numeric_position(i, numeric, parameter, estimator)
            for i in requested_columns(estimator, parameter, X, n_features)
        ]
        for parameter in ("target_columns", "known_columns")
    )
    target_names = None if target is None else _names_of(y)
    is_named = hasattr(X, "columns")
    # Without y, the targets are columns of X; with y, ``own`` are the columns that hold
    # the past of y, if there are any.
    if target is None and estimator.target_columns is None:
        own = [i for i in range(len(numeric)) if i not in known]
    elif is_named and target_names and _are_past(target_names, own, names, numeric):
        own = [numeric.index(names.index(name)) for name in target_names]
    if len(set(own)) < len(own):
        raise ValueError(
            f"target_columns={estimator.target_columns!r} must not name a column twice."
        )
    n_targets = len(own) if target is None else target.reshape(len(target), -1).shape[1]
    if own and len(own) != n_targets:
        raise ValueError(
            f"target_columns={estimator.target_columns!r} must name one column for "
            f"each target of y: it names {len(own)}, but y has {n_targets}."
        )
    if n_targets == 0:
        raise ValueError(
            f"X has no column to forecast: known_columns={estimator.known_columns!r} "
            "names all of them."
        )
    shared = [names[numeric[i]] for i in own if i in known]
    if shared:
        raise ValueError(
            f"known_columns={estimator.known_columns!r} must not name targets, got "
            f"{shared}: a target is not known in advance."
        )
    if target is None and is_named:
        target_names = [names[numeric[i]] for i in own]
    columns = [numeric[i] for i in own]
    return ColumnLayout(
        own,
        known,
        n_targets,
        target_names,
        has_y=target is not None,
        columns=columns,
        numeric=numeric,
        labels=names if is_named else None,
    )


def _are_past(
    target_names: list, own: list[int], names: list, numeric: list[int]
) -> bool:
    """Return whether the columns with the names of y hold its past.

    If ``target_columns`` names columns, it must name these, in any order.
    """
    if own:
        return set(target_names) == {names[numeric[i]] for i in own}
    return set(target_names) <= set(names)


def _numeric_position(
    column: int, numeric: list[int], parameter: str, estimator
) -> int:
    """Return the position of a column among the numeric columns."""
    if column not in numeric:
        named = [
            f"{other}={getattr(estimator, other)!r}"
            for other in LABEL_PARAMETERS
            if getattr(estimator, other) is not None
        ]
        raise ValueError(
            f"{parameter}={getattr(estimator, parameter)!r} must not name the column "
            f"of {' or '.join(named)}."
        )
    return numeric.index(column)


def _names_of(y) -> list | None:
    """Return the names of the columns of y, None if it has none."""
    if hasattr(y, "columns"):
        return list(y.columns)
    name = getattr(y, "name", None)
    return None if name is None or name == "" else [name]  # "" is polars' no name


def complete_future(future, estimator, layout: ColumnLayout):
    """Return future rows with all columns of X, NaN in those that are not read.

    Required are the columns known in advance, and those of the series and the dates.

    Parameters
    ----------
    future : array-like
        A data frame, whose columns are found by name and may be more; or an array of
        all columns of X, or of the columns known in advance in their order.
    estimator : estimator
        Names the columns.
    layout : ColumnLayout
        The columns of the training rows.
    """
    rows = as_rows(future, name="future")
    known = [layout.numeric[i] for i in layout.known]
    n_features = estimator.n_features_in_
    is_flat = rows is not future and len(known) == 1  # a single series needs no name
    if hasattr(rows, "columns") and layout.labels is not None and not is_flat:
        return _fill_columns(rows, estimator, layout, known)
    if not hasattr(rows, "shape"):
        rows = np.array(rows, dtype=object)
    is_part = len(rows.shape) == 2 and rows.shape[1] == len(known) < n_features
    if not is_part or any(getattr(estimator, p) is not None for p in LABEL_PARAMETERS):
        return rows
    full = np.full((len(rows), n_features), np.nan, dtype=object)
    full[:, known] = np.asarray(rows, dtype=object)
    if layout.labels is None:
        return full
    return pd.DataFrame(full, getattr(rows, "index", None), layout.labels)


def _fill_columns(
    future, estimator, layout: ColumnLayout, known: list[int]
) -> pd.DataFrame:
    """Return a frame with all columns of X, NaN in those that are not read."""
    labels: Any = layout.labels
    asked = [
        requested_columns(estimator, p, _ColumnNames(labels), len(labels))
        for p in LABEL_PARAMETERS
    ]
    needed = [labels[i] for part in (known, *asked) for i in part]
    names = list(future.columns)
    missing = [name for name in needed if name not in names]
    if missing:
        raise ValueError(
            f"future must hold the columns {needed} (those of known_columns, groups "
            f"and date_column); {missing} are missing, got {names}."
        )
    check_unique_columns(future, "future")
    columns = {name: get_column(future, names.index(name)) for name in needed}
    index = getattr(future, "index", pd.RangeIndex(len(future)))
    frame = pd.DataFrame(columns, index=index)
    return frame.reindex(columns=labels)


@dataclass
class _ColumnNames:
    """The names of the columns of X."""

    columns: list
