"""The rule for every call: it works, or its error names the wrong argument."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import resource
import signal
import sys
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    EfficiencyWarning,
    FitFailedWarning,
    UndefinedMetricWarning,
)
from sklearn.utils._param_validation import StrOptions

from tests.fuzz.odd import odd_values
from tests.fuzz.subjects import SUBJECTS, Subject, arguments_of, folder, required_of

# Seconds after which a call counts as endless.
_TIME_LIMIT = 20
# Bytes that a call may use on top of what the process uses already.
_MEMORY_LIMIT = 4 * 2**30

_ALLOWED_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    MemoryError,
    ImportError,  # an option needs a package that is not installed
)
_ALLOWED_WARNINGS = (
    UserWarning,
    ConvergenceWarning,
    DataConversionWarning,
    EfficiencyWarning,
    FitFailedWarning,
    UndefinedMetricWarning,
)
# Packages that skdeep uses: users of skdeep should not see errors raised in them.
_INSIDES = (
    "joblib",
    "lime",
    "matplotlib",
    "narwhals",
    "numpy",
    "optuna",
    "pandas",
    "polars",
    "scipy",
    "skorch",
    "torch",
)

# The estimators that are passed to subjects, and the code that fits and scores them.
_OF_USERS_ESTIMATOR = ("sklearn/linear_model", "sklearn/model_selection/_validation")

# Messages of scikit-learn about X and y that do not name them.
_SAID_BY_SCIKIT_LEARN = re.compile(
    r"Expected 2D array, got|Found array with|inconsistent numbers of samples"
    r"|Unknown label type|is not fitted yet|feature names|requires y to be passed"
    r"|only available for stochastic|has no attribute|number of samples"
    r"|n_samples="
)


# Other names of arguments in messages of scikit-learn.
_ALIASES = {"y": ["y_true"], "sample_weight": ["Sample weights", "sample weights"]}


class _TooLong(BaseException):
    """The call took longer than the time limit."""


@dataclass
class Case:
    """One call with one or two odd arguments.

    Parameters
    ----------
    subject : Subject
        The function or class that is called.
    method : str or None
        Its method.
    parameters : dict
        Odd parameters of the constructor.
    arguments : dict
        All arguments.
    odd : dict of str to str
        The names of the odd values by argument.
    from_fitted : bool
        Whether the estimator has been fitted before.
    """

    subject: Subject
    method: str | None
    parameters: dict
    arguments: dict
    odd: dict[str, str]
    from_fitted: bool

    def __str__(self):
        told = ", ".join(f"{name}=<{value}>" for name, value in self.odd.items())
        place = self.subject.name
        if self.method:
            place += f".{self.method}"
        elif inspect.ismethod(self.subject.target):
            place += f".{self.subject.target.__name__}"
        others = [name for name in self.arguments if name not in self.odd]
        state = " of a fitted one" if self.from_fitted else ""
        return f"{place}({', '.join([told, *others])}){state}"


@dataclass
class Outcome:
    """The error of a case, if any, and the faults found."""

    case: Case
    error: BaseException | None = None
    faults: list[str] = field(default_factory=list)


def make_case(number: int, seed: int) -> Case:
    """Draw a case. Equal numbers and seeds give the same case."""
    rng = np.random.default_rng([seed, number])
    weights = np.array([subject.weight for subject in SUBJECTS], dtype=float)
    subject = SUBJECTS[rng.choice(len(SUBJECTS), p=weights / weights.sum())]
    method = None
    called = subject.target
    if subject.is_estimator:
        method = _choose_method(subject, rng)
        called = getattr(subject.target, method)
    arguments = _valid_arguments(subject, called, rng)
    odd: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    if method is not None and "fit" in method:
        parameters |= _other_modes(subject, rng)
    for _ in range(1 + (rng.random() < 0.2)):
        _make_odd(subject, called, arguments, parameters, odd, rng)
    from_fitted = method is not None and bool(rng.random() < 0.5)
    return Case(subject, method, parameters, arguments, odd, from_fitted)


def _choose_method(subject: Subject, rng) -> str:
    """Draw a method to call; more than half of the time, one that fits."""
    fits = [m for m in subject.methods if "fit" in m]
    others = [m for m in subject.methods if m not in fits]
    return str(rng.choice(fits if not others or rng.random() < 0.6 else others))


def _valid_arguments(subject: Subject, called, rng) -> dict:
    """Return the required arguments and a random part of the optional ones."""
    needed = _needed_by(subject, called)
    pairs = ("X_val", "y_val")
    with_pair = rng.random() < 0.2
    arguments = {}
    for name in arguments_of(called):
        if name not in subject.values:
            continue
        chosen = with_pair if name in pairs else rng.random() < 0.2
        if name in needed or chosen:
            arguments[name] = subject.valid(name)
    return arguments


def _needed_by(subject: Subject, called) -> list[str]:
    """Return the names of required arguments; y may be one despite its default."""
    names = required_of(called)
    if subject.needs_y and "y" in arguments_of(called) and "y" not in names:
        names = [*names, "y"]
    return names


# Counts that cost time, not memory, when they are large.
_COUNTED = {
    "n_members",
    "n_trials",
    "num_layers",
    "max_iter",
    "n_periods",
}


def _make_odd(subject, called, arguments, parameters, odd, rng) -> None:
    """Replace an argument, or a parameter of the constructor, by an odd value."""
    names = [n for n in arguments_of(called) if n != "self"]
    # Only fits check the parameters, as in scikit-learn.
    is_fit = subject.is_estimator and "fit" in called.__name__
    constructor = arguments_of(subject.target) if is_fit else []
    if constructor and (not names or rng.random() < 0.4):
        name = str(rng.choice(constructor))
        kind, valid = "parameter", _default(subject, name)
        target = parameters
    elif names:
        name = str(rng.choice(names))
        argument = subject.values.get(name)
        kind = "parameter" if argument is None else argument.kind
        valid = arguments.get(name)
        if valid is None and argument is not None:
            valid = subject.valid(name)
        target = arguments
    else:
        return
    values = odd_values(kind, name)
    for chosen in rng.permutation(list(values)):
        try:
            value = values[chosen](valid)
        except Exception:
            continue  # this value has no such variant
        if _is_endless(name, value):
            continue
        target[name] = value
        odd[name] = str(chosen)
        return


def _other_modes(subject: Subject, rng) -> dict:
    """Draw values for some of the parameters that are options or flags."""
    if rng.random() < 0.5:
        return {}
    found = {}
    for name, constraints in subject.target._parameter_constraints.items():
        names = [o for c in constraints if isinstance(c, StrOptions) for o in c.options]
        values = sorted(names) + [True, False] * ("boolean" in constraints)
        if values and name != "compile" and rng.random() < 0.1:
            found[name] = values[rng.integers(len(values))]
    return found


def _is_endless(name: str, value) -> bool:
    if name == "compile":
        return True  # needs a compiler and half a minute
    # The user asked for that much work.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return name in _COUNTED and is_number and value > 1000 and value != float("inf")


def _default(subject: Subject, name: str):
    if name in subject.parameters:
        return subject.parameters[name]
    return inspect.signature(subject.target).parameters[name].default


# -- running ---------------------------------------------------------------------------


@contextlib.contextmanager
def bounds():
    """Limit the memory, and run in a temporary folder."""
    before = os.getcwd()
    os.chdir(folder())
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        if sys.platform == "linux" and not torch.cuda.is_available():
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + _MEMORY_LIMIT
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        os.chdir(before)


@contextlib.contextmanager
def _time_limit():
    def stop(number, frame):
        raise _TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _TIME_LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(number: int, seed: int) -> Outcome:
    """Run a case and judge it."""
    case = make_case(number, seed)
    return judge(case)


def judge(case: Case) -> Outcome:
    """Make the call of a case, and collect what breaks the rule."""
    outcome = Outcome(case)
    given = {**case.arguments, **case.parameters}
    before = {name: fingerprint(value) for name, value in given.items()}
    caught: list = []

    def show(message, category, filename, lineno, file=None, line=None):
        # Warnings of an estimator that was passed in, such as Ridge, do not count.
        frames = traceback.extract_stack()
        if not any(part in f.filename for f in frames for part in _OF_USERS_ESTIMATOR):
            made = warnings.WarningMessage(message, category, filename, lineno)
            caught.append(made)

    with warnings.catch_warnings(), _time_limit():
        warnings.simplefilter("always")
        warnings.showwarning = show
        try:
            call = _call_estimator if case.subject.is_estimator else _call_function
            call(case, outcome)
        except _TooLong:
            outcome.faults.append(f"took more than {_TIME_LIMIT} s")
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            outcome.error = error
            outcome.faults += _faults_of_error(case, error)
    for warning in caught:
        outcome.faults += _faults_of_warning(warning)
    for name, value in given.items():
        if fingerprint(value) != before[name]:
            outcome.faults.append(f"{name} was changed")
    plt.close("all")
    return outcome


def _call_function(case: Case, outcome: Outcome) -> None:
    result = case.subject.target(**case.arguments)
    outcome.faults += _faults_of_result(case, result)


@functools.cache
def _fitted_state(name: str) -> dict:
    """Return the attributes of a fitted estimator."""
    subject = next(s for s in SUBJECTS if s.name == name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = subject.make().fit(*_fit_data(subject))
    return vars(model)


def _fit_data(subject: Subject) -> list:
    names = _needed_by(subject, subject.target.fit)
    return [subject.valid(name) for name in names if name != "self"]


def _make_estimator(case: Case):
    """Make the estimator, fitted if the case needs that."""
    model = case.subject.make(**case.parameters)
    if case.from_fitted or "fit" not in case.method:
        fitted = _fitted_state(case.subject.name)
        chosen = vars(model)
        vars(model).update({k: v for k, v in fitted.items() if k not in chosen})
    return model


def _call_estimator(case: Case, outcome: Outcome) -> None:
    model = _make_estimator(case)
    before = dict(vars(model))
    is_fit = "fit" in case.method
    answered = _answers(case.subject) if case.from_fitted and is_fit else None
    try:
        result = getattr(model, case.method)(**case.arguments)
    except Exception:
        outcome.faults += _faults_after_failing(case, model, before, answered)
        raise
    for name in case.parameters:
        if vars(model)[name] is not case.parameters[name]:
            outcome.faults.append(f"the parameter {name} was changed")
    if not is_fit or case.method == "fit_transform":
        outcome.faults += _faults_of_result(case, result)
    else:
        answer = getattr(model, "predict", None) or model.transform
        X = case.arguments.get("X")  # optional for networks that make their rows
        rows = case.subject.valid("X") if X is None else X
        outcome.faults += _faults_of_result(case, answer(rows))


def _answers(subject: Subject):
    """Return what the fitted estimator of a subject returns for valid data."""
    model = object.__new__(subject.target)
    vars(model).update(_fitted_state(subject.name))
    return _ask(subject, model)


def _ask(subject: Subject, model):
    """Return what an estimator returns for valid data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method = model.predict if hasattr(model, "predict") else model.transform
        return np.array(method(subject.valid("X")))


def _faults_after_failing(case: Case, model, before: dict, answered) -> list[str]:
    """Return how a failed call has changed the estimator."""
    after = dict(vars(model))
    new = sorted(set(after) - set(before))
    faults = [f"a call that failed has set {', '.join(new)}"] if new else []
    if answered is None:
        return faults
    lost = sorted(set(before) - set(after))
    if lost:
        faults.append(f"a call that failed has lost {', '.join(lost)}")
    vars(model).update(
        {n: _fitted_state(case.subject.name)[n] for n in case.parameters}
    )
    try:
        same = np.array_equal(_ask(case.subject, model), answered, equal_nan=True)
    except Exception as error:
        same = False
        faults.append(f"after a call that failed, it answers {error!r}")
    if not same:
        faults.append("a call that failed has changed the fitted estimator")
    return faults


# -- judging ---------------------------------------------------------------------------


def _faults_of_error(case: Case, error: BaseException) -> list[str]:
    if isinstance(error, MemoryError):
        return []
    text = "\n".join([str(error), *getattr(error, "__notes__", [])])
    if _is_of_users_estimator(error) or _is_of_file(case, error, text):
        return []
    if isinstance(error, IndexError) and re.search(r"^row must be", text):
        return []  # a position out of range, as for a list
    if not isinstance(error, _ALLOWED_ERRORS):
        return [f"{type(error).__name__} is not of scikit-learn's kinds: {text}"]
    faults = []
    if not _names_argument(case, text):
        faults.append(f"{type(error).__name__} names no argument: {text}")
    inside = _innermost_package(error)
    has_note = hasattr(error, "__notes__")  # the note says which user code was called
    if inside in _INSIDES and not has_note:
        faults.append(f"{type(error).__name__} comes from inside {inside}: {text}")
    return faults


def _is_of_users_estimator(error: BaseException) -> bool:
    """Return whether user code has raised: an estimator or a function passed in."""
    frames = traceback.extract_tb(error.__traceback__)
    is_lambda = frames[-1].filename.endswith("odd.py")
    return is_lambda or any(_OF_USERS_ESTIMATOR[0] in f.filename for f in frames)


def _is_of_file(case: Case, error: BaseException, text: str) -> bool:
    """Return whether the error is about a file and shows its name."""
    paths = [n for n, a in case.subject.values.items() if a.kind == "path"]
    given = [str(case.arguments.get(name)) for name in paths]
    if any(path in text for path in given if path):
        return isinstance(error, (OSError, ValueError))
    return isinstance(error, OSError) and error.filename is not None


def _names_argument(case: Case, text: str) -> bool:
    if _SAID_BY_SCIKIT_LEARN.search(text):
        return True
    names = set(arguments_of(case.subject.target)) | set(case.arguments)
    names |= {alias for name in case.arguments for alias in _ALIASES.get(name, ())}
    if case.subject.is_estimator:
        names |= set(arguments_of(getattr(case.subject.target, case.method)))
    aliases = {n: (n, n.removesuffix("s")) for n in names}
    words = {word for name in names for word in aliases[name]}
    return any(re.search(rf"(?<!\w){re.escape(w)}(?!\w)", text) for w in words)


def _innermost_package(error: BaseException) -> str:
    """Return the package in which an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    parts = frames[-1].filename.split(os.sep) if frames else []
    if "site-packages" not in parts:
        return ""
    return parts[parts.index("site-packages") + 1]


def _faults_of_warning(warning) -> list[str]:
    text = f"{warning.category.__name__} at {warning.filename}:{warning.lineno}: "
    text += str(warning.message)
    if warning.category not in _ALLOWED_WARNINGS:
        return [f"a warning of its insides, {text}"]
    parts = warning.filename.split(os.sep)
    inside = parts[parts.index("site-packages") + 1] if "site-packages" in parts else ""
    if inside in _INSIDES or "skdeep" in parts:
        return [f"a warning that points at no line of the user's, {text}"]
    return []


def _faults_of_result(case: Case, result) -> list[str]:
    if case.subject.may_hold_nan or case.method == "predict_log_proba":
        return []
    parts = result if isinstance(result, (list, tuple)) else [result]
    for part in parts:
        try:
            values = np.asarray(part)
        except Exception:
            continue
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            return [f"NaN or infinity in what it returned, {part!r}"]
    return []


# -- fingerprints ----------------------------------------------------------------------


def fingerprint(value) -> Any:
    """Return a value that changes if the argument is modified in place."""
    if isinstance(value, np.ndarray):
        data = repr(value.tolist()) if value.dtype.hasobject else value.tobytes()
        return (str(value.dtype), value.shape, value.flags.writeable, data)
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.is_sparse:
            return repr(value)
        flags = value.requires_grad, value.grad is None, str(value.dtype)
        return (*flags, repr(value.detach().tolist()))
    if sparse.issparse(value):
        parts = (value.coords, value.data) if value.ndim > 2 else value.todok(copy=True)
        return (type(value), value.shape, value.dtype, repr(parts))
    if isinstance(value, pd.DataFrame):
        columns = [fingerprint(value.iloc[:, i]) for i in range(value.shape[1])]
        return (
            _fingerprint_index(value.columns),
            _fingerprint_index(value.index),
            columns,
        )
    if isinstance(value, (pd.Series, pd.Index)):
        index = getattr(value, "index", None)
        shown = None if index is None else _fingerprint_index(index)
        return (str(value.dtype), value.name, shown, repr(value.tolist()))
    if isinstance(value, (pl.DataFrame, pl.Series)):
        is_frame = isinstance(value, pl.DataFrame)
        # As text, because NaN is not equal to itself.
        return repr(value.to_dict(as_series=False) if is_frame else value.to_list())
    if isinstance(value, dict):
        return {str(k): fingerprint(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [fingerprint(v) for v in value]
    if isinstance(value, BaseEstimator):
        return repr(value), sorted(vars(value))
    if isinstance(value, (int, float, str, bytes, complex)):
        return repr(value)
    return None  # cannot be modified in place


def _fingerprint_index(index: pd.Index):
    return (type(index).__name__, list(map(str, index.names)), repr(index.tolist()))
