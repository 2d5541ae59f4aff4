"""The state that a failed or interrupted fit leaves behind."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

# Packages that run many jobs, also in worker processes.
_JOB_PACKAGES = {"concurrent", "joblib", "multiprocessing", "optuna"}
# Modules of scikit-learn that only forward a call. The others fit several times, or use
# the fitted estimator afterwards.
_FORWARDING_MODULES = (
    "sklearn.base",
    "sklearn.callback",
    "sklearn.compose._target",
    "sklearn.pipeline",
    "sklearn.utils",
)
_PARALLEL = "sklearn.utils.parallel"
# Estimators with nothing left to do after their last step is fitted.
_WRAPPERS = (Pipeline, TransformedTargetRegressor)


def is_outermost_fit() -> bool:
    """Return whether the calling fit is not part of a larger computation.

    After Ctrl-C an outermost fit keeps the network trained so far. Within a larger
    computation that would pass an unfinished network off as a finished one.

    The stack of the calling thread is searched for another estimator, such as a search
    or an ensemble, and for functions that fit repeatedly, such as `cross_val_score`.
    A loop in user code is not recognized.

    Returns
    -------
    is_outermost : bool
        Whether the user called ``fit``, directly or through a Pipeline or a
        TransformedTargetRegressor around the estimator.
    """
    # A job runs in its own thread, whose stack begins with frames of joblib.
    fitted = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        caller = _self_of(frame)
        if _fits_repeatedly(frame, caller):
            return False
        if _is_estimator(caller) and not isinstance(caller, _WRAPPERS):
            fitted = caller if fitted is None else fitted
            if caller is not fitted:
                return False
        frame = frame.f_back
    return True


def _self_of(frame: FrameType) -> Any:
    """Return the object whose method runs in a frame; None for a function."""
    is_method = frame.f_code.co_varnames[:1] == ("self",)
    return frame.f_locals.get("self") if is_method else None


def _is_estimator(value) -> bool:
    # Looked up on the class: instances may have a costly ``__getattr__``.
    return all(hasattr(type(value), name) for name in ("fit", "get_params"))


def _fits_repeatedly(frame: FrameType, caller) -> bool:
    """Return whether a frame belongs to code that continues after a nested fit."""
    module, function = frame.f_globals.get("__name__") or "", frame.f_code.co_name
    package = module.partition(".")[0]
    if package == "sklearn" and not module.startswith(_FORWARDING_MODULES):
        return True
    is_early_step = isinstance(caller, Pipeline) and function == "_fit"
    return package in _JOB_PACKAGES or module == _PARALLEL or is_early_step


@contextlib.contextmanager
def all_or_nothing(
    estimator, failures: type[BaseException] = BaseException
) -> Iterator[None]:
    """Restore the attributes of an estimator if its fit fails.

    Parameters
    ----------
    estimator : estimator
        The estimator whose fit runs inside the ``with`` block.
    failures : type of exception, default=BaseException
        Exceptions after which the attributes are restored.
    """
    # A shallow copy: a fit must replace attributes, never change them in place.
    before = dict(vars(estimator))
    try:
        yield
    except failures:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
