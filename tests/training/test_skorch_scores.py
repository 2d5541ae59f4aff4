"""Scores that skorch callbacks compute, for every kind of estimator and target."""

import numpy as np
import pytest
import scipy.sparse
import skorch.callbacks as sc
import torch
from sklearn.metrics import get_scorer
from skorch.callbacks import EpochScoring
from torch import nn

from skdeep import (
    LSTMClassifier,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)
from tests.training.skorch_data import Net, accuracy

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

WIDE = np.random.default_rng(2).normal(size=(200, 6))


def last_scores(model, X, y, *names):
    """Fit with 150 of the rows as validation rows; return the last epoch's scores."""
    model.set_params(random_state=0, max_iter=3)
    model.fit(X, y, X_val=X[:150], y_val=y[:150])
    return [model.history_[-1][name] for name in names]


WAYS = [accuracy(), accuracy(use_caching=False)]


@pytest.mark.parametrize("scoring", WAYS)
@pytest.mark.parametrize(("n_classes", "as_sparse"), [(2, True), (3, False)])
def test_accuracy_of_string_labels(scoring, n_classes, as_sparse):
    y = np.array(["high", "low", "mid"])[
        np.digitize(WIDE[:, 0], [0, 1][: n_classes - 1])
    ]
    X = scipy.sparse.csr_matrix(WIDE) if as_sparse else WIDE
    model = MLPClassifier((8,), callbacks=[scoring], learning_rate_init=0.05)
    (mine,) = last_scores(model, X, y, "mine")
    assert mine == pytest.approx(model.score(X[:150], y[:150]))


@pytest.mark.parametrize("use_caching", [True, False])
def test_scores_by_probabilities(use_caching):
    names = ["roc_auc", "neg_log_loss", "neg_brier_score"]
    scores = [EpochScoring(name, use_caching=use_caching) for name in names]
    y = WIDE[:, 0] > 0
    for model in (MLPClassifier((8,)), ModuleClassifier(nn.Linear)):
        found = last_scores(model.set_params(callbacks=scores), WIDE, y, *names)
        expected = [get_scorer(name)(model, WIDE[:150], y[:150]) for name in names]
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("scoring", WAYS)
def test_accuracy_of_many_labels(scoring):
    y = (WIDE[:, :3] > 0).astype(int)
    model = MLPClassifier((8,), callbacks=[scoring], learning_rate_init=0.05)
    (mine,) = last_scores(model, WIDE, y, "mine")
    assert mine == model.score(WIDE[:150], y[:150])


@pytest.mark.parametrize("scoring", WAYS)
def test_accuracy_of_sequences(scoring):
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 3)) for n in rng.integers(2, 9, size=200)]
    y = np.array([sequence[:, 0].mean() > 0 for sequence in sequences])
    model = LSTMClassifier(4, callbacks=[scoring], learning_rate_init=0.05)
    (mine,) = last_scores(model, sequences, y, "mine")
    assert mine == pytest.approx(model.score(sequences[:150], y[:150]))


class Items(torch.utils.data.Dataset):
    """Rows that are made one by one, each with two inputs of the module by name."""

    def __init__(self, X):
        self.X = torch.from_numpy(X).float()

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return {"a": self.X[i, :3], "b": self.X[i, 3:]}


class TwoInputs(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(6, n_outputs)

    def forward(self, a, b):
        return self.layer(torch.cat([a, b], 1))


@pytest.mark.parametrize("scoring", WAYS)
def test_accuracy_of_items(scoring):
    model = ModuleClassifier(TwoInputs, callbacks=[scoring], max_iter=2)
    y = WIDE[:, 0] > 0
    model.fit(Items(WIDE), y, X_val=Items(WIDE[:150]), y_val=y[:150])
    assert model.history_[-1]["mine"] == pytest.approx(model.validation_scores_[-1])


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_scores_with_lbfgs():
    scores = [accuracy(name="a"), *WAYS, accuracy(name="train", on_train=True)]
    y = np.digitize(WIDE[:, 0], [-0.5, 0.5])
    X_val, y_val = WIDE[:150], y[:150]
    model = MLPClassifier((8,), solver="lbfgs", callbacks=scores, random_state=0)
    model.set_params(max_iter=6).fit(WIDE, y, X_val=X_val, y_val=y_val)
    last = model.history_[-1]
    assert last["a"] == last["mine"] == pytest.approx(model.score(X_val, y_val))
    assert last["train"] == pytest.approx(model.score(WIDE, y))
    regressor = MLPRegressor(
        hidden_layer_sizes=(8,), solver="lbfgs", random_state=0, max_iter=6
    )
    regressor.set_params(callbacks=[EpochScoring("r2")])
    regressor.fit(WIDE, WIDE[:, 0], X_val=X_val, y_val=X_val[:, 0])
    assert regressor.history_[-1]["r2"] == regressor.validation_scores_[-1]


@pytest.mark.parametrize("freezer", [sc.Freezer("*0*"), sc.Unfreezer("*")])
def test_callbacks_of_lbfgs_cannot_freeze_parameters(freezer):
    module = Net(1).double()
    module.body.requires_grad_(isinstance(freezer, sc.Freezer))
    freezer.patterns = "body*"
    model = ModuleRegressor(module, solver="lbfgs", callbacks=[freezer], max_iter=3)
    with pytest.raises(ValueError, match="same parameters throughout"):
        model.fit(WIDE, WIDE[:, 0])


def test_scores_are_of_averaged_weights():
    model = ModuleClassifier(nn.Linear, callbacks=WAYS, weight_averaging=0.9)
    (mine,) = last_scores(model, WIDE, WIDE[:, 0] > 0, "mine")
    assert mine == model.score(WIDE[:150], WIDE[:150, 0] > 0)
    assert mine == model.validation_scores_[-1]
