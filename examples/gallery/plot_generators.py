"""
Which generator finds all clusters?
===================================

A generator samples rows like those that it was fitted on. Here these lie in 25 narrow
clusters. A generator fails if it leaves clusters out, which is called mode collapse, or
if it makes rows between them.
"""

# %%
# 25 clusters on a grid
# ---------------------

import numpy as np

rng = np.random.default_rng(0)
centers = np.array([(i, j) for i in range(-2, 3) for j in range(-2, 3)])
X = centers[rng.integers(25, size=2000)] + rng.normal(scale=0.05, size=(2000, 2))

# %%
# Three generators
# ----------------
# A variational autoencoder decodes normally distributed codes, and adds noise of the
# same size everywhere. A Gaussian mixture is told the number of clusters, and rows of a
# cluster have the distribution that it assumes. A generative adversarial network is
# told nothing, but reads each column by its modes, which suits clusters on a grid.

from sklearn.mixture import GaussianMixture

from skdeep import GAN, VariationalAutoEncoder

models = {
    "VariationalAutoEncoder": VariationalAutoEncoder(2, random_state=0),
    "GaussianMixture": GaussianMixture(25, random_state=0),
    "GAN": GAN(hidden_layer_sizes=(128, 128), max_iter=60, random_state=0),
}
for model in models.values():
    model.fit(X)

# %%
# Samples beside the rows
# -----------------------
# :class:`~skdeep.inspection.SamplesDisplay` draws both in random order, so that neither
# hides the other. Blue clusters are missed; orange points between them are no rows.

import matplotlib.pyplot as plt

from skdeep.inspection import SamplesDisplay

figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    SamplesDisplay.from_estimator(model, X, ax=ax, name=name, random_state=0)
plt.show()

# %%
# How many clusters are found
# ---------------------------
# A cluster is found if at least 10 of 2000 samples lie within three standard deviations
# of its center.

for name, model in models.items():
    samples = model.sample(2000)
    samples = samples[0] if isinstance(samples, tuple) else samples
    distance = np.linalg.norm(samples[:, np.newaxis] - centers, axis=2)
    near = distance.min(axis=1) < 3 * 0.05
    counts = np.bincount(distance.argmin(axis=1)[near], minlength=25)
    print(
        f"{name:<24}{(counts >= 10).sum():3} of 25 clusters, "
        f"{100 * near.mean():5.1f} % of the samples in one"
    )
