"""
Dropout and early stopping against overfitting
==============================================

A large network memorizes a small training set: the training loss goes to zero while the
loss on other rows rises. Early stopping ends the training in time and keeps the best
weights; dropout slows the overfitting down.
"""

# %%
# A small, noisy training set
# ---------------------------
# 300 training rows for a network with two hidden layers of 128 units. One label in ten
# is wrong.

from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

X, y = make_classification(
    1500, n_features=20, n_informative=8, flip_y=0.2, random_state=0
)
X_train, X_val, y_train, y_val = train_test_split(
    X, y, train_size=300, stratify=y, random_state=0
)

# %%
# Three networks
# --------------
# With ``early_stopping="loss"`` the network watches the loss on validation rows.
# Here we pass these rows to ``fit`` as ``X_val`` and ``y_val``; otherwise the network
# sets aside a part of the training rows. To see the overfitting, the first network
# trains on: with ``n_iter_no_change=60`` it never stops early.

from skdeep import MLPClassifier

parameters = dict(
    hidden_layer_sizes=(128, 128),
    learning_rate="one_cycle",
    learning_rate_init=0.003,
    batch_size=32,
    max_iter=60,
    early_stopping="loss",
    random_state=0,
)
models = {
    "no stopping": MLPClassifier(**parameters, n_iter_no_change=60),
    "early stopping": MLPClassifier(**parameters, n_iter_no_change=10),
    "early stopping and dropout": MLPClassifier(
        **parameters, n_iter_no_change=10, dropout=0.5
    ),
}
for name, model in models.items():
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    print(
        f"{name:27s} {model.n_iter_:2d} epochs, "
        f"accuracy on the validation rows {model.score(X_val, y_val):.3f}"
    )

# %%
# Loss curves
# -----------
# :class:`~skdeep.inspection.LossCurveDisplay` draws the loss on training and validation
# rows and marks the epoch whose weights the network keeps.

import matplotlib.pyplot as plt

from skdeep.inspection import LossCurveDisplay

fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    LossCurveDisplay.from_estimator(model, ax=ax, name=name)
plt.show()

# %%
# Without stopping, the training loss goes to zero and the validation loss more than
# doubles. Early stopping ends the training ten epochs after the best one. With dropout,
# overfitting starts later and is slower. All three networks keep the weights of their
# best epoch, so later epochs do not harm even the first network; they only cost time.
