"""
Speed of an epoch over sequences
================================

An LSTM of 64 units reads 20,000 sequences of 30 steps of 10 numbers, in batches of 256,
trained by Adam: in skdeep, in skorch and in a loop written by hand in torch. All three
use ``nn.LSTM`` and a linear layer; a GRU and a plain RNN follow. Runs alternate within
one process; the table shows medians of the seconds per epoch: those of a fit of six
epochs less those of a fit of one, divided by five, which excludes start-up.

Run it on an idle machine::

    python examples/benchmarks/sequence_speed.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial

import numpy as np
import skorch
import torch
from fit_speed import alternate
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skdeep import LSTMClassifier

N_SAMPLES, N_STEPS, N_FEATURES, HIDDEN, BATCH = 20_000, 30, 10, 64, 256


def make_data():
    """Return sequences and whether the mean of the first feature is positive."""
    X = np.random.RandomState(0).normal(size=(N_SAMPLES, N_STEPS, N_FEATURES))
    return X.astype(np.float32), (X[:, :, 0].mean(axis=1) > 0).astype(np.int64)


class Network(nn.Module):
    """The network of skorch and of the loop."""

    def __init__(self, cell):
        super().__init__()
        kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
        self.recurrent = kinds[cell](N_FEATURES, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


def fit_skdeep(X, y, cell, epochs):
    return LSTMClassifier(
        HIDDEN,
        cell=cell,
        batch_size=BATCH,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=0,
    ).fit(X, y)


def fit_skorch(X, y, cell, epochs):
    return skorch.NeuralNetClassifier(
        Network(cell),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=BATCH,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, y)


def fit_loop(X, y, cell, epochs):
    """Train with a loop written by hand: sliced tensors, autograd, fused Adam."""
    network = Network(cell)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss = nn.CrossEntropyLoss()
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(epochs):
        order = torch.randperm(len(X))
        for start in range(0, len(X), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            loss(network(X[rows]), y[rows]).backward()
            optimizer.step()
    return network


PEERS = {"skdeep": fit_skdeep, "skorch": fit_skorch, "torch loop": fit_loop}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    X, y = make_data()
    print(f"seconds per epoch (times as long as skdeep), medians of {repeats}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for cell in ("lstm", "gru", "rnn"):
            fits = {
                (name, epochs): partial(fit, X, y, cell, epochs)
                for epochs in (1, 6)
                for name, fit in PEERS.items()
            }
            taken = alternate(fits, repeats)
            epoch = {name: (taken[name, 6] - taken[name, 1]) / 5 for name in PEERS}
            cells = [
                f"{name} {t:.3f} ({t / epoch['skdeep']:.2f})"
                for name, t in epoch.items()
            ]
            print(f"{cell:<5} {', '.join(cells)}")


if __name__ == "__main__":
    main()
