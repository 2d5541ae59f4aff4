"""Warnings at the user's line, and the texts that errors share."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
import warnings
from collections.abc import Iterable

import joblib
import sklearn
import torch

# Packages between a user's line and the warning. (Python 3.12 has skip_file_prefixes.)
_BETWEEN = (
    *(
        os.path.join(os.path.dirname(os.path.abspath(file)), "")
        for file in (__file__, sklearn.__file__, joblib.__file__, torch.__file__)
    ),
    contextlib.__file__,
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's that has called skdeep.

    It is the nearest one that is neither in skdeep nor in a package that calls it, such
    as scikit-learn in a cross-validation.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def first_line(error: BaseException) -> str:
    """Return what an error says, without the trace that torch puts below it."""
    return str(error).partition("\n")[0]


# What other libraries call losses and activations, by the letters of the names.
_OTHER_NAMES = {
    "mse": "squarederror",
    "mae": "absoluteerror",
    "crossentropy": "logloss",
    "sigmoid": "logistic",
    "swish": "silu",
    "linear": "identity",
}


def did_you_mean(value, names: Iterable) -> str:
    """Return a question that proposes the name most like a value, or nothing.

    Parameters
    ----------
    value : object
        What the user has given.
    names : iterable of object
        What can be given; text is proposed alone.
    """
    if not isinstance(value, str):
        return ""
    plain = {_plain(name): name for name in names if isinstance(name, str)}
    asked = _OTHER_NAMES.get(_plain(value), _plain(value))
    found = difflib.get_close_matches(asked, plain, n=1)
    return f"Did you mean {plain[found[0]]!r}?" if found else ""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
