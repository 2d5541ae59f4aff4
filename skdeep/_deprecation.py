"""Deprecation of functions, classes and parameters."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from skdeep._messages import warn


def deprecated(replacement: str | None = None, *, removed_in: str):
    """Decorate a function, method or class: using it emits a FutureWarning.

    Parameters
    ----------
    replacement : str, optional
        What to use instead.
    removed_in : str
        The release that removes it.

    Examples
    --------
    >>> from skdeep._deprecation import deprecated
    >>> @deprecated("new_name", removed_in="0.3")
    ... def old_name():
    ...     return 1
    """

    def decorate(obj):
        advice = "" if replacement is None else f" Use {replacement} instead."
        text = (
            f"{obj.__qualname__} is deprecated and will be removed in skdeep "
            f"{removed_in}.{advice}"
        )
        if not inspect.isclass(obj):
            return _warning_wrapper(obj, text)
        # Not a wrapper of the class: isinstance and pickles must know the class itself.
        cls: Any = obj
        cls.__init__ = _warning_wrapper(cls.__init__, text)
        return cls

    return decorate


def renamed_parameters(*, removed_in: str, **new_names: str):
    """Decorate a function or method: old names of parameters emit a FutureWarning.

    For a parameter of an estimator, decorate both ``__init__`` and ``set_params``.

    Parameters
    ----------
    removed_in : str
        The release that removes the old names.
    **new_names : str
        The new name of each old one: ``old="new"``.

    Examples
    --------
    >>> from skdeep._deprecation import renamed_parameters
    >>> @renamed_parameters(removed_in="0.3", n_epochs="max_iter")
    ... def train(max_iter=200):
    ...     return max_iter
    """

    def decorate(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            for old in new_names.keys() & kwargs.keys():
                new = new_names[old]
                if new in kwargs:
                    raise TypeError(
                        f"{function.__qualname__}() got {new!r} and also {old!r}, its "
                        f"deprecated name. Pass {new!r} only."
                    )
                warn(
                    f"The parameter {old!r} of {function.__qualname__} was renamed to "
                    f"{new!r}; the old name will be removed in skdeep {removed_in}.",
                    FutureWarning,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def _warning_wrapper(function, text: str):
    @functools.wraps(function)
    def call(*args, **kwargs):
        warn(text, FutureWarning)
        return function(*args, **kwargs)

    return call
