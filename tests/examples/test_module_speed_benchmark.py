"""The benchmark of custom modules, on a few images."""

import importlib
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"
EPOCHS = 2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.delenv("SKDEEP_DATA", raising=False)
        module = importlib.import_module("module_speed")
        patch.setattr(module, "N_IMAGES", 300)
        yield module
        for name in ("module_speed", "fit_speed"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def digits(benchmark):
    return benchmark.load_images()["digits"]


def test_images_are_images(digits):
    X, y = digits
    assert (X.shape, X.dtype, y.shape) == ((300, 8, 8), np.float32, (300,))


@pytest.mark.parametrize(
    "solver, ours, theirs, tolerance",
    [
        (torch.optim.Adam, {}, {}, 1e-5),
        # scikit-learn and torch apply epsilon differently: make it negligible.
        ("adam", {"epsilon": 1e-12}, {"eps": 1e-12, "fused": True}, 1e-3),
    ],
    ids=["torch's", "'adam'"],
)
def test_skdeep_and_the_loop_take_the_same_steps(
    benchmark, digits, solver, ours, theirs, tolerance
):
    network = benchmark.make_network(8)
    looped = benchmark.fit_loop(network, *digits, EPOCHS, **theirs)
    model = benchmark.fit_skdeep(network, *digits, EPOCHS, solver, **ours)
    first, expected, found = (
        nn.utils.parameters_to_vector(module.parameters()).detach()
        for module in (network, looped, model.module_)
    )
    # The difference of the weights, relative to how far training moved them.
    assert (found - expected).norm() < tolerance * (expected - first).norm()
    assert (expected - first).norm() > 0.1
    for chunk in (128, 1000):
        predicted = benchmark.predict_loop(looped, digits[0], chunk)
        probabilities = model.predict_proba(digits[0])
        np.testing.assert_allclose(probabilities, predicted, atol=tolerance)


def test_networks_start_equal_and_stay_unchanged(benchmark, digits):
    network, other = benchmark.make_network(8), benchmark.make_network(8)
    for fit in benchmark.FITS.values():
        fit(network, *digits, 1)
    assert_equal = partial(torch.testing.assert_close, rtol=0, atol=0)
    assert_equal(network.state_dict(), other.state_dict())


def test_images_are_read_from_a_folder(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEP_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    pixels = np.full((400, 784), 255, dtype=np.uint8)
    labels = np.ones(400, dtype=np.uint8)
    np.savez(tmp_path / "mnist" / "mnist.npz", X_train=pixels, y_train=labels)
    X, y = benchmark.load_images()["mnist"]
    assert (X.shape, X.dtype, y.dtype) == ((300, 28, 28), np.float32, np.int64)
    assert (X == 1).all()


def test_tables_list_all_libraries(benchmark, capsys):
    benchmark.main(["--repeats", "1"])
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("digits")]
    assert len(lines) == len(benchmark.FITS) + 4
    for who in (*benchmark.FITS, "skorch"):
        assert any(line[8:].startswith(who) for line in lines)
    assert all(float(x) > 0 for line in lines for x in line.split()[-3:])
