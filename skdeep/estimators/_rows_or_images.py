"""Checks of X that holds a table or images and has no targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skdeep.encoding import ImageLayout, TableFormat, is_paths, tensor_to_numpy
from skdeep.estimators._images import check_images, n_axes
from skdeep.estimators._validation import Schema, check_inputs


def check_rows_or_images(estimator, X, *, dtype, schema: Schema | None):
    """Return checked rows or images, and their schema, whose layout tells the kind.

    Parameters
    ----------
    estimator : estimator
        Its parameters and tags determine how X is read.
    X : array-like
        The user's rows or images.
    dtype : sequence of type
        Types to compute in: that of X if it is among them.
    schema : Schema or None
        The schema of the training rows. None if these are the training rows.
    """
    if schema is None:
        has_images = means_images(estimator, X) or n_axes(X) > 2
    else:
        has_images = isinstance(schema.layout, ImageLayout)
    if not has_images:
        return check_table_alone(estimator, X, dtype, schema)
    try:
        return check_images_alone(estimator, X, dtype, schema)
    except ValueError as error:
        if not hasattr(X, "columns"):
            raise
        raise ValueError(
            f"{error} If the column holds categories instead of image files, give it "
            "a categorical type or name it in categorical_features."
        ) from error


def means_images(estimator, X) -> bool:
    """Return whether X holds images although it may have two axes."""
    if estimator.image_shape is not None:
        return True
    # The only column may hold text that categorical_features names.
    named = estimator.categorical_features
    has_categories = not isinstance(named, str | None) and np.size(named) > 0
    return not has_categories and is_paths(X) is not None


def check_images_alone(estimator, X, dtype, schema: Schema | None):
    """Return checked images and their schema."""
    # Of integers, such as pixels, the first type is that of the computation.
    dtype = sorted(dtype, key=lambda each: np.dtype(each).itemsize)
    table, _, found = check_images(estimator, X, dtype=dtype, schema=schema)
    return table, found


def check_table_alone(estimator, X, dtype, schema: Schema | None):
    """Return a checked table and its schema, whose layout is its format."""
    table, _, found = check_inputs(
        estimator, X, "no_validation", dtype=dtype, schema=schema
    )
    if schema is None:
        given = tensor_to_numpy(X, "X")
        layout: Any = TableFormat.of(given, found.n_features, found.categorical)
        found = replace(found, layout=layout)
    return table, found
