"""The user's labels: checked, and as numbers of classes."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from reprlib import repr as short

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d

from skdeep._input_checks import tensor_to_numpy
from skdeep.encoding import check_row_weight, listed, refuse_large

# What stands for the other class where only one is known.
OTHER_CLASS = "(another class)"


def check_column(values, name: str, what: str) -> np.ndarray:
    """Return values of rows as an array, (n_samples,); ``what`` they ought to be."""
    given = tensor_to_numpy(values, name)
    try:
        column = column_or_1d(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be {what}, got {short(values)}.") from error
    if column.dtype.names:
        raise ValueError(f"{name} must be {what}, got the fields {column.dtype.names}.")
    if column.dtype.kind == "O":
        _refuse_unhashable(column, name, what)
    # pandas finds no groups in numbers whose bytes are in another machine's order.
    return column.astype(column.dtype.newbyteorder("="), copy=False)


def _refuse_unhashable(values: np.ndarray, name: str, what: str) -> None:
    for at, value in enumerate(values):
        if not isinstance(value, Hashable):
            raise TypeError(
                f"{name} must be {what}, got {short(value)} at position {at}."
            )


def check_labels(y, name: str) -> np.ndarray:
    """Return labels as an array, (n_samples,); ``name`` is for messages."""
    y = check_column(y, name, "one label a row")
    if len(y) == 0:
        raise ValueError(f"{name} holds no rows.")
    missing = pd.isna(y)
    if missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise ValueError(f"{name} must not be missing, got {y[at]} at position {at}.")
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        at = int(np.flatnonzero(y != np.floor(y))[0])
        raise ValueError(
            f"{name} must hold classes, got {y[at]} at position {at}. Scores and "
            "probabilities become classes by a threshold."
        )
    return y


def check_same_length(**arrays) -> None:
    """Refuse arrays that do not hold as many rows as the first of them."""
    (first, n), *others = [(name, len(values)) for name, values in arrays.items()]
    for name, found in others:
        if found != n:
            raise ValueError(f"{name} holds {found} rows, but {first} holds {n}.")


def check_label(label, name: str) -> None:
    """Refuse what cannot be a label, as a list."""
    if not isinstance(label, Hashable):
        raise TypeError(f"{name} must be a label, got {label!r}.")
    if label is pd.NA or label is pd.NaT:
        raise ValueError(f"{name} must be a label, got {label!r}, which is none.")


def check_weight(sample_weight, y) -> np.ndarray | None:
    """Return the weights of rows, (n_samples,), if there are any."""
    if sample_weight is None:
        return None
    try:
        weight = check_row_weight(sample_weight, y)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "sample_weight must hold a weight, 0 or above, for each row: "
            f"{str(error).removeprefix('Invalid sample_weight: ')}"
        ) from error
    refuse_large(weight, "sample_weight")
    return weight


def matrix_size(cost_matrix) -> int:
    """Return how many classes a matrix is of."""
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
    """Return classes in the order given, or sorted if no matrix goes by the order."""
    classes = check_labels(labels, "labels").tolist()
    if len(classes) < 2:
        raise ValueError(f"labels must name two classes or more, got {classes}.")
    if len(set(classes)) < len(classes):
        raise ValueError(f"labels must not repeat, got {listed(classes)}.")
    if cost_matrix is None:
        return sorted_labels(np.array(classes, dtype=object), name="labels")
    n_classes = matrix_size(cost_matrix)
    if len(classes) != n_classes:
        raise ValueError(
            f"labels must name the {n_classes} rows of cost_matrix, got "
            f"{len(classes)}: {listed(classes)}."
        )
    return classes


def sorted_labels(*found: np.ndarray, name: str, ignored: Collection = ()) -> list:
    """Return the different labels in arrays but those ignored, sorted."""
    labels = list(dict.fromkeys(x for y in found for x in pd.unique(y).tolist()))
    labels = [label for label in labels if label not in ignored]
    try:
        return sorted(labels)
    except TypeError as error:
        raise ValueError(
            f"{name} must hold labels of one kind, got {listed(labels)}."
        ) from error


def codes_of(
    y: np.ndarray, codes: dict, name: str, advice: dict | None = None
) -> np.ndarray:
    """Return the number of each label, (n_samples,), as ``codes`` tells it.

    ``advice`` is what a message says of labels that ought not to be there.
    """
    where, found = pd.factorize(y)
    found = found.tolist()
    unknown = [label for label in found if label not in codes]
    if unknown:
        hints = "".join((advice or {}).get(label, "") for label in unknown)
        raise ValueError(
            f"{name} holds {listed(unknown)}, but the classes are {listed(codes)}."
            f"{hints}"
        )
    return np.array([codes[label] for label in found])[where]


def positive_label(labels: list, pos_label, name: str):
    """Return the positive one of two labels, or of the only one that is there."""
    check_label(pos_label, "pos_label")
    if len(labels) > 2:
        raise ValueError(
            f"{name} must hold two classes, got {len(labels)}: {listed(labels)}."
        )
    if pos_label is None and len(labels) == 2:
        return labels[1]
    if pos_label is None and (set(labels) <= {0, 1} or set(labels) <= {-1, 1}):
        return 1
    if pos_label is None:
        raise ValueError(
            f"pos_label must tell what is positive, as there is but one class in "
            f"{name}: {labels[0]!r}."
        )
    if len(labels) == 2 and pos_label not in labels:
        raise ValueError(
            f"pos_label={pos_label!r} is not a class: {name} holds {listed(labels)}."
        )
    return pos_label


def check_truth(y_true: np.ndarray, abstain_label) -> None:
    """Refuse true classes among which there is the label for abstaining."""
    if abstain_label in pd.unique(y_true).tolist():
        raise ValueError(
            f"abstain_label={abstain_label!r} must not be a class, but y_true holds it."
        )


def check_axes(ax) -> None:
    """Refuse what cannot be drawn on."""
    if not hasattr(ax, "get_legend_handles_labels"):
        raise TypeError(f"ax must be matplotlib Axes, got {short(ax)}.")
