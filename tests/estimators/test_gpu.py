"""On a CUDA device: the same results, and nothing that ties a model to it."""

import pickle
import pickletools

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier

from skdeep import MLPClassifier
from skdeep.training import STOCHASTIC_SOLVERS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]


def output(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


def without_dropout(make):
    """Leave out modules with dropout, whose masks differ from device to device."""
    if "Module" in type(make()).__name__:
        pytest.skip("its masks are drawn on the device")


@pytest.mark.parametrize("solver", [*STOCHASTIC_SOLVERS, "lbfgs", torch.optim.Adamax])
def test_same_as_on_the_cpu(make, data, solver):
    without_dropout(make)
    X, y = data[0].astype("float32"), data[1]
    on_cpu = make(device="cpu", solver=solver).fit(X, y)
    on_cuda = make(device="cuda", solver=solver).fit(X, y)
    np.testing.assert_allclose(on_cuda.loss_curve_, on_cpu.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(output(on_cuda, X), output(on_cpu, X), atol=1e-3)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"early_stopping": "loss", "validation_split": "last"},
        {"learning_rate": "cosine", "max_grad_norm": 0.5},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_other_parameters(make, data, params):
    without_dropout(make)
    X, y = data[0].astype("float32"), data[1]
    weight = np.linspace(0.5, 2, len(X))
    on_cpu = make(device="cpu", **params).fit(X, y, sample_weight=weight)
    on_cuda = make(device="cuda", **params).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(output(on_cuda, X), output(on_cpu, X), atol=1e-3)


def test_same_seed_same_bits_with_dropout(make, data):
    first, second = (make(device="cuda").fit(*data) for _ in range(2))
    np.testing.assert_array_equal(output(first, data[0]), output(second, data[0]))


def test_auto_takes_the_gpu_in_float32(make, data):
    model = make(device="auto").fit(*data)
    parameter = next(model.module_.parameters())
    assert parameter.is_cuda
    assert parameter.dtype == torch.float32
    # Predictions carry X's float type all the same.
    assert output(model, data[0]).dtype == data[0].dtype


def test_device_and_generators_are_left_as_they_were(make, data):
    torch.cuda.init()
    before = torch.cuda.current_device(), torch.cuda.get_rng_state()
    make(device="cuda").fit(*data).predict(data[0])
    assert torch.cuda.current_device() == before[0]
    assert torch.equal(torch.cuda.get_rng_state(), before[1])


def test_partial_fit_and_warm_start_go_on(make, data):
    X, y = data
    known = {"classes": np.unique(y)} if is_classifier(make()) else {}
    model = make(device="cuda").partial_fit(X, y, **known)
    model = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    model.set_params(warm_start=True).fit(X, y)
    assert len(model.loss_curve_) == 6
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_pickle_goes_to_a_machine_without_gpu(make, data):
    X, y = data
    model = make(device="cuda").fit(X, y)
    expected = output(model, X)
    pickled = pickle.dumps(model)
    strings = {a for _, a, _ in pickletools.genops(pickled) if isinstance(a, str)}
    assert not {s for s in strings if "torch" in s and "network" not in s}
    loaded = pickle.loads(pickled).set_params(device="cpu")
    assert not next(loaded.module_.parameters()).is_cuda
    np.testing.assert_allclose(output(loaded, X), expected, atol=1e-4)


def test_batch_norm_and_categories():
    X = np.random.default_rng(0).integers(0, 4, (80, 3)).astype("float32")
    y = X[:, 0] > 1
    params = dict(batch_norm=True, categorical_features=[0], max_iter=5, random_state=0)
    on_cpu = MLPClassifier(device="cpu", **params).fit(X, y)
    on_cuda = MLPClassifier(device="cuda", **params).fit(X, y)
    np.testing.assert_allclose(
        on_cuda.predict_proba(X), on_cpu.predict_proba(X), atol=1e-3
    )


def test_fails_with_a_device_number_that_is_not_there(make, data):
    count = torch.cuda.device_count()
    with pytest.raises(ValueError, match=f"torch finds only {count} CUDA device"):
        make(device=f"cuda:{count}").fit(*data)
