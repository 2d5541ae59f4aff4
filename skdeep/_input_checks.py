"""Checks of what users pass; every error names the argument."""

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

# What checks of numpy, pandas and scikit-learn raise of data that are not as they
# should be. MemoryError is not among them: the data may be fine.
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
    """Name an argument in errors of its checks that do not.

    Parameters
    ----------
    argument : str
        Name of the argument that is checked.

    Raises
    ------
    ValueError, TypeError
        As raised inside, with the name put before if it is not there; other errors
        become a ValueError.
    """
    try:
        yield
    except UnicodeError as error:
        error.add_note(f"{argument} holds bytes, or text, of another encoding.")
        raise
    except _RAISED_BY_CHECKS as error:
        text = str(error)
        is_usual = isinstance(error, (TypeError, ValueError))
        if is_usual and re.search(rf"\b{re.escape(argument)}\b", text):
            raise
        if text.startswith("Complex data not supported"):
            text = text.partition("\n")[0] + "."  # what follows are all the data
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Invalid {argument}: {text}") from error


_OF_NUMPY = (torch.float16, torch.float32, torch.float64)


def tensor_to_numpy(values, argument: str) -> Any:
    """Return a tensor as an array, and anything else as it is.

    Numpy's own conversion refuses tensors that require a gradient, and types that it
    has not.

    Parameters
    ----------
    values : object
        What the user has given.
    argument : str
        Its name, for messages.

    Raises
    ------
    ValueError
        If a tensor is sparse, or holds no values.
    TypeError
        If a data frame is lazy.
    """
    check_has_values(values, argument)
    if not isinstance(values, torch.Tensor):
        return values
    values = values.detach().cpu().resolve_conj().resolve_neg()
    if values.is_quantized:
        values = values.dequantize()
    if values.is_floating_point() and values.dtype not in _OF_NUMPY:
        values = values.float()  # bfloat16, and types of 8 bits
    return values.numpy()


def check_has_values(values, argument: str) -> None:
    """Refuse a data frame that is lazy, and a tensor without values or with gaps.

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
    """Return X and y, if it is given, as something whose rows can be chosen.

    Raises
    ------
    ValueError, TypeError
        Naming X or y, if there are no rows in it, or if they are not as many.
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


def refuse_text(values: np.ndarray, argument: str) -> None:
    """Refuse text, which numpy would turn into numbers where it reads like some."""
    if values.dtype.kind in "SU":
        raise ValueError(
            f"{argument} must hold numbers, got {values.ravel()[0]!r} ({values.dtype})."
        )


def check_flag(value, argument: str) -> bool:
    """Refuse what is neither true nor false, such as an array."""
    if not isinstance(value, (bool, np.bool_, Integral)):
        raise TypeError(f"{argument} must be True or False, got {short(value)}.")
    return bool(value)


def check_name(name, argument: str = "name") -> None:
    """Refuse what is no text to be shown in a picture; None is no name."""
    if not isinstance(name, (str, type(None))):
        raise TypeError(f"{argument} must be a str or None, got {short(name)}.")


def check_fitted(estimator) -> None:
    """Refuse what is no fitted estimator, such as a class."""
    with naming("estimator"):
        check_is_fitted(estimator)


def check_file_name(path, argument: str) -> None:
    """Refuse what names no file: a folder, a device, a name that is too long.

    Parameters
    ----------
    path : str or path-like
        What the user has given; the file need not exist.
    argument : str
        Name of the argument, for the message.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If there can be no such file.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{argument} must be a str or path-like, got {path!r}.")
    reason = _why_no_file(os.fspath(path))
    if reason is not None:
        shown = _shorter.repr(os.fspath(path))
        raise ValueError(f"{argument} must name a file, got {shown}{reason}.")


_shorter = reprlib.Repr()
_shorter.maxstring = 120


def _why_no_file(path) -> str | None:
    """Return what to say of a path that names no file, None if it may."""
    if not isinstance(path, str):
        return ", which is no text"
    if not path.strip():
        return ""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        # Of others, whoever opens the file tells.
        return ", which is too long" if error.errno == errno.ENAMETOOLONG else None
    except ValueError as error:
        return f": {error}"
    if stat.S_ISDIR(mode):
        return ", which is a folder"
    return None if stat.S_ISREG(mode) else ", which is a device or a pipe"
