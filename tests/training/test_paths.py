"""The hand-written gradient and autograd with skorch callbacks give equal networks."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification, make_regression
from skorch.callbacks import Callback

# Private: patched to record which learner is used.
import skdeep.estimators._base as base
from skdeep import MLPClassifier, MLPRegressor
from skdeep.losses import BINARY_LOSSES, REGRESSION_LOSSES
from skdeep.networks import ACTIVATIONS
from skdeep.training import LEARNING_RATES, STOCHASTIC_SOLVERS
from tests.training.populations import mark_others_nightly

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

X, y = make_classification(
    n_samples=70, n_features=6, n_informative=4, n_classes=3, random_state=0
)
X_numbers, y_numbers = make_regression(n_samples=70, n_features=6, random_state=0)
y_numbers = np.abs(y_numbers) / 100


class WatchEpochs(Callback):
    """Does nothing; any callback makes training use autograd."""


class WatchBatches(Callback):
    """Is called after every batch."""

    def on_batch_end(self, net, **kwargs):
        assert kwargs["loss"].isfinite().all()


def assert_same_on_both_paths(estimator_class, X, y, fit_params=None, **params):
    """Compare fits with the same seed without and with skorch callbacks."""
    params = {
        "hidden_layer_sizes": (6, 5),
        "random_state": 3,
        "max_iter": 4,
        "batch_size": 16,
        "learning_rate_init": 0.01,
        **params,
    }
    dense, *others = (
        estimator_class(**params, callbacks=callbacks).fit(X, y, **(fit_params or {}))
        for callbacks in (None, [WatchEpochs()], [WatchBatches()])
    )
    for other in others:
        for one, two in zip(dense.coefs_, other.coefs_, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(dense.loss_curve_, other.loss_curve_, rtol=1e-7)
        assert dense.validation_scores_ == pytest.approx(other.validation_scores_)
        assert dense.n_iter_ == other.n_iter_
    return dense


def test_dense_path_is_taken_unless_callbacks_ask_otherwise(monkeypatch):
    """Otherwise the tests below would compare a path with itself."""
    taken = []
    for name in ("DenseLearner", "Learner"):
        real = getattr(base, name)

        class Recorded(real):
            def __init__(self, *arguments, name=name):
                taken.append(name)
                super().__init__(*arguments)

        monkeypatch.setattr(base, name, Recorded)
    assert_same_on_both_paths(MLPClassifier, X, y)
    assert taken == ["DenseLearner", "Learner", "Learner"]


@pytest.mark.parametrize("solver", [*STOCHASTIC_SOLVERS, torch.optim.Adamax])
def test_solvers(solver):
    assert_same_on_both_paths(MLPClassifier, X, y, solver=solver)


def test_lbfgs():
    dense = assert_same_on_both_paths(MLPClassifier, X, y, solver="lbfgs", alpha=1.0)
    assert dense.n_iter_ == 4


# "invscaling" and "adaptive" are for sgd.
@pytest.mark.parametrize(
    ("solver", "learning_rate"),
    [("adam" if i in (0, 4, 6) else "sgd", n) for i, n in enumerate(LEARNING_RATES)],
)
def test_schedules(solver, learning_rate):
    assert_same_on_both_paths(
        MLPClassifier, X, y, solver=solver, learning_rate=learning_rate
    )


@pytest.mark.parametrize(
    "activation", mark_others_nightly(ACTIVATIONS, "relu", "tanh", "gelu", "maxout")
)
def test_activations_with_dropout(activation):
    assert_same_on_both_paths(MLPClassifier, X, y, activation=activation, dropout=0.3)


@pytest.mark.parametrize(
    "loss", mark_others_nightly(BINARY_LOSSES, "log_loss", "hinge", "pairwise_auc")
)
def test_classification_losses(loss):
    assert_same_on_both_paths(MLPClassifier, X, y, loss=loss)
    assert_same_on_both_paths(MLPClassifier, X, y == 1, loss=loss)


@pytest.mark.parametrize(
    "loss",
    mark_others_nightly(REGRESSION_LOSSES, "squared_error", "poisson", "gaussian"),
)
def test_regression_losses(loss):
    assert_same_on_both_paths(MLPRegressor, X_numbers, y_numbers, loss=loss)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"early_stopping": "loss", "validation_split": "last", "validation_gap": 3},
        {"max_grad_norm": 0.05},
        {"hidden_layer_sizes": ()},
        {"alpha": 0.0},
        {"shuffle": False},
        {"class_weight": "balanced"},
        {"label_smoothing": 0.2},
    ],
    ids=str,
)
def test_other_parameters(params):
    assert_same_on_both_paths(MLPClassifier, X, y, **params)


def test_sample_weight():
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    assert_same_on_both_paths(MLPClassifier, X, y, {"sample_weight": weight})
