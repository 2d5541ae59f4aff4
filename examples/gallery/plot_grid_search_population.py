"""
A grid search as one population
===============================

A grid search trains many small networks, and each has so little to compute that most of
the time is overhead. With the joblib backend ``"skdeep"`` they are trained
together, as one population: the same search with the same results, only faster.
"""

# %%
# The search
# ----------
# 16 settings in 5 folds are 80 networks.

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier

X, y = load_digits(return_X_y=True)
X, y = X[:600].astype("float32"), y[:600]
network = MLPClassifier((32,), learning_rate="one_cycle", max_iter=15, random_state=0)
model = make_pipeline(StandardScaler(), network)
grid = {
    "mlpclassifier__learning_rate_init": [0.001, 0.003, 0.01, 0.03],
    "mlpclassifier__alpha": [0.001, 0.01, 0.1, 1.0],
}
search = GridSearchCV(model, grid, cv=5)

# %%
# One by one, and together
# ------------------------
# Importing skdeep registers the backend, so one line around ``fit`` is enough. The
# first fit of a process also pays for loading libraries, so fit one network before
# measuring.

import time

import joblib

model.fit(X, y)

started = time.perf_counter()
alone = search.fit(X, y).cv_results_["mean_test_score"]
print(f"one by one: {time.perf_counter() - started:.1f} s")

started = time.perf_counter()
with joblib.parallel_config(backend="skdeep"):
    together = search.fit(X, y).cv_results_["mean_test_score"]
print(f"together:   {time.perf_counter() - started:.1f} s")
print(f"largest difference of the mean scores: {abs(alone - together).max():.4f}")

# %%
# How clear is the winner?
# ------------------------
# The scores of the folds overlap: many settings are as good as the best one, within
# noise.

import matplotlib.pyplot as plt
import numpy as np

results = search.cv_results_
order = np.argsort(results["mean_test_score"])
names = [
    f"rate {params['mlpclassifier__learning_rate_init']:g}, "
    f"α {params['mlpclassifier__alpha']:g}"
    for params in results["params"]
]
folds = np.stack([results[f"split{fold}_test_score"] for fold in range(5)], axis=1)
fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
for height, row in enumerate(order):
    ax.plot(folds[row], np.full(5, height), "o", color="C0", alpha=0.5)
    ax.plot(results["mean_test_score"][row], height, "k|", markersize=14)
ax.set_yticks(range(len(order)), [names[row] for row in order])
ax.set_xlabel("accuracy: folds (dots) and mean (line)")
plt.show()
