"""Initial weights, drawn from a numpy generator so that they are the same anywhere."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn


class Linear(nn.Linear):
    """A linear layer that does not draw from torch's global generator."""

    def reset_parameters(self) -> None:
        """Leave the weights to whoever draws them."""


class Embedding(nn.Embedding):
    """An embedding that does not draw from torch's global generator."""

    def reset_parameters(self) -> None:
        """Leave the weights to whoever draws them."""


def _orthogonal(rng: np.random.RandomState, fan_in: int, fan_out: int) -> np.ndarray:
    """Draw a matrix with orthonormal rows or columns (Saxe et al., 2014)."""
    tall = rng.normal(size=(max(fan_in, fan_out), min(fan_in, fan_out)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # makes the draw uniform over orthogonal matrices
    return q if fan_in >= fan_out else q.T


def _uniform(rng, bound, fan_in, fan_out):
    return rng.uniform(-bound, bound, (fan_in, fan_out))


def _normal(rng, scale, fan_in, fan_out):
    return rng.normal(0.0, scale, (fan_in, fan_out))


# Each maps (rng, fan_in, fan_out) to a (fan_in, fan_out) matrix. Sources: Glorot &
# Bengio (2010), He et al. (2015), LeCun et al. (1998), Saxe et al. (2014).
_WEIGHTS = {
    "glorot_normal": lambda g, i, o: _normal(g, np.sqrt(2 / (i + o)), i, o),
    "he_uniform": lambda g, i, o: _uniform(g, np.sqrt(6 / i), i, o),
    "he_normal": lambda g, i, o: _normal(g, np.sqrt(2 / i), i, o),
    "lecun_normal": lambda g, i, o: _normal(g, np.sqrt(1 / i), i, o),
    "orthogonal": _orthogonal,
}
WEIGHT_INITS = ["glorot_uniform", *_WEIGHTS]


def _draw_layer(rng, method, activation, fan_in, fan_out):
    """Draw the weights (fan_in, fan_out) and biases (fan_out,) of one layer."""
    if method != "glorot_uniform":
        return _WEIGHTS[method](rng, fan_in, fan_out), np.zeros(fan_out)
    # scikit-learn's: a smaller range for the logistic function, biases drawn too.
    factor = 2.0 if activation == "logistic" else 6.0
    bound = np.sqrt(factor / (fan_in + fan_out))
    weight = _uniform(rng, bound, fan_in, fan_out)
    return weight, rng.uniform(-bound, bound, fan_out)


@torch.no_grad()
def initialize_linear(
    layers: Iterable, method: str, activation: str, rng: np.random.RandomState
) -> None:
    """Fill the layers, first to last, with weights drawn from ``rng``."""
    for layer in layers:
        weight, bias = _draw_layer(
            rng, method, activation, layer.in_features, layer.out_features
        )
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight.T)))
        layer.bias.copy_(torch.from_numpy(bias))


@torch.no_grad()
def initialize_embeddings(embeddings: Iterable, rng: np.random.RandomState) -> None:
    """Fill the embedding tables with draws of unit length on average.

    The first two codes, for a missing and an unknown category, start at zero: what
    training never sees is to say nothing.
    """
    for table in embeddings:
        scale = 1 / np.sqrt(table.embedding_dim)
        draws = rng.normal(0.0, scale, tuple(table.weight.shape))
        draws[:2] = 0.0
        table.weight.copy_(torch.from_numpy(draws))


@torch.no_grad()
def initialize_recurrent(layers: Iterable, rng: np.random.RandomState) -> None:
    """Fill recurrent layers, gate by gate, with weights drawn from ``rng``.

    Inputs have Glorot's range; what carries the state from step to step is orthogonal,
    so that it neither fades nor grows at first; biases are zero, but that of an LSTM's
    forget gate is 1, so that it remembers to begin with (Jozefowicz et al., 2015).
    """
    for layer in layers:
        n_in, n_hidden = layer.input_size, layer.hidden_size
        n_gates = layer.weight_ih_l0.shape[0] // n_hidden
        bound = np.sqrt(6 / (n_in + n_hidden))
        inputs = [_uniform(rng, bound, n_hidden, n_in) for _ in range(n_gates)]
        states = [_orthogonal(rng, n_hidden, n_hidden) for _ in range(n_gates)]
        layer.weight_ih_l0.copy_(torch.from_numpy(np.concatenate(inputs)))
        layer.weight_hh_l0.copy_(torch.from_numpy(np.concatenate(states)))
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
        if n_gates == 4:  # of the LSTM, in the order input, forget, cell, output
            layer.bias_ih_l0[n_hidden : 2 * n_hidden] = 1.0
