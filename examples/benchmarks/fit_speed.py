"""
Speed of fit and of predict_proba
=================================

The same network, one hidden layer of 100 units, trained by Adam for the same number of
epochs on the same float32 data by four libraries: skdeep, scikit-learn's MLP, skorch's
``NeuralNetClassifier`` and a loop written by hand in torch. Runs alternate within one
process; the table shows medians and speed-ups.

Run it on an idle machine::

    python examples/benchmarks/fit_speed.py [--repeats 5] [--quick]
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial
from statistics import median

import numpy as np
import skorch
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as ScikitLearnMLP
from torch import nn

from skdeep import MLPClassifier

N_HIDDEN = 100


def make_data(n_samples, n_features, n_classes):
    """Return float32 data of a shape: the digits if they fit, otherwise random rows."""
    if (n_samples, n_features, n_classes) == (1797, 64, 10):
        X, y = load_digits(return_X_y=True)
        return (X / 16).astype(np.float32), y
    X, y = make_classification(
        n_samples,
        n_features,
        n_informative=min(n_features, 20),
        n_classes=n_classes,
        random_state=0,
    )
    return X.astype(np.float32), y


def make_network(n_features, n_classes):
    """Return the network that skorch and the loop train."""
    return nn.Sequential(
        nn.Linear(n_features, N_HIDDEN), nn.ReLU(), nn.Linear(N_HIDDEN, n_classes)
    )


def fit_skdeep(X, y, batch_size, epochs):
    return MLPClassifier(
        (N_HIDDEN,),
        batch_size=batch_size,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=0,
    ).fit(X, y)


def fit_scikit_learn(X, y, batch_size, epochs):
    return ScikitLearnMLP(
        (N_HIDDEN,),
        batch_size=batch_size,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=0,
    ).fit(X, y)


def fit_skorch(X, y, batch_size, epochs):
    return skorch.NeuralNetClassifier(
        make_network(X.shape[1], len(np.unique(y))),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, y)


def fit_loop(X, y, batch_size, epochs):
    """Train with a loop written by hand: sliced tensors, autograd, fused Adam."""
    network = make_network(X.shape[1], len(np.unique(y)))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss = nn.CrossEntropyLoss()
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(epochs):
        order = torch.randperm(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            optimizer.zero_grad()
            loss(network(X[rows]), y[rows]).backward()
            optimizer.step()
    return network


PEERS = {
    "skdeep": fit_skdeep,
    "scikit-learn": fit_scikit_learn,
    "skorch": fit_skorch,
    "torch loop": fit_loop,
}
# samples, features, classes, batch size, epochs
SHAPES = [(1797, 64, 10, 200, 50), (20000, 30, 2, 256, 10), (20000, 784, 10, 128, 3)]


def seconds(function, *arguments):
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def alternate(functions, repeats):
    """Return the median seconds of each function, called in turn."""
    taken = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            taken[name].append(seconds(function))
    return {name: median(values) for name, values in taken.items()}


def measure_fit(repeats, dtype):
    print(f"\nfit, {np.dtype(dtype).name}: seconds (times as long as skdeep)")
    print(f"{'shape':<16}" + "".join(f"{name:>22}" for name in PEERS))
    for n_samples, n_features, n_classes, batch_size, epochs in SHAPES:
        X, y = make_data(n_samples, n_features, n_classes)
        X = X.astype(dtype)
        # skorch and the loop support only float32.
        peers = {
            name: partial(fit, X, y, batch_size, epochs)
            for name, fit in PEERS.items()
            if dtype == np.float32 or name in ("skdeep", "scikit-learn")
        }
        taken = alternate(peers, repeats)
        cells = [f"{t:.3f} ({t / taken['skdeep']:5.2f})" for t in taken.values()]
        shape = f"{n_samples}x{n_features}x{n_classes}"
        print(f"{shape:<16}" + "".join(f"{cell:>22}" for cell in cells))


def measure_predict():
    """Print the medians of 200 calls each, in turn."""
    print("\npredict_proba: microseconds (times as long as skdeep)")
    X, y = make_data(20000, 30, 2)
    models = {
        "skdeep": fit_skdeep(X, y, 256, 1),
        "scikit-learn": fit_scikit_learn(X, y, 256, 1),
    }
    for rows in (1, 20000):
        calls = {
            name: partial(model.predict_proba, X[:rows])
            for name, model in models.items()
        }
        taken = alternate(calls, 200)
        cells = [
            f"{name} {t * 1e6:.0f} ({t / taken['skdeep']:.2f})"
            for name, t in taken.items()
        ]
        print(f"{rows:>6} rows: {', '.join(cells)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one repeat, float32 only")
    arguments = parser.parse_args()
    repeats = 1 if arguments.quick else arguments.repeats
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        measure_fit(repeats, np.float32)
        if not arguments.quick:
            measure_fit(repeats, np.float64)
        measure_predict()


if __name__ == "__main__":
    main()
