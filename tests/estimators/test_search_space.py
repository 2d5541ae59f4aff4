"""The default search space of each estimator."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdeep import (
    GAN,
    AutoEncoder,
    CNNClassifier,
    CNNRegressor,
    CostSensitiveClassifier,
    EquilibriumNet,
    LanguageModel,
    LSTMClassifier,
    LSTMForecaster,
    LSTMRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    Seq2Seq,
    VariationalAutoEncoder,
)
from tests.estimators.equilibrium_data import Growth

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

EPOCH = {"max_iter": 1, "random_state": 0}
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 6))
SERIES = rng.normal(size=(60, 2)).cumsum(0)


# Add a line for a new estimator.
MEMBERS = {
    "AutoEncoder": AutoEncoder,
    "CNNClassifier": lambda **p: CNNClassifier(batch_size="auto", **p),
    "CNNRegressor": lambda **p: CNNRegressor(batch_size="auto", **p),
    "EquilibriumNet": lambda **p: EquilibriumNet(Growth(), **p),
    "GAN": GAN,
    "LSTMClassifier": LSTMClassifier,
    "LSTMForecaster": lambda **p: LSTMForecaster(window=8, horizon=2, **p),
    "LSTMRegressor": LSTMRegressor,
    "LanguageModel": LanguageModel,
    "MLPClassifier": MLPClassifier,
    "MLPRegressor": MLPRegressor,
    "ModuleClassifier": lambda **p: ModuleClassifier(nn.Linear, **p),
    "ModuleRegressor": lambda **p: ModuleRegressor(nn.Linear, **p),
    "Seq2Seq": Seq2Seq,
    "VariationalAutoEncoder": VariationalAutoEncoder,
}


@pytest.fixture(params=MEMBERS)
def member(request):
    """Each estimator, trained for a single epoch."""
    return MEMBERS[request.param](**EPOCH)


def rows_for(estimator):
    """Return rows and a target for the estimator."""
    if isinstance(estimator, LSTMForecaster):
        return SERIES, None
    if isinstance(estimator, EquilibriumNet):
        return np.abs(X[:, :2]) + 0.1, None
    if isinstance(estimator, LanguageModel):
        return ["to be or not to be", "that is the question"] * 3, None
    return X, (X[:, 0] > 0).astype(int)


def draws(space, n):
    return list(ParameterSampler(space, n, random_state=0))


def test_keys_are_parameters(member):
    space = member.default_search_space()
    assert 4 <= len(space) <= 7
    assert set(space) <= set(member.get_params())


def test_defaults_are_among_the_values(member):
    for name, values in member.default_search_space().items():
        default = inspect.signature(type(member)).parameters[name].default
        if hasattr(values, "support"):
            low, high = values.support()
            # 'auto' stands for a number that depends on the network.
            assert default == "auto" or low <= default <= high, name
        else:
            assert default in values, name


def test_every_value_is_valid(member):
    for parameters in draws(member.default_search_space(), 50):
        clone(member).set_params(**parameters)._validate_params()


def test_ends_of_the_ranges_can_be_trained(member):
    space = member.default_search_space()
    rows, y = rows_for(member)
    for last in (0, -1):
        parameters = {
            name: values.support()[last] if hasattr(values, "support") else values[last]
            for name, values in space.items()
        }
        clone(member).set_params(**parameters).fit(rows, y)


def test_draws_can_be_trained(member):
    rows, y = rows_for(member)
    for parameters in draws(member.default_search_space(), 3):
        clone(member).set_params(**parameters).fit(rows, y)


def test_order_and_draws_are_reproducible(member):
    first, second = member.default_search_space(), member.default_search_space()
    assert list(first) == list(second)
    assert draws(first, 5) == draws(second, 5)


def test_each_call_returns_a_new_space(member):
    first, expected = member.default_search_space(), member.default_search_space()
    for name, values in first.items():
        if isinstance(values, list):
            values.clear()
        else:
            values.random_state = 3
        assert values is not expected[name]
    first.clear()
    again = member.default_search_space()
    assert draws(again, 5) == draws(expected, 5)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_lbfgs_has_only_parameters_that_it_supports(member):
    if isinstance(member, (LanguageModel, EquilibriumNet)):
        pytest.skip("it trains on other batches in each epoch")
    if isinstance(member, (VariationalAutoEncoder, GAN)):
        pytest.skip("its loss is random")
    member.set_params(solver="lbfgs")
    if "dropout" in member.get_params():
        member.set_params(dropout=0.0)
    space = member.default_search_space()
    assert space
    assert not {"batch_size", "dropout", "learning_rate_init"} & set(space)
    rows, y = rows_for(member)
    member.set_params(**draws(space, 1)[0]).fit(rows, y)


@pytest.mark.parametrize(
    ("params", "ends"),
    [
        ({}, (1e-3, 3e-2)),
        ({"architecture": "resnet"}, (1e-3, 3e-2)),
        ({"architecture": "googlenet"}, (1e-3, 3e-2)),
        ({"batch_norm": False}, (3e-4, 1e-2)),
        ({"architecture": "lenet5"}, (3e-4, 1e-2)),
        ({"architecture": nn.Flatten()}, (3e-4, 1e-2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("network", [CNNClassifier, CNNRegressor])
def test_rates_around_the_default_of_the_network(network, params, ends):
    space = network(**params).default_search_space()
    assert space["learning_rate_init"].support() == pytest.approx(ends)


def test_randomized_search_accepts_it(make, data):
    model = make(max_iter=2)
    space = model.default_search_space()
    rows, y = data
    rows, y = np.tile(rows, (3, 1)), np.tile(y, 3)
    search = RandomizedSearchCV(model, space, n_iter=2, cv=2, random_state=0)
    search.fit(rows, y)
    assert set(search.best_params_) == set(space)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# -- around another estimator ----------------------------------------------------------


def test_cost_sensitive_prefixes_that_of_its_estimator():
    inner = MLPClassifier(solver="lbfgs")
    model = CostSensitiveClassifier(inner)
    names = [f"estimator__{name}" for name in inner.default_search_space()]
    assert list(model.default_search_space()) == names
    piped = CostSensitiveClassifier(make_pipeline(StandardScaler(), inner))
    assert set(piped.default_search_space()) <= set(piped.get_params())


def test_randomized_search_around_cost_sensitive():
    rows, y = rows_for(None)
    network = make_pipeline(StandardScaler(), MLPClassifier(**EPOCH))
    model = CostSensitiveClassifier(network, alpha=3, strategy="threshold")
    space = model.default_search_space()
    search = RandomizedSearchCV(model, space, n_iter=2, cv=2, random_state=0)
    assert set(search.fit(rows, y).best_params_) == set(space)


@pytest.mark.parametrize("inner", [None, RandomForestClassifier()], ids=str)
def test_cost_sensitive_needs_an_estimator_with_a_search_space(inner):
    model = CostSensitiveClassifier(inner)
    assert not hasattr(model, "default_search_space")
    with pytest.raises(AttributeError) as caught:
        model.default_search_space()
    assert "classifiers of skdeep have one" in str(caught.value.__cause__)
