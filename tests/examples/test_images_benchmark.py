"""The benchmark of images, on a few images."""

import gzip
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        for folder in (EXAMPLES, EXAMPLES / "benchmarks"):
            patch.syspath_prepend(str(folder))
        module = importlib.import_module("images")
        rng = np.random.default_rng(0)
        X = rng.integers(256, size=(128, 28, 28), dtype=np.uint8)
        y = np.arange(128) % 10
        patch.setattr(module, "load_mnist", lambda: (X, X[:20], y, y[:20]))
        yield module
        for name in ("images", "fit_speed", "mnist_data"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def fitted(benchmark):
    X, _, y, _ = benchmark.load_mnist()
    return benchmark.fit_skdeep(X, y, 1)


def test_loop_trains_the_default_network(benchmark, fitted):
    ours, theirs = fitted.module_, benchmark.make_network()
    shapes = [
        sorted(map(str, (p.shape for p in n.parameters()))) for n in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]
    X, _, y, _ = benchmark.load_mnist()
    steady = benchmark.fit_skdeep(X, y, 1, learning_rate="constant")
    assert steady.history_[0]["learning_rate"] == benchmark.RATE


def test_loop_scales_images_as_the_estimator(benchmark, fitted):
    X, _, _, _ = benchmark.load_mnist()
    batch = benchmark.as_batch(torch.from_numpy(X), *benchmark.moments(X))
    with torch.inference_mode():
        expected = fitted.module_(batch).argmax(1)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[expected])


def test_loop_learns_and_predicts(benchmark):
    X, _, y, _ = benchmark.load_mnist()
    X = np.where((y < 5)[:, None, None], X // 4, X)  # dark and bright
    network, scaling = benchmark.fit_loop(X, (y >= 5).astype(int), 4)
    predicted = benchmark.predict_loop(network, scaling, X, chunk=50)
    assert (predicted == (y >= 5)).mean() > 0.9


def test_flip_and_crop_shows_windows_of_padded_images(benchmark):
    x = torch.arange(2 * 3 * 6 * 6.0).reshape(2, 3, 6, 6)
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), (2, 2), (2, 2)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (6, 6), axis=(2, 3))
    for _ in range(5):
        for i, image in enumerate(benchmark.flip_and_crop(x, margin=2).numpy()):
            found = (windows[i] == image[:, None, None]).all(axis=(0, 3, 4))
            mirrored = windows[i][..., ::-1] == image[:, None, None]
            assert found.any() or mirrored.all(axis=(0, 3, 4)).any()


def test_fashion_is_read_from_its_files(benchmark, tmp_path):
    for part, n in (("train", 3), ("t10k", 2)):
        pixels = bytes(16) + bytes([n] * n * 784)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pixels))
        labels = bytes(8) + bytes(range(n))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    X, X_test, y, y_test = benchmark.load_fashion(tmp_path)
    assert (X.shape, X_test.shape) == ((3, 28, 28), (2, 28, 28))
    assert (X == 3).all()
    assert (X_test == 2).all()
    assert (y.tolist(), y_test.tolist()) == ([0, 1, 2], [0, 1])


def test_speed_lists_all_libraries(benchmark, capsys):
    benchmark.main(["speed", "--repeats", "1", "--images", "128"])
    printed = capsys.readouterr().out
    for who in ("torch loop", "skdeep", "skorch"):
        lines = [line for line in printed.splitlines() if line.startswith(who)]
        assert lines
        assert all(float(x) > 0 for line in lines for x in line.split()[-2:])


def test_unknown_parts_are_rejected(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["mnits"])
    assert "mnits" in capsys.readouterr().err
