"""Checks of the arguments of `fit` and `predict`."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite, check_array, check_consistent_length
from sklearn.utils.validation import (
    _check_y,
    _num_features,
    _num_samples,
    validate_data,
)

from skdeep._messages import warn
from skdeep.encoding import (
    Table,
    check_numeric_types,
    check_row_weight,
    explaining_non_numeric,
    find_categorical,
    naming,
    split_columns,
    tensor_to_numpy,
)
from skdeep.training import check_once


@dataclass(frozen=True)
class Schema:
    """What the checks found in the training rows; later rows are compared with it.

    Parameters
    ----------
    n_features : int, or tuple or dict of int
        Number of features, of each input if a module has several.
    feature_names : ndarray of str or None
        Their names if all are strings.
    categorical : sequence of int
        Positions of the categorical columns.
    layout : object
        Layout of the rows, for families that accept several.
    n_tokens : int or None
        Number of token ids if X holds token ids.
    levels : tuple of str or None
        The levels of the tokens of X and of y, for families that split text.
    """

    n_features: Any
    feature_names: Any = None
    categorical: Sequence[int] = ()
    layout: Any = None
    n_tokens: int | None = None
    levels: tuple[str, str] | None = None

    @classmethod
    def of(cls, checked, **found) -> Schema:
        """Build a schema from a stand-in that scikit-learn's checks have written to."""
        names = getattr(checked, "feature_names_in_", None)
        return cls(checked.n_features_in_, names, **found)

    def attributes(self) -> dict[str, Any]:
        """Return the attributes that a fitted scikit-learn estimator must have."""
        names = {}
        if self.feature_names is not None:
            names = {"feature_names_in_": self.feature_names}
        if not isinstance(self.n_features, int):
            return {}  # several inputs
        return {"n_features_in_": self.n_features, **names}


def stand_in(estimator, schema: Schema | None):
    """Return a shallow copy of an estimator for scikit-learn's checks to write to.

    The estimator itself must not change until its fit has succeeded.
    """
    # Not ``clone``, which would check the parameters and drop those that are not ones.
    copied = object.__new__(type(estimator))
    vars(copied).update(vars(estimator))
    vars(copied).pop("feature_names_in_", None)
    if schema is not None:
        vars(copied).update(schema.attributes())
    return copied


class Checked(NamedTuple):
    """Checked rows, their targets if there are any, and the schema of the rows."""

    table: Any
    y: Any
    schema: Schema


def check_inputs(
    estimator, X, y=None, *, dtype, schema: Schema | None = None
) -> Checked:
    """Check X, and y if it is given, as scikit-learn does.

    Parameters
    ----------
    estimator : estimator
        Its tags determine which X is valid.
    X, y : array-like
        The user's data; ``y="no_validation"`` checks X only.
    dtype : sequence of type
        Types that X may keep; other types are converted to the first one.
    schema : Schema, optional
        The schema of the training rows. None if these are the training rows.

    Returns
    -------
    Checked
    """
    given_y = not (isinstance(y, str) and y == "no_validation")
    if given_y:
        require_target(estimator, y)
    plain = _check_plain(estimator, X, dtype, schema)
    if plain is not None:
        target = check_target(estimator, y, len(X)) if given_y else None
        return Checked(plain[0], target, plain[1])
    tags = estimator.__sklearn_tags__().input_tags
    arguments: dict[str, Any] = dict(
        accept_sparse="csr" if tags.sparse else False,
        dtype=dtype,
        ensure_all_finite="allow-nan" if tags.allow_nan else True,
    )
    X = tensor_to_numpy(X, "X")
    with naming("X"):
        if _has_many_axes(X) and tags.three_d_array:
            with explaining_non_numeric(X):
                table, schema = _check_many_axes(estimator, X, arguments, schema)
        else:
            table, schema = _check_table(estimator, X, arguments, schema)
    target = check_target(estimator, y, len(table)) if given_y else None
    return Checked(table, target, schema)


_TEXT_IN_TABLE = (
    "Encode text, give the columns a categorical type or name them in "
    "categorical_features."
)


def _check_plain(estimator, X, dtype, schema) -> tuple[Table, Schema] | None:
    """Check X if it holds finite numbers only, like most X; otherwise return None.

    scikit-learn's checks would give the same result. They take longer than the
    prediction of a row, and a tenth of the time of a short fit; and jobs that fit equal
    X would each need one.
    """
    if _may_be_categorical(estimator, schema):
        return None
    numbers = _plain_numbers(X, dtype)
    if numbers is None:
        return None
    is_frame = type(X) is pd.DataFrame
    if schema is not None and not is_frame:
        if schema.feature_names is not None or X.shape[1] != schema.n_features:
            return None  # scikit-learn's check warns or raises
    numbers = check_once(numbers, _sum_is_finite)
    if numbers is None:
        return None
    if is_frame:
        checked = stand_in(estimator, schema)
        with naming("X"):
            validate_data(checked, X, reset=schema is None, skip_check_array=True)
        schema = schema or Schema.of(checked, categorical=[])
    elif schema is None:
        schema = Schema(X.shape[1], categorical=[])
    return Table(numbers, is_finite=True), schema


def _may_be_categorical(estimator, schema: Schema | None) -> bool:
    """Return whether columns of numbers may hold categories."""
    if schema is not None:
        return bool(schema.categorical)
    asked = getattr(estimator, "categorical_features", None)
    return asked is not None and not isinstance(asked, str)  # a str selects no numbers


def _plain_numbers(X, dtype) -> np.ndarray | None:
    """Return X as an array of floats if it holds nothing but numbers."""
    if type(X) is pd.DataFrame:
        kinds = {t.kind if isinstance(t, np.dtype) else "" for t in X.dtypes}
        if not kinds <= set("iuf"):
            return None
        X = X.to_numpy()
    if type(X) is not np.ndarray or X.ndim != 2 or not X.size:
        return None
    if X.dtype.kind in "iu":
        return X.astype(dtype[0])
    return X if X.dtype.type in dtype and X.dtype.isnative else None


def _sum_is_finite(X: np.ndarray) -> bool:
    # NaN and infinity survive in a sum: a single pass, without a temporary array.
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())


def _has_many_axes(X) -> bool:
    return len(getattr(X, "shape", np.shape(X) if isinstance(X, list) else ())) > 2


def _check_table(estimator, X, arguments, schema) -> tuple[Table, Schema]:
    """Check a table; columns without categories must hold numbers."""
    asked = getattr(estimator, "categorical_features", None)
    reset = schema is None
    categorical = _find_categorical_columns(asked, X) if reset else schema.categorical
    checked = stand_in(estimator, schema)
    with explaining_non_numeric(X, skip=categorical, text=_TEXT_IN_TABLE):
        if not categorical:
            numeric = validate_data(checked, X, reset=reset, **arguments)
            categories = None
        else:
            # Names and number of columns only: categories need not be numbers.
            validate_data(checked, X, reset=reset, skip_check_array=True)
            rest, categories = split_columns(X, categorical)
            if rest.shape[1] == 0:
                rest = np.empty((len(categories), 0), dtype=arguments["dtype"][0])
            # All columns may be categorical.
            arguments |= dict(ensure_min_features=0, estimator=estimator)
            numeric = check_array(rest, input_name="X", **arguments)
    if sparse.issparse(numeric) and np.isnan(numeric.data).any():
        raise ValueError(
            "Input X contains NaN. Missing values are imputed only in dense X; for "
            "sparse X use an imputer such as SimpleImputer."
        )
    schema = schema or Schema.of(checked, categorical=categorical)
    return Table(numeric, categories), schema


def _find_categorical_columns(asked, X) -> list[int]:
    """Return the positions of the categorical columns."""
    if asked is None:
        return []
    if sparse.issparse(X):
        if isinstance(asked, str) or np.size(asked) == 0:
            return []
        raise ValueError(
            f"categorical_features={asked!r} needs dense X, got a sparse matrix. Use "
            "categorical_features=None, or X.toarray()."
        )
    # 'from_dtype' concerns data frames only; the type of X is checked later.
    n_features = 0 if isinstance(asked, str) else _num_features(X)
    return find_categorical(asked, X, n_features)


def require_target(estimator, y) -> None:
    """Raise scikit-learn's error if y is missing."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but "
            "the target y is None."
        )


def check_target(estimator, y, n_samples: int) -> np.ndarray:
    """Check targets: one or several per row, numeric for a regressor."""
    require_target(estimator, y)
    if _is_plain_target(y, n_samples):
        return y
    y = tensor_to_numpy(y, "y")
    check_numeric_target(estimator, y)
    with naming("y"):
        numeric = is_regressor(estimator)
        y = _check_y(y, multi_output=True, y_numeric=numeric, estimator=estimator)
        y = flatten_column(y)
        if numeric:  # None in an object array has become NaN
            assert_all_finite(y, input_name="y")
    check_consistent_length(np.empty(n_samples), y)
    return y


def _is_plain_target(y, n_samples: int) -> bool:
    """Return whether y is a plain array of finite numbers, one per row.

    scikit-learn's checks would return it unchanged, but take much longer.
    """
    return (
        type(y) is np.ndarray
        and y.shape == (n_samples,)
        and y.dtype.kind in "iuf"
        and (y.dtype.kind != "f" or _sum_is_finite(y))
    )


def flatten_column(y):
    """Flatten a column vector, with scikit-learn's warning."""
    if not sparse.issparse(y) and y.ndim == 2 and y.shape[1] == 1:
        warn(
            "A column-vector y was passed when a 1d array was expected. Please change "
            "the shape of y to (n_samples, ), for example using ravel().",
            DataConversionWarning,
        )
        return y.ravel()
    return y


def check_numeric_target(estimator, y) -> None:
    """Raise if a regressor's y holds dates or durations, which numpy would convert."""
    # scikit-learn's own checks report a y that is None or a str.
    if y is None or isinstance(y, str) or not is_regressor(estimator):
        return
    check_numeric_types(y, "y")
    if sparse.issparse(y):
        raise TypeError("y must be dense, got a sparse array. Use y.toarray().")


def is_regressor(estimator) -> bool:
    """Return whether the targets are numbers."""
    return estimator.__sklearn_tags__().estimator_type == "regressor"


def _check_many_axes(estimator, X, arguments, schema) -> tuple[Table, Schema]:
    """Check X of three or more axes; the last axis holds the features."""
    X = check_array(X, allow_nd=True, input_name="X", estimator=estimator, **arguments)
    if schema is None:
        schema = Schema(X.shape[-1])
    elif X.shape[-1] != schema.n_features:
        raise ValueError(
            f"X has {X.shape[-1]} features, but {type(estimator).__name__} is "
            f"expecting {schema.n_features} features as input."
        )
    return Table(X), schema


def check_training_weight(sample_weight, table: Table, dtype=None) -> np.ndarray | None:
    """Check sample weights: one per row, non-negative, not all zero.

    Their sum must be finite in ``dtype``, by default the dtype of the table.
    """
    if sample_weight is None:
        return None
    weight = check_row_weight(sample_weight, table.numeric, table.dtype)
    if not weight.any():
        raise ValueError("sample_weight must not be zero for every sample.")
    check_sum_of_weights(weight, dtype)
    return weight


def check_sum_of_weights(weight: np.ndarray, dtype=None) -> None:
    """Raise if the sum of sample weights overflows or underflows ``dtype``."""
    dtype = weight.dtype if dtype is None else np.dtype(dtype)
    if not _sum_is_finite(weight) or weight.sum() > np.finfo(dtype).max:
        raise ValueError(
            f"sample_weight holds values up to {weight.max():g}; their sum overflows "
            f"{dtype}. Divide the weights by their mean."
        )
    if weight.sum() < np.finfo(dtype).tiny:
        raise ValueError(
            f"sample_weight holds values up to {weight.max():g}; their sum underflows "
            f"{dtype}. Divide the weights by their mean."
        )


def times_class_weight(
    weight: np.ndarray | None, by_class: np.ndarray, class_weight, dtype=np.float64
) -> np.ndarray:
    """Multiply sample weights by class weights; check the products.

    Their sum must be finite in ``dtype``.
    """
    if not np.isfinite(by_class).all() or by_class.min() < 0:
        raise ValueError(
            f"class_weight must hold finite, non-negative numbers, got "
            f"{class_weight!r}."
        )
    # An overflow is reported below, with a remedy.
    with np.errstate(over="ignore"):
        product = by_class if weight is None else weight * by_class
        fits = product.sum(dtype=np.float64) <= np.finfo(dtype).max
    if not fits:
        raise ValueError(
            f"The sum of the weights from class_weight={class_weight!r} overflows "
            f"{np.dtype(dtype)}. Divide them by their mean."
        )
    return product


def check_validation_pair(X, X_val, y_val) -> bool:
    """Return whether validation rows are passed; raise if only X_val or y_val is."""
    if (X_val is None) != (y_val is None):
        given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"{given} was given without {missing}.")
    if X_val is None:
        return False
    with naming("X"):
        n_samples = _num_samples(X)
    with naming("X_val"):
        is_as_long = _num_samples(X_val) == n_samples
    if is_as_long:
        warn(
            f"X_val has as many rows as X ({n_samples}). scikit-learn's "
            "cross-validation splits metadata of the same length as X into folds: then "
            "X_val is not the intended set of validation rows."
        )
    return True


# No array of 8-byte values is longer.
_LONGEST = sys.maxsize // 8


def check_n_samples(n_samples: int) -> None:
    """Raise if no memory can hold so many samples; numpy's errors do not name them."""
    if n_samples > _LONGEST:
        raise MemoryError(f"Not enough memory for n_samples={n_samples}.")
