"""Checks of the inputs of a module: one array, several, or a torch data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from skdeep.encoding import Arrays, Items, check_numeric_types, naming, tensor_to_numpy
from skdeep.estimators._validation import (
    Checked,
    Schema,
    check_inputs,
    check_numeric_target,
    check_target,
)


def check_module_inputs(
    estimator, X, y="no_validation", *, dtype, schema: Schema | None = None
) -> Checked:
    """Check the inputs of a module, and y if it is given.

    Parameters
    ----------
    estimator : estimator
        If its loss is callable, y may have any shape.
    X : array-like, dict or tuple of array-like, or torch.utils.data.Dataset
        The inputs. A dict passes arguments by name, a tuple by position.
    y : array-like, optional
        The targets. None if they are in the items of a data set.
    dtype : sequence of type
        Float types that X may keep; other types are converted to the first one.
    schema : Schema, optional
        The schema of the training rows. None if these are the training rows.

    Returns
    -------
    Checked
    """
    given_y = not (isinstance(y, str) and y == "no_validation")
    if isinstance(X, Dataset):
        table, y = _read_dataset(X, y, given_y)
    elif holds_several_inputs(X):
        table = _read_arrays(X, is_named=isinstance(X, Mapping))
    elif _may_keep_integers(X, schema):
        table = _read_arrays((X,), is_named=False)
    else:
        # check_inputs would reject y of more than two axes.
        if not (given_y and _is_shaped(estimator, y)):
            return check_inputs(estimator, X, y, dtype=dtype, schema=schema)
        table, _, found = check_inputs(
            estimator, X, "no_validation", dtype=dtype, schema=schema
        )
        y = _read_target(estimator, y, len(table))
        return Checked(table, y, found)
    if isinstance(table, Arrays):
        table = _with_floats_of(table, dtype)
    if schema is None:
        schema = Schema(_n_features(table), layout=_layout(table))
    else:
        _check_layout(estimator, table, schema)
    target = _read_target(estimator, y, len(table)) if given_y else None
    return Checked(table, target, schema)


def holds_several_inputs(X) -> bool:
    """Return whether X is a dict or a tuple of arrays."""
    if sparse.issparse(X):  # dok_matrix is a dict
        return False
    if isinstance(X, Mapping):
        return True
    return isinstance(X, tuple) and bool(X) and all(hasattr(x, "shape") for x in X)


def n_rows(X) -> int | None:
    """Return the number of rows of a data set or of several arrays, otherwise None."""
    if isinstance(X, Dataset):
        return len(X) if hasattr(X, "__len__") else None
    if not holds_several_inputs(X):
        return None
    parts = list(X.values()) if isinstance(X, Mapping) else X
    return len(parts[0]) if len(parts) and np.ndim(parts[0]) else 0


def _may_keep_integers(X, schema: Schema | None) -> bool:
    """Return whether X is an array of integers, which some modules take unchanged."""
    if schema is not None:
        return schema.layout is not None
    if isinstance(X, torch.Tensor):
        return not X.is_floating_point() and X.dtype != torch.bool
    is_array = isinstance(X, np.ndarray) and X.ndim >= 2 and len(X) > 0
    return is_array and X.dtype.kind in "iu" and X.shape[-1] > 0


def _read_arrays(X, *, is_named: bool) -> Arrays:
    """Check several arrays."""
    named = X if is_named else {str(i): x for i, x in enumerate(X)}
    if not named:
        raise ValueError("X is an empty dict: a module needs at least one input.")
    arrays = {str(name): _read_array(str(name), x) for name, x in named.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The inputs in X have different numbers of rows: {lengths}.")
    return Arrays(arrays, is_named)


def _read_array(name: str, x) -> np.ndarray:
    name = f"X[{name!r}]"
    options: dict[str, Any] = dict(allow_nd=True, ensure_2d=False, input_name=name)
    x = tensor_to_numpy(x, name)
    check_numeric_types(x, name)
    with naming("X"):
        array = check_array(x, dtype=None, **options)
        # Integers are kept for now: they may be token ids.
        if array.dtype.kind not in "iuf":
            array = check_array(array, dtype=np.float64, **options)
    return array


def _with_floats_of(table: Arrays, dtype) -> Arrays:
    """Convert floats of other types to the first accepted one."""
    arrays = {
        name: array.astype(dtype[0])
        if array.dtype.kind == "f" and array.dtype.type not in dtype
        else array
        for name, array in table.arrays.items()
    }
    return replace(table, arrays=arrays)


def _read_dataset(X: Dataset, y, given_y: bool) -> tuple[Any, Any]:
    """Return the inputs of a data set and the targets: y, or those in its items."""
    if isinstance(X, IterableDataset) or not hasattr(X, "__len__"):
        raise ValueError(
            f"X must be a map-style data set (with __len__ and __getitem__), got "
            f"{type(X).__name__}, which can only be iterated."
        )
    n_items = len(X)
    if n_items == 0:
        raise ValueError("X is an empty data set: found 0 sample(s).")
    items = Items(X, np.arange(n_items), _is_labeled(X[0], given_y and y is None))
    if given_y and y is None:
        if not items.is_labeled:
            raise ValueError(
                "y is None, but the items of X are not (input, target) pairs: pass y."
            )
        y = items.labels()
    if isinstance(X, TensorDataset):
        tensors = X.tensors[:-1] if items.is_labeled else X.tensors
        return _read_arrays(tensors, is_named=False), y
    return items, y


def _is_labeled(item, is_needed: bool) -> bool:
    """Return whether the last part of an item is its target."""
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        return False
    # In predict no target is needed, but fit and predict may get the same data set: a
    # scalar is its target. An array could be another input.
    return is_needed or np.ndim(item[-1]) == 0


def _layout(table) -> Any:
    """Return the layout of the inputs, which later rows must share."""
    if isinstance(table, Items):
        return "items"
    return sorted(table.arrays) if table.is_named else len(table.arrays)


def _n_features(table) -> Any:
    """Return the length of the last axis of each input."""
    if isinstance(table, Items):
        first = table.inputs(0)
        # An item is one row without the axis of the batch.
        named = isinstance(first, Mapping)
        parts = dict(first) if named else {str(i): x for i, x in enumerate(first)}
        arrays = {name: np.asarray(x)[np.newaxis] for name, x in parts.items()}
        return _n_features(Arrays(arrays, named))
    counts = {
        name: 1 if array.ndim == 1 else int(array.shape[-1])
        for name, array in table.arrays.items()
    }
    if table.is_named:
        return counts
    return tuple(counts.values()) if len(counts) > 1 else counts["0"]


def _check_layout(estimator, table, schema: Schema) -> None:
    """Raise if the inputs differ from those of the training rows."""
    if isinstance(table, Items) or schema.layout == "items":
        return
    name, layout = type(estimator).__name__, _layout(table)
    if layout != schema.layout:
        raise ValueError(
            f"X has the inputs {layout}, but {name} was fitted with {schema.layout}."
        )
    found = _n_features(table)
    if found != schema.n_features:
        raise ValueError(
            f"X has {found} features, but {name} is expecting {schema.n_features} "
            "features as input."
        )


def _is_shaped(estimator, y) -> bool:
    """Return whether y has a shape that only a callable loss accepts."""
    return callable(estimator.loss) and np.ndim(y) > 2


def _read_target(estimator, y, n_samples: int) -> np.ndarray:
    """Check y; for a callable loss it may have any shape."""
    if not _is_shaped(estimator, y):
        return check_target(estimator, y, n_samples)
    y = tensor_to_numpy(y, "y")
    check_numeric_target(estimator, y)
    with naming("y"):
        y = check_array(y, dtype=None, allow_nd=True, ensure_2d=False, input_name="y")
    check_consistent_length(np.empty(n_samples), y)
    return y
