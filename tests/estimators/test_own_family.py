"""Estimators that users write on top of the base classes."""

import copy
import pickle
from numbers import Integral

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.model_selection import RandomizedSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skdeep.estimators import BaseNetwork, ClassifierNetwork, RegressorNetwork

X, y = make_classification(40, 4, random_state=0)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


class SmallFamily(BaseNetwork):
    """The required methods of a family, with two training parameters."""

    _parameter_constraints = {
        "width": [Integral],
        "learning_rate_init": [float],
        "max_iter": [Integral],
        "random_state": ["random_state"],
    }

    dropout = 0.0

    def __init__(
        self, width=16, *, learning_rate_init=0.02, max_iter=100, random_state=None
    ):
        self.width = width
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state

    def _network_config(self, plan):
        return {"sizes": [plan.inputs.n_inputs_, self.width, plan.n_scores]}

    def _build(self, config, seed=0):
        n_inputs, width, n_scores = config["sizes"]
        return nn.Sequential(
            nn.Linear(n_inputs, width),
            nn.Tanh(),
            nn.Dropout(self.dropout),
            nn.Linear(width, n_scores),
        )


class SmallClassifier(ClassifierNetwork, SmallFamily):
    pass


class SmallRegressor(RegressorNetwork, SmallFamily):
    pass


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([SmallClassifier(), SmallRegressor()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("cls", [SmallClassifier, SmallRegressor])
def test_random_state_determines_the_result_and_global_generators_are_restored(cls):
    state = torch.random.get_rng_state()
    cls = type("WithDropout", (cls,), {"dropout": 0.1})
    first, second = (cls(max_iter=3, random_state=0).fit(X, y) for _ in range(2))
    other = cls(max_iter=3, random_state=1).fit(X, y)
    expected = first.predict(X)
    assert first.loss_curve_ == second.loss_curve_ != other.loss_curve_
    # The network is built again, with other draws, and then loaded.
    np.testing.assert_array_equal(copy.deepcopy(first).predict(X), expected)
    assert (torch.random.get_rng_state() == state).all()


def test_training_parameters_have_defaults():
    model = SmallClassifier(random_state=0)
    names = {"width", "learning_rate_init", "max_iter", "random_state"}
    assert set(model.get_params()) == names
    assert (model.solver, model.alpha, model.early_stopping) == ("adam", 1e-4, False)
    with pytest.raises(ValueError, match="Invalid parameter 'solver'"):
        model.set_params(solver__weight_decay=0.1)


@pytest.mark.parametrize("cls", [SmallClassifier, SmallRegressor])
def test_pickle(cls):
    model = cls(max_iter=3, random_state=0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_default_search_space():
    space = SmallClassifier().default_search_space()
    assert set(space) == {"learning_rate_init", "alpha", "batch_size"}
    search = RandomizedSearchCV(
        SmallClassifier(random_state=0), {"width": [2, 4]}, n_iter=2, cv=2
    )
    assert search.fit(X, y).best_params_["width"] in (2, 4)


def test_abstract_methods_are_required():
    class Incomplete(ClassifierNetwork):
        pass

    with pytest.raises(TypeError, match="_build"):
        Incomplete()
