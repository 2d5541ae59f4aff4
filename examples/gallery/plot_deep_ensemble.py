"""
A deep ensemble on a raw table
==============================

:class:`~skdeep.DeepEnsembleRegressor` has strong defaults for raw tables: no scaling,
no encoding, no tuning. Categorical columns and missing numbers go in as they are, and
``predict`` can return a standard deviation with each prediction.
"""

# %%
# A table with categories and gaps
# --------------------------------
# Monthly rents of made-up flats: the town is a category, and a tenth of the sizes are
# missing.

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(0)
n = 600
towns = pd.Categorical(rng.choice(["Rome", "Oslo", "Lima"], n, p=[0.5, 0.3, 0.2]))
size = rng.lognormal(4.1, 0.4, n).round()
flats = pd.DataFrame(
    {"town": towns, "size": size, "floor": rng.integers(0, 8, n)},
)
per_meter = np.select([towns == "Rome", towns == "Oslo"], [15.0, 22.0], 8.0)
rent = 150 + per_meter * size + 10 * flats["floor"] + 60 * rng.normal(size=n)
flats.loc[rng.random(n) < 0.1, "size"] = np.nan
X_train, X_test, y_train, y_test = train_test_split(flats, rent, random_state=0)
X_train.head(3)

# %%
# Fit without preprocessing
# -------------------------
# The ensemble averages networks that were trained on different folds and with different
# parameters. Eight members are enough for a demonstration; by default there are up to
# 32. For comparison, gradient boosting takes the same table.

from sklearn.ensemble import HistGradientBoostingRegressor

from skdeep import DeepEnsembleRegressor

model = DeepEnsembleRegressor(n_members=8, random_state=0)
model.fit(X_train, y_train)
boosting = HistGradientBoostingRegressor(categorical_features="from_dtype")
boosting.fit(X_train, y_train)
print(f"R² of the ensemble        {model.score(X_test, y_test):.3f}")
print(f"R² of gradient boosting   {boosting.score(X_test, y_test):.3f}")

# %%
# How sure is it?
# ---------------
# With ``return_std=True``, ``predict`` returns a standard deviation for each row. If
# the errors were normal, two thirds of them would lie within one standard deviation.
# Here more do, since a few errors, those of flats whose size is missing, are far larger
# than the others.

import matplotlib.pyplot as plt

mean, std = model.predict(X_test, return_std=True)
is_missing = X_test["size"].isna().to_numpy()
error = np.abs(y_test - mean)
print(f"{np.mean(error <= std):.0%} of the rents lie within one standard deviation")
print(f"mean error, size known:   {error[~is_missing].mean():.0f}")
print(f"mean error, size missing: {error[is_missing].mean():.0f}")

fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
for rows, label in [(~is_missing, "size known"), (is_missing, "size missing")]:
    ax.errorbar(
        y_test[rows], mean[rows], yerr=std[rows], fmt="o", alpha=0.6, label=label
    )
ax.axline((500, 500), slope=1, color="gray", linewidth=0.8)
ax.set(xlabel="rent", ylabel="predicted rent, ± one standard deviation")
ax.legend()
plt.show()
