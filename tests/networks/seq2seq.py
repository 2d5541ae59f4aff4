"""Small encoder-decoder networks and rows for their tests."""

import numpy as np
import torch

from skdeep.networks import Seq2SeqNetwork

N_IN, N_OUT = 8, 6  # tokens, with padding, unknown and end
SOURCES = {
    "tokens": {"kind": "tokens", "n_tokens": N_IN},
    "numbers": {"kind": "numbers", "n_features": 2},
    "rows": {"kind": "rows", "n_features": 3},
}
TARGETS = {
    "tokens": {"kind": "tokens", "n_tokens": N_OUT},
    "numbers": {"kind": "numbers", "n_features": 2, "has_end": True},
}
LENGTHS = torch.tensor([2, 6, 3, 1])


def make(source="tokens", target="tokens", seed=0, scale=1.0, **params):
    """Return a network in float64; ``scale`` multiplies the weights of its scores."""
    network = Seq2SeqNetwork(SOURCES[source], TARGETS[target], 5, **params)
    network.initialize(np.random.RandomState(seed))
    with torch.no_grad():
        network.head.weight *= scale
    return network.double().eval()


def draw_inputs(kind="tokens", n_rows=4, seed=0):
    """Return x, and lengths unless the inputs are rows."""
    rng = np.random.default_rng(seed)
    if kind == "rows":
        return [torch.from_numpy(rng.normal(size=(n_rows, 3)))]
    lengths = LENGTHS.repeat(-(-n_rows // 4))[:n_rows]
    if kind == "tokens":
        x = torch.from_numpy(rng.integers(2, N_IN, (n_rows, 6)))
        return [x.where(torch.arange(6) < lengths[:, None], 0), lengths]
    return [torch.from_numpy(rng.normal(size=(n_rows, 6, 2))), lengths]


def draw_previous(network, n_rows=4, n_steps=5, seed=1):
    """Return inputs of the decoder."""
    rng = np.random.default_rng(seed)
    if network.target["kind"] == "tokens":
        others = rng.integers(2, N_OUT, (n_rows, n_steps - 1))
    else:
        others = rng.normal(size=(n_rows, n_steps - 1, 2))
    return torch.cat([network.start(n_rows), torch.from_numpy(others)], 1)
