"""Checks of economic models, and the distributions of their shocks."""

import numpy as np
import pytest
import torch

from skdeep import (
    DiscreteShocks,
    EquilibriumNet,
    GaussHermite,
    MonteCarlo,
    check_equilibrium_model,
)
from tests.estimators.equilibrium_data import Growth, Linear


@pytest.mark.parametrize(
    "model", [Growth(), Linear(), Linear(MonteCarlo(2)), Linear(DiscreteShocks([0, 1]))]
)
def test_valid_models_pass(model):
    check_equilibrium_model(model)


def with_residuals(function):
    """Return the growth model with other residuals."""
    return {"residuals": function}


def with_integrand(function):
    return with_residuals(lambda states, policies, expect: expect(function))


def fail(*arguments):
    raise KeyError("x")


STEP = "model.step must return a tensor of shape"
RESIDUALS = r"model.residuals must return a tensor of shape \(n, n_equations\)"
INTEGRAND = "function passed to expect in model.residuals must return a tensor"
# What is changed, the error and its message.
BAD = {
    "no list of names": ({"states": "kz"}, TypeError, "model.states.*'kz'"),
    "no names": ({"policies": []}, TypeError, "model.policies"),
    "numbers for names": ({"states": [1, 2]}, TypeError, "model.states"),
    "equal names": ({"states": ["k", "k"]}, ValueError, "distinct"),
    "no bounds": ({"policy_bounds": None}, TypeError, "model.policy_bounds"),
    "too many bounds": (
        {"policy_bounds": [(0, 1), (0, 1)]},
        ValueError,
        r"got 2 pairs for 1 policies \['share'\]",
    ),
    "no pair": ({"policy_bounds": [(0,)]}, TypeError, "'share'"),
    "text": ({"policy_bounds": [("0", 1)]}, TypeError, "'share'"),
    "reversed bounds": ({"policy_bounds": [(1, 0)]}, ValueError, "low < high"),
    "infinite bounds": ({"policy_bounds": [(0, np.inf)]}, ValueError, "finite"),
    "other shocks": ({"shocks": [0.9, 1.1]}, TypeError, "model.shocks.*GaussHermite"),
    "no method": ({"step": 3}, TypeError, "model.step must be a method"),
    "initial shape": (
        {"initial_states": lambda n, rng: np.ones(n)},
        ValueError,
        r"initial_states.*\(n, n_states\), for n=\d+ \(\d+, 2\), got \(\d+,\)",
    ),
    "initial NaN": (
        {"initial_states": lambda n, rng: np.full((n, 2), np.nan)},
        ValueError,
        "initial_states must return finite numbers, got k=nan, z=nan",
    ),
    "initial text": (
        {"initial_states": lambda n, rng: np.full((n, 2), "a")},
        TypeError,
        "initial_states must return numbers",
    ),
    "step array": ({"step": lambda s, p, e: s.numpy()}, TypeError, f"{STEP}.*ndarray"),
    "step shape": ({"step": lambda s, p, e: s[:, :1]}, ValueError, f"{STEP}.*, 1\\)"),
    "step NaN": (
        {"step": lambda s, p, e: s * torch.nan},
        ValueError,
        "model.step must return finite states, got k=nan, z=nan after k=.*share=",
    ),
    "step error": ({"step": fail}, ValueError, "model.step failed: 'x'"),
    "residual shape": (
        with_residuals(lambda s, p, e: p[:2]),
        ValueError,
        f"{RESIDUALS}.*, got \\(2, 1\\)",
    ),
    "mean residual": (
        with_residuals(lambda s, p, e: p.mean()),
        ValueError,
        f"{RESIDUALS}.*, got \\(\\)",
    ),
    "no equations": (with_residuals(lambda s, p, e: p[:, :0]), ValueError, RESIDUALS),
    "residual array": (
        with_residuals(lambda s, p, e: p.detach().numpy()),
        TypeError,
        f"{RESIDUALS}.*ndarray",
    ),
    "residual NaN": (
        with_residuals(lambda s, p, e: torch.log(-p)),
        ValueError,
        r"model.residuals must return finite numbers, got \[nan\] at k=.*, z=1 and "
        r"share=.*\(\d+ of \d+ rows\)",
    ),
    "residual type": (
        with_residuals(lambda s, p, e: p * 1j),
        TypeError,
        f"{RESIDUALS}.* of floats, got torch.complex128",
    ),
    "step in place": (
        {"step": lambda s, p, e: s.mul_(0.5)},
        ValueError,
        "must not change states or policies in place",
    ),
    "no function": (
        with_residuals(lambda s, p, expect: expect(3)),
        TypeError,
        "takes a function, got 3",
    ),
    "initial lists": (
        {"initial_states": lambda n, rng: [[1.0, 2.0], [1.0]]},
        ValueError,
        r"initial_states\(n, rng\) must return an array of shape",
    ),
    "huge bounds": ({"policy_bounds": [(10**400, 1)]}, ValueError, "low < high"),
    "no gradient": (
        with_residuals(lambda s, p, e: p.detach()),
        ValueError,
        "no gradient. Remove detach",
    ),
    "policies unused": (
        with_residuals(lambda s, p, e: s.clone().requires_grad_()),
        ValueError,
        "no gradient",
    ),
    "integrand shape": (with_integrand(lambda s, p, e: s[0, 0]), ValueError, INTEGRAND),
    "integrand number": (with_integrand(lambda s, p, e: 1.0), ValueError, INTEGRAND),
    "integrand error": (with_integrand(fail), ValueError, "model.residuals failed"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_models(name):
    changes, error, message = BAD[name]
    model = Growth()
    for attribute, value in changes.items():
        setattr(model, attribute, value)
    with pytest.raises(error, match=message):
        check_equilibrium_model(model)
    # The fit says the same.
    with pytest.raises(error, match=message):
        EquilibriumNet(model, (4,), max_iter=1).fit()


def test_missing_attributes_are_listed():
    class Empty:
        shocks = GaussHermite()

    with pytest.raises(
        TypeError, match="Empty has no states, policies, policy_bounds,"
    ):
        check_equilibrium_model(Empty())


class NanLater(Growth):
    """The residuals are defined at the initial states only."""

    def residuals(self, states, policies, expect):
        values = super().residuals(states, policies, expect)
        return torch.where(states[:, 1] == 1, values, torch.nan)


def test_nan_on_the_first_path():
    check_equilibrium_model(NanLater())
    model = EquilibriumNet(NanLater(), (4,), n_paths=3, n_periods=3, random_state=0)
    with pytest.raises(
        ValueError, match=r"finite numbers, got \[nan\] at .*6 of 9 rows"
    ):
        model.fit()


def test_errors_of_types_say_which_method_was_called():
    model = Growth()
    model.step = lambda states: states
    with pytest.raises(TypeError) as caught:
        check_equilibrium_model(model)
    assert caught.value.__notes__ == ["Raised by model.step of Growth."]


# -- shocks ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_nodes", [1, 2, 5, 9])
def test_gauss_hermite_is_exact_for_polynomials(n_nodes):
    shocks = GaussHermite(2, n_nodes)
    nodes = shocks.nodes(np.random.default_rng(0))
    weights = shocks.weights(torch.zeros(1, 1, dtype=torch.float64))[:, 0].numpy()
    assert nodes.shape == (n_nodes**2, 2)
    moments = [1, 0, 1, 0, 3, 0, 15, 0, 105]
    for degree in range(min(2 * n_nodes, 9)):
        assert weights @ nodes[:, 1] ** degree == pytest.approx(moments[degree])
    if n_nodes > 1:
        squares = (nodes**2).prod(axis=1)
        assert weights @ squares == pytest.approx(1)


def test_monte_carlo_nodes_have_mean_zero():
    nodes = MonteCarlo(3, n_nodes=10).nodes(np.random.default_rng(0))
    assert nodes.shape == (10, 3)
    assert nodes.mean(axis=0) == pytest.approx(0)
    assert MonteCarlo(3, n_nodes=7).nodes(np.random.default_rng(0)).shape == (7, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DiscreteShocks([]), ValueError, "values"),
        (lambda: DiscreteShocks([[[1.0]]]), ValueError, "values.*shape"),
        (lambda: DiscreteShocks(["a"]), ValueError, "values"),
        (lambda: DiscreteShocks([1, np.nan]), ValueError, "values.*finite"),
        (lambda: DiscreteShocks([1j]), TypeError, "values"),
        (lambda: DiscreteShocks([1, 2], [0.5]), ValueError, "probabilities.*2 values"),
        (lambda: DiscreteShocks([1, 2], [0.5, 0.6]), ValueError, "sum is 1.1"),
        (lambda: DiscreteShocks([1, 2], [-0.5, 1.5]), ValueError, "non-negative"),
        (lambda: GaussHermite(0), ValueError, "n_shocks"),
        (lambda: GaussHermite(1, 2.5), ValueError, "n_nodes"),
        (lambda: GaussHermite(20), ValueError, "Use fewer nodes or MonteCarlo"),
        (lambda: GaussHermite(10**6), ValueError, "n_shocks=1000000 makes more than"),
        (lambda: GaussHermite(10**6, 1), ValueError, "n_shocks must be at most"),
        (lambda: GaussHermite(1, 101), ValueError, "n_nodes must be at most 100"),
        (lambda: MonteCarlo(n_nodes=0), ValueError, "n_nodes"),
    ],
)
def test_bad_shocks(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("probabilities", "error", "message"),
    [
        (lambda s: s[:, 0], ValueError, r"probabilities must return.*\(n, n_values\)"),
        (lambda s: s[:, :2].numpy(), TypeError, "probabilities must.*got ndarray"),
        (
            lambda s: s[:, :2] * 0 + 1.5,
            ValueError,
            r"\[1.5, 1.5\], whose sum is 3, at a=",
        ),
        (lambda s: s[:, :2] * 0 - s.new_tensor([1, -2]), ValueError, "non-negative"),
        (lambda s: s[:, :2] * torch.nan, ValueError, r"sum to 1, got \[nan, nan\]"),
    ],
)
def test_bad_functions_of_probabilities(probabilities, error, message):
    model = Linear(DiscreteShocks([0, 1], probabilities))
    with pytest.raises(error, match=message):
        check_equilibrium_model(model)


def test_probabilities_that_are_wrong_on_the_first_path():
    def probabilities(states):
        is_first = (states[:, 1:] == 1).to(states)
        return torch.cat([0.5 * is_first, 0.5 * is_first], 1)

    model = Growth()
    model.shocks = DiscreteShocks([0.9, 1.1], probabilities)
    check_equilibrium_model(model)
    with pytest.raises(ValueError, match=r"whose sum is 0, at k=.*, z=0\.9"):
        EquilibriumNet(model, (4,), n_paths=3, n_periods=3, random_state=0).fit()


def test_an_error_in_probabilities_says_so():
    model = Linear(DiscreteShocks([0, 1], fail))
    with pytest.raises(KeyError) as caught:
        check_equilibrium_model(model)
    assert caught.value.__notes__ == ["Raised by the probabilities of DiscreteShocks."]
