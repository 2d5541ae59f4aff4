"""The cost table: alpha, row costs or a cost matrix as one array of costs."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from reprlib import repr as short

import numpy as np
import pandas as pd
from scipy import sparse

from skdeep._input_checks import tensor_to_numpy

# Messages name at most this many labels.
_MAX_LABELS_SHOWN = 6

# The product of two costs, and sums of many of them, must stay below 1.8e308.
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
    """Return the cost of each decision for each true class.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        The classes, in the order of the table.
    alpha : float
        Cost of a false positive; a false negative costs 1.
    fp_cost, fn_cost : array-like of shape (n_samples,), optional
        Cost of a false positive (multiplied by ``alpha``) and of a false negative in
        each row.
    cost_matrix : array-like of shape (n_classes, n_classes), optional
        Cost of each decision (columns) for each true class (rows); replaces ``alpha``.
        A data frame is matched by its labels, an array by position.
    abstain_cost : float, optional
        Cost of abstaining, which becomes one more decision, the last.
    pos_label : object, optional
        The positive class of two classes; by default the second.
    n_samples : int, optional
        Required length of ``fp_cost`` and ``fn_cost``.

    Returns
    -------
    costs : ndarray of shape (n_samples or 1, n_classes, n_decisions)
        A single table (first axis of length 1) if the costs are the same in all rows.

    Raises
    ------
    ValueError
        If an argument is invalid; the message names the argument and the value.
    """
    factor = check_alpha(alpha)
    if cost_matrix is not None:
        _check_matrix_alone(alpha, fp_cost, fn_cost)
        costs = check_cost_matrix(cost_matrix, classes)[None]
    elif len(classes) == 2:
        fp = factor * _check_row_costs(fp_cost, "fp_cost", n_samples)
        fn = _check_row_costs(fn_cost, "fn_cost", n_samples)
        check_magnitude(fp, f"alpha={alpha!r} times fp_cost")
        costs = np.zeros((max(len(fp), len(fn)), 2, 2))
        positive = positive_index(classes, pos_label)
        costs[:, 1 - positive, positive] = fp
        costs[:, positive, 1 - positive] = fn
    else:
        _check_multiclass_arguments(classes, alpha, fp_cost, fn_cost, pos_label)
        costs = 1.0 - np.eye(len(classes))[None]
    if abstain_cost is None:
        return costs
    abstain_cost = _check_abstain_cost(abstain_cost)
    return np.pad(costs, [(0, 0), (0, 0), (0, 1)], constant_values=abstain_cost)


def bayes_threshold(fp, fn) -> np.ndarray:
    """Return the smallest probability at which "positive" is the cheaper decision.

    It is fp / (fp + fn) in each row, and 1/2 where both errors are free.
    """
    total = fp + fn
    return np.divide(fp, total, out=np.full(len(fp), 0.5), where=total > 0)


def positive_index(classes, pos_label) -> int:
    """Return the index of the positive class, by default the second of two."""
    if pos_label is None:
        return 1
    found = [code for code, label in enumerate(classes) if label == pos_label]
    if not found:
        raise ValueError(
            f"pos_label={pos_label!r} is not a class: y holds {join_labels(classes)}."
        )
    return found[0]


# -- matrices --------------------------------------------------------------------------


def check_cost_matrix(cost_matrix, classes) -> np.ndarray:
    """Return a cost matrix as floats, (n_classes, n_classes), in the order of classes.

    Raises
    ------
    ValueError
        If its shape is wrong, its labels are not the classes, an entry is not a valid
        cost, or a correct decision costs more than a wrong one.
    """
    labels = matrix_labels(cost_matrix)
    n_classes, costs = len(classes), check_numbers(cost_matrix, "cost_matrix")
    if labels is not None and costs.shape == tuple(map(len, labels)):
        costs = costs[np.ix_(*_positions_by_side(cost_matrix, labels, classes))]
    if costs.shape != (n_classes, n_classes):
        raise ValueError(
            f"cost_matrix must have shape ({n_classes}, {n_classes}), a row for each "
            f"true class and a column for each decision, got shape {costs.shape}."
        )
    _check_costs(costs.ravel(), "cost_matrix")
    right = np.diag(costs)
    if (costs < right[:, None]).any():
        code = int(np.flatnonzero((costs < right[:, None]).any(1))[0])
        raise ValueError(
            "A correct decision must not cost more than a wrong one in cost_matrix: "
            f"row {code} is {costs[code].tolist()}."
        )
    return costs


def matrix_labels(cost_matrix) -> tuple[list, list] | None:
    """Return the labels of a data frame's rows and columns, None if it has none.

    The default labels of pandas and polars, 0, 1, ... and "column_0", ..., do not
    count. A polars frame has no index: its rows are in the order of its columns.
    """
    if isinstance(cost_matrix, Mapping):
        # Its keys could be the true classes or the decisions.
        raise ValueError(
            "cost_matrix must be an array or a DataFrame, got the dict "
            f"{short(cost_matrix)}. pandas.DataFrame.from_dict(..., orient='index') "
            "makes the keys the true classes."
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
    """Check whether an index is the one that pandas creates by default."""
    default = pd.RangeIndex(len(index))
    return isinstance(index, pd.RangeIndex) and index.equals(default)


def _positions_by_side(frame, labels: tuple[list, list], classes) -> list[list[int]]:
    """Return the position of each class among the rows and the columns of a frame."""
    known = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    if not _has_index(frame):
        known = [str(label) for label in known]  # polars column names are strings
    sides = ("index (the true classes)", "columns (the decisions)")
    return [
        _positions(found, known, side)
        for found, side in zip(labels, sides, strict=True)
    ]


def _positions(found: list, known: list, side: str) -> list[int]:
    """Return the position of each known class among the labels found."""
    positions = {label: position for position, label in enumerate(found)}
    wrong = {
        "missing": [label for label in known if label not in positions],
        "unknown": [label for label in positions if label not in set(known)],
    }
    if len(positions) < len(found):
        wrong["repeated"] = [label for label in positions if found.count(label) > 1]
    if any(wrong.values()):
        problems = [
            f"{what}: {join_labels(labels)}" for what, labels in wrong.items() if labels
        ]
        raise ValueError(
            f"cost_matrix must name each class once in its {side}. The classes are "
            f"{join_labels(known)}; {', '.join(problems)}."
        )
    return [positions[label] for label in known]


# -- numbers ---------------------------------------------------------------------------


def check_numbers(values, name: str, what: str = "numbers") -> np.ndarray:
    """Convert an argument to an array of floats.

    Parameters
    ----------
    values : array-like
        The argument.
    name : str
        Its name, for messages.
    what : str
        What it must hold, for messages.

    Raises
    ------
    ValueError
        If it is sparse or holds anything but real numbers.
    """
    if sparse.issparse(values):
        raise ValueError(f"{name} must be dense, got {short(values)}; use .toarray().")
    values = tensor_to_numpy(values, name)
    try:
        array = np.asarray(values)
        if not _is_real(array):
            raise TypeError(f"it holds {array.dtype} values")
        return array.astype(np.float64)
    # RuntimeError: torch tensors that cannot be converted.
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise ValueError(
            f"{name} must hold {what}, got {short(values)}: {error}"
        ) from error


def _is_real(array: np.ndarray) -> bool:
    """Check that an array holds real numbers.

    ``astype(float)`` alone would convert the string "1" and drop imaginary parts.
    """
    if array.dtype.kind == "O":
        return not any(isinstance(x, (str, bytes, complex)) for x in array.ravel())
    return array.dtype.kind in "biuf"


def _as_float(number: Real) -> float:
    try:
        return float(number)
    except OverflowError:  # an int larger than the largest float
        return np.inf


def check_alpha(alpha) -> float:
    """Return alpha as a float; raise if it is not a finite number above 0."""
    if not isinstance(alpha, Real) or not 0 < _as_float(alpha) <= LARGEST_COST:
        raise ValueError(
            f"alpha must be a finite number above 0 and at most {LARGEST_COST:g}, got "
            f"{short(alpha)}."
        )
    return float(alpha)


def _check_abstain_cost(cost) -> float:
    if not isinstance(cost, Real) or not 0 <= _as_float(cost) <= LARGEST_COST:
        raise ValueError(
            f"abstain_cost must be a number from 0 to {LARGEST_COST:g}, got "
            f"{short(cost)}."
        )
    return float(cost)


def _check_row_costs(costs, name: str, n_samples: int | None) -> np.ndarray:
    """Return the row costs as floats, (n_samples,), or [1.0] if there are none."""
    if costs is None:
        return np.ones(1)
    costs = check_numbers(costs, name, "a number for each row")
    if costs.ndim != 1:
        raise ValueError(
            f"{name} must hold a number for each row (1-D), got shape {costs.shape}."
        )
    if n_samples is not None and len(costs) != n_samples:
        raise ValueError(
            f"{name} must hold a cost for each of the {n_samples} rows, got "
            f"{len(costs)}."
        )
    _check_costs(costs, name)
    return costs


def _check_costs(costs: np.ndarray, name: str) -> None:
    bad = ~np.isfinite(costs) | (costs < 0)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{name} must hold finite numbers >= 0, net of the cost of the correct "
            f"decision, got {costs[at]} at position {at}."
        )
    check_magnitude(costs, name)


def check_magnitude(values: np.ndarray, name: str) -> None:
    """Raise if numbers (n,) are so large that their sum could overflow."""
    too_large = np.asarray(values, dtype=np.float64) > LARGEST_COST
    if too_large.any():
        at = int(np.argmax(too_large))
        raise ValueError(
            f"{name} must hold numbers of at most {LARGEST_COST:g}, larger ones "
            f"overflow when summed; got {values[at]} at position {at}."
        )


def _check_matrix_alone(alpha, fp_cost, fn_cost) -> None:
    given = [
        name
        for name, value in {"fp_cost": fp_cost, "fn_cost": fn_cost}.items()
        if value is not None
    ]
    if alpha != 1:
        given.insert(0, f"alpha={alpha!r}")
    if given:
        raise ValueError(
            f"cost_matrix replaces the other costs: {' and '.join(given)} cannot be "
            "given too."
        )


def _check_multiclass_arguments(classes, alpha, fp_cost, fn_cost, pos_label) -> None:
    given = {"fp_cost": fp_cost, "fn_cost": fn_cost, "pos_label": pos_label}
    names = [name for name, value in given.items() if value is not None]
    if alpha != 1:
        names.insert(0, f"alpha={alpha!r}")
    if names:
        raise ValueError(
            f"{' and '.join(names)} can only be given for two classes, but y holds "
            f"{len(classes)}: {join_labels(classes)}. Use cost_matrix instead."
        )


def join_labels(labels) -> str:
    """Return the first labels as text for a message."""
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    shown = ", ".join(repr(label) for label in labels[:_MAX_LABELS_SHOWN])
    return shown + (", ..." if len(labels) > _MAX_LABELS_SHOWN else "")
