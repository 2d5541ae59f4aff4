"""What decisions cost: the user's alpha, costs of rows or matrix, as one table."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.utils import column_or_1d

# How many labels a message names.
_SHOWN = 6


def cost_table(
    classes,
    *,
    alpha: float = 1.0,
    fp_cost=None,
    fn_cost=None,
    cost_matrix=None,
    abstain_cost: float | None = None,
    pos_label=None,
    n_samples: int | None = None,
) -> np.ndarray:
    """Return what each decision costs for each class that may be the true one.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        The classes, in the order of the table.
    alpha : float
        What a false positive costs where a false negative costs 1.
    fp_cost, fn_cost : array-like of shape (n_samples,), optional
        What a false positive (times ``alpha``) and a false negative cost in each row.
    cost_matrix : array-like of shape (n_classes, n_classes), optional
        Cost of each decision (columns) for each true class (rows), in place of alpha.
    abstain_cost : float, optional
        What it costs to abstain, which is then one more decision, the last.
    pos_label : object, optional
        The positive one of two classes; the second unless given.
    n_samples : int, optional
        Number of rows that costs of rows are for.

    Returns
    -------
    costs : ndarray of shape (n_samples or 1, n_classes, n_decisions)
        One table for all rows where they do not differ.

    Raises
    ------
    ValueError
        Naming the argument and the value that is not as it should be.
    """
    _check_alpha(alpha)
    if cost_matrix is not None:
        _refuse_with_matrix(alpha, fp_cost, fn_cost)
        costs = check_cost_matrix(cost_matrix, len(classes))[None]
    elif len(classes) == 2:
        fp = alpha * _check_row_costs(fp_cost, "fp_cost", n_samples)
        fn = _check_row_costs(fn_cost, "fn_cost", n_samples)
        costs = np.zeros((max(len(fp), len(fn)), 2, 2))
        positive = positive_code(classes, pos_label)
        costs[:, 1 - positive, positive] = fp
        costs[:, positive, 1 - positive] = fn
    else:
        _refuse_with_classes(classes, alpha, fp_cost, fn_cost, pos_label)
        costs = 1.0 - np.eye(len(classes))[None]
    if abstain_cost is None:
        return costs
    _check_abstain_cost(abstain_cost)
    return np.pad(costs, [(0, 0), (0, 0), (0, 1)], constant_values=abstain_cost)


def bayes_threshold(fp, fn) -> np.ndarray:
    """Return the least probability at which "positive" is the cheaper decision.

    It is fp / (fp + fn) in each row, and 1/2 where neither mistake costs anything.
    """
    total = fp + fn
    return np.divide(fp, total, out=np.full(len(fp), 0.5), where=total > 0)


def positive_code(classes, pos_label) -> int:
    """Return which of two classes is the positive one: the second unless told."""
    if pos_label is None:
        return 1
    found = [code for code, label in enumerate(classes) if label == pos_label]
    if not found:
        raise ValueError(
            f"pos_label={pos_label!r} is not a class: y holds {listed(classes)}."
        )
    return found[0]


def check_cost_matrix(cost_matrix, n_classes: int) -> np.ndarray:
    """Return a cost matrix as numbers, (n_classes, n_classes).

    Raises
    ------
    ValueError
        If it has another shape, holds what is no cost, or makes a right decision dearer
        than a wrong one.
    """
    try:
        costs = np.asarray(cost_matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"cost_matrix must hold numbers, got {cost_matrix!r}."
        ) from error
    if costs.shape != (n_classes, n_classes):
        raise ValueError(
            f"cost_matrix must be of shape ({n_classes}, {n_classes}), a row for each "
            f"true class and a column for each decision, got the shape {costs.shape}."
        )
    _refuse_non_costs(costs.ravel(), "cost_matrix")
    right = np.diag(costs)
    if (costs < right[:, None]).any():
        code = int(np.flatnonzero((costs < right[:, None]).any(1))[0])
        raise ValueError(
            "cost_matrix must not make a right decision dearer than a wrong one: row "
            f"{code} is {costs[code].tolist()}."
        )
    return costs


def _check_alpha(alpha) -> None:
    if not isinstance(alpha, Real) or not 0 < float(alpha) < np.inf:
        raise ValueError(f"alpha must be a finite number above 0, got {alpha!r}.")


def _check_abstain_cost(abstain_cost) -> None:
    if not isinstance(abstain_cost, Real) or not 0 <= float(abstain_cost) < np.inf:
        raise ValueError(
            f"abstain_cost must be a finite number, 0 or above, got {abstain_cost!r}."
        )


def _check_row_costs(costs, name: str, n_samples: int | None) -> np.ndarray:
    """Return the costs of rows, (n_samples,), or [1.0] if there are none."""
    if costs is None:
        return np.ones(1)
    try:
        costs = column_or_1d(costs).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold a number for each row: {error}") from error
    if n_samples is not None and len(costs) != n_samples:
        raise ValueError(
            f"{name} must hold a cost for each of the {n_samples} rows, got "
            f"{len(costs)}."
        )
    _refuse_non_costs(costs, name)
    return costs


def _refuse_non_costs(costs: np.ndarray, name: str) -> None:
    bad = ~np.isfinite(costs) | (costs < 0)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{name} must hold finite numbers, 0 or above, net of what the right "
            f"decision costs; got {costs[at]} at position {at}."
        )


def _refuse_with_matrix(alpha, fp_cost, fn_cost) -> None:
    given = [
        name
        for name, value in {"fp_cost": fp_cost, "fn_cost": fn_cost}.items()
        if value is not None
    ]
    if alpha != 1:
        given.insert(0, f"alpha={alpha!r}")
    if given:
        raise ValueError(
            f"cost_matrix holds every cost; {' and '.join(given)} cannot be given too."
        )


def _refuse_with_classes(classes, alpha, fp_cost, fn_cost, pos_label) -> None:
    given = {"fp_cost": fp_cost, "fn_cost": fn_cost, "pos_label": pos_label}
    names = [name for name, value in given.items() if value is not None]
    if alpha != 1:
        names.insert(0, f"alpha={alpha!r}")
    if names:
        raise ValueError(
            f"{' and '.join(names)} can only be given for two classes, but y holds "
            f"{len(classes)}: {listed(classes)}. Give a cost_matrix."
        )


def listed(labels) -> str:
    """Return labels as text for a message, the first few of them."""
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    shown = ", ".join(repr(label) for label in labels[:_SHOWN])
    return shown + (", ..." if len(labels) > _SHOWN else "")
