"""The hand-written gradient of dense networks, compared with autograd."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skdeep.losses import (
    BINARY_LOSSES,
    MULTICLASS_LOSSES,
    REGRESSION_LOSSES,
    make_loss,
)
from skdeep.networks import ACTIVATIONS, DenseNetwork

# Private: users do not see the gradients of a step.
from skdeep.training._dense import DenseStep
from skdeep.training._products import NUMPY, TORCH

K, N, N_IN, N_OUT = 3, 11, 5, 4
PARAMS = dict(quantile=0.3, huber_delta=0.7, focal_gamma=1.7, label_smoothing=0.1)
LOSSES = [
    *(("values", name) for name in REGRESSION_LOSSES),
    *(("labels", name) for name in BINARY_LOSSES),
    *(("classes", name) for name in MULTICLASS_LOSSES),
]


def draw_targets(kind, rng):
    """Draw targets for K networks in the form that a loss takes."""
    return torch.from_numpy(
        {
            "values": lambda: rng.gamma(2, size=(K, N, N_OUT)),
            "indicators": lambda: rng.integers(0, 2, (K, N, N_OUT)).astype(float),
            "codes": lambda: rng.integers(0, N_OUT, (K, N)),
            "distributions": lambda: rng.dirichlet(np.ones(N_OUT), (K, N)),
        }[kind]()
    )


def networks(loss, sizes, dropout, **params):
    """Return K networks of the same shape with different weights, in float64."""
    made = []
    for seed in range(K):
        n_scores = N_OUT * loss.scores_per_target
        network = DenseNetwork(N_IN, sizes, n_scores, dropout=dropout, **params)
        network.double().initialize("he_normal", np.random.RandomState(seed))
        network.dropout.generator = torch.Generator().manual_seed(seed)
        made.append(network)
    return made


def step_of(nets, loss, parts=(), library=None):
    """Return the step of all networks, with stacked parameters."""
    layers = range(len(nets[0].layers))
    weights = [torch.stack([n.layers[i].weight.data for n in nets]) for i in layers]
    biases = [torch.stack([n.layers[i].bias.data for n in nets]) for i in layers]
    dropout = [n.dropout for n in nets] if nets[0].dropout.p else []
    return DenseStep(
        weights,
        [bias.unsqueeze(2) for bias in biases],
        [torch.full_like(w, torch.nan) for w in weights],
        [torch.full_like(b, torch.nan).unsqueeze(2) for b in biases],
        nets[0].activation,
        loss,
        dropout,
        parts,
        library,
    )


def assert_gradients_equal(
    nets, loss, *, equal_weights=False, n_steps=1, parts=(), library=None
):
    """Compare a step of all networks with autograd of each."""
    rng = np.random.default_rng(0)
    step = step_of(nets, loss, parts, library)
    for _ in range(n_steps):
        if parts:
            read = [torch.from_numpy(rng.normal(size=(N, N_IN))) for _ in parts]
            x = torch.cat(
                [part.expand(n, -1, -1) for part, n in zip(read, parts, strict=True)]
            )
        else:
            x = torch.from_numpy(rng.normal(size=(K, N, N_IN)))
            read = [x]
        target = draw_targets(loss.target_kind, rng)
        weight = torch.from_numpy(rng.uniform(size=(K, N, 1)))
        scale = 1 / N if equal_weights else weight
        states = [net.dropout.generator.get_state() for net in nets]
        losses = step.gradient(read, target, scale)
        for k, net in enumerate(nets):
            net.dropout.generator.set_state(states[k])
            net.train().zero_grad()
            rows = scale if equal_weights else weight[k, :, 0]
            among = None if equal_weights else rows
            expected = loss.per_sample_in_batch(net(x[k]), target[k], among)
            (expected * rows).sum().backward()
            torch.testing.assert_close(losses[k], expected.detach())
            for i, layer in enumerate(net.layers):
                torch.testing.assert_close(
                    step.weight_gradients[i][k], layer.weight.grad
                )
                torch.testing.assert_close(
                    step.bias_gradients[i][k, :, 0], layer.bias.grad
                )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation, dropout):
    loss = make_loss(SimpleNamespace(loss="log_loss", **PARAMS), "classes")
    nets = networks(loss, [6, 5], dropout, activation=activation, maxout_pieces=3)
    assert_gradients_equal(nets, loss)


@pytest.mark.parametrize("sizes", [[], [6], [4, 6, 5]])
@pytest.mark.parametrize(("target", "name"), LOSSES)
def test_every_loss(target, name, sizes):
    loss = make_loss(SimpleNamespace(loss=name, **PARAMS), target)
    assert_gradients_equal(networks(loss, sizes, 0.0), loss)


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=lambda library: library.name)
@pytest.mark.parametrize("sizes", [[], [6], [6, 5]])
@pytest.mark.parametrize("parts", [(), (3,), (1, 2), (1, 1, 1)])
def test_inputs_that_some_networks_share(parts, sizes, library):
    loss = make_loss(SimpleNamespace(loss="log_loss", **PARAMS), "classes")
    nets = networks(loss, sizes, 0.0, activation="maxout")
    assert_gradients_equal(nets, loss, n_steps=2, parts=parts, library=library)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_steps_do_not_depend_on_previous_steps(dropout):
    loss = make_loss(SimpleNamespace(loss="log_loss", **PARAMS), "classes")
    nets = networks(loss, [6, 5], dropout, activation="tanh")
    assert_gradients_equal(nets, loss, equal_weights=True, n_steps=3)


def test_inputs_are_not_modified():
    loss = make_loss(SimpleNamespace(loss="squared_error", **PARAMS), "values")
    step = step_of(networks(loss, [6], 0.0), loss)
    x = torch.randn(K, N, N_IN, dtype=torch.float64)
    target = torch.randn(K, N, N_OUT, dtype=torch.float64)
    copies = x.clone(), target.clone()
    step.gradient([x], target, 0.5)
    assert torch.equal(x, copies[0])
    assert torch.equal(target, copies[1])
