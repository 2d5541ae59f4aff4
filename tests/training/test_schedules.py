"""Learning rates in the history, compared with closed forms."""

import math

import numpy as np
import pytest
from sklearn.datasets import make_regression

from skdeep import MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

RATE, EPOCHS, N = 0.01, 20, 30
X, y = make_regression(n_samples=N, n_features=3, random_state=0)


def rates(**params):
    """Train with one batch an epoch and return the learning rate of each epoch."""
    model = MLPRegressor(
        **{
            "hidden_layer_sizes": (3,),
            "learning_rate_init": RATE,
            "batch_size": N,
            "max_iter": EPOCHS,
            "random_state": 0,
            **params,
        }
    ).fit(X, y)
    return [record["learning_rate"] for record in model.history_]


def one_cycle(progress):
    if progress < 0.3:
        return RATE * (1 / 25 + 24 / 25 * (1 - math.cos(math.pi * progress / 0.3)) / 2)
    return RATE * (1 + math.cos(math.pi * (progress - 0.3) / 0.7)) / 2


CURVES = {
    "constant": lambda progress: RATE,
    "cosine": lambda progress: RATE * (1 + math.cos(math.pi * progress)) / 2,
    "one_cycle": one_cycle,
    "exponential": lambda progress: RATE * 0.01**progress,
}


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("name", CURVES)
def test_schedule_matches_its_formula(name, solver):
    expected = [CURVES[name](epoch / EPOCHS) for epoch in range(EPOCHS)]
    got = rates(learning_rate=name, solver=solver, n_iter_no_change=EPOCHS)
    assert got == pytest.approx(expected)


def test_rate_changes_within_an_epoch():
    got = rates(learning_rate="cosine", batch_size=10, max_iter=1)
    assert got == pytest.approx([CURVES["cosine"](2 / 3)])


def test_invscaling():
    got = rates(solver="sgd", learning_rate="invscaling", power_t=0.3)
    seen = np.arange(EPOCHS) * N
    expected = RATE / (seen + 1.0) ** 0.3
    assert got == pytest.approx(expected.tolist())


def test_adaptive_divides_by_five_when_training_would_stop():
    # No epoch improves by tol, so training would stop after three epochs.
    got = rates(solver="sgd", learning_rate="adaptive", tol=1e9, n_iter_no_change=2)
    # The first epoch always counts as an improvement.
    falls = [max(0, epoch - 1) // 3 for epoch in range(EPOCHS)]
    assert got == pytest.approx([RATE / 5**n for n in falls])


def test_adaptive_needs_sgd():
    got = rates(solver="adam", learning_rate="adaptive", tol=1e9, n_iter_no_change=2)
    assert set(got) == {RATE}


@pytest.mark.parametrize(("patience", "every"), [(6, 3), (1, 1), (np.inf, None)])
def test_plateau_divides_the_rate(patience, every):
    got = rates(learning_rate="plateau", tol=1e9, n_iter_no_change=patience, max_iter=8)
    if every is None:
        assert set(got) == {RATE}
        return
    falls = [max(0, epoch - 1) // every for epoch in range(len(got))]
    assert got == pytest.approx([RATE / 5**n for n in falls])


def test_plateau_does_not_fall_while_training_improves():
    got = rates(learning_rate="plateau", tol=0.0, learning_rate_init=1e-4)
    assert set(got) == {1e-4}


def test_every_fit_restarts_the_schedule():
    model = MLPRegressor(
        hidden_layer_sizes=(),
        learning_rate="cosine",
        max_iter=4,
        batch_size=N,
        warm_start=True,
        random_state=0,
    )
    model.fit(X, y).fit(X, y)
    got = [record["learning_rate"] for record in model.history_]
    assert got[:4] == got[4:]
