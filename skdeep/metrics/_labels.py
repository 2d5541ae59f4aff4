"""Checking labels and encoding them as class indices."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from reprlib import repr as short

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d

from skdeep._input_checks import tensor_to_numpy
from skdeep.encoding import check_magnitude, check_row_weight, join_labels

# Placeholder for the second class if the rows hold only one.
OTHER_CLASS = "(another class)"


def check_column(values, name: str, what: str) -> np.ndarray:
    """Return an argument as an array, (n_samples,).

    Parameters
    ----------
    values : array-like
        The argument.
    name : str
        Its name, for messages.
    what : str
        A description of valid values, for messages.
    """
    given = tensor_to_numpy(values, name)
    try:
        column = column_or_1d(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be {what}, got {short(values)}.") from error
    if column.dtype.names:
        raise ValueError(f"{name} must be {what}, got the fields {column.dtype.names}.")
    if column.dtype.kind == "O":
        _check_hashable(column, name, what)
    # pandas cannot factorize numbers that are not in native byte order.
    return column.astype(column.dtype.newbyteorder("="), copy=False)


def _check_hashable(values: np.ndarray, name: str, what: str) -> None:
    for at, value in enumerate(values):
        if not isinstance(value, Hashable):
            raise TypeError(
                f"{name} must be {what}, got {short(value)} at position {at}."
            )


def check_labels(y, name: str) -> np.ndarray:
    """Return labels as an array, (n_samples,); ``name`` is for messages."""
    y = check_column(y, name, "one label per row")
    if len(y) == 0:
        raise ValueError(f"{name} is empty.")
    missing = pd.isna(y)
    if missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise ValueError(
            f"{name} must not hold missing values, got {y[at]} at position {at}."
        )
    # Scores passed by mistake would silently count as errors in every row.
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        at = int(np.flatnonzero(y != np.floor(y))[0])
        raise ValueError(
            f"{name} must hold classes, got {y[at]} at position {at}. Apply a "
            "threshold to turn scores or probabilities into classes."
        )
    return y


def check_same_length(**arrays) -> None:
    """Raise if an array does not have as many rows as the first."""
    (first, n), *others = [(name, len(values)) for name, values in arrays.items()]
    for name, found in others:
        if found != n:
            rows = "1 row" if found == 1 else f"{found} rows"
            raise ValueError(f"{name} has {rows}, but {first} has {n}.")


def check_label(label, name: str) -> None:
    """Raise if a value cannot be a label: lists, missing values."""
    if not isinstance(label, Hashable):
        raise TypeError(f"{name} must be a label, got {label!r}.")
    # Comparing NA with a label gives NA, whose truth value is an error.
    if label is pd.NA or label is pd.NaT:
        raise ValueError(f"{name} must be a label, got the missing value {label!r}.")


def check_weight(sample_weight, y) -> np.ndarray | None:
    """Return the sample weights as an array, (n_samples,), or None."""
    if sample_weight is None:
        return None
    try:
        weight = check_row_weight(sample_weight, y)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "sample_weight must hold a weight >= 0 for each row: "
            f"{str(error).removeprefix('Invalid sample_weight: ')}"
        ) from error
    check_magnitude(weight, "sample_weight")
    return weight


def matrix_size(cost_matrix) -> int:
    """Return the number of classes of a cost matrix."""
    try:
        shape = np.shape(cost_matrix)
    except ValueError:
        shape = ()
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
        raise ValueError(
            "cost_matrix must have a row for each true class and a column for each "
            f"decision, got {short(cost_matrix)}."
        )
    return shape[0]


def check_classes(labels, cost_matrix=None) -> list:
    """Return classes in the given order if there is a cost matrix, else sorted."""
    classes = check_labels(labels, "labels").tolist()
    if len(classes) < 2:
        raise ValueError(f"labels must name at least two classes, got {classes}.")
    if len(set(classes)) < len(classes):
        raise ValueError(f"labels must be distinct, got {join_labels(classes)}.")
    if cost_matrix is None:
        # As objects: NumPy would turn labels of several types into strings.
        return sorted_labels(np.array(classes, dtype=object), name="labels")
    n_classes = matrix_size(cost_matrix)
    if len(classes) != n_classes:
        raise ValueError(
            f"labels must name the {n_classes} rows of cost_matrix, got "
            f"{len(classes)}: {join_labels(classes)}."
        )
    return classes


def sorted_labels(*found: np.ndarray, name: str, ignored: Collection = ()) -> list:
    """Return the distinct labels in arrays, sorted, without those ignored."""
    # tolist: Python values are shorter in messages than NumPy scalars.
    labels = list(dict.fromkeys(x for y in found for x in pd.unique(y).tolist()))
    labels = [label for label in labels if label not in ignored]
    try:
        return sorted(labels)
    except TypeError as error:
        raise ValueError(
            f"{name} must hold labels of one type, got {join_labels(labels)}."
        ) from error


def encode_labels(
    y: np.ndarray, codes: dict, name: str, advice: dict | None = None
) -> np.ndarray:
    """Return the code of each label, (n_samples,).

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        The labels.
    codes : dict
        The code of each class.
    name : str
        Name of ``y``, for messages.
    advice : dict, optional
        By unknown label, a sentence to append to the message.
    """
    # pandas factorizes mixed types, which np.unique cannot sort.
    where, found = pd.factorize(y)
    found = found.tolist()
    unknown = [label for label in found if label not in codes]
    if unknown:
        hints = "".join((advice or {}).get(label, "") for label in unknown)
        raise ValueError(
            f"{name} holds {join_labels(unknown)}, but the classes are "
            f"{join_labels(codes)}.{hints}"
        )
    # Each distinct label is looked up once; rows only take its code.
    return np.array([codes[label] for label in found])[where]


def positive_label(labels: list, pos_label, name: str):
    """Return the positive class of two labels, or of a single one."""
    check_label(pos_label, "pos_label")
    if len(labels) > 2:
        raise ValueError(
            f"{name} must hold two classes, got {len(labels)}: {join_labels(labels)}."
        )
    if pos_label is None and len(labels) == 2:
        return labels[1]
    # As in scikit-learn, a single class is known to be positive or negative only if
    # labels are numbers like these.
    if pos_label is None and (set(labels) <= {0, 1} or set(labels) <= {-1, 1}):
        return 1
    if pos_label is None:
        raise ValueError(
            f"Set pos_label to the positive class: {name} holds only one class, "
            f"{labels[0]!r}."
        )
    if len(labels) == 2 and pos_label not in labels:
        raise ValueError(
            f"pos_label={pos_label!r} is not a class: {name} holds "
            f"{join_labels(labels)}."
        )
    return pos_label


def check_true_labels(y_true: np.ndarray, abstain_label) -> None:
    """Raise if the true classes include the label for abstaining."""
    if abstain_label in pd.unique(y_true).tolist():
        raise ValueError(
            f"abstain_label={abstain_label!r} must not be a class, but y_true holds it."
        )
