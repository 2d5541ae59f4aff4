"""Forward passes use chunks of rows whose memory is bounded in bytes."""

import numpy as np
import pytest
import torch
from torch import nn

from skdeep import ModuleClassifier, ModuleRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

BOUND = 64 * 2**20
N_CHANNELS = 32
# The hidden values of this many images of 64 x 64 pixels exceed the bound.
N_ROWS = 160


class ConvNet(nn.Module):
    """A convolution that keeps the size of the image, and a mean over it."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.conv = nn.Conv2d(3, N_CHANNELS, 3, padding=1)
        self.head = nn.Linear(N_CHANNELS, n_outputs)
        self.seen = {True: [], False: []}  # batch sizes, in training and out of it

    def forward(self, x):
        self.seen[self.training].append(len(x))
        x = self.conv(x.float()).relu()
        return self.head(x.mean((2, 3)))


def images(n_rows, size, dtype=np.float32, seed=0):
    rng, shape = np.random.default_rng(seed), (n_rows, 3, size, size)
    if dtype == np.float32:
        return rng.random(shape, dtype)
    return rng.integers(0, 256, shape, dtype)


def sizes_of(module):
    """Record the number of rows that a module is called on."""
    sizes = []
    module.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    return sizes


def fitted(X, **params):
    params = {"random_state": 0, "max_iter": 1, "batch_size": 4, **params}
    return ModuleClassifier(ConvNet, **params).fit(X, np.arange(len(X)) % 2)


def one_pass(model, X, size=20):
    """Return the probabilities that the module gives, computed by torch alone."""
    module = model.module_.eval()
    with torch.no_grad():
        parts = [module(torch.from_numpy(part)) for part in np.split(X, len(X) // size)]
    return torch.cat(parts).softmax(1).numpy()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_prediction_of_images_is_bounded_in_bytes(dtype):
    """uint8 images are small, but the values inside the network are not."""
    model = fitted(images(8, 64, dtype))
    X = images(N_ROWS, 64, dtype, seed=1)
    sizes = sizes_of(model.module_)
    found = model.predict_proba(X)
    n_bytes = N_CHANNELS * 64 * 64 * 4
    assert N_ROWS * n_bytes > BOUND
    assert max(sizes) * n_bytes <= BOUND
    # Before the chunks, the memory of one row is measured.
    assert N_ROWS <= sum(sizes) <= N_ROWS + 1
    np.testing.assert_allclose(found, one_pass(model, X), rtol=1e-4, atol=1e-6)


@pytest.mark.nightly
def test_prediction_of_large_images_is_bounded_in_bytes():
    model = fitted(images(8, 224, np.uint8))
    X = images(2000, 224, np.uint8, seed=1)
    sizes = sizes_of(model.module_)
    found = model.predict_proba(X)
    assert max(sizes) * N_CHANNELS * 224 * 224 * 4 <= BOUND
    assert 2000 <= sum(sizes) <= 2001
    np.testing.assert_allclose(
        found[:200], one_pass(model, X[:200], 20), rtol=1e-3, atol=1e-5
    )


def test_validation_on_given_rows_is_bounded_in_bytes():
    X, X_val = images(8, 64), images(N_ROWS, 64, seed=1)
    y_val = np.arange(N_ROWS) % 2
    model = ModuleClassifier(
        ConvNet, random_state=0, max_iter=2, batch_size=4, early_stopping="loss"
    ).fit(X, np.arange(8) % 2, X_val=X_val, y_val=y_val)
    seen = model.module_.seen
    assert set(seen[True]) == {4}
    assert max(seen[False]) * N_CHANNELS * 64 * 64 * 4 <= BOUND
    assert sum(seen[False]) >= N_ROWS
    probabilities = one_pass(model, X_val)
    best = min(record["valid_loss"] for record in model.history_)
    expected = -np.log(probabilities[np.arange(N_ROWS), y_val]).mean()
    assert best == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("early_stopping", [True, "loss"])
def test_validation_on_held_out_rows_is_bounded_in_bytes(early_stopping):
    X = images(N_ROWS, 64)
    model = fitted(
        X, early_stopping=early_stopping, validation_fraction=0.9, batch_size=16
    )
    sizes = model.module_.seen[False]
    assert max(sizes) * N_CHANNELS * 64 * 64 * 4 <= BOUND
    assert sum(sizes) >= 0.9 * N_ROWS


def test_small_rows_are_predicted_in_few_calls():
    X = np.random.RandomState(0).randn(2000, 10).astype(np.float32)
    model = ModuleRegressor(nn.Linear, random_state=0, max_iter=1).fit(X, X[:, 0])
    sizes = sizes_of(model.module_)
    found = model.predict(X)
    assert len(sizes) <= 3
    with torch.no_grad():
        whole = model.module_(torch.from_numpy(X))[:, 0].numpy()
    np.testing.assert_allclose(found, whole, rtol=1e-6, atol=1e-7)


class Decoder(nn.Module):
    """Makes an image from a few numbers."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.grow = nn.Linear(n_features, 8)
        self.up = nn.ConvTranspose2d(8, N_CHANNELS, 64)
        self.head = nn.Linear(N_CHANNELS, n_outputs)

    def forward(self, x):
        x = self.up(self.grow(x)[:, :, None, None]).relu()
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("n_rows", [2, N_ROWS])
def test_networks_that_expand_small_rows_are_bounded_in_bytes(n_rows):
    """Two numbers in each row become half a megabyte."""
    X = np.random.RandomState(0).randn(n_rows, 2).astype(np.float32)
    model = ModuleRegressor(Decoder, random_state=0, max_iter=1, batch_size=2)
    model.fit(X[:4], X[:4, 0])
    sizes = sizes_of(model.module_)
    assert model.predict(X).shape == (n_rows,)
    assert max(sizes) * N_CHANNELS * 64 * 64 * 4 <= BOUND


def test_allocated_memory_is_that_of_a_chunk():
    """The bound holds for all memory that torch allocates."""
    model = fitted(images(8, 64))
    X = images(N_ROWS, 64, seed=1)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        model.predict(X)
    held = peak = 0
    for event in profile.events():
        if event.name == "[memory]":
            held += event.cpu_memory_usage
            peak = max(peak, held)
    assert peak < 2 * BOUND


def test_a_module_with_several_inputs_is_bounded_in_bytes():
    class TwoInputs(nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.net = ConvNet(n_features, n_outputs)

        def forward(self, image, number):
            return self.net(image) + number

    def inputs(n_rows):
        return {
            "number": np.zeros((n_rows, 1), np.float32),
            "image": images(n_rows, 64),
        }

    model = ModuleClassifier(TwoInputs, random_state=0, max_iter=1, batch_size=4)
    model.fit(inputs(8), np.arange(8) % 2)
    sizes = sizes_of(model.module_.net)
    assert model.predict(inputs(N_ROWS)).shape == (N_ROWS,)
    assert max(sizes) * N_CHANNELS * 64 * 64 * 4 <= BOUND
