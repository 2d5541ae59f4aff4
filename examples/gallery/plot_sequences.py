"""
Classify sequences of unequal length
====================================

:class:`~skdeep.LSTMClassifier` reads sequences step by step, and they need not have the
same length: pass a list of arrays. Here the network predicts whether a random walk
drifts to the left or to the right.
"""

# %%
# The data
# --------
# 400 walks of 5 to 40 steps in two coordinates. The first coordinate drifts.

import numpy as np

rng = np.random.default_rng(0)
sides = rng.choice(["left", "right"], size=400)
walks = []
for side in sides:
    steps = rng.normal(size=(rng.integers(5, 41), 2))
    steps[:, 0] += 0.3 if side == "right" else -0.3
    walks.append(np.cumsum(steps, axis=0) / 10)
print([walk.shape for walk in walks[:4]])

# %%
# Fit and score
# -------------

from skdeep import LSTMClassifier

network = LSTMClassifier(
    16,
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    batch_size=64,
    max_iter=15,
    random_state=0,
)
network.fit(walks[:300], sides[:300])
accuracy = network.score(walks[300:], sides[300:])
print(f"accuracy on 100 held-out walks: {accuracy:.2f}")

# %%
# Padding does not count
# ----------------------
# Sequences can also be stored in one array, padded with NaN. The network ignores the
# padding, so the predictions are the same.

padded = np.full((100, 50, 2), np.nan)
for row, walk in zip(padded, walks[300:], strict=True):
    row[: len(walk)] = walk
probabilities = network.predict_proba(walks[300:])
print(np.allclose(network.predict_proba(padded), probabilities))

# %%
# Longer walks are easier
# -----------------------
# Red walks drift to the right according to the network, blue ones to the left. The
# longer a walk, the surer the network is.

import matplotlib.pyplot as plt

lengths = np.array([len(walk) for walk in walks[300:]])
p_right = probabilities[:, list(network.classes_).index("right")]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for walk, p in zip(walks[300:340], p_right, strict=False):
    left.plot(*walk.T, color=plt.cm.coolwarm(p), alpha=0.8)
left.set(title="walks, colored by P(right)", xlabel="x", ylabel="y")
is_right = sides[300:] == "right"
right.scatter(lengths[is_right], p_right[is_right], s=12, label="right")
right.scatter(lengths[~is_right], p_right[~is_right], s=12, label="left")
right.set(title="the longer, the surer", xlabel="steps", ylabel="P(right)")
right.legend()
plt.show()
