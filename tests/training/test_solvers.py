"""Named solvers, compared with torch.optim on the same batches."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_regression
from torch import nn
from torch.nn import functional as F

from skdeep import MLPRegressor, ModuleRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

ALPHA, RATE, BATCH, EPOCHS, HIDDEN = 0.3, 0.02, 20, 5, 6
X, y = make_regression(n_samples=70, n_features=4, noise=1.0, random_state=0)
y = y / 50

# The solvers in torch. scikit-learn's Adam adds epsilon elsewhere, so it is tiny here.
EPS = 1e-14
REFERENCES = {
    "sgd": lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, RATE, eps=EPS),
    "adamw": lambda p: torch.optim.AdamW(p, RATE, eps=EPS),
    "nadam": lambda p: torch.optim.NAdam(p, RATE, eps=EPS),
    "rmsprop": lambda p: torch.optim.RMSprop(p, RATE, alpha=0.9, momentum=0.9, eps=EPS),
    "adagrad": lambda p: torch.optim.Adagrad(p, RATE, eps=EPS),
    "adadelta": lambda p: torch.optim.Adadelta(p, RATE, eps=EPS),
    torch.optim.Adamax: lambda p: torch.optim.Adamax(p, RATE),
    torch.optim.RAdam: lambda p: torch.optim.RAdam(p, RATE),
}


def torch_network(coefs, intercepts):
    """Return torch's own layers with given weights."""
    network = nn.Sequential(
        nn.Linear(4, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
    ).double()
    with torch.no_grad():
        for layer, w, b in zip(network[::2], coefs, intercepts, strict=True):
            layer.weight.set_(torch.tensor(w.T))
            layer.bias.set_(torch.tensor(b))
    return network


def train_by_torch(network, make_optimizer, *, decoupled):
    """Train as documented for ``alpha`` and ``batch_size``."""
    weights, biases = zip(*((m.weight, m.bias) for m in network[::2]), strict=True)
    groups = [
        {"params": weights, "weight_decay": ALPHA if decoupled else 0.0},
        {"params": biases, "weight_decay": 0.0},
    ]
    optimizer = make_optimizer(groups)
    rows, target = torch.tensor(X), torch.tensor(y)[:, None]
    for _ in range(EPOCHS):
        for x_batch, y_batch in zip(
            rows.split(BATCH), target.split(BATCH), strict=True
        ):
            loss = F.mse_loss(network(x_batch), y_batch) / 2
            if not decoupled:
                norm = sum(w.square().sum() for w in weights)
                loss = loss + 0.5 * ALPHA / len(x_batch) * norm
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.mark.parametrize("solver", REFERENCES)
def test_solver_equals_torch(solver):
    model = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,),
        solver=solver,
        alpha=ALPHA,
        learning_rate_init=RATE,
        batch_size=BATCH,
        max_iter=1,
        shuffle=False,
        epsilon=EPS,
        random_state=0,
        warm_start=True,
    ).fit(X, y)
    network = torch_network(model.coefs_, model.intercepts_)
    train_by_torch(network, REFERENCES[solver], decoupled=solver == "adamw")
    model.set_params(max_iter=EPOCHS).fit(X, y)
    for w, layer in zip(model.coefs_, network[::2], strict=True):
        np.testing.assert_allclose(w.T, layer.weight.detach(), rtol=1e-6, atol=1e-9)


def test_a_last_step_that_overflows():
    """The loss of the only epoch is finite, but the network predicts infinity."""
    model = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,),
        solver="sgd",
        learning_rate_init=1e200,
        batch_size=70,
        max_iter=1,
        random_state=0,
    )
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        model.fit(X, y)


def test_weight_decay_spares_biases_of_modules():
    model = ModuleRegressor(
        nn.Linear,
        solver="adamw",
        alpha=0.5,
        learning_rate_init=1e-2,
        random_state=0,
        max_iter=1,
        warm_start=True,
    ).fit(X, y)
    weight = model.module_.weight.detach().clone()
    bias = model.module_.bias.detach().clone()
    # At the optimum the gradient is zero, and only the decay changes the network.
    rows = np.zeros((10, 4))
    model.fit(rows, np.full(10, bias.item()))
    torch.testing.assert_close(model.module_.weight, weight * (1 - 0.5 * 1e-2))
    torch.testing.assert_close(model.module_.bias, bias)


@pytest.mark.parametrize("largest", [0.01, 1.0])
def test_max_grad_norm_bounds_the_step(largest):
    """The length of a step is the norm of the gradient times the rate."""
    params = dict(
        solver="sgd",
        momentum=0.0,
        learning_rate_init=1.0,
        batch_size=70,
        max_iter=1,
        random_state=0,
        alpha=0.0,
        hidden_layer_sizes=(),
    )
    start = MLPRegressor(**{**params, "learning_rate_init": 1e-300}).fit(X, y)
    free, bound = (
        MLPRegressor(**params, max_grad_norm=norm).fit(X, y) for norm in (None, largest)
    )

    def step(model):
        parts = (
            (model.coefs_[0] - start.coefs_[0]).ravel(),
            (model.intercepts_[0] - start.intercepts_[0]),
        )
        return np.concatenate(parts)

    length = min(largest, np.linalg.norm(step(free)))
    assert np.linalg.norm(step(bound)) == pytest.approx(length, rel=1e-3)
    cosine = step(free) @ step(bound) / np.linalg.norm(step(free)) / length
    assert cosine == pytest.approx(1, rel=1e-3)
