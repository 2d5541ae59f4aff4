"""Networks and rows for the tests of CostSensitiveClassifier."""

import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import (
    StratifiedKFold,
)

from skdeep import MLPClassifier

X, y = make_classification(400, 6, n_informative=4, flip_y=0.2, random_state=0)
X3, y3 = make_classification(
    400, 6, n_informative=4, n_classes=3, flip_y=0.2, random_state=0
)
COSTS = np.array([[0.0, 1, 4], [2, 0, 1], [1, 5, 0]])
FOLDS = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))


def network(**parameters):
    """A network that trains quickly."""
    few = {"solver": "lbfgs", "max_iter": 30, "random_state": 0}
    return MLPClassifier((8,), **{**few, **parameters})


def cheapest(alpha):
    """Return the cheapest threshold on true probabilities."""
    return alpha / (1 + alpha)
