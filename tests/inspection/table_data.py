"""Tables, and explanations of them without warnings."""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.linear_model import (
    LinearRegression,
)

from skdeep import MLPClassifier
from skdeep.inspection import lime_explain

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)
N = 300
X = rng.normal([0, 5, -3, 0.5], [1, 2, 0.1, 30], size=(N, 4))
MEAN, SD = X.mean(axis=0), X.std(axis=0)
COEFFICIENTS = np.array([1.0, -2.0, 30.0, 0.05])
LINEAR = LinearRegression().fit(X, X @ COEFFICIENTS + 7)

# Columns of each kind, with missing values.
FRAME = pd.DataFrame(
    {
        "age": rng.integers(18, 80, N),
        "pay": np.where(rng.random(N) < 0.1, np.nan, rng.lognormal(size=N)),
        "job": pd.Series(rng.choice(["cook", "smith", "none"], N), dtype=object),
        "town": pd.Categorical(rng.choice(["Ulm", "Bonn"], N)),
        "member": rng.random(N) < 0.5,
        "since": pd.Timestamp("2020") + pd.to_timedelta(rng.integers(0, 9, N), "D"),
    }
)
FRAME.loc[::9, "town"] = None


def network(estimator=MLPClassifier, **parameters):
    """Return a small network that trains in milliseconds."""
    few = {"solver": "lbfgs", "max_iter": 1000, "alpha": 1.0, "random_state": 0}
    return estimator(hidden_layer_sizes=(4,), **{**few, **parameters})


def assert_same(first, second, rtol=1e-7):
    """Check that two explanations are equal."""
    assert first.unit_names_ == second.unit_names_
    assert list(first.outputs_) == list(second.outputs_)
    for name in ["weights_", "effects_", "intercept_", "r2_", "stability_"]:
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=rtol, atol=1e-9
        )
