"""What a fit that fails or is interrupted leaves to its caller."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

# Packages that run many jobs, in processes of their own too.
_RUN_JOBS = {"concurrent", "joblib", "multiprocessing", "optuna"}
# Modules of scikit-learn that do no more than pass a call on. The others fit several
# times, or use the fitted estimator afterwards.
_PASS_ON = (
    "sklearn.base",
    "sklearn.callback",
    "sklearn.compose._target",
    "sklearn.pipeline",
    "sklearn.utils",
)
_PARALLEL = "sklearn.utils.parallel"
# Estimators that have nothing left to do once their last step is fitted.
_WRAPPERS = (Pipeline, TransformedTargetRegressor)


def is_outermost_fit() -> bool:
    """Say whether the calling fit is not part of a larger computation.

    The stack of the calling thread is searched for another estimator, such as a search
    or an ensemble, and for functions that fit repeatedly, such as `cross_val_score`.
    A user's own loop counts for nothing: what it does with a fit is not known.

    Returns
    -------
    is_outermost : bool
        Whether the user called ``fit``, directly or through a Pipeline or a
        TransformedTargetRegressor around the estimator.
    """
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
    """Return the object whose method runs in a frame; None in a function."""
    is_method = frame.f_code.co_varnames[:1] == ("self",)
    return frame.f_locals.get("self") if is_method else None


def _is_estimator(value) -> bool:
    # Of the class: instances may have a costly ``__getattr__``.
    return all(hasattr(type(value), name) for name in ("fit", "get_params"))


def _fits_repeatedly(frame: FrameType, caller) -> bool:
    """Say whether a frame belongs to what goes on after a fit inside of it."""
    module, function = frame.f_globals.get("__name__") or "", frame.f_code.co_name
    package = module.partition(".")[0]
    if package == "sklearn" and not module.startswith(_PASS_ON):
        return True
    is_early_step = isinstance(caller, Pipeline) and function == "_fit"
    is_population = package == "skdeep" and function == "train_together"
    return package in _RUN_JOBS or module == _PARALLEL or is_early_step or is_population


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
