"""Initial weights, drawn from a numpy generator so that all devices get the same."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn


class _EmptyLinear(nn.Linear):
    """A linear layer whose constructor does not draw weights."""

    def reset_parameters(self) -> None:
        """Do nothing."""


def make_linear(n_inputs: int, n_outputs: int, bias: bool = True) -> nn.Linear:
    """Return an ``nn.Linear`` without drawing from torch's global generator.

    The values of its parameters are undefined. ``torch.nn.utils.skip_init`` does the
    same, but takes about nine times as long.
    """
    layer: nn.Linear = _EmptyLinear(n_inputs, n_outputs, bias)
    # Tools such as dynamic quantization find layers by their exact type.
    layer.__class__ = nn.Linear
    return layer


def make_embedding(n_codes: int, dim: int) -> nn.Embedding:
    """Return an ``nn.Embedding`` without drawing from torch's global generator.

    The values of its table are undefined.
    """
    return nn.Embedding.from_pretrained(torch.empty(n_codes, dim), freeze=False)


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
    # As scikit-learn: a smaller range for the logistic function, and random biases.
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
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))


@torch.no_grad()
def initialize_embeddings(embeddings: Iterable, rng: np.random.RandomState) -> None:
    """Fill the embedding tables with draws of unit length on average.

    The first two codes, for missing and unknown categories, start at zero, so that they
    have no effect if they do not occur in training.
    """
    for table in embeddings:
        scale = 1 / np.sqrt(table.embedding_dim)
        draws = rng.normal(0.0, scale, tuple(table.weight.shape))
        draws[:2] = 0.0
        table.weight.copy_(torch.from_numpy(draws))


@torch.no_grad()
def initialize_recurrent(layers: Iterable, rng: np.random.RandomState) -> None:
    """Fill recurrent layers, gate by gate, with weights drawn from ``rng``.

    Input weights have Glorot's range. Recurrent weights are orthogonal, so that the
    state neither vanishes nor explodes at first. Biases are zero, except the bias of
    an LSTM's forget gate, which is 1 (Jozefowicz et al., 2015).
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
