"""What lies between skdeep and its surroundings: versions, warnings and file names."""

from __future__ import annotations

import contextlib
import difflib
import errno
import functools
import inspect
import os
import re
import reprlib
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any

import joblib
import numpy as np
import sklearn
import torch
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    validate_params,
)

__version__ = "0.1.0"

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


@contextlib.contextmanager
def all_or_nothing(
    estimator, failures: type[BaseException] = BaseException
) -> Iterator[None]:
    """Give an estimator its attributes back if its fit fails.

    Parameters
    ----------
    estimator : estimator
        Whose attributes these are.
    failures : type of exception, default=BaseException
        After which they are given back.
    """
    before = dict(vars(estimator))
    try:
        yield
    except failures:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class ExplainedParameters:
    """Errors of parameters list names in order, and tell which one may be meant."""

    #: What to say of a number where a parameter takes none, by parameter.
    _number_hints: dict[str, str] = {}

    def _validate_params(self):
        params: dict[str, Any] = self.get_params(deep=False)  # type: ignore
        constraints = self._parameter_constraints  # type: ignore[attr-defined]
        _refuse_odd_numbers(type(self).__name__, params, constraints)
        try:
            super()._validate_params()  # type: ignore[misc]
        except InvalidParameterError as error:
            hints = self._number_hints
            text = _explained(str(error), params, constraints, hints)
            raise InvalidParameterError(text) from None


def validate_arguments(constraints: dict):
    """Decorate a function: check arguments as `ExplainedParameters` does parameters.

    Parameters
    ----------
    constraints : dict
        As for scikit-learn's ``validate_params``.
    """

    def decorate(function):
        signature = inspect.signature(function)
        checked = validate_params(constraints, prefer_skip_nested_validation=True)
        call_checked = checked(function)

        @functools.wraps(call_checked)
        def call(*args, **kwargs):
            given = signature.bind(*args, **kwargs).arguments
            _refuse_odd_numbers(function.__qualname__, given, constraints)
            try:
                return call_checked(*args, **kwargs)
            except InvalidParameterError as error:
                text = _explained(str(error), given, constraints)
                raise InvalidParameterError(text) from None

        return call

    return decorate


def _refuse_odd_numbers(owner: str, params: dict, constraints: dict) -> None:
    """Refuse fractions, and ints that no float can hold where one is needed.

    scikit-learn compares them with the ends of a range and fails, or lets them pass to
    what fails.
    """
    for name, value in params.items():
        is_usual = isinstance(value, (float, np.number))
        if is_usual or not isinstance(value, Real) or name not in constraints:
            continue
        number: Any = value
        is_int = isinstance(number, int)
        if is_int and (abs(number) < 2**63 or not _takes_floats(constraints[name])):
            continue
        kind = "an int of more than 64 bits" if is_int else repr(value)
        raise InvalidParameterError(
            f"The {name!r} parameter of {owner} must be a float or an int of 64 bits. "
            f"Got {kind} instead."
        )


def _takes_floats(constraints) -> bool:
    """Say whether numbers become floats; where ints are named, too, they need not."""
    kinds = {c.type for c in constraints if isinstance(c, Interval)}
    return Real in kinds and Integral not in kinds


def _explained(
    text: str, params: dict, constraints: dict, number_hints: dict | None = None
) -> str:
    """Return scikit-learn's error of a parameter with names in order, and a hint."""
    found = re.match(r"The '(\w+)' parameter", text)
    if found is None or found[1] not in params or found[1] not in constraints:
        return text
    name = found[1]
    value, hint = params[name], ""
    for options in (c for c in constraints[name] if isinstance(c, Options)):
        names = sorted(options.options, key=str)
        in_order = f"{{{', '.join(map(repr, names))}}}"
        text = text.replace(str(options).partition(" among ")[2], in_order)
        hint = hint or did_you_mean(value, names)
    if isinstance(value, Real) and not hint:
        hint = (number_hints or {}).get(name, "")
    return f"{text} {hint}".rstrip()


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


class SkdeepVersionWarning(InconsistentVersionWarning):
    """Tells that a pickled estimator comes from another release of skdeep."""

    def __str__(self):
        return (
            f"{self.estimator_name} was saved with skdeep "
            f"{self.original_sklearn_version} and is loaded with "
            f"{self.current_sklearn_version}. Its predictions should be the same, but "
            "that is not tested; compare some, or load it with the release that saved "
            "it. Parameters that are new since then have their defaults."
        )


class VersionedPickle:
    """Pickles of an estimator tell which release has made them."""

    def __getstate__(self):
        return {**super().__getstate__(), "_skdeep_version": __version__}  # type: ignore

    def __setstate__(self, state):
        version = state.pop("_skdeep_version", "0.1.0 or earlier")
        if version != __version__:
            warnings.warn(
                SkdeepVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=version,
                ),
                stacklevel=2,
            )
        signature = inspect.signature(type(self).__init__).parameters
        missing = {
            name: parameter.default
            for name, parameter in signature.items()
            if name not in state and parameter.default is not parameter.empty
        }
        super().__setstate__({**missing, **state})  # type: ignore
