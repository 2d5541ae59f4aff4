"""Economic models for EquilibriumNet, each with a solution to compare with.

``BrockMirman`` and ``OverlappingGenerations`` have closed forms. ``StochasticGrowth``
has none and is solved by value-function iteration.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline
from torch import Tensor

from skdeep import DiscreteShocks, GaussHermite


class BrockMirman:
    """Optimal growth with log utility and full depreciation (Brock & Mirman, 1972).

    Output is z * k ** alpha, and the logarithm of z is a first-order autoregression.
    The policy is the share of output that is saved; the best one is alpha * beta in all
    states.

    Parameters
    ----------
    alpha : float, default=0.36
        Share of capital in production.
    beta : float, default=0.96
        Discount factor.
    rho, sigma : float, default=0.9, 0.04
        Persistence of log productivity, and the standard deviation of its shocks.
    """

    states = ["k", "log_z"]
    policies = ["savings_share"]
    policy_bounds = [(0, 1)]

    def __init__(self, alpha=0.36, beta=0.96, rho=0.9, sigma=0.04):
        self.alpha = alpha
        self.beta = beta
        self.rho = rho
        self.sigma = sigma
        self.shocks = GaussHermite(1, n_nodes=5)

    def initial_states(self, n, rng):
        """Return capital around its mean, and productivity from its distribution."""
        k = (self.alpha * self.beta) ** (1 / (1 - self.alpha)) * rng.uniform(
            0.5, 1.5, n
        )
        spread = self.sigma / np.sqrt(1 - self.rho**2)
        return np.column_stack([k, rng.normal(0, spread, n)])

    def output(self, states: Tensor) -> Tensor:
        k, log_z = states.unbind(-1)
        return torch.exp(log_z) * k**self.alpha

    def step(self, states, policies, shocks):
        k = policies[:, 0] * self.output(states)
        log_z = self.rho * states[:, 1] + self.sigma * shocks[:, 0]
        return torch.stack([k, log_z], 1)

    def residuals(self, states, policies, expect):
        """Return the relative Euler error of consumption."""
        consumption = (1 - policies[:, 0]) * self.output(states)

        def discounted_return(next_states, next_policies, shocks):
            y = self.output(next_states)
            rate = self.alpha * y / next_states[..., 0]
            return self.beta * rate / ((1 - next_policies[..., 0]) * y)

        return 1 / (consumption * expect(discounted_return)) - 1

    def closed_form(self, states) -> np.ndarray:
        """Return the exact policies."""
        return np.full((len(states), 1), self.alpha * self.beta)


class OverlappingGenerations:
    """Overlapping generations with closed-form savings (Krueger & Kubler, 2004).

    The benchmark of Azinovic, Gaegauf & Scheidegger (2022). Agents live for
    ``n_generations`` periods, have log utility and work in the first one only. Output
    is eta * K ** alpha; eta and the depreciation rate delta take two values each, four
    pairs of equal probability. With more generations than six, periods are shorter, and
    the discount factor and the depreciation of a whole life are the same.

    An agent of age h (from 1) with wealth x has n = n_generations - h + 1 periods left.
    All later income is the return on savings. With log utility the return does not
    change the share of wealth that is consumed, 1 / (1 + beta + ... + beta ** (n - 1)),
    so savings are x * beta * (1 - beta ** (n - 1)) / (1 - beta ** n).

    The policies are the savings of all ages but the last; the states are eta, delta and
    the capital of all ages but the first. As shares of wealth, the policies are the
    same in all states. Amounts are harder, because the network has to find wealth from
    the states and may save more than there is.

    Parameters
    ----------
    n_generations : int, default=6
        Number of generations.
    alpha : float, default=0.3
        Share of capital in production.
    beta : float, default=None
        Discount factor of a period; None means 0.7 for six generations.
    policy : {"share", "amount"}, default="share"
        Whether policies are savings as shares of wealth or as amounts.
    """

    # Amounts may exceed wealth; a smaller share consumed is penalized.
    least = 0.01

    def __init__(self, n_generations=6, alpha=0.3, beta=None, policy="share"):
        self.n_generations = n_generations
        self.policy = policy
        self.alpha = alpha
        length = 5 / (n_generations - 1)  # of a period, 1 for six generations
        self.beta = 0.7**length if beta is None else beta
        ages = range(1, n_generations)
        self.states = ["eta", "delta", *(f"k{h + 1}" for h in ages)]
        self.policies = [f"savings{h}" for h in ages]
        high = 1 if policy == "share" else None
        self.policy_bounds = [(0, high)] * (n_generations - 1)
        rates = [1 - (1 - delta) ** length for delta in (0.5, 0.9)]
        self.shocks = DiscreteShocks([[e, d] for e in (0.95, 1.05) for d in rates])

    def initial_states(self, n, rng):
        """Return states after a life in which all ages saved random shares.

        They are more like the states of the solution than equal capital of all ages.
        """
        ages = self.n_generations - 1
        k = np.full((n, ages), 0.2 / ages)
        for _ in range(self.n_generations):
            shocks = self.shocks.values[rng.integers(4, size=n)]
            wealth, _ = self.wealth(torch.from_numpy(np.column_stack([shocks, k])))
            k = rng.uniform(0.4, 0.8, (n, ages)) * wealth.numpy()[:, :-1]
        return np.column_stack([self.shocks.values[rng.integers(4, size=n)], k])

    def wealth(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the wealth of each age, (..., n_generations), and the return."""
        eta, delta, k = states[..., :1], states[..., 1:2], states[..., 2:]
        total = k.sum(-1, keepdim=True)
        rate = self.alpha * eta * total ** (self.alpha - 1) + 1 - delta
        wage = (1 - self.alpha) * eta * total**self.alpha
        return torch.cat([wage, rate * k], -1), rate

    def consumption(self, states: Tensor, policies: Tensor) -> tuple[Tensor, Tensor]:
        """Return the consumption of each age, (..., n_generations), and the return."""
        wealth, rate = self.wealth(states)
        return wealth - self._savings(wealth, policies), rate

    def _savings(self, wealth: Tensor, policies: Tensor) -> Tensor:
        savings = torch.nn.functional.pad(policies, (0, 1))  # none in the last period
        return savings * wealth if self.policy == "share" else savings

    def step(self, states, policies, shocks):
        savings = self._savings(self.wealth(states)[0], policies)
        return torch.cat([shocks, savings[:, :-1]], 1)

    def residuals(self, states, policies, expect):
        """Return the relative Euler error of each age but the last, as a logarithm.

        The logarithm of the ratio is close to the ratio - 1 if that is small, and does
        not explode for the consumption that an untrained network leaves.
        """

        def share_consumed(wealth, policies):
            return 1 - self._savings(wealth, policies) / wealth

        def discounted_return(next_states, next_policies, shocks):
            wealth, rate = self.wealth(next_states)
            share = share_consumed(wealth, next_policies)[..., 1:]
            return self.beta * rate / (wealth[..., 1:] * share.clamp_min(self.least))

        wealth = self.wealth(states)[0]
        share = share_consumed(wealth, policies)[:, :-1]
        positive = share.clamp_min(self.least)
        consumption = wealth[:, :-1] * positive
        errors = -torch.log(consumption * expect(discounted_return))
        return errors + torch.log1p((positive - share) / 0.1)

    def closed_form(self, states) -> np.ndarray:
        """Return the exact policies."""
        wealth, _ = self.wealth(torch.as_tensor(np.asarray(states, dtype=np.float64)))
        n = self.n_generations - np.arange(self.n_generations - 1)
        share = self.beta * (1 - self.beta ** (n - 1)) / (1 - self.beta**n)
        if self.policy == "share":
            return np.tile(share, (len(states), 1))
        return wealth.numpy()[:, :-1] * share


class StochasticGrowth:
    """Optimal growth with risk aversion and partial depreciation: no closed form.

    The logarithm of productivity is a first-order autoregression. The policy is the
    share of output and remaining capital that is saved.

    The Euler equation also holds for policies that save too much and let consumption
    fall towards 0, which only the transversality condition excludes. Such a policy
    reaches the upper bound of the share, where the equation fails.

    Parameters
    ----------
    alpha, beta, gamma, delta : float, default=0.36, 0.96, 2.0, 0.1
        Share of capital, discount factor, relative risk aversion, depreciation rate.
    rho, sigma : float, default=0.9, 0.02
        Persistence of log productivity, and the standard deviation of its shocks.
    """

    states = ["k", "log_z"]
    policies = ["savings_share"]
    policy_bounds = [(0, 0.9)]

    def __init__(
        self, alpha=0.36, beta=0.96, gamma=2.0, delta=0.1, rho=0.9, sigma=0.02
    ):
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.delta = delta
        self.rho = rho
        self.sigma = sigma
        self.shocks = GaussHermite(1, n_nodes=5)

    @property
    def steady_state(self) -> float:
        """Capital without shocks."""
        rate = 1 / self.beta - 1 + self.delta
        return (self.alpha / rate) ** (1 / (1 - self.alpha))

    def initial_states(self, n, rng):
        """Return capital around its steady state, and productivity."""
        k = self.steady_state * rng.uniform(0.7, 1.3, n)
        spread = self.sigma / np.sqrt(1 - self.rho**2)
        return np.column_stack([k, rng.normal(0, spread, n)])

    def resources(self, k, log_z, exp=torch.exp):
        """Return output and remaining capital."""
        return exp(log_z) * k**self.alpha + (1 - self.delta) * k

    def step(self, states, policies, shocks):
        k = policies[:, 0] * self.resources(*states.unbind(-1))
        log_z = self.rho * states[:, 1] + self.sigma * shocks[:, 0]
        return torch.stack([k, log_z], 1)

    def residuals(self, states, policies, expect):
        """Return the relative Euler error of consumption."""

        def discounted_utility(next_states, next_policies, shocks):
            k, log_z = next_states.unbind(-1)
            rate = self.alpha * torch.exp(log_z) * k ** (self.alpha - 1)
            c = (1 - next_policies[..., 0]) * self.resources(k, log_z)
            return self.beta * (rate + 1 - self.delta) * c**-self.gamma

        consumption = (1 - policies[:, 0]) * self.resources(*states.unbind(-1))
        return expect(discounted_utility) ** (-1 / self.gamma) / consumption - 1

    def value_iteration(self, n_k=100, n_z=15, tol=1e-8):
        """Solve the model by value-function iteration with cubic splines.

        Returns a function from states, (n, 2), to policies, (n, 1).
        """
        spread = 4 * self.sigma / np.sqrt(1 - self.rho**2)
        k = self.steady_state * np.linspace(0.4, 1.8, n_k)
        z = np.linspace(-spread, spread, n_z)
        grid_k, grid_z = np.meshgrid(k, z, indexing="ij")
        resources = self.resources(grid_k, grid_z, np.exp)
        nodes, weights = np.polynomial.hermite_e.hermegauss(7)
        weights = weights / weights.sum()
        following = self.rho * z[:, np.newaxis] + self.sigma * nodes
        following = following.clip(z[0], z[-1])

        def expected(value):
            """Return a spline of the expected value by next k and current z."""
            spline = RectBivariateSpline(k, z, value)
            at_nodes = spline(k, np.unique(following))
            index = np.searchsorted(np.unique(following), following)
            return RectBivariateSpline(k, z, at_nodes[:, index] @ weights)

        def total(next_k, spline):
            c = resources - next_k
            utility = (c ** (1 - self.gamma) - 1) / (1 - self.gamma)
            return utility + self.beta * spline.ev(next_k, grid_z)

        value = np.zeros_like(resources)
        while True:
            spline = expected(value)
            high = np.minimum(k[-1], resources - 1e-6)
            next_k = _maximum(lambda x: total(x, spline), k[0], high)  # noqa: B023
            new = total(next_k, spline)
            change = np.abs(new - value).max()
            value = new
            if change < tol:
                break
            for _ in range(30):  # with this policy, which costs less (Howard, 1960)
                value = total(next_k, expected(value))
        share = RectBivariateSpline(k, z, next_k / resources)
        return lambda states: share.ev(*np.asarray(states).T)[:, np.newaxis]


def _maximum(function, low, high, n_steps=45):
    """Return where a concave function is largest, by golden-section search."""
    ratio = (np.sqrt(5) - 1) / 2
    low, high = np.broadcast_to(low, high.shape).copy(), high.copy()
    for _ in range(n_steps):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        is_left = function(left) > function(right)
        high, low = np.where(is_left, right, high), np.where(is_left, low, left)
    return (low + high) / 2
