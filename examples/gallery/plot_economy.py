"""
Solve an economic model
=======================

:class:`~skdeep.EquilibriumNet` is trained without data: on the errors of the Euler
equation of a growth model, in the states that the network visits itself. The model is
that of Brock and Mirman (1972), whose solution is known.
"""

# %%
# The model
# ---------
# Output is z times k to the power of alpha. The policy is the share of output that is
# saved and becomes the capital of the next period; log z is an autoregression. The
# residual is the relative error of consumption in the Euler equation.

import numpy as np
import torch

from skdeep import EquilibriumNet, GaussHermite

ALPHA, BETA, RHO, SIGMA = 0.36, 0.96, 0.9, 0.04


class Growth:
    states, policies, policy_bounds = ["k", "log_z"], ["share"], [(0, 1)]
    shocks = GaussHermite(1, n_nodes=3)

    def initial_states(self, n, rng):
        return np.column_stack([rng.uniform(0.1, 0.3, n), rng.normal(0, 0.1, n)])

    def output(self, states):
        k, log_z = states.unbind(-1)
        return torch.exp(log_z) * k**ALPHA

    def step(self, states, policies, shocks):
        k = policies[:, 0] * self.output(states)
        log_z = RHO * states[:, 1] + SIGMA * shocks[:, 0]
        return torch.stack([k, log_z], 1)

    def residuals(self, states, policies, expect):
        def discounted_return(next_states, next_policies, shocks):
            y = self.output(next_states)
            rate = ALPHA * y / next_states[..., 0]
            return BETA * rate / ((1 - next_policies[..., 0]) * y)

        consumption = (1 - policies[:, 0]) * self.output(states)
        return 1 / (consumption * expect(discounted_return)) - 1


# %%
# Solve it
# --------
# The exact share is alpha times beta in all states.

network = EquilibriumNet(
    Growth(),
    (32, 16),
    n_paths=50,
    n_periods=10,
    batch_size=50,
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    max_iter=100,
    random_state=0,
).fit()
states, policies = network.simulate(100, n_paths=20, random_state=0)
error = np.abs(policies - ALPHA * BETA).mean()
print(f"score {network.score():.2f}, mean error of the policy {error:.1e}")

# %%
# Training, errors and paths
# --------------------------
# Left, the score after each epoch, on paths of the network of that epoch. In the
# middle, the error of the Euler equation in the states of a simulation. Right, the
# capital on three paths.

import matplotlib.pyplot as plt

figure, (left, middle, right) = plt.subplots(
    ncols=3, figsize=(10, 3.5), layout="constrained"
)
left.plot(network.validation_scores_)
left.set(xlabel="Epoch", ylabel="Score, $-\\log_{10}$ of the mean error")
rows = states[:, 20:].reshape(-1, 2)
errors = np.abs(network.residuals(rows))[:, 0]
points = middle.scatter(*rows.T, c=np.log10(errors), s=4)
figure.colorbar(points, label="$\\log_{10}$ of the error")
middle.set(xlabel="Capital $k$", ylabel="Log productivity")
right.plot(states[:3, :, 0].T)
right.set(xlabel="Period", ylabel="Capital $k$")
plt.show()
