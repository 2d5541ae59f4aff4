"""`random_state` alone determines the result; a fit restores all global state."""

import threading

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import cross_validate
from skorch.callbacks import Callback
from torch import nn

from skdeep import MLPClassifier, ModuleClassifier
from skdeep.estimators._seeds import peek_seed

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


def parameters_of(estimator):
    """Return all parameters of the network in one array."""
    state = estimator.module_.state_dict().values()
    return np.concatenate([tensor.numpy().ravel() for tensor in state])


class _Generators:
    """The state of every global generator and thread setting of this process."""

    def __init__(self):
        self.numpy = np.random.get_state()[1:3]  # noqa: NPY002
        self.torch = torch.random.get_rng_state()
        self.threads = torch.get_num_threads(), torch.get_num_interop_threads()

    def __eq__(self, other):
        return (
            np.array_equal(self.numpy[0], other.numpy[0])
            and self.numpy[1] == other.numpy[1]
            and torch.equal(self.torch, other.torch)
            and self.threads == other.threads
        )


@pytest.fixture
def two_threads():
    """Make torch use two threads, regardless of the environment."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "params",
    [{}, {"early_stopping": True}, {"solver": "sgd", "learning_rate": "cosine"}],
    ids=str,
)
def test_same_seed_gives_bit_identical_networks(make, data, params):
    first, second = (make(**params).fit(*data) for _ in range(2))
    np.testing.assert_array_equal(parameters_of(first), parameters_of(second))
    assert first.loss_curve_ == second.loss_curve_


def test_other_seeds_give_other_networks(make, data):
    first, second = (make(random_state=seed).fit(*data) for seed in (0, 1))
    assert not np.array_equal(parameters_of(first), parameters_of(second))


def test_global_generators_do_not_change_results(make, data):
    fitted = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the test is about the global generator
        fitted.append(parameters_of(make().fit(*data)))
    np.testing.assert_array_equal(*fitted)


def test_without_random_state_numpys_global_generator_is_used(make, data):
    fitted = []
    for _ in range(2):
        np.random.seed(5)  # noqa: NPY002
        fitted.append(parameters_of(make(random_state=None).fit(*data)))
    np.testing.assert_array_equal(*fitted)
    # The generator has advanced, so the next fit differs.
    assert not np.array_equal(
        fitted[1], parameters_of(make(random_state=None).fit(*data))
    )


def test_fit_restores_global_state(make, data, two_threads):
    before = _Generators()
    make(early_stopping=True, verbose=False).fit(*data).predict(data[0])
    assert _Generators() == before


class _Fails(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("on purpose")


def test_failed_fit_restores_global_state(make, data, two_threads):
    before = _Generators()
    with pytest.raises(RuntimeError, match="on purpose"):
        make(callbacks=[_Fails()]).fit(*data)
    assert _Generators() == before


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.nightly)]
)
def test_n_jobs_does_not_change_results(make, data, backend):
    with joblib.parallel_config(backend=backend):
        alone, together = (
            cross_validate(make(), *data, cv=3, n_jobs=n, return_estimator=True)
            for n in (1, 2)
        )
    np.testing.assert_array_equal(alone["test_score"], together["test_score"])
    for one, other in zip(alone["estimator"], together["estimator"], strict=True):
        np.testing.assert_array_equal(parameters_of(one), parameters_of(other))


def test_fits_in_threads(make, data, two_threads):
    """Concurrent fits equal those run one by one; settings are restored."""
    n_fits = 3
    few = {"max_iter": 2}
    expected = [
        parameters_of(make(random_state=s, **few).fit(*data)) for s in range(n_fits)
    ]
    before, got, threads_seen = _Generators(), {}, []

    def fit(seed):
        start = torch.get_num_threads()
        got[seed] = parameters_of(make(random_state=seed, **few).fit(*data))
        threads_seen.append((start, torch.get_num_threads()))

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in range(n_fits)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(n_fits):
        np.testing.assert_array_equal(got[seed], expected[seed])
    assert threads_seen == [(2, 2)] * n_fits
    assert _Generators() == before


class _StartsThread(Callback):
    """Records in every epoch the thread count in this thread and in a new one."""

    seen = set()

    def on_epoch_end(self, net, **kwargs):
        def look():
            self.seen.add(("new", torch.get_num_threads()))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        self.seen.add(("own", torch.get_num_threads()))


def test_small_fit_uses_one_thread_and_does_not_affect_others(two_threads):
    X, y = make_classification(random_state=0)
    _StartsThread.seen.clear()
    MLPClassifier(max_iter=2, callbacks=[_StartsThread()]).fit(X, y)
    assert _StartsThread.seen == {("new", 2), ("own", 1)}


def noisy_module(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, n_outputs), nn.Dropout(0.5))


def test_torch_dropout_follows_the_seed_and_differs_between_steps():
    X, y = make_classification(n_samples=60, random_state=0)
    model = ModuleClassifier(noisy_module, random_state=0, max_iter=3)
    curves = [clone(model).fit(X, y).loss_curve_ for _ in range(2)]
    assert curves[0] == curves[1]
    other = clone(model).set_params(random_state=1).fit(X, y).loss_curve_
    assert other != curves[0]
    assert len(set(curves[0])) == 3


def test_dropout_differs_between_calls_of_partial_fit(data):
    """Each call begins with the same seed, but not with the same masks."""
    X, y = make_classification(n_samples=20, random_state=0)
    model = MLPClassifier(
        hidden_layer_sizes=(50,),
        dropout=0.5,
        shuffle=False,
        random_state=0,
        learning_rate_init=1e-12,
        alpha=0,
    )
    losses = [model.partial_fit(X, y, classes=[0, 1]).loss_ for _ in range(3)]
    assert len(set(losses)) == 3


def test_a_number_and_its_generator_draw_the_same_weights_and_masks():
    X, y = make_classification(n_samples=20, random_state=0)
    one, two = (
        MLPClassifier((8,), dropout=0.5, max_iter=3, random_state=seed).fit(X, y)
        for seed in (7, np.random.RandomState(7))
    )
    for first, second in zip(one.coefs_, two.coefs_, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64])
def test_to_peek_at_a_seed_does_not_advance_the_generator(kind):
    rng = np.random.RandomState(kind(3))
    rng.normal()  # one of a pair, of which the generator keeps the other
    seeds = {peek_seed(rng) for _ in range(2)}
    assert seeds == {rng.randint(np.iinfo(np.int32).max)}
