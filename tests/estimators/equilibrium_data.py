"""Small economic models for tests."""

import numpy as np
import torch

from skdeep import DiscreteShocks, GaussHermite


class Growth:
    """The growth model of Brock and Mirman; the best share is 0.3 * 0.9."""

    states, policies, policy_bounds = ["k", "z"], ["share"], [(0, 1)]

    def __repr__(self):  # names of tests must not hold an address
        return "Growth()"

    shocks = DiscreteShocks([0.9, 1.1])

    def initial_states(self, n, rng):
        return np.column_stack([rng.uniform(0.1, 0.3, n), np.ones(n)])

    def output(self, states):
        k, z = states.unbind(-1)
        return z * k**0.3

    def step(self, states, policies, shocks):
        k = policies[:, 0] * self.output(states)
        return torch.stack([k, shocks[:, 0]], 1)

    def residuals(self, states, policies, expect):
        consumption = (1 - policies[:, 0]) * self.output(states)

        def discounted_return(next_states, next_policies, shocks):
            rate = 0.3 * self.output(next_states) / next_states[..., 0]
            share = next_policies[..., 0]
            return 0.9 * rate / ((1 - share) * self.output(next_states))

        return 1 - 1 / (consumption * expect(discounted_return))


class Linear:
    """Four states of any sign and two policies: their targets are linear.

    Expectations of every kind: of states, policies and shocks, in one or two columns.
    """

    states, policies = ["a", "b", "c", "d"], ["p", "q"]
    policy_bounds = [(None, None), (None, 5)]

    def __repr__(self):
        return "Linear()"

    def __init__(self, shocks=None):
        self.shocks = GaussHermite(2, n_nodes=3) if shocks is None else shocks

    def initial_states(self, n, rng):
        return rng.normal(size=(n, 4))

    def step(self, states, policies, shocks):
        drift = 0.5 * states + 0.1 * policies[:, :1]
        return drift + 0.3 * shocks[:, :1] - 0.2 * shocks[:, -1:]

    def residuals(self, states, policies, expect):
        level = expect(lambda s, p, e: s[..., 0] * p[..., 1] + e[..., 0] ** 2)
        pair = expect(lambda s, p, e: torch.stack([s[..., 1] ** 2, p[..., 0]], -1))
        first = policies[:, 0] - 0.3 * states[:, 0] - 0.1 * level
        second = policies[:, 1] - 0.2 * states[:, 1] - 0.1 * pair.sum(-1)
        return torch.stack([first, second], 1)
