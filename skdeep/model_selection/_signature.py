"""What makes a search the same search: hashes of all that its scores depend on."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping

import joblib
import numpy as np
from scipy import sparse


def signature(estimator, X, y, params: Mapping, folds, space, scoring) -> dict:
    """Return a short hash of each thing that must not change between two runs.

    Parameters
    ----------
    estimator : estimator
        Its class and parameters count.
    X, y : array-like
        The data.
    params : dict
        What else is given to fit.
    folds : list of (train, test)
        Rows of each fold.
    space : TableSpace or CallableSpace
        What is searched.
    scoring : object
        Any description of the scores and objectives.

    Returns
    -------
    signature : dict of str to str
        By names for a message.
    """
    return {
        "X": _hash(X),
        "y": _hash(y),
        "set of fit parameters": _hash(dict(params)),
        "set of folds": _hash([list(fold) for fold in folds]),
        "search space": _hash(space.describe()),
        "scoring": _hash(_plain(scoring)),
        "estimator": _hash(_plain(estimator)),
    }


def digest(marks: Mapping[str, str]) -> str:
    """Return a single short hash of a signature."""
    return _hash(dict(marks))


def _hash(value) -> str:
    return hashlib.sha256("|".join(_tokens(value)).encode()).hexdigest()[:16]


def _tokens(value) -> list[str]:
    """Return texts that equal values share, whatever way they lie in memory."""
    if hasattr(value, "columns") and hasattr(value, "shape"):
        columns = [np.asarray(value[name]) for name in value.columns]
        return [str(list(value.columns)), *(t for c in columns for t in _tokens(c))]
    if sparse.issparse(value):
        rows = value.tocsr()
        parts = (np.array(rows.shape), rows.data, rows.indices, rows.indptr)
        return [t for part in parts for t in _tokens(part)]
    if isinstance(value, Mapping):
        return [t for k in sorted(value, key=str) for t in (str(k), *_tokens(value[k]))]
    if isinstance(value, list | tuple):
        with contextlib.suppress(ValueError):
            value = np.array(value)
    if hasattr(value, "__array__"):
        value = np.ascontiguousarray(value)
        return [str(value.shape), str(value.dtype), joblib.hash(value)]
    try:
        return [joblib.hash(value)]
    except Exception:
        # What cannot be pickled is known by its kind.
        return [type(value).__qualname__]


def _plain(value):
    """Return what a parameter is, in texts and numbers."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = value.get_params(deep=False)
        return [_name(type(value)), {k: _plain(v) for k, v in sorted(params.items())}]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if callable(value) and not hasattr(value, "_score_func"):
        return _name(value)
    if value is None or isinstance(value, str | bool | int | float):
        return repr(value)
    text = repr(value)
    return _name(type(value)) if " at 0x" in text else text


def _name(value) -> str:
    """Return where a class or function is found."""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{getattr(value, '__module__', '')}.{name}"
