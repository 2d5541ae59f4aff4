"""
Speed of a custom module
========================

The same network of two convolutional layers, from the same first weights, trained by
Adam for the same number of epochs: in ``skdeep.ModuleClassifier``, with its own Adam
and with ``torch.optim.Adam``; in skorch's ``NeuralNetClassifier``; and in a loop
written by hand in torch, which indexes a tensor with the same batches that skdeep
draws. Then ``predict_proba`` of 10,000 images, compared with a loop over chunks of
them. Runs alternate within one process; the tables show medians and their ratio to the
loop. The loop for ``torch.optim.Adam`` is named first; skdeep's own Adam is fused, so
it is compared with a loop with ``fused=True``.

With ``--first``, the first fit of a process, for one epoch, each in a new process: the
import of the libraries is not measured, what they import in the fit is.

The images are 10,000 of the 8×8 digits, drawn with replacement, and the first 10,000 of
MNIST if the environment variable ``SKDEEP_DATA`` names a folder that has
``mnist/mnist.npz``.

Run it on an idle machine::

    OMP_NUM_THREADS=1 python examples/benchmarks/module_speed.py [--repeats 5] [--first]
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import skorch
import torch
from fit_speed import alternate
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skdeep import ModuleClassifier

N_IMAGES, BATCH, EPOCHS, RATE = 10_000, 128, 3, 1e-3
CHUNKS = (BATCH, 1000)  # rows that the loops predict at once


def load_images():
    """Return float32 images (n, side, side) and labels, by the name of the data."""
    X, y = load_digits(return_X_y=True)
    rows = np.random.RandomState(0).randint(len(X), size=N_IMAGES)
    X = (X / 16).astype(np.float32).reshape(-1, 8, 8)
    found = {"digits": (X[rows], y[rows])}
    if folder := os.environ.get("SKDEEP_DATA"):
        mnist = np.load(Path(folder) / "mnist" / "mnist.npz")
        X, y = mnist["X_train"][:N_IMAGES], mnist["y_train"][:N_IMAGES]
        X = (X / 255).astype(np.float32).reshape(-1, 28, 28)
        found["mnist"] = X, y.astype(np.int64)
    return found


def make_network(side, seed=0):
    """Return the initial network, of which each library trains a copy."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Unflatten(1, (1, side)),
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (side // 4) ** 2, 10),
        )


def fit_skdeep(network, X, y, epochs, solver, **more):
    return ModuleClassifier(
        network,
        solver=solver,
        learning_rate_init=RATE,
        alpha=0,
        batch_size=BATCH,
        max_iter=epochs,
        n_iter_no_change=np.inf,
        random_state=0,
        **more,
    ).fit(X, y)


def fit_skorch(network, X, y, epochs):
    return skorch.NeuralNetClassifier(
        copy.deepcopy(network),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, y)


def fit_loop(network, X, y, epochs, **more):
    """Train with a loop written by hand, on skdeep's batches for seed 0."""
    network = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, **more)
    loss = nn.CrossEntropyLoss()
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    rng, order = np.random.RandomState(0), torch.arange(len(X))
    for _ in range(epochs):
        order = order[torch.from_numpy(rng.permutation(len(X)))]
        for start in range(0, len(X), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            loss(network(X[rows]), y[rows]).backward()
            optimizer.step()
    return network.eval()


@torch.inference_mode()
def predict_loop(network, X, chunk):
    """Return probabilities, a chunk of rows at a time."""
    X = torch.from_numpy(X)
    scores = [network(X[start : start + chunk]) for start in range(0, len(X), chunk)]
    return torch.cat(scores).softmax(1).numpy()


FITS = {
    "torch loop": fit_loop,
    "loop, fused": partial(fit_loop, fused=True),
    "skdeep, torch's": partial(fit_skdeep, solver=torch.optim.Adam),
    "skdeep, 'adam'": partial(fit_skdeep, solver="adam"),
    "skorch": fit_skorch,
}


def print_medians(name, taken, bases):
    """Print seconds and their ratio to each loop."""
    for who, t in taken.items():
        ratios = "".join(f"{t / taken[base]:>14.3f}" for base in bases)
        print(f"{name:<8}{who:<18}{t:>10.4f}{ratios}")


def measure_fit(images, repeats, epochs=EPOCHS):
    bases = ["torch loop", "loop, fused"]
    print(f"\nfit of {epochs} epochs: seconds, medians of {repeats}")
    print(f"{'data':<8}{'':<18}{'seconds':>10}" + "".join(f"{b:>14}" for b in bases))
    for name, (X, y) in images.items():
        network = make_network(X.shape[-1])
        fits = {who: partial(fit, network, X, y, epochs) for who, fit in FITS.items()}
        print_medians(name, alternate(fits, repeats), bases)


def measure_predict(images, repeats):
    bases = [f"loop of {chunk}" for chunk in CHUNKS]
    print(f"\npredict_proba: seconds, medians of {repeats}")
    print(f"{'data':<8}{'':<18}{'seconds':>10}" + "".join(f"{b:>14}" for b in bases))
    for name, (X, y) in images.items():
        network = make_network(X.shape[-1])
        trained = fit_loop(network, X, y, 1)
        calls = {
            base: partial(predict_loop, trained, X, chunk)
            for base, chunk in zip(bases, CHUNKS, strict=True)
        }
        model = fit_skdeep(network, X, y, 1, torch.optim.Adam)
        calls["skdeep"] = partial(model.predict_proba, X)
        calls["skorch"] = partial(fit_skorch(network, X, y, 1).predict_proba, X)
        print_medians(name, alternate(calls, repeats), bases)


def measure_first(repeats):
    """Measure the first fit of a process, in new processes."""
    print(f"\nfirst fit of a process, one epoch of digits: medians of {repeats}")
    taken = {who: [] for who in FITS}
    for _ in range(repeats):
        for who, seconds in taken.items():
            command = [sys.executable, "-W", "ignore", __file__, "--in-process", who]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds.append(float(done.stdout))
    for who, seconds in taken.items():
        print(f"{who:<18}{median(seconds):>10.3f}")


def print_seconds(who):
    """Print the seconds of one epoch in this process."""
    X, y = load_images()["digits"]
    network = make_network(X.shape[-1])
    started = time.perf_counter()
    FITS[who](network, X, y, 1)
    print(time.perf_counter() - started)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--in-process", choices=FITS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    repeats = options.repeats
    if options.in_process:
        print_seconds(options.in_process)
        return
    if options.first:
        measure_first(repeats)
        return
    images = load_images()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        measure_fit(images, repeats)
        measure_predict(images, 4 * repeats)


if __name__ == "__main__":
    main()
