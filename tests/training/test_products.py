"""The libraries of matrix products, and the threads that they use."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from threadpoolctl import threadpool_info, threadpool_limits

from skdeep import MLPClassifier
from skdeep.losses import make_loss
from skdeep.networks import DenseNetwork

# Private: users do not see which library computes a product.
from skdeep.training import _products
from skdeep.training._dense import DenseStep
from skdeep.training._products import NUMPY, TORCH, blas_threads, step_threads

CPU = torch.device("cpu")
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}


def n_blas_threads():
    """Return the numbers of threads of all BLAS libraries."""
    return [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]


@pytest.fixture
def many_threads():
    """Let the BLAS libraries use three threads, whatever the environment says."""
    with threadpool_limits(3, user_api="blas"):
        assert set(n_blas_threads()) == {3}
        yield
        assert set(n_blas_threads()) == {3}


# -- the gradient ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("n_scores", [1, 3])
@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=lambda library: library.name)
def test_step_of_one_network_without_an_axis_for_it(library, n_scores, dtype):
    name = "log_loss" if n_scores > 1 else "squared_error"
    target = "classes" if n_scores > 1 else "values"
    loss = make_loss(SimpleNamespace(loss=name, label_smoothing=0.1), target)
    network = DenseNetwork(7, [5, 6], n_scores, activation="tanh").to(dtype)
    network.initialize("he_normal", np.random.RandomState(0))
    step = DenseStep(
        [layer.weight.data for layer in network.layers],
        [layer.bias.data.unsqueeze(1) for layer in network.layers],
        [torch.full_like(layer.weight.data, torch.nan) for layer in network.layers],
        [
            torch.full_like(layer.bias.data, torch.nan)[:, None]
            for layer in network.layers
        ],
        network.activation,
        loss,
        library=library,
    )
    x = torch.randn(13, 7, dtype=dtype)
    y = torch.randint(0, 3, (13,)) if n_scores > 1 else torch.randn(13, 1, dtype=dtype)
    weight = torch.rand(13, 1, dtype=dtype)
    losses = step.gradient([x], y, weight)
    expected = loss.per_sample(network(x), y)
    (expected * weight[:, 0]).sum().backward()
    tolerance = {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}
    torch.testing.assert_close(losses, expected.detach(), **tolerance)
    for layer, gradient, bias in zip(
        network.layers, step.weight_gradients, step.bias_gradients, strict=True
    ):
        torch.testing.assert_close(gradient, layer.weight.grad, **tolerance)
        torch.testing.assert_close(bias[:, 0], layer.bias.grad, **tolerance)


def test_large_values_do_not_raise_numpys_warnings():
    loss = make_loss(SimpleNamespace(loss="squared_error"), "values")
    weights = [torch.full((2, 4, 3), 1e30), torch.full((2, 1, 4), 1e30)]
    biases = [torch.zeros(2, 4, 1), torch.zeros(2, 1, 1)]
    step = DenseStep(
        weights,
        biases,
        [torch.empty_like(w) for w in weights],
        [torch.empty_like(b) for b in biases],
        DenseNetwork(3, [4], 1).activation,
        loss,
        library=NUMPY,
    )
    losses = step.gradient([torch.full((6, 3), 1e30)], torch.zeros(2, 6, 1), 1.0)
    assert not losses.isfinite().any()


# -- the choice ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "library", "is_slow"),
    [(0.1, TORCH, False), (1.0, NUMPY, False), (1.4, NUMPY, False), (3.0, NUMPY, True)],
)
def test_choice_by_the_measured_ratio(monkeypatch, ratio, library, is_slow):
    monkeypatch.setattr(_products, "_measured_ratio", lambda: ratio)
    with step_threads(1, CPU):
        assert _products.choose_library(CPU) is library
    assert _products.is_torch_slow() is is_slow


def test_other_devices_use_torch():
    assert _products.choose_library(torch.device("meta")) is TORCH


def test_ratio_is_measured_once():
    assert _products._torch_to_numpy() == _products._torch_to_numpy() > 0


# -- threads ---------------------------------------------------------------------------


def test_one_thread_is_restored(many_threads):
    with step_threads(1, CPU):
        assert set(n_blas_threads()) == {1}
        assert torch.get_num_threads() == 1


def test_threads_are_restored_after_an_exception(many_threads):
    with pytest.raises(KeyError, match="x"), blas_threads(1):
        raise KeyError("x")


def test_a_limit_does_not_raise_the_number(many_threads):
    with blas_threads(8):
        assert set(n_blas_threads()) == {3}


def test_overlapping_limits_in_any_order(many_threads):
    outer, inner = blas_threads(2), blas_threads(1)
    outer.__enter__()
    assert set(n_blas_threads()) == {2}
    inner.__enter__()
    assert set(n_blas_threads()) == {1}
    outer.__exit__(None, None, None)  # the first to enter is the first to leave
    assert set(n_blas_threads()) == {1}
    inner.__exit__(None, None, None)


def test_limits_of_threads_that_fail(many_threads):
    seen, barrier = [], threading.Barrier(4)

    def run(i):
        try:
            with blas_threads(1):
                barrier.wait(timeout=60)
                seen.append(set(n_blas_threads()))
                barrier.wait(timeout=60)
                if i % 2:
                    raise RuntimeError("failed")
        except RuntimeError:
            pass

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{1}] * 4


@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_steps_on_several_threads(monkeypatch, many_threads, ratio):
    monkeypatch.setattr(_products, "_measured_ratio", lambda: ratio)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with step_threads(2, CPU):
            # Either library has the threads, never both.
            expected = (2, {3}) if ratio == 1.0 else (1, {2})
            assert (torch.get_num_threads(), set(n_blas_threads())) == expected
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
def test_a_fit_restores_the_threads(many_threads):
    X, y = load_iris(return_X_y=True)
    model = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    assert set(n_blas_threads()) == {3}
    model.set_params(solver="sgd", learning_rate_init=1e30, max_iter=30)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(X, y)
