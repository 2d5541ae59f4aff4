"""The example economies, against their closed forms and value-function iteration."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from skdeep import EquilibriumNet, GaussHermite, check_equilibrium_model

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


@pytest.fixture(scope="module")
def models():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        import equilibrium_models

        yield equilibrium_models
        sys.modules.pop("equilibrium_models", None)


def residuals_of_closed_form(model, states):
    """Return the residuals of the closed form, by a loop over the shocks."""
    shocks = model.shocks
    nodes = shocks.nodes(np.random.default_rng(0))
    weights = shocks.weights(states)[:, 0].tolist()
    policies = torch.from_numpy(model.closed_form(states))

    def expect(function):
        total = 0.0
        for node, weight in zip(torch.from_numpy(nodes), weights, strict=True):
            after = model.step(states, policies, node.expand(len(states), -1))
            chosen = torch.from_numpy(model.closed_form(after))
            total = total + weight * function(after, chosen, node)
        return total

    return model.residuals(states, policies, expect).numpy()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("BrockMirman", {}),
        ("OverlappingGenerations", {"n_generations": 2}),
        ("OverlappingGenerations", {}),
        ("OverlappingGenerations", {"policy": "amount"}),
        ("OverlappingGenerations", {"n_generations": 20, "beta": 0.95}),
    ],
)
def test_the_closed_form_solves_the_equations(models, name, params):
    model = getattr(models, name)(**params)
    check_equilibrium_model(model)
    states = torch.from_numpy(model.initial_states(20, np.random.default_rng(0)))
    assert np.abs(residuals_of_closed_form(model, states)).max() < 1e-10


def test_resources_are_spent(models):
    model = models.OverlappingGenerations(4, policy="amount")
    states = torch.from_numpy(model.initial_states(20, np.random.default_rng(0)))
    savings = torch.from_numpy(model.closed_form(states))
    consumption, _ = model.consumption(states, savings)
    eta, delta, k = states[:, 0], states[:, 1], states[:, 2:].sum(1)
    produced = eta * k**0.3 + (1 - delta) * k
    spent = consumption.sum(1) + savings.sum(1)
    np.testing.assert_allclose(spent, produced)
    assert (consumption > 0).all()


def test_value_iteration_finds_the_closed_form(models):
    """With full depreciation and almost log utility, it is that of Brock and Mirman."""
    model = models.StochasticGrowth(gamma=1 + 1e-6, delta=1.0, beta=0.8)
    policy = model.value_iteration(n_k=60, n_z=7)
    states = model.initial_states(50, np.random.default_rng(0))
    assert policy(states) == pytest.approx(0.36 * 0.8, rel=1e-3)


def test_value_iteration_satisfies_the_euler_equation(models):
    model = models.StochasticGrowth()
    policy = model.value_iteration(n_k=60, n_z=9)
    model.closed_form = policy
    states = torch.from_numpy(model.initial_states(50, np.random.default_rng(0)))
    assert np.abs(residuals_of_closed_form(model, states)).max() < 1e-3


# -- networks --------------------------------------------------------------------------

QUICK = {
    "n_paths": 50,
    "n_periods": 4,
    "batch_size": 50,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.02,
    "random_state": 0,
}


@pytest.mark.parametrize(
    ("policy", "n_epochs", "most"), [("share", 30, 0.02), ("amount", 60, 0.2)]
)
def test_overlapping_generations(models, policy, n_epochs, most):
    model = models.OverlappingGenerations(3, policy=policy)
    network = EquilibriumNet(model, (16,), **QUICK | {"max_iter": n_epochs}).fit()
    states = network.simulate(8, 20, random_state=0)[0].reshape(-1, 4)
    expected = model.closed_form(states)
    error = np.abs(network.predict(states) / expected - 1).mean()
    assert error < most
    assert network.score(states) == pytest.approx(-np.log10(error), abs=1)


def test_growth_with_an_autoregression(models):
    model = models.StochasticGrowth()
    model.shocks = GaussHermite(1, n_nodes=3)
    options = QUICK | {"max_iter": 120, "activation": "tanh"}
    network = EquilibriumNet(model, (16,), **options).fit()
    states = network.simulate(8, 20, random_state=0)[0].reshape(-1, 2)
    expected = model.value_iteration(n_k=40, n_z=7, tol=1e-6)(states)
    assert np.abs(network.predict(states) - expected).mean() < 0.01


# -- the benchmark ---------------------------------------------------------------------


@pytest.fixture
def benchmark(monkeypatch):
    for folder in (EXAMPLES, EXAMPLES / "benchmarks"):
        monkeypatch.syspath_prepend(str(folder))
    import equilibrium

    yield equilibrium
    for name in ("equilibrium", "equilibrium_models"):
        sys.modules.pop(name, None)


def test_the_benchmark_prints_a_table(benchmark, capsys):
    benchmark.main(["brock_mirman", "olg6", "--epochs", "1", "--paths", "5"])
    header, _, first, second = capsys.readouterr().out.splitlines()
    assert header.startswith("| model | states | policies | mean residual |")
    assert first.startswith("| brock_mirman | 2 | 1 |")
    assert second.startswith("| olg6 | 7 | 5 |")


def test_the_benchmark_draws_the_scaling(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "SCALING", ["olg6"])
    path = tmp_path / "scaling.png"
    benchmark.main(["--scaling", str(path), "--epochs", "1", "--paths", "5"])
    assert path.stat().st_size > 1000


def test_the_benchmark_names_unknown_models(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["olg7"])
    assert "unknown models ['olg7']" in capsys.readouterr().err
