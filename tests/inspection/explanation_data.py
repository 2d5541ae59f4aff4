"""Explanations with chosen effects, for tests of plots and pages."""

import numpy as np

from skdeep.inspection import LimeExplanation


def make_explanation(kind, effects, **changes):
    """Return an explanation with these effects and arbitrary other values."""
    effects = np.asarray(effects, float)
    n_rows, n_units = effects.shape
    names = [f"unit {k}" for k in range(n_units)]
    local = 0.4 + np.nansum(effects, axis=1)
    made_up = {
        "rows": list(range(n_rows)),
        "outputs": ["P(up)"] * n_rows,
        "unit_names": names,
        "values": np.full(effects.shape, None),
        "weights": effects,
        "effects": effects,
        "intercept": np.full(n_rows, 0.4),
        "local_prediction": local,
        "prediction": local + 0.01,
        "r2": np.full(n_rows, 0.9),
        "stability": np.full(n_rows, 0.95),
        "num_samples": np.full(n_rows, 2000),
        "num_features": 10,
        "feature_names": names,
    }
    return LimeExplanation(kind=kind, **{**made_up, **changes})
