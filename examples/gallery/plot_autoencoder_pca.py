"""
Digits in two numbers: an autoencoder beside PCA
================================================

:class:`~skdeep.AutoEncoder` reduces each row to a short code and reconstructs the row
from it, as :class:`~sklearn.decomposition.PCA` does. PCA is the best linear code; an
autoencoder with hidden layers need not be linear.
"""

# %%
# Two codes of two numbers
# ------------------------
# Neither of them sees the labels. Pixels have one unit, so ``scaling=None`` keeps it.

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skdeep import AutoEncoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, stratify=y, random_state=0
)
models = {
    "PCA": PCA(2),
    "AutoEncoder": AutoEncoder(
        2,
        hidden_layer_sizes=(128, 64),
        activation="tanh",
        scaling=None,
        max_iter=100,
        random_state=0,
    ),
}
codes = {name: model.fit(X_train).transform(X_test) for name, model in models.items()}

# %%
# The codes of digits that neither has seen
# -----------------------------------------

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, (name, values) in zip(axes, codes.items(), strict=True):
    points = ax.scatter(*values.T, c=y_test, cmap="tab10", s=12)
    ax.set(title=name, xlabel="first number", ylabel="second number")
figure.colorbar(points, ax=axes, label="digit", ticks=range(10))
plt.show()

# %%
# How much the codes keep
# -----------------------
# The squared error of the reconstructed pixels, and how well the nearest neighbors by
# code tell the digit.

from sklearn.neighbors import KNeighborsClassifier

for name, model in models.items():
    found = model.inverse_transform(codes[name])
    error = ((found - X_test) ** 2).mean()
    neighbors = KNeighborsClassifier(5).fit(model.transform(X_train), y_train)
    accuracy = neighbors.score(codes[name], y_test)
    print(f"{name:<12} squared error {error:.4f}, accuracy of neighbors {accuracy:.2f}")

# %%
# The reconstructions
# -------------------
# Digits of the test set, and what two numbers have kept of them.

rows = {"original": X_test[:8]} | {
    name: model.inverse_transform(codes[name][:8]) for name, model in models.items()
}
figure, axes = plt.subplots(3, 8, figsize=(9, 3.6), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, fontsize=9)
plt.show()
