"""Fits that draw from torch's global generators do not affect each other."""

import threading

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch.callbacks import Callback
from torch import nn

# Private: the lock is replaced by one whose wait is interrupted.
import skdeep.training._device as device
from skdeep import MLPClassifier, ModuleClassifier, ModuleRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

X, y = make_classification(n_samples=90, n_features=6, random_state=0)
EPOCHS = 4
PATIENCE = 30


def network(n_features, n_outputs):
    """A network whose dropout draws from a global generator."""
    return nn.Sequential(
        nn.Linear(n_features, 8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, n_outputs)
    )


def linear(n_features, n_outputs):
    return nn.Linear(n_features, n_outputs)


class Draws(Callback):
    """A skorch callback that draws from the global generators."""

    def on_epoch_end(self, net, **kwargs):
        torch.rand(5)


class Hook:
    """A scikit-learn callback that calls a function after each epoch."""

    def __init__(self, function):
        self.function = function

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, **kwargs):
        if context.task_name == "epoch":
            return self.function()
        return False


class HoldsGenerators(ModuleClassifier):
    """The reference: a fit that holds the generators from start to end."""

    def _prepare(self, *arguments):
        plan, task = super()._prepare(*arguments)
        task.draws_globally = False
        torch.manual_seed(task.generator.initial_seed())
        return plan, task

    def fit(self, *arguments):
        with torch.random.fork_rng(devices=[]):
            return super().fit(*arguments)


def make(kind=ModuleClassifier, seed=0, module=network, **parameters):
    few = {"max_iter": EPOCHS, "batch_size": 32, "device": "cpu"}
    return kind(module, random_state=seed, **{**few, **parameters})


def weights(model):
    arrays = [p.detach().numpy().ravel() for p in model.module_.parameters()]
    return np.concatenate(arrays)


def global_state():
    return torch.random.default_generator.get_state()


@pytest.fixture(autouse=True)
def _generators_as_before():
    """Check that fits restore the state of the global generator."""
    torch.manual_seed(5)
    before = global_state()
    yield
    assert torch.equal(global_state(), before)


@pytest.mark.parametrize(
    "parameters", [{}, {"callbacks": [Draws()]}], ids=["plain", "callback"]
)
def test_same_as_with_generators_that_are_not_shared(parameters):
    expected = make(HoldsGenerators, **parameters).fit(X, y)
    found = make(**parameters).fit(X, y)
    np.testing.assert_array_equal(weights(found), weights(expected))


def test_scikit_learn_callbacks_see_the_original_generators():
    outside, seen = global_state(), []
    hook = Hook(lambda: seen.append(torch.equal(global_state(), outside)))
    make().set_callbacks(hook).fit(X, y)
    assert seen == [True] * EPOCHS


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (ModuleClassifier, {}),
        (ModuleRegressor, {"callbacks": [Draws()]}),
        (ModuleClassifier, {"solver": "lbfgs", "module": linear}),
    ],
)
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_other_draws_between_epochs_change_nothing(kind, parameters):
    expected = make(kind, **parameters).fit(X, y)
    before = global_state()
    hook = Hook(lambda: bool(torch.rand(7).sum() < 0))
    found = make(kind, **parameters).set_callbacks(hook).fit(X, y)
    np.testing.assert_array_equal(weights(found), weights(expected))
    after = global_state()
    torch.random.default_generator.set_state(before)
    for _ in range(found.n_iter_):
        torch.rand(7)
    # The draws in between continued the original sequence of the process.
    assert torch.equal(global_state(), after)
    torch.random.default_generator.set_state(before)


class TurnTaking:
    """Lets several threads run in turns, one at a time."""

    def __init__(self, n_threads):
        self.changed = threading.Condition()
        self.waiting = list(range(n_threads))
        self.order = []

    def wait_for(self, i):
        assert self.changed.wait_for(lambda: self.waiting[0] == i, PATIENCE)

    def take(self, i):
        with self.changed:
            self.wait_for(i)

    def end_epoch(self, i):
        with self.changed:
            self.order.append(i)
            self.waiting = [*self.waiting[1:], i]
            self.changed.notify_all()
            self.wait_for(i)

    def leave(self, i):
        with self.changed:
            self.waiting.remove(i)
            self.changed.notify_all()


def fit_in_turns(models):
    """Fit models in threads, which take turns after each epoch.

    Return the order of the epochs and the errors.
    """
    turns, errors = TurnTaking(len(models)), {}

    def fit(i):
        turns.take(i)
        try:
            models[i].set_callbacks(Hook(lambda: turns.end_epoch(i))).fit(X, y)
        except Exception as error:
            errors[i] = error
        finally:
            turns.leave(i)

    threads = [
        threading.Thread(target=fit, args=[i], daemon=True) for i in range(len(models))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
        assert not thread.is_alive()
    return turns.order, errors


@pytest.mark.parametrize(
    "parameters", [{}, {"callbacks": [Draws()]}], ids=["plain", "callback"]
)
def test_fits_in_turns_equal_separate_fits(parameters):
    fit_one_by_one = [make(seed=seed, **parameters).fit(X, y) for seed in range(3)]
    models = [make(seed=seed, **parameters) for seed in range(3)]
    order, errors = fit_in_turns(models)
    assert not errors
    assert order == [0, 1, 2] * EPOCHS
    for model, expected in zip(models, fit_one_by_one, strict=True):
        np.testing.assert_array_equal(weights(model), weights(expected))


class FailsInThird(nn.Linear):
    """A module that fails in the third epoch of three batches."""

    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 2 * 3:
            raise RuntimeError("error of the test")
        return super().forward(torch.nn.functional.dropout(x, 0.3))


def test_a_fit_that_fails_does_not_block_others():
    models = [make(module=FailsInThird), make(seed=1)]
    order, errors = fit_in_turns(models)
    assert list(errors) == [0]
    assert "error of the test" in str(errors[0])
    assert order == [0, 1, 0, 1, 1, 1]
    np.testing.assert_array_equal(weights(models[1]), weights(make(seed=1).fit(X, y)))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_error_in_a_callback_of_scikit_learn(error):
    def fail():
        raise error("error of the test")

    model = make().set_callbacks(Hook(fail))
    if error is KeyboardInterrupt:
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, y)
        assert model.n_iter_ == 1
    else:
        with pytest.raises(error, match="error of the test"):
            model.fit(X, y)
    # The lock is free: another thread can fit.
    assert fit_in_turns([make()]) == ([0] * EPOCHS, {})


class InterruptedWait:
    """A lock whose fourth wait is interrupted by Ctrl-C."""

    def __init__(self):
        self.count = 0

    def acquire(self):
        self.count += 1
        if self.count == 4:
            raise KeyboardInterrupt

    def release(self):
        assert self.count < 4, "released, but not acquired"


def test_interrupt_while_waiting_for_the_generators(monkeypatch):
    # Building the module acquires them, then the fit, and again after each hook.
    monkeypatch.setattr(device, "_lock", InterruptedWait())
    with pytest.warns(UserWarning, match="interrupted"):
        make().fit(X, y)


class FailsInEpoch(Callback):
    def on_epoch_begin(self, net, **kwargs):
        raise RuntimeError("error of the test")


def test_error_in_a_callback_releases_the_lock():
    with pytest.raises(RuntimeError, match="error of the test"):
        make(callbacks=[FailsInEpoch()]).fit(X, y)
    assert fit_in_turns([make()]) == ([0] * EPOCHS, {})


class FitsAnother(Callback):
    """A fit within a fit, in the same thread."""

    def on_epoch_end(self, net, **kwargs):
        make(seed=9).fit(X, y)


def test_fit_within_a_fit_changes_nothing():
    expected = make().fit(X, y)
    found = make(callbacks=[FitsAnother()]).fit(X, y)
    np.testing.assert_array_equal(weights(found), weights(expected))


def test_fit_in_a_callback_of_scikit_learn_changes_nothing():
    expected = make().fit(X, y)
    hook = Hook(lambda: make(seed=9).fit(X, y) is None)
    found = make().set_callbacks(hook).fit(X, y)
    np.testing.assert_array_equal(weights(found), weights(expected))


def test_mps_generator_is_seeded_and_restored(monkeypatch):
    """Dropout on MPS draws from a generator of its own; here a CPU one replaces it."""
    generator = torch.Generator().manual_seed(5)
    monkeypatch.setattr(torch.mps, "_get_default_mps_generator", lambda: generator)
    before = generator.get_state()
    with device.seeded_generators(0, torch.device("mps")):
        drawn = torch.rand(3, generator=generator)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(generator.get_state(), before)


def test_number_of_threads_is_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        MLPClassifier((3,), max_iter=2).fit(np.eye(8), np.arange(8) % 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
