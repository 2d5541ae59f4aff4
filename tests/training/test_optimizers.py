"""torch's optimizers as ``solver``, compared with plain loops over torch.optim."""

import copy
import functools
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, Freezer, Unfreezer
from torch import nn

from skdeep import MLPClassifier, MLPRegressor, ModuleRegressor
from skdeep.training import STOCHASTIC_SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

RATE, BATCH, EPOCHS, TINY = 0.02, 20, 4, 1e-14
X, y = make_regression(n_samples=70, n_features=4, noise=1.0, random_state=0)
y = y / 50
N_STEPS = EPOCHS * math.ceil(len(X) / BATCH)


def network():
    """Three layers in double precision, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)
        ).double()


def model_of(solver, module=None, **params):
    """Return an estimator that does not shuffle rows and does not stop early."""
    params = {
        "alpha": 0.0,
        "batch_size": BATCH,
        "learning_rate_init": RATE,
        "max_iter": EPOCHS,
        "n_iter_no_change": np.inf,
        "shuffle": False,
        "random_state": 0,
        **params,
    }
    module = network() if module is None else module
    return ModuleRegressor(module, solver=solver, **params)


def train_by_torch(
    make_optimizer, *, module=None, n_epochs=EPOCHS, curve=None, before_epoch=None
):
    """Train by a plain loop, as in torch's tutorials."""
    module = network() if module is None else module
    optimizers = make_optimizer(list(module.parameters()))
    optimizers = optimizers if isinstance(optimizers, tuple) else (optimizers,)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, curve or (lambda step: 1.0))
        for o in optimizers
    ]
    rows, target = torch.tensor(X).split(BATCH), torch.tensor(y)[:, None].split(BATCH)
    for epoch in range(n_epochs):
        if before_epoch is not None:
            before_epoch(module, epoch)
        for a, b in zip(rows, target, strict=True):
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss = ((module(a) - b).square().sum(1) * (0.5 / len(a))).sum()
            loss.backward()
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
    return module


def assert_same_weights(found, expected, **tolerances):
    tolerances = tolerances or {"rtol": 1e-6, "atol": 1e-9}
    expected = dict(expected.named_parameters())
    for name, parameter in found.named_parameters():
        torch.testing.assert_close(
            parameter.detach(), expected[name].detach(), msg=name, **tolerances
        )


def two_rates(params):
    """The first layer learns slowly, the others fast."""
    groups = [{"params": params[:2], "lr": 0.01}, {"params": params[2:]}]
    return torch.optim.SGD(groups, lr=0.05, momentum=0.9)


# torch has it from 2.9 on.
Muon = getattr(torch.optim, "Muon", None)
needs_muon = pytest.mark.skipif(Muon is None, reason="torch.optim has no Muon")


def muon(params):
    """Return Muon for the matrices and AdamW for the rest."""
    return (
        Muon([p for p in params if p.ndim == 2], lr=RATE),
        torch.optim.AdamW([p for p in params if p.ndim != 2], lr=RATE),
    )


# -- one solver after the other --------------------------------------------------------

# The solver, its parameters, and the same in torch.
SOLVERS = {
    "partial": (
        functools.partial(torch.optim.AdamW, weight_decay=0.1),
        None,
        lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1),
    ),
    "partial with a rate": (
        functools.partial(torch.optim.Adam, lr=0.003, betas=(0.8, 0.99)),
        None,
        lambda p: torch.optim.Adam(p, lr=0.003, betas=(0.8, 0.99)),
    ),
    "Adafactor": (
        torch.optim.Adafactor,
        None,
        lambda p: torch.optim.Adafactor(p, lr=RATE),
    ),
    **({"Muon": (Muon, None, muon)} if Muon else {}),
    "groups": (two_rates, None, two_rates),
    "lambda with a rate": (
        lambda params, lr: torch.optim.RMSprop(params, lr=lr / 2),
        None,
        lambda p: torch.optim.RMSprop(p, lr=RATE / 2),
    ),
    "params": (
        torch.optim.SGD,
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(
            p, lr=RATE, momentum=0.8, nesterov=True, weight_decay=0.01
        ),
    ),
    "params with a rate": (
        torch.optim.NAdam,
        {"lr": 0.004},
        lambda p: torch.optim.NAdam(p, lr=0.004),
    ),
    "ASGD": (torch.optim.ASGD, None, lambda p: torch.optim.ASGD(p, lr=RATE)),
    "Rprop": (torch.optim.Rprop, None, lambda p: torch.optim.Rprop(p, lr=RATE)),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solver_equals_a_loop_over_it(name):
    solver, solver_params, reference = SOLVERS[name]
    model = model_of(solver, solver_params=solver_params).fit(X, y)
    assert_same_weights(model.module_, train_by_torch(reference))


def test_solver_gets_the_rate_that_the_user_has_set():
    model = model_of(torch.optim.AdamW, learning_rate_init=0.5).fit(X, y)
    assert model.history_[-1]["learning_rate"] == 0.5
    model = model_of(functools.partial(torch.optim.AdamW, lr=0.25)).fit(X, y)
    assert model.history_[-1]["learning_rate"] == 0.25


def test_penalty_and_clipping_come_before_the_users_optimizer():
    reference = network()
    optimizer = torch.optim.Adamax(reference.parameters(), RATE)
    model = model_of(
        torch.optim.Adamax, alpha=0.7, max_grad_norm=0.1, batch_size=70
    ).fit(X, y)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        loss = (reference(torch.tensor(X))[:, 0] - torch.tensor(y)).square().mean() / 2
        norms = [m.weight.square().sum() for m in reference[::2]]
        (loss + 0.5 * 0.7 / 70 * sum(norms)).backward()
        nn.utils.clip_grad_norm_(reference.parameters(), 0.1)
        optimizer.step()
    assert_same_weights(model.module_, reference)


# -- solver__x -------------------------------------------------------------------------


def test_items_of_solver_params_are_parameters():
    model = model_of(torch.optim.AdamW)
    assert "solver__weight_decay" not in model.get_params()
    model.set_params(solver__weight_decay=0.5, solver__betas=(0.5, 0.9))
    assert model.solver_params == {"weight_decay": 0.5, "betas": (0.5, 0.9)}
    assert model.get_params()["solver__weight_decay"] == 0.5
    assert "solver__weight_decay" not in model.get_params(deep=False)
    copied = clone(model)
    assert copied.solver_params == model.solver_params
    copied.set_params(solver__weight_decay=0.25)
    assert model.solver_params["weight_decay"] == 0.5
    reference = train_by_torch(
        lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.25, betas=(0.5, 0.9))
    )
    assert_same_weights(copied.fit(X, y).module_, reference)


@pytest.mark.parametrize("kind", [ModuleRegressor, MLPRegressor])
def test_grid_search_over_a_parameter_of_the_optimizer(kind):
    arguments = (network(),) if kind is ModuleRegressor else ()
    model = kind(
        *arguments,
        solver=torch.optim.AdamW,
        learning_rate_init=RATE,
        max_iter=10,
        batch_size=BATCH,
        random_state=0,
    )
    search = GridSearchCV(model, {"solver__weight_decay": [40.0, 0.0, 20.0]}, cv=2)
    search.fit(X, y)
    assert search.best_params_ == {"solver__weight_decay": 0.0}
    assert search.best_estimator_.solver_params == {"weight_decay": 0.0}
    assert model.solver_params is None


# -- schedules -------------------------------------------------------------------------


def cosine(share):
    return (1 + math.cos(math.pi * share)) / 2


CURVES = {
    "constant": lambda share: 1.0,
    "cosine": cosine,
    "one_cycle": lambda share: (
        0.04 + 0.96 * (1 - cosine(share / 0.3))
        if share < 0.3
        else cosine((share - 0.3) / 0.7)
    ),
    "exponential": lambda share: 0.01**share,
}


class RecordsRates(Callback):
    """Records the learning rates of all groups at each step."""

    def __init__(self):
        self.rates = []

    def on_grad_computed(self, net, **kwargs):
        self.rates.append([group["lr"] for group in net.optimizer_.param_groups])


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("groups", "constant"),
        ("groups", "cosine"),
        pytest.param("Muon", "one_cycle", marks=needs_muon),
        ("partial with a rate", "exponential"),
    ],
)
def test_schedules_scale_each_group(name, schedule):
    solver, _, reference = SOLVERS[name]
    watch = RecordsRates()
    model = model_of(solver, learning_rate=schedule, callbacks=[("watch", watch)])
    model.fit(X, y)
    expected = train_by_torch(
        reference, curve=lambda step: CURVES[schedule](step / N_STEPS)
    )
    assert_same_weights(model.module_, expected)
    rates = np.array(model.callbacks_[0].rates)
    assert len(rates) == N_STEPS
    first = {"groups": [0.01, 0.05], "Muon": [RATE] * 2}.get(name, [0.003])
    shares = [CURVES[schedule](step / N_STEPS) for step in range(N_STEPS)]
    np.testing.assert_allclose(rates, np.outer(shares, first), rtol=1e-12)


def test_plateau_lowers_the_rates_of_all_groups():
    watch = RecordsRates()
    model = model_of(
        two_rates,
        learning_rate="plateau",
        tol=1e9,
        n_iter_no_change=4,
        max_iter=9,
        callbacks=[("watch", watch)],
    ).fit(X, y)
    rates = np.array(model.callbacks_[0].rates)
    np.testing.assert_allclose(rates[:, 1], 5 * rates[:, 0])
    assert rates[0, 0] == 0.01
    assert rates[-1, 0] <= 0.01 / 5 * (1 + 1e-9)


# -- an optimizer's state --------------------------------------------------------------

# Those that can be pickled.
LASTING = ["partial", "Adafactor", "groups", "params", "ASGD", "Rprop"]
LASTING += ["Muon"] if Muon else []


@pytest.mark.parametrize(
    ("name", "pickled"), [("groups", False), *((name, True) for name in LASTING)]
)
def test_partial_fit_continues_with_the_optimizer(name, pickled):
    solver, solver_params, reference = SOLVERS[name]
    model = model_of(solver, solver_params=solver_params, max_iter=2).fit(X, y)
    for _ in range(EPOCHS - 2):
        if pickled:
            model = pickle.loads(pickle.dumps(model))
        model.partial_fit(X, y)
    assert_same_weights(model.module_, train_by_torch(reference))


@pytest.mark.parametrize("solver", STOCHASTIC_SOLVERS)
def test_partial_fit_continues_with_a_named_solver(solver):
    parts = model_of(solver, max_iter=1).fit(X, y)
    for _ in range(EPOCHS - 1):
        parts = pickle.loads(pickle.dumps(parts)).partial_fit(X, y)
    assert_same_weights(parts.module_, model_of(solver).fit(X, y).module_)


@pytest.mark.parametrize("solver", STOCHASTIC_SOLVERS)
def test_optimizer_state_is_passed_between_paths(solver):
    """With a callback, a dense network is trained by autograd."""
    paths = [None, [Callback()], None, [Callback()]]
    model, reference = (
        MLPRegressor(
            hidden_layer_sizes=(6, 5),
            solver=solver,
            learning_rate_init=RATE,
            batch_size=BATCH,
            shuffle=False,
            random_state=0,
        )
        for _ in range(2)
    )
    for callbacks in paths:
        model.set_params(callbacks=callbacks).partial_fit(X, y)
        reference.partial_fit(X, y)
    for one, two in zip(
        model.coefs_ + model.intercepts_,
        reference.coefs_ + reference.intercepts_,
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("solver", STOCHASTIC_SOLVERS)
def test_dense_path_continues_after_a_layer_was_frozen(solver):
    """The optimizer has no state for that layer, which starts from zero."""
    model = MLPRegressor(
        hidden_layer_sizes=(6,),
        solver=solver,
        batch_size=BATCH,
        random_state=0,
        callbacks=[Freezer("layers.0.*")],
    ).partial_fit(X, y)
    frozen = model.coefs_[0].copy()
    model.set_params(callbacks=None).partial_fit(X, y)
    assert not np.array_equal(model.coefs_[0], frozen)
    assert np.isfinite(model.coefs_[0]).all()


def test_a_fit_and_a_warm_start_begin_with_a_new_optimizer():
    solver, _, reference = SOLVERS["partial"]
    model = model_of(solver, warm_start=True, max_iter=2).fit(X, y).fit(X, y)
    first = train_by_torch(reference, n_epochs=2)
    assert_same_weights(
        model.module_, train_by_torch(reference, module=first, n_epochs=2)
    )


def test_another_function_of_the_same_name_gets_a_new_state():
    """The state of one lambda must not be passed to another."""
    model = model_of(lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9), max_iter=2)
    model.fit(X, y)
    after = copy.deepcopy(model.module_)
    model.set_params(solver=lambda p: torch.optim.Adam(p, lr=RATE)).partial_fit(X, y)
    expected = train_by_torch(
        lambda p: torch.optim.Adam(p, lr=RATE), module=after, n_epochs=1
    )
    assert_same_weights(model.module_, expected)


# -- frozen and unfrozen ---------------------------------------------------------------


class PartlyFrozen(nn.Module):
    """Has a frozen, a detached and an unused layer; only the head learns."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.frozen = nn.Linear(n_features, 6)
        self.frozen.requires_grad_(False)
        self.detached = nn.Linear(6, 6)
        self.unused = nn.Linear(3, 3)
        self.head = nn.Linear(6, n_outputs)
        self.first = {k: v.detach().clone() for k, v in self.named_parameters()}

    def forward(self, x):
        return self.head(self.detached(self.frozen(x).tanh()).tanh().detach())


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
@pytest.mark.parametrize(
    ("solver", "accumulate"),
    [*((s, 1 + i % 2) for i, s in enumerate(STOCHASTIC_SOLVERS)), ("lbfgs", 1)],
)
def test_parameters_without_a_gradient_do_not_change(solver, accumulate):
    params = dict(batch_size=10) if solver != "lbfgs" else {}
    model = model_of(
        solver, PartlyFrozen, alpha=1.0, accumulate=accumulate, **params
    ).set_params(tol=1e-6)
    model.fit(X.astype(np.float32), y)
    for name, parameter in model.module_.named_parameters():
        moved = not torch.equal(
            parameter.detach(), model.module_.first[name].to(parameter.dtype)
        )
        assert moved == name.startswith("head"), name


# Named solvers equal torch's if epsilon is tiny.
NAMED = {
    "adam": lambda p: torch.optim.Adam(p, RATE, eps=TINY),
    "sgd": lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True),
    "nadam": lambda p: torch.optim.NAdam(p, RATE, eps=TINY),
    "rmsprop": lambda p: torch.optim.RMSprop(p, RATE, 0.9, TINY, momentum=0.9),
    "adagrad": lambda p: torch.optim.Adagrad(p, RATE, eps=TINY),
    functools.partial(torch.optim.AdamW, weight_decay=0.1): lambda p: torch.optim.AdamW(
        p, RATE, weight_decay=0.1
    ),
    **({Muon: muon} if Muon else {}),
}


@pytest.mark.parametrize("solver", NAMED, ids=str)
def test_layers_that_are_unfrozen_start_to_learn(solver):
    """Their optimizer counts steps from then on, as in torch."""

    def unfreeze(module, epoch):
        module[0].requires_grad_(epoch >= 2)

    model = model_of(
        solver,
        epsilon=TINY,
        callbacks=[Freezer("0.*"), Unfreezer("0.*", at=3)],
    ).fit(X, y)
    start = network()
    assert not torch.equal(model.module_[0].weight, start[0].weight)
    expected = train_by_torch(NAMED[solver], before_epoch=unfreeze)
    assert_same_weights(model.module_, expected)


class UsesBranchEveryThirdStep(nn.Module):
    """Uses its second branch in every third training step only."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.always, self.sometimes = nn.Linear(4, 1), nn.Linear(4, 1)
        self.n_steps = 0
        self.double()

    def forward(self, x):
        if self.training:
            self.n_steps += 1
        out = self.always(x)
        return out + self.sometimes(x.tanh()) if self.n_steps % 3 == 0 else out


@pytest.mark.parametrize("solver", NAMED, ids=str)
def test_parameters_with_a_gradient_in_some_steps_only(solver):
    model = model_of(solver, UsesBranchEveryThirdStep(), epsilon=TINY).fit(X, y)
    expected = train_by_torch(NAMED[solver], module=UsesBranchEveryThirdStep())
    assert_same_weights(model.module_, expected)
    # The counts of steps are kept in later calls, too.
    model = model_of(solver, UsesBranchEveryThirdStep(), epsilon=TINY, max_iter=2).fit(
        X, y
    )
    for _ in range(2):
        model = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    assert_same_weights(model.module_, expected)


# -- bad solvers -----------------------------------------------------------------------


class NoRate(torch.optim.Optimizer):
    """An optimizer without a learning rate."""

    def __init__(self, params):
        super().__init__(params, {})

    def step(self, closure=None):
        """Do nothing."""


def raises(params):
    raise KeyError("no such thing")


BAD = {
    "returns text": dict(solver=lambda params: "adam"),
    "returns nothing": dict(solver=lambda params, lr: None),
    "takes no parameters": dict(solver=lambda: None),
    "raises": dict(solver=raises),
    "no rate": dict(solver=NoRate),
    "needs a closure": dict(solver=torch.optim.LBFGS),
    "makes what needs a closure": dict(solver=lambda p: torch.optim.LBFGS(p)),
    "for sparse gradients": dict(solver=torch.optim.SparseAdam),
    "no optimizer": dict(solver=nn.Linear),
    "params of a name": dict(solver="adam", solver_params={"weight_decay": 0.1}),
    "params of lbfgs": dict(solver="lbfgs", solver_params={"lr": 0.1}),
    "unknown params": dict(solver=torch.optim.SGD, solver_params={"speed": 1}),
    "params out of range": dict(solver=torch.optim.SGD, solver_params={"lr": -1.0}),
    "params of a function": dict(solver=two_rates, solver_params={"speed": 1}),
}


@pytest.mark.parametrize("kind", [ModuleRegressor, MLPRegressor])
@pytest.mark.parametrize("name", BAD)
def test_invalid_solvers(name, kind):
    arguments = (network(),) if kind is ModuleRegressor else ()
    with pytest.raises(ValueError, match="solver"):
        kind(*arguments, max_iter=2, **BAD[name]).fit(X, y)


def test_unknown_name_of_a_solver():
    with pytest.raises(ValueError, match="solver"):
        model_of("adamax").fit(X, y)


class _OutOfMemory(torch.optim.SGD):
    def step(self, closure=None):
        raise MemoryError("no memory for the step")


def _no_memory(parameters):
    raise MemoryError("no memory for the optimizer")


@pytest.mark.parametrize("solver", [_OutOfMemory, _no_memory])
def test_memory_errors_of_a_solver_are_not_changed(solver):
    model = MLPClassifier((2,), solver=solver, max_iter=1)
    with pytest.raises(MemoryError, match="no memory for the"):
        model.fit([[0.0], [1.0]], [0, 1])
