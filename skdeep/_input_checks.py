"""Checks of user input; every error names the argument."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import reprlib
import stat
from collections.abc import Iterator
from numbers import Integral
from reprlib import repr as short
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_consistent_length, indexable
from sklearn.utils.validation import _num_samples, check_is_fitted

# What numpy, pandas and scikit-learn raise for invalid data. MemoryError is not among
# them: the data may be valid.
_RAISED_BY_CHECKS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextlib.contextmanager
def naming(argument: str) -> Iterator[None]:
    """Add the name of an argument to errors that do not mention it.

    Parameters
    ----------
    argument : str
        Name of the argument being checked.

    Raises
    ------
    ValueError, TypeError
        The error raised inside, prefixed with the name if it lacks it; other types of
        errors become a ValueError.
    """
    try:
        yield
    # Before its base class ValueError: its constructor takes the bytes and a position,
    # so it cannot be raised again with another text.
    except UnicodeError as error:
        error.add_note(f"{argument} holds bytes or text in another encoding.")
        raise
    except _RAISED_BY_CHECKS as error:
        text = str(error)
        is_usual = isinstance(error, (TypeError, ValueError))
        if is_usual and re.search(rf"\b{re.escape(argument)}\b", text):
            raise
        if text.startswith("Complex data not supported"):
            text = text.partition("\n")[0] + "."  # the rest prints all the data
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Invalid {argument}: {text}") from error


_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)


def tensor_to_numpy(values, argument: str) -> Any:
    """Return a tensor as an array, and anything else unchanged.

    ``numpy.asarray`` raises for tensors that require a gradient, and for types such as
    bfloat16.

    Parameters
    ----------
    values : object
        The user's argument.
    argument : str
        Its name, for messages.

    Raises
    ------
    ValueError
        If a tensor is sparse or holds no values.
    TypeError
        If a data frame is lazy.
    """
    check_has_values(values, argument)
    if not isinstance(values, torch.Tensor):
        return values
    # Conjugates and negatives are lazy views, for which ``numpy()`` raises.
    values = values.detach().cpu().resolve_conj().resolve_neg()
    if values.is_quantized:
        values = values.dequantize()
    if values.is_floating_point() and values.dtype not in _NUMPY_FLOATS:
        values = values.float()  # bfloat16 and 8-bit types
    return values.numpy()


def check_has_values(values, argument: str) -> None:
    """Raise for lazy data frames, and for meta and sparse tensors.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    if type(values).__name__ == "LazyFrame":
        raise TypeError(f"{argument} is lazy: pass {argument}.collect().")
    if not isinstance(values, torch.Tensor):
        return
    if values.is_meta:
        raise ValueError(
            f"{argument} must hold values, got a tensor on the device 'meta'."
        )
    if values.layout != torch.strided:
        raise ValueError(
            f"{argument} must be a dense tensor, got the layout {values.layout}. Pass "
            f"{argument}.to_dense(), or a sparse array of scipy."
        )


def indexable_rows(X, y) -> list:
    """Return X and y (or None) as objects that can be indexed by row.

    Raises
    ------
    ValueError, TypeError
        Naming X or y, if it has no rows or their lengths differ.
    """
    check_has_values(X, "X")
    check_has_values(y, "y")
    with naming("X"):
        _num_samples(X)
        (X,) = indexable(X)
    with naming("y"):
        (y,) = indexable(y)
    check_consistent_length(X, y)
    return [X, y]


def check_not_text(values: np.ndarray, argument: str) -> None:
    """Raise for text, which numpy would convert if it looks like numbers."""
    if values.dtype.kind in "SU":
        raise ValueError(
            f"{argument} must hold numbers, got {values.ravel()[0]!r} ({values.dtype})."
        )


def is_integer(value) -> bool:
    """Return whether a value is an integer and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_count(value, argument: str) -> None:
    """Raise if a number of things is not a positive integer."""
    if not is_integer(value) or value < 1:
        raise ValueError(f"{argument} must be a positive integer, got {value!r}.")


def check_flag(value, argument: str) -> bool:
    """Return a flag as a bool; raise if it is anything else, such as an array."""
    if not isinstance(value, (bool, np.bool_, Integral)):
        raise TypeError(f"{argument} must be True or False, got {short(value)}.")
    return bool(value)


def check_name(name, argument: str = "name") -> None:
    """Raise if a name to show in a plot is neither a str nor None."""
    if not isinstance(name, (str, type(None))):
        raise TypeError(f"{argument} must be a str or None, got {short(name)}.")


def check_fitted(estimator) -> None:
    """Raise if the argument is not a fitted estimator, for example a class."""
    with naming("estimator"):
        check_is_fitted(estimator)


def check_file_name(path, argument: str) -> None:
    """Raise if a path cannot name a file: a folder, a device, a name too long.

    Parameters
    ----------
    path : str or path-like
        The user's argument; the file need not exist.
    argument : str
        Name of the argument, for the message.

    Raises
    ------
    TypeError
        If it is not a path.
    ValueError
        If it cannot name a file.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{argument} must be a str or path-like, got {path!r}.")
    reason = _file_name_problem(os.fspath(path))
    if reason is not None:
        shown = _shorter.repr(os.fspath(path))
        raise ValueError(f"{argument} must name a file, got {shown}{reason}.")


_shorter = reprlib.Repr()
_shorter.maxstring = 120


def _file_name_problem(path) -> str | None:
    """Return why a path cannot name a file, as the end of a message, or None."""
    if not isinstance(path, str):
        return ", which is not a str"
    if not path.strip():
        return ""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        # Other errors (missing file, no permission) are raised when it is opened.
        return ", which is too long" if error.errno == errno.ENAMETOOLONG else None
    except ValueError as error:
        return f": {error}"
    if stat.S_ISDIR(mode):
        return ", which is a folder"
    return None if stat.S_ISREG(mode) else ", which is a device or a pipe"
