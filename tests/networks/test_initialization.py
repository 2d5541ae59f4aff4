"""The scales of initial weights."""

import numpy as np
import pytest

from skdeep import MLPRegressor


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_normal", 2 / (200 + 50)),
        ("glorot_uniform", 2 / (200 + 50)),
        ("he_normal", 2 / 200),
        ("he_uniform", 2 / 200),
        ("lecun_normal", 1 / 200),
    ],
)
def test_variance_of_the_initial_weights(name, variance):
    """Glorot and Bengio (2010), He et al. (2015), LeCun et al. (1998)."""
    X = np.random.RandomState(0).normal(size=(20, 200))
    model = MLPRegressor(
        hidden_layer_sizes=(50,),
        activation="relu",
        weight_init=name,
        learning_rate_init=1e-12,
        alpha=0,
        max_iter=1,
        random_state=0,
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, X[:, 0])
    np.testing.assert_allclose(model.coefs_[0].var(), variance, rtol=0.05)
