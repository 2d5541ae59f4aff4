"""What is given in place of numbers: dates, durations, intervals, complex numbers.

numpy turns dates and durations into counts of their unit without a word where no other
column hinders it, and complex numbers into their real parts. A network that is trained
on such numbers looks right and is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_sample_weight

from skdeep._input_checks import naming, refuse_text, tensor_to_numpy

_REMEDIES = {
    "dates": (
        "Derive numbers from dates, such as the day of the week or the days since a "
        "start, or drop them."
    ),
    "durations": "Give durations as numbers, such as seconds, or drop them.",
    "intervals": "Give the middle of each interval, or make intervals categories.",
    "complex values": (
        "Complex data not supported: give real and imaginary parts as two columns."
    ),
}
# By the kinds of numpy's types, by pandas' names of what objects are, and by the types
# of other data frames.
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

# What numpy's and scikit-learn's errors of values that are no numbers speak of.
_OF_CONVERSION = ("convert", "promote", "float()")


@contextlib.contextmanager
def holding_numbers(
    X,
    name: str = "X",
    *,
    skip: Collection[int] = (),
    dates: str = "",
    text: str = "Encode text as numbers, or drop it.",
) -> Iterator[None]:
    """Refuse what holds no numbers, before and while it is converted into numbers.

    Text is refused only if the conversion fails: it reads "1.5".

    Parameters
    ----------
    X : array-like
        The user's data, of any shape.
    name : str, default="X"
        What they are called.
    skip : collection of int, default=()
        Positions of columns of a table that need not hold numbers.
    dates, text : str
        What else to advise where there are dates, and what where there is text.

    Raises
    ------
    ValueError, TypeError
        If there are no numbers. The error names the columns, their types and a remedy.
    """
    check_holds_numbers(X, name, skip=skip, remedy=dates)
    try:
        yield
    except (ValueError, TypeError) as error:
        if not any(word in str(error) for word in _OF_CONVERSION):
            raise
        columns = _unreadable_columns(X, skip)
        if columns:
            message = f"The columns {columns} of {name} hold no numbers: {error}. "
            raise ValueError(message + text) from error
        if _is_frame(X) or _is_readable(X):  # then it is y
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} holds no numbers: {error}. {text}") from error


def check_holds_numbers(
    X, name: str = "X", *, skip: Collection[int] = (), remedy: str = ""
) -> None:
    """Refuse dates, durations, intervals and complex numbers in place of numbers."""
    if not _is_frame(X):
        _check_array(X, name, skip, remedy)
        return
    found = list(_columns_found(X, skip))
    if found:
        columns = f"The columns {[column for column, _, _ in found]} of {name} hold"
        raise ValueError(_message(columns, {(k, str(t)) for _, k, t in found}, remedy))


def check_row_weight(sample_weight, rows, dtype=np.float64) -> np.ndarray:
    """Return sample weights as numbers, (n_samples,), one a row, none negative.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,)
        What the user has given.
    rows : array-like of shape (n_samples, ...)
        What they are the weights of.
    dtype : type, default=numpy.float64
        The type of the result.

    Raises
    ------
    ValueError, TypeError
        Naming ``sample_weight``, if these are no weights.
    """
    weight = tensor_to_numpy(sample_weight, "sample_weight")
    with naming("sample_weight"), np.errstate(over="ignore"):  # the sum is looked at
        check_holds_numbers(weight, "sample_weight")
        refuse_text(np.asarray(weight), "sample_weight")
        return _check_sample_weight(weight, rows, dtype=dtype, ensure_non_negative=True)


def _unreadable_columns(X, skip) -> list:
    """Return the names of the columns of a data frame that are not read as numbers."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return []
    return [
        name
        for i, name in enumerate(frame.columns)
        if i not in skip and not _is_readable(frame.get_column(name).to_numpy())
    ]


def _is_readable(values) -> bool:
    """Say whether values become numbers."""
    try:
        np.asarray(values).astype(np.float64)
    except (ValueError, TypeError):
        return False
    return True


def _message(subject: str, found: set[tuple[str, str]], remedy: str) -> str:
    kinds = sorted({kind for kind, _ in found})
    told = [f"{k} ({', '.join(sorted(t for o, t in found if o == k))})" for k in kinds]
    advice = [_REMEDIES[kind] for kind in kinds]
    return " ".join(
        [f"{subject} no numbers but {' and '.join(told)}.", *advice, remedy]
    ).strip()


def _is_frame(X) -> bool:
    if isinstance(X, (np.ndarray, pd.DataFrame)):
        return isinstance(X, pd.DataFrame)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return isinstance(frame, nw.DataFrame)


def _columns_found(X, skip) -> Iterator[tuple[Any, str, Any]]:
    """Yield name, kind and type of each column of a data frame that is refused."""
    if isinstance(X, pd.DataFrame):
        columns = _pandas_columns(X)
    else:
        columns = _other_columns(X)
    for i, (column, kind, dtype) in enumerate(columns):
        if kind is not None and i not in skip:
            yield column, kind, dtype


def _pandas_columns(X: pd.DataFrame) -> Iterator[tuple[Any, str | None, Any]]:
    """Yield name, kind and type of each column; names may occur twice."""
    for i, (column, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if dtype.kind in "biuf":
            yield column, None, dtype
        elif isinstance(dtype, pd.CategoricalDtype):
            yield column, _kind_of(dtype.categories), dtype.categories.dtype
        else:
            yield column, _kind_of(X.iloc[:, i]), dtype


def _other_columns(X) -> Iterator[tuple[Any, str | None, Any]]:
    """Yield name, kind and type of each column of another data frame."""
    frame = nw.from_native(X, eager_only=True)
    for column, dtype in frame.schema.items():
        kind = next((k for t, k in _BY_TYPE.items() if dtype == t), None)
        if dtype == nw.Object:
            kind = _kind_of(frame.get_column(column).to_numpy())
        yield column, kind, dtype


def _kind_of(values) -> str | None:
    """Return what values are, if they are of a kind that is refused."""
    kind = values.dtype.kind
    if kind != "O":
        return _BY_KIND.get(kind)
    if isinstance(values, np.ndarray):
        values = values.ravel()
    elif not isinstance(values, (pd.Series, pd.Index)):
        return None
    return _BY_OBJECTS.get(pd.api.types.infer_dtype(values, skipna=True))


def _check_array(X, name: str, skip, remedy: str) -> None:
    """Refuse an array, or a list of arrays of different lengths."""
    if isinstance(X, (list, tuple)):
        with contextlib.suppress(ValueError, TypeError):
            X = np.asarray(X)
        if isinstance(X, (list, tuple)):  # ragged
            for part in X:
                _check_array(part, name, skip, remedy)
            return
    dtype = getattr(X, "dtype", None)
    if getattr(dtype, "kind", "f") in "biuf":
        return
    if isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 2:
        kinds = {j: _kind_of(X[:, j]) for j in range(X.shape[1]) if j not in skip}
    else:
        kinds = {0: _kind_of(X)}
    found = {j: kind for j, kind in kinds.items() if kind is not None}
    if found:
        subject = f"{name} holds"
        if len(found) < len(kinds):
            subject = f"The columns {list(found)} of {name} hold"
        told = {(kind, str(dtype)) for kind in found.values()}
        raise ValueError(_message(subject, told, remedy))
