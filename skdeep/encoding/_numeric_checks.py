"""Checks for values that are not numeric: dates, durations, intervals, complex numbers.

numpy silently converts dates and durations to counts of their unit, and complex numbers
to their real parts. A network trained on these would fit without an error and be wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight

from skdeep._input_checks import check_not_text, naming, tensor_to_numpy

_REMEDIES = {
    "dates": (
        "Derive numbers from dates, such as the day of the week or the days since a "
        "start, or drop them."
    ),
    "durations": "Convert durations to numbers, such as seconds, or drop them.",
    "intervals": "Use the middle of each interval, or make intervals categories.",
    "complex values": (
        "Complex data not supported: pass real and imaginary parts as two columns."
    ),
}
# Kinds of values by numpy's type codes, by pandas' inferred types of objects, and by
# the column types of other data frames.
_BY_KIND = {"M": "dates", "m": "durations", "c": "complex values"}
_BY_OBJECTS = {
    "datetime64": "dates",
    "datetime": "dates",
    "date": "dates",
    "time": "dates",
    "period": "dates",
    "timedelta64": "durations",
    "timedelta": "durations",
    "interval": "intervals",
    "complex": "complex values",
}
_BY_TYPE = {
    nw.Date: "dates",
    nw.Datetime: "dates",
    nw.Time: "dates",
    nw.Duration: "durations",
}

# Substrings of the conversion errors of NumPy and scikit-learn.
_CONVERSION_ERRORS = ("convert", "promote", "float()")


@contextlib.contextmanager
def explaining_non_numeric(
    X,
    name: str = "X",
    *,
    skip: Collection[int] = (),
    dates: str = "",
    text: str = "Encode text as numbers, or drop it.",
) -> Iterator[None]:
    """Raise a clear error if data that are converted inside are not numeric.

    Text is an error only if its conversion fails: "1.5" is converted.

    Parameters
    ----------
    X : array-like
        The user's data, of any shape.
    name : str, default="X"
        Name of the data in messages.
    skip : collection of int, default=()
        Positions of columns of a table that need not be numeric.
    dates, text : str
        Further advice if there are dates, and advice if there is text.

    Raises
    ------
    ValueError, TypeError
        If the data are not numeric. Names the columns, their types and a remedy.
    """
    # Before the conversion, which would turn dates into counts without an error.
    check_numeric_types(X, name, skip=skip, remedy=dates)
    try:
        yield
    except (ValueError, TypeError) as error:
        is_conversion = any(word in str(error) for word in _CONVERSION_ERRORS)
        if not is_conversion or sparse.issparse(X):
            raise
        columns = _non_numeric_columns(X, skip)
        if columns:
            message = f"Columns {columns} of {name} must be numeric: {error}. "
            raise ValueError(message + text) from error
        if _is_frame(X) or _is_convertible(X):  # X is fine, so the error is about y
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} must be numeric: {error}. {text}") from error


def check_numeric_types(
    X, name: str = "X", *, skip: Collection[int] = (), remedy: str = ""
) -> None:
    """Raise if there are dates, durations, intervals or complex numbers."""
    if not _is_frame(X):
        _check_array(X, name, skip, remedy)
        return
    found = list(_columns_found(X, skip))
    if found:
        columns = f"Columns {[column for column, _, _ in found]} of {name}"
        raise ValueError(_message(columns, {(k, str(t)) for _, k, t in found}, remedy))


def check_row_weight(sample_weight, rows, dtype=np.float64) -> np.ndarray:
    """Return sample weights as numbers, one per row, (n_samples,).

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,)
        The user's sample weights.
    rows : array-like of shape (n_samples, ...)
        The weighted rows.
    dtype : type, default=numpy.float64
        The type of the result.

    Raises
    ------
    ValueError, TypeError
        If they are not numeric, negative, or not one per row.
    """
    weight = tensor_to_numpy(sample_weight, "sample_weight")
    # scikit-learn sums the weights; callers check that the sum is finite.
    with naming("sample_weight"), np.errstate(over="ignore", invalid="ignore"):
        check_numeric_types(weight, "sample_weight")
        check_not_text(np.asarray(weight), "sample_weight")
        return _check_sample_weight(weight, rows, dtype=dtype, ensure_non_negative=True)


def _non_numeric_columns(X, skip) -> list:
    """Return the names of the columns of a data frame that cannot be converted."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return []
    return [
        name
        for i, name in enumerate(frame.columns)
        if i not in skip and not _is_convertible(frame.get_column(name).to_numpy())
    ]


def _is_convertible(values) -> bool:
    """Return whether values can be converted to numbers."""
    try:
        np.asarray(values).astype(np.float64)
    except (ValueError, TypeError):
        return False
    return True


def _message(subject: str, found: set[tuple[str, str]], remedy: str) -> str:
    kinds = sorted({kind for kind, _ in found})
    listed = " and ".join(
        f"{kind} ({', '.join(sorted(t for other, t in found if other == kind))})"
        for kind in kinds
    )
    advice = [_REMEDIES[kind] for kind in kinds]
    return " ".join(
        [f"{subject} must be numeric, got {listed}.", *advice, remedy]
    ).strip()


def _is_frame(X) -> bool:
    if isinstance(X, (np.ndarray, pd.DataFrame)):
        return isinstance(X, pd.DataFrame)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return isinstance(frame, nw.DataFrame)


def _columns_found(X, skip) -> Iterator[tuple[Any, str, Any]]:
    """Yield name, kind and type of each non-numeric column of a data frame."""
    if isinstance(X, pd.DataFrame):
        columns = _pandas_columns(X)
    else:
        columns = _other_columns(X)
    for i, (column, kind, dtype) in enumerate(columns):
        if kind is not None and i not in skip:
            yield column, kind, dtype


def _pandas_columns(X: pd.DataFrame) -> Iterator[tuple[Any, str | None, Any]]:
    """Yield name, kind and type of each column; names may be repeated."""
    for i, (column, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if dtype.kind in "biuf":
            yield column, None, dtype
        elif isinstance(dtype, pd.CategoricalDtype):
            yield column, _non_numeric_kind(dtype.categories), dtype.categories.dtype
        else:
            yield column, _non_numeric_kind(X.iloc[:, i]), dtype


def _other_columns(X) -> Iterator[tuple[Any, str | None, Any]]:
    """Yield name, kind and type of each column of another data frame."""
    frame = nw.from_native(X, eager_only=True)
    for column, dtype in frame.schema.items():
        kind = next((k for t, k in _BY_TYPE.items() if dtype == t), None)
        if dtype == nw.Object:
            kind = _non_numeric_kind(frame.get_column(column).to_numpy())
        yield column, kind, dtype


def _non_numeric_kind(values) -> str | None:
    """Return the kind of non-numeric values, such as "dates"; None for numbers."""
    kind = values.dtype.kind
    # Only objects need to be inspected, which is slow.
    if kind != "O":
        return _BY_KIND.get(kind)
    if isinstance(values, np.ndarray):
        values = values.ravel()
    elif not isinstance(values, (pd.Series, pd.Index)):
        return None
    return _BY_OBJECTS.get(pd.api.types.infer_dtype(values, skipna=True))


def _check_array(X, name: str, skip, remedy: str) -> None:
    """Check an array, or a list of arrays of different lengths."""
    if isinstance(X, (list, tuple)):
        with contextlib.suppress(ValueError, TypeError):
            X = np.asarray(X)
        if isinstance(X, (list, tuple)):  # of different lengths
            for part in X:
                _check_array(part, name, skip, remedy)
            return
    dtype = getattr(X, "dtype", None)
    if getattr(dtype, "kind", "f") in "biuf":
        return
    if isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 2:
        kinds = {
            j: _non_numeric_kind(X[:, j]) for j in range(X.shape[1]) if j not in skip
        }
    else:
        kinds = {0: _non_numeric_kind(X)}
    found = {j: kind for j, kind in kinds.items() if kind is not None}
    if found:
        subject = name
        if len(found) < len(kinds):
            subject = f"Columns {list(found)} of {name}"
        types = {(kind, str(dtype)) for kind in found.values()}
        raise ValueError(_message(subject, types, remedy))
