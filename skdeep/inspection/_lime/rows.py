"""Rows of all kinds: X is a table, sequences, images or documents."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from skdeep.inspection._lime.cells import CellRows, PartRows
from skdeep.inspection._lime.documents import document_rows
from skdeep.inspection._lime.images import SUPERPIXEL, image_rows
from skdeep.inspection._lime.outputs import is_forecaster
from skdeep.inspection._lime.sequences import sequence_rows, window_rows
from skdeep.inspection._lime.tables import TableRows, sparse_rows
from skdeep.inspection._lime.user_input import (
    are_documents,
    check_background,
    equals_string,
    feature_names,
    feature_positions,
    named_groups,
    numbered_groups,
    pad_to_same_length,
    read_rows,
)
from skdeep.inspection._nested import innermost


def make_rows(estimator, X, background, options) -> TableRows | CellRows | PartRows:
    """Return the rows to explain, of the class that draws their perturbations."""
    if are_documents(X):
        return document_rows(estimator, X, options)
    if sparse.issparse(X):
        names = feature_names(estimator, X, options["feature_names"])
        return sparse_rows(X, names, options)
    padding = _padding(estimator)
    X = read_rows(X, "X", padding)
    if is_forecaster(estimator):
        return window_rows(estimator, X, background, options)
    if X.ndim > 2:
        for name in ("discretize", "categorical_features"):
            if options[name] is not None:
                raise ValueError(f"{name} is for tables, got X of shape {X.shape}.")
    is_image = X.ndim == 4 or equals_string(options["groups"], SUPERPIXEL)
    if is_image and X.ndim > 2:
        return image_rows(X, options)
    are_tokens = padding == 0 and X.ndim == 2
    if background is not None and padding is not None and (are_tokens or X.ndim == 3):
        background = read_rows(background, "background", padding)
        if background.ndim == X.ndim:
            X, background = pad_to_same_length(X, background, padding)
    background = check_background(background, X)
    names = feature_names(estimator, X, options["feature_names"])
    if are_tokens:
        # Token ids are labels: a number between two of them means nothing.
        options = options | {"categorical_features": list(range(X.shape[1]))}
    if X.ndim == 2:
        return _table_rows(X, background, names, options, are_tokens)
    return sequence_rows(X, background, names, options)


def _padding(estimator) -> float | None:
    """Return the padding of an estimator of sequences, None for other estimators."""
    network = innermost(estimator)
    if not hasattr(network, "embedding_dim"):
        return None
    return np.nan if network.embedding_dim is None else 0


def _table_rows(
    X, background, names: list, options: dict, are_tokens: bool = False
) -> TableRows:
    groups = options["groups"]
    if groups is None:
        # Columns with equal names stay separate units.
        columns = {str(name): [j] for j, name in enumerate(names)}
        if len(columns) < len(names):
            columns = {f"{name} ({j})": [j] for j, name in enumerate(names)}
    elif isinstance(groups, dict):
        columns = named_groups(groups, names)
    elif isinstance(groups, str):
        raise ValueError(
            f"groups={groups!r} is for sequences and images; for a table, pass a dict "
            "of lists of columns."
        )
    else:
        numbers = numbered_groups(groups, (len(names),), "a row")
        columns = {
            f"group {k}": list(np.flatnonzero(numbers == k))
            for k in range(numbers.max() + 1)
        }
    name = "categorical_features"
    given = options[name]
    return TableRows(
        X,
        background,
        names=names,
        groups=columns,
        categorical=[] if given is None else feature_positions(given, names, name),
        discretize=options["discretize"],
        spread=options["spread"],
        are_tokens=are_tokens,
    )
