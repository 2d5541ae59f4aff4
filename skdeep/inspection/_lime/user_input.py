"""Reading, checking and naming of the input of ``lime_explain``."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import _num_samples

from skdeep._input_checks import tensor_to_numpy

_PANDAS = (pd.DataFrame, pd.Series)


def read_rows(X, name: str, padding: float | None = None) -> Any:
    """Return X as a DataFrame or an array.

    Shorter sequences in a list are filled up with ``padding``, unless it is None.
    """
    if sparse.issparse(X):
        raise TypeError(f"{name} is sparse, but X is not; pass {name}.toarray().")
    if isinstance(X, (str, bytes)):
        raise ValueError(
            f"{name} must hold rows, got {short(X)}: pass a single document as a list, "
            "[document]."
        )
    if padding is not None:
        X = _pad_sequences(X, padding)
    # On the type: a DataFrame may have a column named "collect".
    if hasattr(type(X), "collect"):
        raise TypeError(f"{name} is a {type(X).__name__}; pass {name}.collect().")
    if _is_polars(X):
        X = pd.DataFrame(X.to_dict(as_series=False))  # a DataFrame of polars
    try:
        rows = X if isinstance(X, pd.DataFrame) else np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{name} must hold rows of the same length.") from error
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "c":
        raise ValueError(f"{name} must not hold complex numbers.")
    if rows.ndim not in (2, 3, 4) or 0 in rows.shape:
        raise ValueError(
            f"{name} must hold rows of a table (2-D), sequences (3-D) or images (3-D "
            f"or 4-D), or be a list of documents, got shape {rows.shape}. Pass a "
            "single row as X[[i]] or X.iloc[[i]]."
        )
    return rows


def _pad_sequences(X, padding: float) -> Any:
    """Return a list of sequences of different lengths as one array, (n, T[, ...])."""
    if not isinstance(X, (list, tuple)) and getattr(X, "dtype", "") != "O":
        return X
    try:
        sequences = [np.asarray(sequence) for sequence in X]
    except ValueError:
        return X
    lengths = {len(s) for s in sequences if s.ndim}
    if len(lengths) < 2 or len({(s.ndim, *s.shape[1:]) for s in sequences}) > 1:
        return X
    kind = np.result_type(type(padding), *sequences)
    padded = np.full((len(sequences), max(lengths), *sequences[0].shape[1:]), padding)
    padded = padded.astype(kind)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    # Lists of numbers of different lengths are sequences of one feature, not a table.
    is_numbers = padded.ndim == 2 and np.isnan(padding)
    return padded[:, :, np.newaxis] if is_numbers else padded


def pad_to_same_length(X, background, padding: float) -> tuple:
    """Return sequences (n, T, ...) and background sequences with equally many steps."""
    longest = max(X.shape[1], background.shape[1])

    def fill(rows):
        missing = longest - rows.shape[1]
        if not missing:
            return rows
        sides = [(0, 0), (0, missing), *[(0, 0)] * (rows.ndim - 2)]
        rows = rows.astype(np.result_type(rows.dtype, type(padding)), copy=False)
        return np.pad(rows, sides, constant_values=padding)

    return fill(X), fill(background)


def are_documents(X) -> bool:
    """Return whether X is a list, an array or a series of text."""
    is_list = isinstance(X, (list, tuple, np.ndarray)) or hasattr(X, "to_list")
    if not is_list or len(getattr(X, "shape", (0,))) != 1:
        return False
    return any(isinstance(document, (str, bytes)) for document in X)


def make_converter(X) -> Callable:
    """Return a function that converts rows from pandas or NumPy to the type of X."""
    if not _is_polars(X):
        return lambda rows: rows

    def convert(rows):
        if not isinstance(rows, pd.DataFrame):  # a forecaster's windows
            return rows
        columns = {}
        for name, dtype in X.schema.items():
            column = rows[name]
            if not dtype.is_float():
                column = column.astype(object).where(column.notna(), None)
            columns[name] = column.to_list()
        return type(X)(columns, schema=X.schema, strict=False)

    return convert


def _is_polars(X) -> bool:
    """Return whether X is a polars DataFrame, or similar."""
    return hasattr(type(X), "to_dict") and not hasattr(X, "iloc")


def row_labels(X, given) -> list:
    """Return the names of rows: the user's, the index, or positions."""
    n_rows = _num_samples(X)
    if given is not None:
        return _check_name_list(given, n_rows, "row_names")
    return list(X.index) if isinstance(X, _PANDAS) else list(range(n_rows))


def _check_name_list(given, n: int, parameter: str) -> list:
    """Return the user's names as a list; raise if their number is not n."""
    if isinstance(given, (str, bytes)) or np.ndim(given) != 1 or len(given) != n:
        raise ValueError(f"{parameter} must be a list of {n} names, got {given!r}.")
    return list(given)


def equals_string(value, text: str) -> bool:
    """Return whether a value of any type is a given string."""
    # An array compared with a string would be an array, whose truth is an error.
    return isinstance(value, str) and value == text


def as_floats(X, name: str) -> np.ndarray:
    """Return rows as an array of floats."""
    X = np.asarray(X)
    try:
        X = X if X.dtype.kind == "f" else X.astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error
    if np.isinf(X).any():
        raise ValueError(f"{name} must not hold infinity.")
    return X


def check_background(background, X) -> Any:
    """Return the background data, checked against X; X itself if it is None."""
    if background is None:
        if len(X) < 2:
            raise ValueError(
                "background is needed if X has one row only: pass rows that show how "
                "the features are distributed, such as the training rows."
            )
        return X
    rows = read_rows(background, "background")
    if len(rows) < 2:
        raise ValueError(f"background must have several rows, got {len(rows)}.")
    if isinstance(X, pd.DataFrame) and isinstance(rows, pd.DataFrame):
        if list(X.columns) == list(rows.columns):
            return rows
        missing = [column for column in X.columns if column not in rows.columns]
        if missing:
            raise ValueError(f"background lacks the columns {missing} of X.")
        return rows[X.columns]
    if isinstance(X, pd.DataFrame) != isinstance(rows, pd.DataFrame):
        raise TypeError(
            f"background must have the type of X, {type(X).__name__}, got "
            f"{type(rows).__name__}."
        )
    if rows.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"background must have rows of the shape of those of X, {X.shape[1:]}, "
            f"got {rows.shape[1:]}."
        )
    return rows


def feature_names(estimator, X, given) -> list:
    """Return the names of the features: the user's, those of X or the estimator's."""
    n_features = X.shape[-1]
    if given is not None:
        return _check_name_list(given, n_features, "feature_names")
    if isinstance(X, pd.DataFrame):
        return list(X.columns)
    known = getattr(estimator, "feature_names_in_", ())
    if len(known) == n_features:
        return list(known)
    return [f"x{j}" for j in range(n_features)]


def feature_positions(chosen, names: list, parameter: str) -> list[int]:
    """Return the positions of features given by name or position."""
    is_single = isinstance(chosen, Hashable) and not isinstance(chosen, tuple)
    is_single |= isinstance(chosen, np.ndarray) and chosen.ndim == 0
    if is_single or isinstance(chosen, dict):
        raise ValueError(f"{parameter} must be a list of features, got {chosen!r}.")
    # True and False would pass for the positions 1 and 0.
    if np.ndim(chosen) == 1 and np.asarray(chosen).dtype == bool:
        raise ValueError(
            f"{parameter} must be a list of names or positions, got a mask, {chosen!r}."
        )
    positions = []
    for feature in chosen:
        if isinstance(feature, Hashable) and feature in names:
            positions.append(names.index(feature))
        elif isinstance(feature, (int, np.integer)) and 0 <= feature < len(names):
            positions.append(int(feature))
        else:
            raise ValueError(
                f"{parameter} names {feature!r}, which is not one of the {len(names)} "
                f"features {names[:10]}."
            )
    return positions


def named_groups(groups: dict, names: list) -> dict[str, list[int]]:
    """Return the features of each group; raise if the groups are not a partition."""
    found = {
        str(name): feature_positions(features, names, f"groups[{name!r}]")
        for name, features in groups.items()
    }
    members = [j for features in found.values() for j in features]
    left_out = [name for j, name in enumerate(names) if j not in members]
    if left_out:
        raise ValueError(f"groups must cover all features; {left_out} are missing.")
    twice = [names[j] for j in sorted(set(members)) if members.count(j) > 1]
    if twice:
        raise ValueError(f"groups must not overlap; {twice} are in more than one.")
    empty = [name for name, features in found.items() if not features]
    if empty:
        raise ValueError(f"groups must not be empty; {empty} are.")
    return found


def numbered_groups(groups, shape: tuple, what: str) -> np.ndarray:
    """Return the group of each cell, numbered from 0 without gaps."""
    try:
        numbers = np.asarray(tensor_to_numpy(groups, "groups"))
    except ValueError as error:
        raise ValueError(
            f"groups must have one number for each cell of {what}, got lists of "
            f"different lengths, {short(groups)}."
        ) from error
    if numbers.shape != shape or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"groups must have one integer for each cell of {what}, shape {shape}, got "
            f"{numbers.dtype} of shape {numbers.shape}."
        )
    if (numbers < 0).any():
        raise ValueError(
            f"groups must cover all cells of {what}; {int((numbers < 0).sum())} have "
            "negative numbers."
        )
    return np.unique(numbers, return_inverse=True)[1].reshape(shape)


def has_labels(X) -> bool:
    """Return whether the rows of X have labels of their own."""
    return isinstance(X, pd.DataFrame) and not isinstance(X.index, pd.RangeIndex)


def time_labels(index: pd.Index) -> list:
    """Return labels of times, integers as text: as numbers they would mean steps."""
    return [str(t) if isinstance(t, (int, np.integer)) else t for t in index]
