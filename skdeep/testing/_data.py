"""Small data sets that suit an estimator, and its predictions for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import get_tags

N_ROWS = 40
COLUMN_NAMES = ["a", "b", "c", "d"]
_DOCUMENTS = ["Ann beats Ben", "Ben loses again", "Ann wins", "nobody wins"]
_METHODS = ("predict", "predict_proba", "decision_function", "transform")


@dataclass
class Data:
    """Rows to fit an estimator to, with targets if it takes them."""

    X: Any
    y: Any = None

    @property
    def arguments(self) -> tuple:
        """What is passed to ``fit``."""
        return (self.X,) if self.y is None else (self.X, self.y)


def make_data(estimator, seed: int = 0) -> Data:
    """Return documents, or 40 rows of 4 numbers, with a target that depends on them."""
    if takes_documents(estimator):
        return Data(_DOCUMENTS[seed:] + _DOCUMENTS)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_ROWS, len(COLUMN_NAMES)))
    values = X @ [1.0, -0.5, 0.25, 0.0] + rng.normal(scale=0.3, size=N_ROWS)
    if is_classifier(estimator):
        return Data(X, np.where(values > 0, "yes", "no").astype(object))
    is_needed = is_regressor(estimator) or get_tags(estimator).target_tags.required
    return Data(X, values if is_needed else None)


def takes_documents(estimator) -> bool:
    """Return whether X holds documents instead of rows of numbers."""
    tags = get_tags(estimator).input_tags
    return tags.string and not tags.two_d_array


def named(X: np.ndarray) -> pd.DataFrame:
    """Return rows as a data frame with named columns."""
    return pd.DataFrame(X, columns=COLUMN_NAMES)


def seeded(estimator, seed: int | None = 0):
    """Return a clone with this seed in each of its parameters ``random_state``."""
    estimator = clone(estimator)
    names = [n for n in estimator.get_params() if n.split("__")[-1] == "random_state"]
    return estimator.set_params(**dict.fromkeys(names, seed))


def fitted(estimator, data: Data | None = None, **options):
    """Return a clone with a fixed seed, fitted to the data."""
    data = make_data(estimator) if data is None else data
    return seeded(estimator).fit(*data.arguments, **options)


def predictions(estimator, X) -> dict[str, np.ndarray]:
    """Return the predictions and samples of an estimator, as arrays by method."""
    found = {}
    if hasattr(estimator, "sample"):
        found["sample"] = np.array(estimator.sample(5, random_state=0))
    for name in _METHODS:
        if hasattr(estimator, name):
            values = getattr(estimator, name)(X)
            dense = values.toarray() if sparse.issparse(values) else values
            found[name] = np.array(dense)
    return found


def assert_equal(actual: dict, expected: dict, what: str) -> None:
    """Raise unless predictions are bit-identical."""
    for name, values in expected.items():
        np.testing.assert_array_equal(actual[name], values, f"{name} {what}")


def assert_close(actual: dict, expected: dict, what: str, rtol: float = 1e-6) -> None:
    """Raise if predictions differ by more than rounding."""
    # Labels are left out: rounding flips them where two classes are equally probable.
    for name, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(
                actual[name], values, rtol, rtol, err_msg=f"{name} {what}"
            )


def differ(actual: dict, expected: dict) -> bool:
    """Return whether any of the predictions differ."""
    return any(
        not np.array_equal(actual[name], values, equal_nan=values.dtype.kind == "f")
        for name, values in expected.items()
    )
