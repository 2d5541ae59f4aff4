"""Classifiers, rows and row costs for the tests of CostSensitiveClassifier."""

import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    StratifiedKFold,
)

from skdeep import (
    CostSensitiveClassifier,
    MLPClassifier,
)

X, y = make_classification(300, 6, n_informative=4, flip_y=0.2, random_state=0)
rng = np.random.default_rng(0)
FP, FN = rng.lognormal(size=300), rng.lognormal(size=300)
FOLDS = list(StratifiedKFold(4, shuffle=True, random_state=0).split(X, y))


def network(**parameters):
    """A network that trains quickly."""
    few = {"solver": "lbfgs", "max_iter": 20, "random_state": 0}
    return MLPClassifier((6,), **{**few, **parameters})


def logistic(alpha=2, strategy="threshold", **parameters):
    return CostSensitiveClassifier(
        LogisticRegression(), alpha, strategy=strategy, **parameters
    )
