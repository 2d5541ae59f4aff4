"""Rows for the tests of skorch callbacks."""

import numpy as np
import torch
from skorch.callbacks import EpochScoring
from torch import nn

X = np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)


class Net(nn.Module):
    """A network with the same initial weights each time."""

    def __init__(self, n_outputs=3, input_dim=6):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.body = nn.Linear(input_dim, 8)
            self.head = nn.Linear(8, n_outputs)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


def accuracy(**parameters):
    settings = {"name": "mine", "lower_is_better": False} | parameters
    return EpochScoring("accuracy", **settings)
