"""
Modes that collapse and modes that do not
=========================================

The generator of a :class:`~skdeep.GAN` learns from a discriminator alone. It may return
only a few kinds of rows, as long as the discriminator takes these for real: some modes
of the data are lost ("mode collapse"). This example makes it happen, and shows what
prevents it.
"""

# %%
# Eight groups on a circle
# ------------------------

import numpy as np

from skdeep import GAN

rng = np.random.default_rng(0)
angles = 2 * np.pi * np.arange(8) / 8
CENTERS = np.column_stack([np.cos(angles), np.sin(angles)])
X = CENTERS[rng.integers(8, size=3000)] + rng.normal(scale=0.07, size=(3000, 2))

# %%
# Three games
# -----------
# They differ in one parameter each. The first one has the momentum that is usual for
# Adam, ``beta_1=0.9``: both networks overshoot, and the generator runs after the
# discriminator without settling. The second one has none, which is the default: all
# modes are found, but many samples lie between them, because the generator is a
# continuous function of the columns. The third one has the default scaling, too: the
# generator chooses a mode of each column, and a number within this mode.

SHARED = {
    "hidden_layer_sizes": (64, 64),
    "discriminator_layer_sizes": (64, 64),
    "code_size": 8,
    "batch_size": 250,
    "learning_rate": "constant",
    "learning_rate_init": 0.005,
    "r1_penalty": 0.1,
    "weight_averaging": 0.98,
    "random_state": 0,
}
GAMES = {
    "momentum": {"scaling": "standard", "beta_1": 0.9},
    "no momentum": {"scaling": "standard", "beta_1": 0.0},
    "modes of columns": {"scaling": "modes", "beta_1": 0.0},
}
EPOCHS = (10, 20, 30, 40)


def snapshots(parameters):
    """Return samples after some epochs, and the model."""
    model, samples = GAN(**SHARED, **parameters), []
    for epoch in range(1, EPOCHS[-1] + 1):
        model.partial_fit(X)
        if epoch in EPOCHS:
            samples.append(model.sample(1000, random_state=0))
    return samples, model


games = {name: snapshots(parameters) for name, parameters in GAMES.items()}

# %%
# What they return after some epochs
# ----------------------------------

import matplotlib.pyplot as plt

figure, axes = plt.subplots(
    len(games), len(EPOCHS), figsize=(9, 7), layout="constrained"
)
for line, (name, (samples, _)) in zip(axes, games.items(), strict=True):
    line[0].set_ylabel(name)
    for ax, epoch, rows in zip(line, EPOCHS, samples, strict=True):
        ax.plot(*X[:500].T, ".", markersize=2, color="0.75")
        ax.plot(*rows.T, ".", markersize=2)
        ax.set(title=f"epoch {epoch}", xticks=[], yticks=[], aspect="equal")
plt.show()

# %%
# Count the modes, not the losses
# -------------------------------
# The losses do not tell how many modes there are; samples do.


def describe(rows):
    """Return the number of modes found and the share of rows near one of them."""
    distances = np.linalg.norm(rows[:, np.newaxis] - CENTERS, axis=2)
    near = distances.min(axis=1) < 3 * 0.07
    counts = np.bincount(distances.argmin(axis=1)[near], minlength=len(CENTERS))
    return (counts > 0.02 * len(rows)).sum(), near.mean()


for name, (samples, model) in games.items():
    n_modes, share = describe(samples[-1])
    generator, discriminator = (
        model.history_[-1][key] for key in ("train_loss", "discriminator_loss")
    )
    print(
        f"{name:<17} {n_modes} modes, {share:3.0%} of the samples near one; "
        f"losses {generator:.2f} and {discriminator:.2f}"
    )
