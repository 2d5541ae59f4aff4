"""One small instance of each estimator, for the tests that all must pass."""

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.datasets import make_classification, make_regression
from torch import nn

from skdeep import (
    CNNClassifier,
    CNNRegressor,
    LSTMClassifier,
    LSTMRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    Seq2Seq,
)


def dropout_network(n_features, n_outputs):
    """A network of torch's own layers, whose dropout draws from a global generator."""
    return nn.Sequential(
        nn.Linear(n_features, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, n_outputs)
    )


# In the type of X, without what makes more than one line of an update.
SMALL_IMAGES = {
    "hidden_layer_sizes": 8,
    "dropout": 0.0,
    "dtype": None,
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
}


# The training of most other estimators.
PLAIN = {
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "max_grad_norm": None,
}

# Add a line for a new estimator: its name and a function that makes a small one.
FAMILY = {
    "CNNClassifier": lambda **p: CNNClassifier(4, **{**SMALL_IMAGES, **p}),
    "CNNRegressor": lambda **p: CNNRegressor(4, **{**SMALL_IMAGES, **p}),
    "LSTMClassifier": lambda **p: LSTMClassifier(4, **p),
    "LSTMRegressor": lambda **p: LSTMRegressor(hidden_size=4, **p),
    "MLPClassifier": lambda **p: MLPClassifier((8,), **p),
    "MLPRegressor": lambda **p: MLPRegressor(hidden_layer_sizes=(8,), **p),
    "ModuleClassifier": lambda **p: ModuleClassifier(dropout_network, **p),
    "ModuleRegressor": lambda **p: ModuleRegressor(dropout_network, **p),
    "Seq2Seq": lambda **p: Seq2Seq(4, **{**PLAIN, **p}),
}


@pytest.fixture(params=FAMILY)
def make(request):
    """A function that makes a small estimator, trained for a few epochs."""

    def build(**parameters):
        few = {"max_iter": 4, "random_state": 0, "batch_size": 32}
        return FAMILY[request.param](**{**few, **parameters})

    return build


@pytest.fixture
def data(make):
    """Rows and a target for the estimator: three classes, or numbers."""
    if is_classifier(make()):
        X, y = make_classification(
            n_samples=101, n_features=6, n_informative=4, n_classes=3, random_state=0
        )
        return X, np.array(["low", "mid", "top"])[y]
    X, y = make_regression(n_samples=101, n_features=6, noise=1.0, random_state=0)
    return X, y / y.std()
