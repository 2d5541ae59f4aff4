"""What decisions cost: the user's alpha, costs of rows or matrix, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from reprlib import repr as short

import numpy as np
import pandas as pd
from scipy import sparse

from skdeep._input_checks import tensor_to_numpy

# How many labels a message names.
_SHOWN = 6

# Sums of numbers as large as this, and products of two, are still finite.
LARGEST_COST = 1e150


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
        A frame goes by its labels, an array by position.
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
    factor = check_alpha(alpha)
    if cost_matrix is not None:
        _refuse_with_matrix(alpha, fp_cost, fn_cost)
        costs = check_cost_matrix(cost_matrix, classes)[None]
    elif len(classes) == 2:
        fp = factor * _check_row_costs(fp_cost, "fp_cost", n_samples)
        fn = _check_row_costs(fn_cost, "fn_cost", n_samples)
        refuse_large(fp, f"alpha={alpha!r} times fp_cost")
        costs = np.zeros((max(len(fp), len(fn)), 2, 2))
        positive = positive_code(classes, pos_label)
        costs[:, 1 - positive, positive] = fp
        costs[:, positive, 1 - positive] = fn
    else:
        _refuse_with_classes(classes, alpha, fp_cost, fn_cost, pos_label)
        costs = 1.0 - np.eye(len(classes))[None]
    if abstain_cost is None:
        return costs
    abstain_cost = _check_abstain_cost(abstain_cost)
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


# -- matrices --------------------------------------------------------------------------


def check_cost_matrix(cost_matrix, classes) -> np.ndarray:
    """Return a cost matrix as numbers, (n_classes, n_classes), in the order of classes.

    Raises
    ------
    ValueError
        If it has another shape, labels that are not the classes, holds what is no cost,
        or makes a right decision dearer than a wrong one.
    """
    labels = matrix_labels(cost_matrix)
    n_classes, costs = len(classes), check_numbers(cost_matrix, "cost_matrix")
    if labels is not None and costs.shape == tuple(map(len, labels)):
        costs = costs[np.ix_(*_places_in(cost_matrix, labels, classes))]
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


def matrix_labels(cost_matrix) -> tuple[list, list] | None:
    """Return the labels of a frame's rows and columns, None if it has none.

    Labels that pandas and polars give by themselves, 0, 1, ... and "column_0", ..., are
    none. A frame of polars has no index: its rows are in the order of its columns.
    """
    if isinstance(cost_matrix, Mapping):
        # Whether its keys are true classes or decisions cannot be seen.
        raise ValueError(
            "cost_matrix must be an array or a DataFrame, got the dict "
            f"{short(cost_matrix)}. pandas.DataFrame.from_dict(..., orient='index') "
            "takes the keys for the true classes."
        )
    columns = getattr(cost_matrix, "columns", None)
    if columns is None:
        return None
    if not _has_index(cost_matrix):
        default = [f"column_{j}" for j in range(len(columns))]
        return None if list(columns) == default else (list(columns), list(columns))
    if _is_default(cost_matrix.index) and _is_default(columns):
        return None
    return list(cost_matrix.index), list(columns)


def _has_index(frame) -> bool:
    return getattr(frame, "index", None) is not None


def _is_default(index) -> bool:
    """Say whether these are the labels that pandas gives if it is given none."""
    default = pd.RangeIndex(len(index))
    return isinstance(index, pd.RangeIndex) and index.equals(default)


def _places_in(frame, labels: tuple[list, list], classes) -> list[list[int]]:
    """Return where each class stands among the rows and the columns of a frame."""
    known = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    if not _has_index(frame):
        known = [str(label) for label in known]  # polars has no other names
    sides = ("index (the true classes)", "columns (the decisions)")
    return [
        _places(found, known, side) for found, side in zip(labels, sides, strict=True)
    ]


def _places(found: list, known: list, where: str) -> list[int]:
    """Return where each class stands among the labels found."""
    places = {label: place for place, label in enumerate(found)}
    missing = [label for label in known if label not in places]
    unknown = [label for label in places if label not in set(known)]
    odd = {"missing": missing, "unknown": unknown}
    if len(places) < len(found):
        odd["given twice"] = [label for label in places if found.count(label) > 1]
    if any(odd.values()):
        told = [f"{what}: {listed(labels)}" for what, labels in odd.items() if labels]
        raise ValueError(
            f"cost_matrix must name each class once in its {where}, but the classes "
            f"are {listed(known)}; {', '.join(told)}."
        )
    return [places[label] for label in known]


# -- numbers ---------------------------------------------------------------------------


def check_numbers(values, name: str, what: str = "numbers") -> np.ndarray:
    """Return what a user gave as an array of floats; `what` it is to hold.

    Raises
    ------
    ValueError
        If it holds anything but real numbers, or is sparse.
    """
    if sparse.issparse(values):
        raise ValueError(f"{name} must be dense, got {short(values)}; use .toarray().")
    values = tensor_to_numpy(values, name)
    try:
        array = np.asarray(values)
        if _holds_no_numbers(array):
            raise TypeError(f"it holds {array.dtype} values")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise ValueError(
            f"{name} must hold {what}, got {short(values)}: {error}"
        ) from error


def _holds_no_numbers(array: np.ndarray) -> bool:
    """Say whether there is text that looks like numbers, or half of a number."""
    if array.dtype.kind == "O":
        return any(isinstance(x, (str, bytes, complex)) for x in array.ravel())
    return array.dtype.kind not in "biuf"


def _as_float(number: Real) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer beyond all floats
        return np.inf


def check_alpha(alpha) -> float:
    """Return alpha, a finite number above 0, as a float."""
    if not isinstance(alpha, Real) or not 0 < _as_float(alpha) <= LARGEST_COST:
        raise ValueError(
            f"alpha must be a finite number above 0, {LARGEST_COST:g} at most, got "
            f"{short(alpha)}."
        )
    return float(alpha)


def _check_abstain_cost(cost) -> float:
    if not isinstance(cost, Real) or not 0 <= _as_float(cost) <= LARGEST_COST:
        raise ValueError(
            f"abstain_cost must be a finite number, 0 or above, {LARGEST_COST:g} at "
            f"most, got {short(cost)}."
        )
    return float(cost)


def _check_row_costs(costs, name: str, n_samples: int | None) -> np.ndarray:
    """Return the costs of rows, (n_samples,), or [1.0] if there are none."""
    if costs is None:
        return np.ones(1)
    costs = check_numbers(costs, name, "a number for each row")
    if costs.ndim != 1:
        raise ValueError(
            f"{name} must hold a number for each row, 1-D, got the shape {costs.shape}."
        )
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
    refuse_large(costs, name)


def refuse_large(values: np.ndarray, name: str) -> None:
    """Refuse numbers (n,) so large that their sums would be infinite."""
    too_large = np.asarray(values, dtype=np.float64) > LARGEST_COST
    if too_large.any():
        at = int(np.argmax(too_large))
        raise ValueError(
            f"{name} must hold numbers of {LARGEST_COST:g} at most, or sums of them "
            f"overflow; got {values[at]} at position {at}."
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
