"""
Classify signals with one-dimensional convolutions
==================================================

:class:`~skdeep.CNNClassifier` also takes signals, (n_samples, length): the shape of the
data tells it to use one-dimensional convolutions. Its filters find a pulse wherever it
occurs. A dense network has to learn each position by itself.
"""

# %%
# The data
# --------
# Heartbeats as in an electrocardiogram, made of three waves: a small P wave, the sharp
# QRS complex and a broad T wave. In the class "no P" the first one is missing; in
# "wide QRS" the second one is broad. Beats occur at any time, with noise.

import numpy as np

LENGTH = 128
CLASSES = np.array(["normal", "no P", "wide QRS"])
rng = np.random.default_rng(0)
time = np.arange(LENGTH)


def wave(middle, width, height):
    """Return a bell curve."""
    return height * np.exp(-0.5 * ((time - middle) / width) ** 2)


def make_beat(kind):
    """Return a heartbeat of a class, and the time of its QRS complex."""
    at = rng.integers(30, LENGTH - 40)
    width = 6.0 if kind == "wide QRS" else 2.0
    beat = wave(at, width, 1.0) + wave(at + 26, 7.0, 0.35)
    if kind != "no P":
        beat += wave(at - 18, 4.0, 0.25)
    return rng.uniform(0.7, 1.3) * beat + rng.normal(scale=0.08, size=LENGTH), at


y = rng.choice(CLASSES, size=1200)
beats = [make_beat(kind) for kind in y]
X, moments = np.array([beat for beat, _ in beats]), np.array([at for _, at in beats])
X_train, X_test, y_train, y_test = X[:800], X[800:], y[:800], y[800:]

# %%
# Convolutional and dense
# -----------------------
# Three blocks of convolution and pooling; the filters are nine steps long.

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import CNNClassifier, MLPClassifier

training = dict(learning_rate="one_cycle", batch_size=32, max_iter=15, random_state=0)
cnn = CNNClassifier(
    (16, 16, 32), kernel_size=9, hidden_layer_sizes=(32,), learning_rate_init=0.003,
    **training,
)  # fmt: skip
mlp = make_pipeline(
    StandardScaler(), MLPClassifier((128, 32), learning_rate_init=0.003, **training)
)
scores = {}
for name, model in {"convolutional": cnn, "dense": mlp}.items():
    scores[name] = model.fit(X_train, y_train).score(X_test, y_test)
    print(f"{name:13s} accuracy on 400 held-out beats: {scores[name]:.2f}")

# %%
# Where it looks
# --------------
# ``feature_maps`` returns how strongly each filter responds at each time. We align the
# maps of the second layer at the QRS complex, and draw the filter whose mean response
# differs most between normal beats and those of another class.

import matplotlib.pyplot as plt

maps = cnn.feature_maps(X_test, layer=1)
step = LENGTH // maps.shape[2]  # the layers pool, so a step of a map is several of X
offsets = np.arange(-28 // step, 40 // step)
at = moments[len(X_train) :, None] // step + offsets
aligned = np.take_along_axis(maps, at[:, None], axis=2)
signals = np.take_along_axis(X_test, moments[len(X_train) :, None] + time[:68] - 28, 1)
print(f"{maps.shape}: beats, filters, steps of {step}")

fig, axes = plt.subplots(2, 2, figsize=(9, 5), sharex=True, layout="constrained")
for (top, bottom), other in zip(axes.T, CLASSES[1:], strict=True):
    means = {kind: aligned[y_test == kind].mean(axis=0) for kind in ("normal", other)}
    chosen = np.abs(means[other] - means["normal"]).max(axis=1).argmax()
    for (kind, mean), color in zip(means.items(), ["C0", "C1"], strict=True):
        top.plot(time[:68] - 28, signals[y_test == kind].mean(axis=0), color)
        bottom.plot(step * offsets + step / 2, mean[chosen], color, label=kind)
    top.set(title=f"mean beats: normal, {other}")
    bottom.set(title=f"mean response of filter {chosen}", xlabel="time from the QRS")
    bottom.legend()
plt.show()

# %%
# Without being told, the network watches the places that a physician would: the
# interval before the QRS complex, where a P wave is or is not, and the sides of the
# complex, where a wide one differs from a narrow one.
