"""
Choosing the loss: mean, quantiles, or a whole distribution
===========================================================

The loss decides what a regressor predicts. ``"squared_error"`` predicts the mean,
``"quantile"`` a quantile, and ``"gaussian"`` the mean and the standard deviation of
each row. This example fits all three to data whose noise grows from left to right.
"""

# %%
# The data
# --------

import numpy as np

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(0, 10, 1000))
y = np.sin(x) + (0.05 + 0.08 * x) * rng.normal(size=1000)
X = x[:, np.newaxis]

# %%
# Quantiles
# ---------
# One network per quantile: 5 % of the targets should be below the lower one, and 5 %
# above the upper one.

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPRegressor


def fit(loss, **parameters):
    """Fit a small network with this loss."""
    network = MLPRegressor(
        loss,
        (32, 32),
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        batch_size=50,
        max_iter=40,
        random_state=0,
        **parameters,
    )
    return make_pipeline(StandardScaler(), network).fit(X, y)


lower, upper = (fit("quantile", quantile=q).predict(X) for q in (0.05, 0.95))
inside = np.mean((lower <= y) & (y <= upper))
print(f"{inside:.0%} of the targets lie between the two quantiles")

# %%
# Mean and standard deviation
# ---------------------------
# A single network with the Gaussian loss learns both; ``predict`` returns the standard
# deviations with ``return_std=True``. The interval assumes normal noise, which is true
# here.

mean, std = fit("gaussian").predict(X, return_std=True)
inside = np.mean(np.abs(y - mean) <= 1.645 * std)
print(f"{inside:.0%} of the targets lie within 1.645 standard deviations of the mean")

# %%
# The intervals
# -------------
# Both widen to the right, as the noise does. The mean alone would not show that.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
intervals = {
    "quantile": (lower, upper),
    "gaussian": (mean - 1.645 * std, mean + 1.645 * std),
}
for ax, (loss, (low, high)) in zip(axes, intervals.items(), strict=True):
    ax.plot(x, y, ".", color="gray", markersize=3)
    ax.fill_between(x, low, high, alpha=0.3, label="90 % interval")
    ax.set(title=f'loss="{loss}"', xlabel="x")
axes[0].plot(x, fit("squared_error").predict(X), label='loss="squared_error"')
axes[1].plot(x, mean, label="mean")
for ax in axes:
    ax.legend(loc="lower left")
plt.show()
