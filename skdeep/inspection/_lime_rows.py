"""What X is: a table, sequences or images; and how to draw around its rows."""

from __future__ import annotations

import numpy as np

from skdeep.inspection._lime_cells import CellRows
from skdeep.inspection._lime_checks import (
    check_background,
    feature_names,
    is_name,
    named_groups,
    numbered_groups,
    positions,
    read_rows,
)
from skdeep.inspection._lime_images import SUPERPIXEL, image_rows
from skdeep.inspection._lime_outputs import is_forecaster
from skdeep.inspection._lime_sequences import sequence_rows, window_rows
from skdeep.inspection._lime_tables import TableRows


def make_rows(estimator, X, background, options) -> TableRows | CellRows:
    """Return the rows to explain, and how to draw around them."""
    X = read_rows(X, "X")
    if is_forecaster(estimator):
        return window_rows(estimator, X, background, options)
    if X.ndim > 2:
        for name in ("discretize", "categorical_features"):
            if options[name] is not None:
                raise ValueError(f"{name} is for tables, got X of shape {X.shape}.")
    is_image = X.ndim == 4 or is_name(options["groups"], SUPERPIXEL)
    if is_image and X.ndim > 2:
        return image_rows(X, options)
    background = check_background(background, X)
    names = feature_names(estimator, X, options["feature_names"])
    if X.ndim == 2 and getattr(estimator, "embedding_dim", None) is not None:
        # There is nothing between token ids.
        options = options | {"categorical_features": list(range(X.shape[1]))}
    if X.ndim == 2:
        return _table(X, background, names, options)
    return sequence_rows(X, background, names, options)


def _table(X, background, names: list, options: dict) -> TableRows:
    groups = options["groups"]
    if groups is None:
        # Two columns of one name are two units.
        columns = {str(name): [j] for j, name in enumerate(names)}
        if len(columns) < len(names):
            columns = {f"{name} ({j})": [j] for j, name in enumerate(names)}
    elif isinstance(groups, dict):
        columns = named_groups(groups, names)
    elif isinstance(groups, str):
        raise ValueError(
            f"groups={groups!r} is for sequences and images; of a table it is a dict "
            "of the columns that belong together."
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
        categorical=[] if given is None else positions(given, names, name),
        discretize=options["discretize"],
        spread=options["spread"],
    )
