"""Training on simulated paths: their source, and the squared residuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.estimators._equilibrium_model import (
    Expectation,
    as_states,
    first_states,
    residuals_of,
    simulate_paths,
)
from skdeep.networks import PolicyNetwork
from skdeep.training import Adam, Batch, Learner, Source, Supervised

# Share of the paths that begin again in an epoch.
_RESTARTED = 0.1
# Steps and learning rate of the search for constant policies.
_N_ROUNDS, _N_STEPS, _RATE = 10, 5, 0.2
# Maximum number of values of the widest layer for all nodes of a chunk of rows.
_MAX_VALUES = 2**21


class SimulatedPaths(Source):
    """The states on paths that are simulated with the present network.

    In each epoch most paths go on where they ended: an equation may hold on a short
    path although the policy leads away from the solution. Some begin again, at initial
    states of the model, so that the network stays accurate there.

    Parameters
    ----------
    model : EquilibriumModel
        The model.
    n_paths, n_periods : int
        Number of paths, and their length in an epoch.
    seed : list of int
        Determines the initial states and the shocks.
    like : Tensor
        Has the type and the device of the states.
    ends : ndarray of shape (n_paths, n_states), optional
        The last states of earlier paths.
    learner : Learner, optional
        Its network starts again after 1, 2, 4, 8, ... epochs if the states have moved
        far away from those that it standardizes by.
    n_epochs : int, default=0
        Number of earlier epochs.
    n_last : int, default=0
        The network does not start again after later epochs.
    """

    def __init__(
        self,
        model: Any,
        n_paths: int,
        n_periods: int,
        seed: list[int],
        like: Tensor,
        ends: np.ndarray | None = None,
        *,
        learner: Learner | None = None,
        n_epochs: int = 0,
        n_last: int = 0,
    ):
        self.model = model
        self.n_paths = n_paths
        self.n_periods = n_periods
        self.seed = seed
        self.states = like.new_zeros(n_paths * n_periods, len(model.states))
        self.ends = None if ends is None or len(ends) != n_paths else ends
        self.learner = learner
        self.n_epochs = n_epochs
        self.n_last = n_last

    def __len__(self) -> int:
        return len(self.states)

    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        return Batch((self.states[index],))

    def renew(self, networks: Mapping[str, nn.Module]) -> None:
        rng = np.random.default_rng([*self.seed, self.n_epochs])
        self.n_epochs += 1
        first = first_states(self.model, self.n_paths, rng)
        if self.ends is not None:
            begins = rng.random(self.n_paths) < _RESTARTED
            first = np.where(begins[:, np.newaxis], first, self.ends)
        network: Any
        (network,) = networks.values()
        start = as_states(first, self.states)
        path = simulate_paths(self.model, network, start, self.n_periods, rng)
        self.states = path.flatten(0, 1)
        self.ends = path[-1].cpu().numpy()
        if self.learner is not None and self._restarts(network):
            seed = rng.integers(2**31 - 1)
            network.restart(self.states, np.random.RandomState(seed))
            self.learner.restart()

    def _restarts(self, network: Any) -> bool:
        """Return whether the network must start again."""
        n_done = self.n_epochs - 1
        is_due = 0 < n_done <= self.n_last and n_done & (n_done - 1) == 0
        return is_due and not network.is_standardized(self.states)

    def state(self) -> Any:
        return self.ends, self.n_epochs

    def load_state(self, state: Any) -> None:
        self.ends, self.n_epochs = state


class SquaredResiduals(Supervised):
    """The mean squared residual of the equations of a model at each state.

    Parameters
    ----------
    model : EquilibriumModel
        The model.
    loss : Loss
        Used by callbacks only.
    n_policies : int
        Number of outputs of the network.
    generator : torch.Generator
        Determines the nodes of expectations in training, if they are random.
    """

    def __init__(
        self, model: Any, loss: Any, n_policies: int, generator: torch.Generator
    ):
        super().__init__(loss, n_policies)
        self.model = model
        self.generator = generator

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        inputs: Any = batch.inputs
        (states,) = inputs
        seed = 0
        if self.model.shocks.draws_nodes and torch.is_grad_enabled():
            device = self.generator.device
            drawn = torch.randint(2**31, (), generator=self.generator, device=device)
            seed = int(drawn)
        values = residuals_at(self.model, networks[self.name], states, seed)
        return values.square().mean(1)

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the losses and the residuals on new paths of the present network."""
        source.renew(networks)
        inputs: Any = source.batch(slice(None)).inputs
        (states,) = inputs
        values = residuals_in_chunks(self.model, networks[self.name], states)
        return values.square().mean(1), None, values


def residuals_at(
    model: Any, network: Callable[[Tensor], Tensor], states: Tensor, seed: int = 0
) -> Tensor:
    """Return the residuals at some states, (n, n_equations)."""
    policies = network(states)
    rng = np.random.default_rng(seed)
    expectation = Expectation(model, network, states, policies, rng)
    return residuals_of(model, states, policies, expectation)


def residuals_in_chunks(model: Any, network: Any, states: Tensor) -> Tensor:
    """Return the residuals at some states, computed for a few rows at a time."""
    n_nodes = len(model.shocks.nodes(np.random.default_rng(0)))
    width = max(layer.out_features for layer in network.dense.layers)
    size = max(1, _MAX_VALUES // (n_nodes * max(width, states.shape[1])))
    parts = [residuals_at(model, network, part) for part in states.split(size)]
    return torch.cat(parts)


def constant_policies(
    model: Any, network: PolicyNetwork, states: Tensor, n_periods: int, seed: int
) -> Tensor:
    """Return constant policies with small residuals, (n_policies,).

    The residuals are those in the last of ``n_periods`` periods after some states.
    """
    rng = np.random.default_rng(seed)
    numbers = states.new_zeros(len(model.policies), requires_grad=True)
    optimizer = Adam([numbers], lr=_RATE, betas=(0.9, 0.99), eps=1e-8)
    n_steps = _N_ROUNDS * _N_STEPS

    def policies(states: Tensor) -> Tensor:
        return network.constants(numbers).expand(len(states), -1)

    for i in range(n_steps):
        if i % _N_STEPS == 0:
            with torch.no_grad():
                rows = simulate_paths(model, policies, states, n_periods, rng)[-1]
        optimizer.param_groups[0]["lr"] = _RATE * (1 - i / n_steps)
        with torch.enable_grad():
            loss = residuals_at(model, policies, rows, i).square().mean()
            (numbers.grad,) = torch.autograd.grad(loss, [numbers])
        if not numbers.grad.isfinite().all():
            break
        optimizer.step()
    return network.constants(numbers.detach())


def log_score(residuals: Tensor) -> float:
    """Return minus the decimal logarithm of the mean absolute residual."""
    mean = residuals.cpu().double().abs().mean()  # 'mps' has no float64
    return -float(mean.clamp_min(torch.finfo(torch.float64).tiny).log10())
