"""Signatures: hashes that tell whether a study belongs to the same search."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping

import joblib
import numpy as np
from scipy import sparse


def search_signature(estimator, X, y, params: Mapping, folds, space, scoring) -> dict:
    """Return a short hash of everything that must not change when a study is resumed.

    Parameters
    ----------
    estimator : estimator
        Its class and parameters are hashed.
    X, y : array-like
        The data.
    params : dict
        Other arguments of ``fit``.
    folds : list of (train, test)
        Rows of each fold.
    space : DictSpace or CallableSpace
        The search space.
    scoring : object
        A description of the scoring and the objectives.

    Returns
    -------
    signature : dict of str to str
        Hashes by name, for messages.
    """
    return {
        "X": _hash(X),
        "y": _hash(y),
        "set of fit parameters": _hash(dict(params)),
        "set of folds": _hash([list(fold) for fold in folds]),
        "search space": _hash(space.describe()),
        "scoring": _hash(_describe_value(scoring)),
        "estimator": _hash(_describe_value(estimator)),
    }


def digest(signature: Mapping[str, str]) -> str:
    """Return a single short hash of a signature."""
    return _hash(dict(signature))


def _hash(value) -> str:
    return hashlib.sha256("|".join(_hash_parts(value)).encode()).hexdigest()[:16]


def _hash_parts(value) -> list[str]:
    """Return strings that are equal for equal values, whatever their memory layout."""
    # By column: frames of mixed types have no array without a conversion to objects.
    if hasattr(value, "columns") and hasattr(value, "shape"):
        columns = [np.asarray(value[name]) for name in value.columns]
        return [str(list(value.columns)), *(t for c in columns for t in _hash_parts(c))]
    if sparse.issparse(value):
        rows = value.tocsr()
        parts = (np.array(rows.shape), rows.data, rows.indices, rows.indptr)
        return [t for part in parts for t in _hash_parts(part)]
    if isinstance(value, Mapping):
        return [
            t for k in sorted(value, key=str) for t in (str(k), *_hash_parts(value[k]))
        ]
    if isinstance(value, list | tuple):
        with contextlib.suppress(ValueError):
            value = np.array(value)
    if hasattr(value, "__array__"):
        # joblib hashes the memory layout too; equal arrays must have equal hashes.
        value = np.ascontiguousarray(value)
        return [str(value.shape), str(value.dtype), joblib.hash(value)]
    try:
        return [joblib.hash(value)]
    except Exception:
        # Objects that cannot be pickled are identified by their class only.
        return [type(value).__qualname__]


def _describe_value(value):
    """Return a parameter value as strings and numbers."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = value.get_params(deep=False)
        return [
            _qualified_name(type(value)),
            {k: _describe_value(v) for k, v in sorted(params.items())},
        ]
    if isinstance(value, Mapping):
        return {str(k): _describe_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_describe_value(v) for v in value]
    if callable(value) and not hasattr(value, "_score_func"):
        return _qualified_name(value)
    if value is None or isinstance(value, str | bool | int | float):
        return repr(value)
    # A repr with an address differs in each process.
    text = repr(value)
    return _qualified_name(type(value)) if " at 0x" in text else text


def _qualified_name(value) -> str:
    """Return where a class or function is found."""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{getattr(value, '__module__', '')}.{name}"
