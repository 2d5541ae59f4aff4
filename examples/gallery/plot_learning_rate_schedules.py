"""
Learning-rate schedules
=======================

The learning rate decides how fast a network learns and how low its loss gets. A
schedule changes the rate during training, mostly from high to low. This example trains
the same network with four schedules and compares the losses.
"""

# %%
# The data
# --------
# Images of digits, 1,797 rows. A fifth of them is held out.

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=0.2, stratify=y, random_state=0
)

# %%
# One network per schedule
# ------------------------
# ``"cosine"`` and ``"one_cycle"`` end at ``max_iter``, so set it to the number of
# epochs you really want. ``"constant"`` and ``"adaptive"`` stop when the training loss
# no longer falls; here they use all 30 epochs and would warn that they have not
# converged.

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skdeep import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
models = {}
for schedule in ["constant", "adaptive", "cosine", "one_cycle"]:
    model = MLPClassifier(
        (64,),
        solver="sgd",
        learning_rate=schedule,
        learning_rate_init=0.2,
        batch_size=32,
        max_iter=30,
        random_state=0,
    )
    models[schedule] = model.fit(X_train, y_train)
    loss = log_loss(y_test, model.predict_proba(X_test))
    print(f"{schedule:10s} test log loss {loss:.3f}")

# %%
# What the schedules do
# ---------------------
# ``history_`` records the learning rate of each epoch.

import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for schedule, model in models.items():
    rates = [epoch["learning_rate"] for epoch in model.history_]
    left.plot(range(1, len(rates) + 1), rates, label=schedule)
    right.plot(range(1, len(rates) + 1), model.loss_curve_, label=schedule)
left.set(xlabel="epoch", ylabel="learning rate")
right.set(xlabel="epoch", ylabel="training loss", yscale="log")
left.legend()
plt.show()

# %%
# ``"one_cycle"`` warms up first, which allows a higher peak rate. Both schedules that
# end at zero reach their lowest loss in the last epochs, so plan for the whole schedule
# rather than stopping it early. ``"adaptive"`` lowers the rate when the loss stalls,
# which does not happen in 30 epochs.
