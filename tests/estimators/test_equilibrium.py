"""EquilibriumNet: solutions, expectations, simulated paths, scikit-learn's manners."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skdeep import (
    DiscreteShocks,
    EquilibriumNet,
    GaussHermite,
    LossCurveDisplay,
    MonteCarlo,
)
from skdeep.callbacks import Checkpoint
from tests.estimators.equilibrium_data import Growth, Linear
from tests.round_trips import WAYS
from tests.training.test_checkpoint import Killed, KillsAfter, without_times

TINY = {"n_paths": 20, "n_periods": 4, "max_iter": 3, "random_state": 0}
LEARNS = {"learning_rate_init": 0.03, "batch_size": 50, "max_iter": 40}
STATES = np.array([[0.1, 0.9], [0.2, 1.1], [0.3, 1.0]])


def tiny(model=None, sizes=(8,), **params):
    return EquilibriumNet(model or Growth(), sizes, **{**TINY, **params})


@pytest.fixture(scope="module")
def fitted():
    """A solved growth model."""
    return tiny(sizes=(16,), n_paths=50, **LEARNS).fit()


# -- the solution ----------------------------------------------------------------------


def test_finds_the_closed_form(fitted):
    _, policies = fitted.simulate(10, 20, random_state=0)
    assert np.abs(policies - 0.27).mean() < 0.005
    assert fitted.score() > 1.8


def test_trains_on_given_states():
    rng = np.random.default_rng(0)
    # They include the states that the first policies lead to.
    X = np.column_stack([rng.uniform(0.01, 1, 400), rng.choice([0.9, 1.1], 400)])
    model = tiny(**LEARNS).fit(X)
    assert model.predict(STATES) == pytest.approx(0.27, abs=0.05)
    assert model.t_ == 40 * 400
    # Scores are still those of fresh paths.
    assert len(model.validation_scores_) == 40


def test_score_is_minus_the_log_of_the_mean_error(fitted):
    residuals = fitted.residuals(STATES)
    assert residuals.shape == (3, 1)
    assert fitted.score(STATES) == pytest.approx(-np.log10(np.abs(residuals).mean()))


def test_history_has_the_score_of_each_epoch(fitted):
    scores = [record["valid_score"] for record in fitted.history_]
    assert scores == fitted.validation_scores_
    assert len(scores) == fitted.n_iter_ == 40
    assert fitted.best_validation_score_ == max(scores)
    assert scores[-1] > scores[0] + 1
    LossCurveDisplay.from_estimator(fitted)


def test_fitted_attributes(fitted):
    assert fitted.n_features_in_ == 2
    assert list(fitted.feature_names_in_) == ["k", "z"]
    assert fitted.n_outputs_ == 1
    assert fitted.t_ == 40 * 50 * 4
    assert "PolicyNetwork" in str(fitted.summary())
    assert fitted.net_.predict(STATES) == pytest.approx(fitted.predict(STATES))


# -- expectations, against loops over the nodes ----------------------------------------


def markov(states):
    """Probabilities that depend on the sign of the first state."""
    is_high = (states[:, :1] > 0).to(states)
    return torch.cat([0.2 + 0.5 * is_high, 0.8 - 0.5 * is_high], 1)


VALUES = np.array([[0.5, -1.0], [2.0, 0.3]])
DISTRIBUTIONS = {
    "equal": (DiscreteShocks(VALUES), lambda x: VALUES, lambda x: [0.5, 0.5]),
    "unequal": (
        DiscreteShocks(VALUES, [0.9, 0.1]),
        lambda x: VALUES,
        lambda x: [0.9, 0.1],
    ),
    "Markov": (
        DiscreteShocks(VALUES, markov),
        lambda x: VALUES,
        lambda x: [0.7, 0.3] if x[0] > 0 else [0.2, 0.8],
    ),
    # The rule with two nodes: -1 and 1.
    "Gauss-Hermite": (
        GaussHermite(2, n_nodes=2),
        lambda x: np.array([[a, b] for a in (-1, 1) for b in (-1, 1)]),
        lambda x: [0.25] * 4,
    ),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_residuals_equal_those_of_a_loop(name):
    shocks, nodes, weights = DISTRIBUTIONS[name]
    model = tiny(Linear(shocks), max_iter=1).fit()
    X = np.random.default_rng(1).normal(size=(7, 4))
    expected = []
    for x, p in zip(X, model.predict(X), strict=True):
        level = pair = 0.0
        for e, w in zip(nodes(x), weights(x), strict=True):
            after = 0.5 * x + 0.1 * p[0] + 0.3 * e[0] - 0.2 * e[-1]
            (q,) = model.predict(after[np.newaxis])
            level += w * (after[0] * q[1] + e[0] ** 2)
            pair += w * (after[1] ** 2 + q[0])
        first, second = p[0] - 0.3 * x[0], p[1] - 0.2 * x[1]
        expected.append([first - 0.1 * level, second - 0.1 * pair])
    assert model.residuals(X) == pytest.approx(np.array(expected))


def test_many_rows_are_computed_in_parts():
    model = tiny(Linear(GaussHermite(2, n_nodes=20)), (128,), max_iter=1).fit()
    X = np.random.default_rng(1).normal(size=(100, 4))
    alone = [model.residuals(X[i : i + 1])[0] for i in (0, 50, 99)]
    assert model.residuals(X)[[0, 50, 99]] == pytest.approx(np.array(alone))


def test_monte_carlo_is_close_to_gauss_hermite():
    exact = tiny(Linear(), max_iter=1).fit()
    drawn = clone(exact).set_params(model=Linear(MonteCarlo(2, n_nodes=4001)))
    X = np.random.default_rng(1).normal(size=(5, 4))
    vars(drawn).update({k: v for k, v in vars(exact).items() if k.endswith("_")})
    drawn.__dict__.update(
        {k: v for k, v in vars(exact).items() if k not in drawn.get_params()}
    )
    assert drawn.residuals(X) == pytest.approx(exact.residuals(X), abs=0.02)
    # The nodes of a prediction are fixed.
    np.testing.assert_array_equal(drawn.residuals(X), drawn.residuals(X))


def test_monte_carlo_draws_other_nodes_in_each_batch():
    rows = Linear(MonteCarlo(2, n_nodes=3)).initial_states(1, np.random.default_rng(0))
    model = tiny(Linear(MonteCarlo(2, n_nodes=3)), learning_rate_init=1e-9, max_iter=5)
    assert np.ptp(model.fit(rows).loss_curve_) > 1e-3
    fixed = clone(model).set_params(model=Linear()).fit(rows)
    assert np.ptp(fixed.loss_curve_) < 1e-6


# -- policies within bounds ------------------------------------------------------------


class Bounded(Linear):
    policies = ["a", "b", "c", "d", "e"]
    policy_bounds = [(0.1, 0.3), (-2, None), (None, 7), (None, None), (1e6, 1e6 + 1)]

    def residuals(self, states, policies, expect):
        return policies / torch.tensor([1, 1, 1, 1, 1e6]) - 100 * states[:, :1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_policies_cannot_leave_their_bounds(dtype):
    model = tiny(Bounded(), (16,), learning_rate_init=0.1, max_iter=20, dtype=dtype)
    model.fit()
    X = np.random.default_rng(0).normal(size=(200, 4)) * 1e5
    policies = model.predict(X)
    low = [-np.inf if pair[0] is None else pair[0] for pair in Bounded.policy_bounds]
    high = [np.inf if pair[1] is None else pair[1] for pair in Bounded.policy_bounds]
    assert (policies >= np.array(low, dtype=dtype)).all()
    assert (policies <= np.array(high, dtype=dtype)).all()
    # They are far enough from 0 to be close to the bounds.
    assert np.ptp(policies[:, 0]) == pytest.approx(0.2, rel=1e-3)
    assert np.abs(policies[:, 3]).max() > 100


# -- the start -------------------------------------------------------------------------


class Sizes(Linear):
    """The policies are close to constants of very different sizes."""

    policies = ["a", "b", "c", "d"]
    policy_bounds = [(0, None), (None, 1), (0, 1), (None, None)]
    sizes = np.array([0.1, -4.0, 0.1, 2.0])

    def residuals(self, states, policies, expect):
        low = torch.tensor([0.0, 1.0, 0.0, 0.0])
        distance = (policies - low) / (torch.from_numpy(self.sizes).to(states) - low)
        return distance - 1 + 0.01 * states[:, :1]


def test_the_first_policies_are_the_best_constants():
    model = tiny(Sizes(), max_iter=1, learning_rate_init=1e-12).fit()
    policies = model.predict(np.random.default_rng(0).normal(size=(50, 4)))
    found, expected = policies.mean(0), Sizes.sizes
    assert found == pytest.approx(expected, rel=0.3)
    assert (policies.std(0) < 0.2 * np.abs(found)).all()


class Far(Growth):
    """Simulations begin far away from the states of the solution."""

    def initial_states(self, n, rng):
        return np.column_stack([rng.uniform(100, 300, n), np.ones(n)])


def test_states_are_standardized_again():
    params = LEARNS | {"n_paths": 50}
    once = tiny(Far(), **params | {"max_iter": 3}).fit()
    again = tiny(Far(), **params | {"n_periods": 10}).fit()
    first, last = (m.module_.center[0].item() for m in (once, again))
    assert first > 20
    assert last < 0.5 * first
    assert again.predict([[0.2, 1.0]])[0, 0] == pytest.approx(0.27, abs=0.03)


class Spread(Linear):
    """In each period, the states are four times as large."""

    def step(self, states, policies, shocks):
        return 4 * states


class RecordsScales(Callback):
    def __init__(self):
        self.scales, self.n_steps = [], []

    def on_epoch_end(self, net, **kwargs):
        self.scales.append(net.module_.scale[0].item())
        (state, *_) = net.optimizer_.state.values()
        self.n_steps.append(int(state["step"]))


def test_the_optimizer_starts_again_too():
    params = {"n_periods": 2, "n_paths": 40, "batch_size": 20, "max_iter": 9}
    model = tiny(Spread(), callbacks=[RecordsScales()], **params).fit()
    record = model.callbacks_[0]
    # In the second and third epoch, not in the last three quarters.
    assert record.n_steps == [4, 4, 4, 8, 12, 16, 20, 24, 28]
    assert record.scales[1] > 2 * record.scales[0]
    assert record.scales[2] > 2 * record.scales[1]
    assert len(set(record.scales[2:])) == 1


def test_policies_hardly_change_far_away():
    model = tiny(Linear(), max_iter=20, learning_rate_init=0.03).fit()
    near, far, farther = model.predict([[0.0] * 4, [1e3] * 4, [1e9] * 4])
    assert far == pytest.approx(farther, rel=1e-3)
    assert np.abs(near - far).min() > 0.1


# -- simulated paths -------------------------------------------------------------------


def test_simulated_paths_follow_the_model(fitted):
    states, policies = fitted.simulate(6, n_paths=3, random_state=0)
    assert states.shape == (3, 6, 2)
    assert policies.shape == (3, 6, 1)
    flat = states.reshape(-1, 2)
    np.testing.assert_allclose(policies.reshape(-1, 1), fitted.predict(flat))
    output = states[..., 1] * states[..., 0] ** 0.3
    np.testing.assert_allclose(states[:, 1:, 0], (policies[..., 0] * output)[:, :-1])
    assert set(states[:, 1:, 1].ravel()) == {0.9, 1.1}
    assert (states[:, 0, 1] == 1).all()


def test_simulations_depend_on_random_state_alone(fitted):
    first, second = (fitted.simulate(5, 2, random_state=1)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, fitted.simulate(5, 2, random_state=2)[0])


@pytest.mark.parametrize("name", ["unequal", "Markov"])
def test_draws_have_the_probabilities(name):
    shocks, _, weights = DISTRIBUTIONS[name]
    for sign in (-1.0, 1.0):
        states = torch.full((20000, 4), sign)
        drawn = shocks.draw(states, np.random.default_rng(0))
        share = (drawn == torch.tensor([0.5, -1.0])).all(1).float().mean()
        assert float(share) == pytest.approx(weights([sign])[0], abs=0.01)


def test_draws_of_normal_shocks():
    for shocks in (GaussHermite(2), MonteCarlo(2)):
        drawn = shocks.draw(torch.zeros(20000, 1), np.random.default_rng(0))
        assert drawn.mean(0).numpy() == pytest.approx(0, abs=0.03)
        assert np.cov(drawn.T.numpy()) == pytest.approx(np.eye(2), abs=0.03)


class Exploding(Growth):
    """The third period is infinite."""

    def step(self, states, policies, shocks):
        following = super().step(states, policies, shocks)
        is_late = states[:, 1] != 1
        return torch.where(is_late[:, None], torch.inf, following)

    def residuals(self, states, policies, expect):
        return policies / states[:, :1]


def test_paths_that_are_not_finite_begin_again():
    model = tiny(Exploding(), n_periods=6).fit()
    assert np.isfinite(model.loss_curve_).all()
    with pytest.raises(ValueError, match=r"states are not finite.*model\.step"):
        model.simulate(6)


# -- scikit-learn's manners ------------------------------------------------------------


def test_random_state_decides():
    first, second, other = (tiny(random_state=s).fit() for s in (0, 0, 1))
    np.testing.assert_array_equal(first.predict(STATES), second.predict(STATES))
    assert without_times(first.history_) == without_times(second.history_)
    assert not np.array_equal(first.predict(STATES), other.predict(STATES))


def through_skops(model):
    """Store a network with skops; the user has to trust the model's class."""
    data = skops.io.dumps(model)
    untrusted = skops.io.get_untrusted_types(data=data)
    own = [name for name in untrusted if not name.startswith("skdeep.")]
    assert own == ["tests.estimators.equilibrium_data.Growth"]
    return skops.io.loads(data, trusted=untrusted)


@pytest.mark.parametrize("way", WAYS)
def test_copies_predict_the_same(way, fitted):
    model = (WAYS | {"skops": through_skops})[way](fitted)
    np.testing.assert_array_equal(model.predict(STATES), fitted.predict(STATES))
    assert model.score() == fitted.score()


def test_clone_copies_the_model():
    model = tiny()
    copied = clone(model)
    assert copied.model is not model.model
    assert type(copied.model) is Growth


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_are_matched_by_name(fitted, frame):
    X = frame({"z": STATES[:, 1], "k": STATES[:, 0]})
    np.testing.assert_array_equal(fitted.predict(X), fitted.predict(STATES))
    np.testing.assert_array_equal(fitted.residuals(X), fitted.residuals(STATES))


def test_float32_states():
    model = tiny().fit(STATES.astype(np.float32))
    assert model.predict(STATES).dtype == np.float32
    assert {p.dtype for p in model.module_.parameters()} == {torch.float32}
    assert tiny(dtype="float32").fit().predict(STATES).dtype == np.float32
    assert tiny().fit().predict(STATES).dtype == np.float64


class RecordsPolicies(Callback):
    def __init__(self):
        self.policies = []

    def on_epoch_end(self, net, **kwargs):
        self.policies.append(net.predict(STATES))


def test_early_stopping_keeps_the_best_epoch():
    model = tiny(
        learning_rate="constant",
        learning_rate_init=0.5,
        batch_size=20,
        max_iter=60,
        n_iter_no_change=3,
        callbacks=[RecordsPolicies()],
    ).fit()
    assert model.n_iter_ < 60
    best = int(np.argmax(model.validation_scores_))
    assert best < model.n_iter_ - 1
    expected = model.callbacks_[0].policies[best]
    np.testing.assert_array_equal(model.predict(STATES), expected)


def test_no_warning_without_a_criterion_of_convergence():
    model = tiny(learning_rate="constant")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit().n_iter_ == 3
    model.set_params(n_iter_no_change=5)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\)"):
        model.fit()


def test_without_early_stopping_the_last_weights_are_kept():
    model = tiny(early_stopping=False, weight_averaging=0.5, accumulate=2).fit()
    assert model.n_iter_ == 3
    assert len(model.validation_scores_) == 3


@pytest.mark.parametrize("early_stopping", [True, "loss", False])
def test_partial_fit_keeps_the_latest_weights(early_stopping):
    params = {"learning_rate": "constant", "learning_rate_init": 0.01, "batch_size": 20}
    model = tiny(early_stopping=early_stopping, **params).partial_fit().partial_fit()
    expected = tiny(early_stopping=False, **params).partial_fit().partial_fit()
    # The last epoch is not the best.
    assert model.validation_scores_[1] < model.validation_scores_[0]
    np.testing.assert_array_equal(model.predict(STATES), expected.predict(STATES))
    assert model.best_validation_score_ == model.validation_scores_[0]


def test_partial_fit_does_not_stop_early():
    model = tiny(n_iter_no_change=5)
    with pytest.raises(ValueError, match="does not support early_stopping=True"):
        model.partial_fit()
    assert model.set_params(early_stopping=False).partial_fit().n_iter_ == 1


def test_partial_fit_draws_other_paths():
    model = tiny(learning_rate_init=1e-12)
    losses = [model.partial_fit().loss_ for _ in range(3)]
    assert len(set(losses)) == 3
    assert model.t_ == 3 * 80


def test_warm_start_continues():
    model = tiny(warm_start=True, learning_rate_init=0.02, max_iter=10).fit()
    before = model.validation_scores_[-1]
    model.set_params(max_iter=1).fit()
    assert model.validation_scores_[-1] > before - 0.3
    assert len(model.history_) == 11


class Records(Callback):
    def __init__(self):
        self.scores = []

    def on_epoch_end(self, net, **kwargs):
        self.scores.append(net.history[-1, "valid_score"])


def test_skorch_callbacks():
    model = tiny(callbacks=[Records()]).fit()
    assert model.callbacks_[0].scores == model.validation_scores_


@pytest.mark.parametrize("shocks", [DiscreteShocks([[-1, 1], [1, 0]]), MonteCarlo(2)])
def test_a_killed_fit_is_resumed_bit_identically(tmp_path, shocks):
    def make():  # it starts again after the first epoch
        return tiny(Linear(shocks), max_iter=5, weight_averaging=0.5)

    expected = make().fit()
    path = tmp_path / "fit.ckpt"
    for n_epochs in (0, 2):
        with pytest.raises(Killed):
            make().set_callbacks(Checkpoint(path), KillsAfter(n_epochs)).fit()
    found = make().set_callbacks(Checkpoint(path)).fit()
    assert without_times(found.history_) == without_times(expected.history_)
    X = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


class Owning(Linear):
    """A model with a tensor, a function and a reference to itself."""

    def __init__(self, number=1.0):
        super().__init__(DiscreteShocks([0, 1], lambda s: s.new_full((len(s), 2), 0.5)))
        self.itself, self.numbers = self, torch.full((3,), number)


def test_checkpoint_of_a_model_that_cannot_be_pickled(tmp_path):
    path = tmp_path / "fit.ckpt"
    expected = tiny(Owning()).set_callbacks(Checkpoint(path)).fit()
    found = tiny(Owning()).set_callbacks(Checkpoint(path), KillsAfter(0)).fit()
    assert found.history_ == expected.history_
    with pytest.raises(ValueError, match="checkpoint of another fit"):
        tiny(Owning(2.0)).set_callbacks(Checkpoint(path)).fit()


def test_checkpoint_of_another_model_raises(tmp_path):
    path = tmp_path / "fit.ckpt"
    tiny(Linear()).set_callbacks(Checkpoint(path)).fit()
    other = tiny(Linear(GaussHermite(2, n_nodes=4))).set_callbacks(Checkpoint(path))
    with pytest.raises(ValueError, match="checkpoint of another fit"):
        other.fit()


def test_grid_search_over_given_states():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(0.01, 1, 60), rng.choice([0.9, 1.1], 60)])
    grid = {"learning_rate_init": [1e-6, 0.02]}
    search = GridSearchCV(tiny(max_iter=20), grid, cv=2, error_score="raise").fit(X)
    assert search.best_params_ == {"learning_rate_init": 0.02}


# -- bad input and failures ------------------------------------------------------------


def test_one_state():
    model = tiny(n_paths=1, n_periods=1).fit()
    assert model.predict([[0.2, 1.0]]).shape == (1, 1)
    assert tiny().fit([[0.2, 1.0]]).n_iter_ == 3


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([[0.2]], ValueError, r"X has 1 features.*2 features.*\['k', 'z'\]"),
        ([[0.2, np.nan]], ValueError, "Input X contains NaN"),
        ([[0.2, "a"]], ValueError, "X"),
        ([0.2, 1.0], ValueError, "Expected 2D array"),
        ([[0.2, 1j]], ValueError, "X"),
        (pd.DataFrame({"k": [0.2], "x": [1.0]}), ValueError, "feature names"),
        (pd.DataFrame({"k": [0.2]}), ValueError, "feature names"),
        (None, ValueError, "X"),
    ],
    ids=str,
)
def test_bad_states(fitted, X, error, message):
    with pytest.raises(error, match=message):
        fitted.predict(X)
    if X is not None:
        with pytest.raises(error, match=message):
            tiny().fit(X)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.predict(STATES),
        lambda m: m.residuals(STATES),
        lambda m: m.simulate(3),
        lambda m: m.score(),
        lambda m: m.score(STATES),
    ],
)
def test_before_fit(call):
    with pytest.raises(NotFittedError):
        call(tiny())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_paths": 0}, "n_paths"),
        ({"n_periods": 1.5}, "n_periods"),
        ({"solver": "lbfgs"}, "solver"),
        ({"activation": "swish"}, "activation.*Did you mean 'silu'"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
    ],
    ids=str,
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        tiny().set_params(**params).fit()


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.predict(STATES),
        lambda m: m.residuals(STATES),
        lambda m: m.simulate(3),
        lambda m: m.score(),
    ],
)
@pytest.mark.parametrize("attribute", ["states", "policies"])
def test_another_model_after_fit(call, attribute):
    model = tiny().fit()
    setattr(model.model, attribute, ["x", "y"])
    with pytest.raises(
        ValueError, match=r"trained for the states \['k', 'z'\] and 1 pol"
    ):
        call(model)


@pytest.mark.parametrize(
    "params", [{"n_paths": 10**13}, {"n_periods": 10**13}], ids=str
)
def test_paths_that_do_not_fit_in_memory(params):
    with pytest.raises(MemoryError):
        tiny(**params).fit()
    with pytest.raises(MemoryError):
        tiny().fit().simulate(**{"n_periods": 3} | params)


def test_the_class_of_a_model():
    with pytest.raises(TypeError, match=r"instance, got the class Growth.*Growth\("):
        tiny(Growth).fit()
    with pytest.raises(TypeError, match="model must have states, .*; NoneType has no"):
        EquilibriumNet(None).fit()


def test_a_large_batch_is_clipped():
    with pytest.warns(UserWarning, match="batch_size=100, more than the 80"):
        tiny(batch_size=100).fit()


def test_divergence_raises():
    model = tiny(Linear(), solver="sgd", learning_rate_init=1e20, early_stopping=False)
    with pytest.raises(
        ValueError, match="Solver produced non-finite parameter weights"
    ):
        model.fit()


class Fragile(Linear):
    """Its residuals are NaN after some calls, as if training had diverged."""

    n_calls = 0

    def residuals(self, states, policies, expect):
        Fragile.n_calls += 1
        values = super().residuals(states, policies, expect)
        return values * (np.nan if Fragile.n_calls > 65 else 1.0)


def test_divergence_with_early_stopping_keeps_the_best_epoch():
    Fragile.n_calls = 0
    with pytest.warns(ConvergenceWarning, match="Training diverged"):
        model = tiny(Fragile(), max_iter=20, batch_size=40).fit()
    assert np.isfinite(model.predict(np.zeros((1, 4)))).all()


def test_a_failed_fit_changes_nothing(fitted):
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit([[np.nan, 1.0]])
    assert vars(fitted) == before
