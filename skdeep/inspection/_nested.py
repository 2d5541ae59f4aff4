"""Estimators inside others."""

from __future__ import annotations

# Attributes of searches, TransformedTargetRegressor and threshold classifiers that hold
# the estimator before and after fit.
_UNFITTED = ("estimator", "regressor")
_FITTED = ("best_estimator_", "regressor_", "estimator_")


def innermost(estimator):
    """Return the estimator that predicts, inside pipelines, searches and wrappers.

    If a wrapper has fitted several estimators, this is the one it has cloned, which may
    not be fitted.
    """
    while True:
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
            continue
        attribute = next((name for name in _FITTED if hasattr(estimator, name)), None)
        if attribute is not None:
            estimator = getattr(estimator, attribute)
        elif hasattr(estimator, "estimators_") and hasattr(estimator, "estimator"):
            members = estimator.estimators_
            estimator = members[0] if len(members) == 1 else estimator.estimator
        else:
            return estimator


def innermost_unfitted(estimator):
    """Return the estimator that will be trained inside pipelines and wrappers."""
    while True:
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
            continue
        name = next((name for name in _UNFITTED if hasattr(estimator, name)), None)
        if name is None:
            return estimator
        estimator = getattr(estimator, name)


def outermost_output(estimator, rows):
    """Return rows of the innermost estimator as inputs of the outermost one.

    None if a step before it has no ``inverse_transform``.
    """
    before = []
    while True:
        if hasattr(estimator, "steps"):
            if len(estimator.steps) > 1:
                before.append(estimator[:-1])
            estimator = estimator.steps[-1][1]
            continue
        attribute = next((name for name in _FITTED if hasattr(estimator, name)), None)
        if attribute is None:
            break
        estimator = getattr(estimator, attribute)
    if not all(hasattr(steps, "inverse_transform") for steps in before):
        return None
    for steps in reversed(before):
        rows = steps.inverse_transform(rows)
    return rows


def innermost_input(estimator, X):
    """Return what the estimator that predicts gets for X: the pipelines' output."""
    while True:
        if hasattr(estimator, "steps"):
            if len(estimator.steps) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator.steps[-1][1]
            continue
        attribute = next((name for name in _FITTED if hasattr(estimator, name)), None)
        if attribute is None:
            return X
        estimator = getattr(estimator, attribute)
