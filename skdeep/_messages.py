"""Warnings at the user's line, and texts that error messages share."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import pickle
import re
import sys
import warnings
from collections.abc import Iterable, Iterator


def _folders_between() -> Iterator[str]:
    """Yield the folders of packages whose frames lie between a user and a warning."""
    yield os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
    for package in ("sklearn", "joblib", "torch", "skops"):
        # find_spec does not import the package: ``import skdeep`` must stay fast.
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield os.path.join(os.path.abspath(folder), "")


# Files whose frames are not the user's code. (``warnings.warn`` has
# ``skip_file_prefixes`` from Python 3.12 on.)
_NOT_USER_CODE = (*_folders_between(), contextlib.__file__, pickle.__file__)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that has called skdeep.

    It is the nearest line outside skdeep and the packages that call it, such as
    scikit-learn in a cross-validation.

    Parameters
    ----------
    message : str or Warning
        The text, or the warning itself, whose class is then its category.
    category : type of Warning, default=UserWarning
        Category of a text.
    """
    # Level 1 is this function and level 2 its caller, frame 1.
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(
        _NOT_USER_CODE
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def first_line(error: BaseException) -> str:
    """Return the message of an error without the trace that torch appends."""
    return str(error).partition("\n")[0]


# Names that other libraries give to losses and activations, without punctuation.
_OTHER_NAMES = {
    "mse": "squarederror",
    "mae": "absoluteerror",
    "crossentropy": "logloss",
    "sigmoid": "logistic",
    "swish": "silu",
    "linear": "identity",
}


def did_you_mean(value, names: Iterable) -> str:
    """Return a question that suggests the name most similar to a value, or "".

    Parameters
    ----------
    value : object
        The value found.
    names : iterable of object
        The values allowed; only strings are suggested.
    """
    if not isinstance(value, str):
        return ""
    plain = {
        _without_punctuation(name): name for name in names if isinstance(name, str)
    }
    asked = _OTHER_NAMES.get(_without_punctuation(value), _without_punctuation(value))
    found = difflib.get_close_matches(asked, plain, n=1)
    return f"Did you mean {plain[found[0]]!r}?" if found else ""


def _without_punctuation(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
