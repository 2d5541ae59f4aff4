"""Parameter validation by scikit-learn, with sorted options and a suggestion."""

from __future__ import annotations

import functools
import inspect
import re
import weakref
from collections.abc import MutableMapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    make_constraint,
    validate_params,
)

from skdeep._messages import did_you_mean

# Values that nobody can change after they were checked.
_IMMUTABLE = (bool, int, float, str, type(None))


class _Checks:
    """The constraints of a class in scikit-learn's form, and the values they accepted.

    scikit-learn makes the constraints anew and checks every value in each fit, which
    takes a tenth of the time of a short one. In a search most values are those of the
    last fit.

    Parameters
    ----------
    constraints : dict
        The constraints by name of the parameter.
    """

    def __init__(self, constraints: dict):
        # A copy, by which a later change of the dict and its lists is noticed.
        self.source = {name: given[:] for name, given in constraints.items()}
        self._constraints = {
            name: [make_constraint(each) for each in given]
            for name, given in constraints.items()
            if given != "no_validation"
        }
        self._valid: dict[str, Any] = {}

    def not_yet_valid(self, params: dict) -> dict:
        """Return the parameters whose values are not those that were valid last."""
        valid = self._valid
        # The default, ``valid`` itself, is no value of a parameter.
        return {k: v for k, v in params.items() if v is not valid.get(k, valid)}

    def accept(self, params: dict) -> bool:
        """Return whether all parameters are valid, and remember them if they are."""
        for name, value in params.items():
            given = self._constraints.get(name)
            if given is None:
                continue
            if not any(each.is_satisfied_by(value) for each in given):
                return False
        self._valid |= {k: v for k, v in params.items() if type(v) in _IMMUTABLE}
        return True


# By class; the references are weak, to let classes be collected.
_checks: MutableMapping[type, _Checks] = weakref.WeakKeyDictionary()


def _checks_of(owner: type, constraints: dict) -> _Checks:
    """Return the checks of a class, made again if its constraints have changed."""
    checks = _checks.get(owner)
    if checks is None or checks.source != constraints:
        checks = _checks[owner] = _Checks(constraints)
    return checks


# Names of the parameters, by constructor: reading a signature takes longer than all
# else in `get_params`, which a search calls six times per fit. A subclass with another
# constructor has another key. The references are weak, to let classes be collected.
_names: MutableMapping[Any, list[str]] = weakref.WeakKeyDictionary()


class ExplainedParameters:
    """Parameter errors list the options sorted and suggest a similar one."""

    #: Text to append to the error of a parameter that got a number, or a sequence.
    _parameter_hints: dict[str, str] = {}

    @classmethod
    def _get_param_names(cls):
        init: Any = cls.__init__
        if init is object.__init__:  # takes no weak reference
            return super()._get_param_names()  # type: ignore[misc]
        if init not in _names:
            _names[init] = super()._get_param_names()  # type: ignore[misc]
        return list(_names[init])

    def _validate_params(self):
        params: dict[str, Any] = self.get_params(deep=False)  # type: ignore
        constraints = self._parameter_constraints  # type: ignore[attr-defined]
        checks = _checks_of(type(self), constraints)
        unknown = checks.not_yet_valid(params)
        _check_number_types(type(self).__name__, unknown, constraints)
        if checks.accept(unknown):
            return
        try:
            super()._validate_params()  # type: ignore[misc]
        except InvalidParameterError as error:
            hints = self._parameter_hints
            text = _improved_message(str(error), params, constraints, hints)
            # ``from None``: the original error says the same less clearly.
            raise InvalidParameterError(text) from None


def validate_arguments(constraints: dict):
    """Decorate a function: validate arguments as `ExplainedParameters` does parameters.

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
            _check_number_types(function.__qualname__, given, constraints)
            try:
                return call_checked(*args, **kwargs)
            except InvalidParameterError as error:
                text = _improved_message(str(error), given, constraints)
                raise InvalidParameterError(text) from None

        return call

    return decorate


def _check_number_types(owner: str, params: dict, constraints: dict) -> None:
    """Raise for fractions, and for ints too large for a float where one is needed.

    scikit-learn's interval checks fail on them, or accept what later code cannot use.
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
    """Return whether numbers are used as floats: no constraint accepts integers."""
    kinds = {c.type for c in constraints if isinstance(c, Interval)}
    return Real in kinds and Integral not in kinds


def _improved_message(
    text: str, params: dict, constraints: dict, hints: dict | None = None
) -> str:
    """Return scikit-learn's parameter error with sorted options and a hint."""
    found = re.match(r"The '(\w+)' parameter", text)
    if found is None or found[1] not in params or found[1] not in constraints:
        return text
    name = found[1]
    value, hint = params[name], ""
    for options in (c for c in constraints[name] if isinstance(c, Options)):
        # scikit-learn prints a set, whose order changes from run to run.
        names = sorted(options.options, key=str)
        in_order = f"{{{', '.join(map(repr, names))}}}"
        text = text.replace(str(options).partition(" among ")[2], in_order)
        hint = hint or did_you_mean(value, names)
    if isinstance(value, (Real, tuple, list)) and not hint:
        hint = (hints or {}).get(name, "")
    return f"{text} {hint}".rstrip()
