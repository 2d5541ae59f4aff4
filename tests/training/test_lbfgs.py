"""L-BFGS uses all rows in every step."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from skdeep import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")


def test_pairwise_loss_uses_pairs_across_chunks():
    # The first chunk of 4,096 rows has one class only, hence no pairs.
    X, y = make_classification(12000, 5, weights=[0.8], flip_y=0.05, random_state=0)
    rows = np.r_[np.flatnonzero(y == 0)[:4096], np.flatnonzero(y == 1)[:400]]
    model = MLPClassifier(
        (), loss="pairwise_auc", solver="lbfgs", max_iter=25, random_state=0
    )
    in_order = model.fit(X[rows], y[rows]).decision_function(X)
    line = LogisticRegression().fit(X[rows], y[rows]).decision_function(X)
    assert roc_auc_score(y, in_order) > roc_auc_score(y, line) - 0.005
    mixed = np.random.default_rng(0).permutation(rows)
    mixed = model.fit(X[mixed], y[mixed]).decision_function(X)
    assert np.corrcoef(in_order, mixed)[0, 1] > 0.999
