"""The parameter initial_weights: networks that start from given weights."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict

from skdeep import LSTMClassifier, LSTMRegressor, MLPClassifier, MLPRegressor
from tests.round_trips import WAYS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
LABELS = np.where(X[:, 0] > 0, "yes", "no")
# A learning rate of almost 0 leaves the initial weights.
STILL = {
    "learning_rate": "cosine",
    "learning_rate_init": 1e-12,
    "max_iter": 1,
    "random_state": 0,
}
MODELS = {
    "MLPClassifier": (MLPClassifier((3,), **STILL), LABELS, "layers.0.weight"),
    "MLPRegressor": (
        MLPRegressor(hidden_layer_sizes=(3,), **STILL),
        X[:, 0],
        "layers.1.bias",
    ),
    "LSTMClassifier": (LSTMClassifier(3, **STILL), LABELS, "forwards.0.weight_hh_l0"),
    "LSTMRegressor": (
        LSTMRegressor(hidden_size=3, **STILL),
        X[:, 0],
        "forwards.0.bias_ih_l0",
    ),
}
PARAMETERS = pytest.mark.parametrize("model, y, name", MODELS.values(), ids=MODELS)


def state(model):
    return {k: v.numpy() for k, v in model.module_.state_dict().items()}


@PARAMETERS
def test_a_network_starts_from_given_weights(model, y, name):
    plain = state(clone(model).fit(X, y))
    given = RNG.normal(size=plain[name].shape)
    other = clone(model).set_params(initial_weights={name: given})
    found = state(other.fit(X, y))
    np.testing.assert_allclose(found.pop(name), given, atol=1e-9)
    # All others are drawn as without it.
    for key, values in found.items():
        np.testing.assert_allclose(values, plain[key], atol=1e-9)
    np.testing.assert_array_equal(other.initial_weights[name], given)


@PARAMETERS
def test_the_parameter_is_carried_along(model, y, name):
    given = {name: RNG.normal(size=state(clone(model).fit(X, y))[name].shape)}
    fitted = clone(model).set_params(initial_weights=given).fit(X, y)
    expected = fitted.predict(X)
    for trip in [*WAYS.values(), clone]:
        again = trip(fitted)
        np.testing.assert_array_equal(again.initial_weights[name], given[name])
        np.testing.assert_array_equal(again.fit(X, y).predict(X), expected)


@PARAMETERS
def test_populations_start_from_given_weights(model, y, name):
    given = {name: 2 * RNG.normal(size=state(clone(model).fit(X, y))[name].shape)}
    model = clone(model).set_params(initial_weights=given)
    expected = cross_val_predict(model, X, y, cv=2)
    with joblib.parallel_config(backend="skdeep"):
        found = cross_val_predict(model, X, y, cv=2)
    if y.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


def test_lbfgs_starts_from_given_weights():
    # With this tolerance it takes no step.
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", tol=1e30)
    given = {"layers.0.weight": np.full((1, 4), 3.0)}
    found = state(model.set_params(initial_weights=given).fit(X, X[:, 0]))
    np.testing.assert_array_equal(found["layers.0.weight"], given["layers.0.weight"])


def test_a_continued_fit_ignores_them():
    given = {"layers.0.weight": np.ones((3, 4))}
    model = MLPClassifier((3,), initial_weights=given, random_state=0)
    model.partial_fit(X, LABELS, classes=["no", "yes"])
    first = state(model)["layers.0.weight"].copy()
    model.partial_fit(X, LABELS)
    second = state(model)["layers.0.weight"]
    # Two steps of Adam, not one.
    assert np.abs(first - 1).max() == pytest.approx(0.001, rel=0.01)
    assert np.abs(second - 1).max() == pytest.approx(0.002, rel=0.1)


def test_any_type_of_numbers_is_accepted():
    for kind in (np.longdouble, np.float16, np.uint64, bool):
        given = {"layers.0.weight": np.ones((3, 4), kind)}
        model = MLPClassifier((3,), initial_weights=given, **STILL).fit(X, LABELS)
        np.testing.assert_allclose(state(model)["layers.0.weight"], 1, atol=1e-9)


def test_tensors_are_accepted():
    weight = torch.ones(3, 4, requires_grad=True)
    model = MLPClassifier((3,), initial_weights={"layers.0.weight": weight}, **STILL)
    found = state(model.fit(X, LABELS))["layers.0.weight"]
    np.testing.assert_allclose(found, 1, atol=1e-9)


@pytest.mark.parametrize(
    "weights, message",
    [
        ({"layer.0.weight": np.ones((3, 4))}, "Did you mean 'layers.0.weight'"),
        ({"x": np.ones(3)}, r"They are layers\.0\.weight, layers\.0\.bias"),
        ({3: np.ones(3)}, "initial_weights has the name 3"),
        ({"layers.0.weight": np.ones((4, 3))}, r"shape \(3, 4\) .* got \(4, 3\)"),
        ({"layers.0.bias": [1, 2, np.nan]}, "must hold finite numbers.* got nan"),
        ({"layers.0.bias": [1, 2, 1e300]}, r"must hold finite .*float32, got 1e\+300"),
        ({"layers.0.bias": ["a", "b", "c"]}, "must hold numbers, got <U1"),
        (
            {"layers.0.bias": [[1], [1, 2]]},
            "Invalid initial_weights.'layers.0.bias'",
        ),
        ([1.0], "'initial_weights' parameter"),
    ],
)
def test_wrong_weights_are_named(weights, message):
    model = MLPClassifier((3,), initial_weights=weights, dtype="float32")
    with pytest.raises(ValueError, match=message):
        model.fit(X, LABELS)
    assert not hasattr(model, "classes_")
