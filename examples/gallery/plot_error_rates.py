"""
Error rates by group
====================

A good mean score can hide that the errors fall mostly on one group.
:class:`~skdeep.metrics.ErrorRatesDisplay` draws the false-positive and false-negative
rates by group, with confidence intervals.
"""

# %%
# Who repays a loan?
# ------------------
# The data are made up, so that we know the true risk: it falls with the number of years
# that a borrower has been in the same job. "default" is the positive class.

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(0)
n = 4000
loans = pd.DataFrame(
    {
        "income": rng.lognormal(3.5, 0.4, n),
        "debt": rng.lognormal(2.5, 0.6, n),
        "years_in_job": rng.exponential(5, n),
    }
)
log_odds = -0.5 + 2 * np.log(loans["debt"] / loans["income"] + 0.5)
log_odds -= 0.15 * loans["years_in_job"]
is_default = rng.random(n) < 1 / (1 + np.exp(-log_odds))
y = np.where(is_default, "default", "repaid")
X_train, X_test, y_train, y_test = train_test_split(loans, y, random_state=0)

# %%
# A network that decides by cost
# ------------------------------
# Refusing a good customer costs a quarter of what a default costs.

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import CostSensitiveClassifier, MLPClassifier

network = make_pipeline(
    StandardScaler(),
    MLPClassifier(
        (16,), learning_rate_init=0.01, early_stopping="loss", random_state=0
    ),
)
model = CostSensitiveClassifier(
    network, alpha=0.25, strategy="threshold", pos_label="default"
)
model.fit(X_train, y_train)
print(f"accuracy {model.score(X_test, y_test):.2f}")

# %%
# Error rates by years in the job
# -------------------------------
# The groups are given as one label per row.

import matplotlib.pyplot as plt

from skdeep.metrics import ErrorRatesDisplay

groups = pd.cut(
    X_test["years_in_job"],
    [0, 1, 5, 10, np.inf],
    right=False,
    labels=["under 1", "1 to 5", "5 to 10", "over 10"],
)
ErrorRatesDisplay.from_estimator(
    model, X_test, y_test, groups.rename("years in the job"), name="network"
)
plt.show()

# %%
# Of those who would repay, newcomers to a job are refused far more often than others.
# The network has learned this correctly from the true risk. Whether it is fair is for
# people to decide: if groups differ in risk, correct probabilities and equal error
# rates are not possible at the same time
# (`Chouldechova, 2017 <https://doi.org/10.1089/big.2016.0047>`_).
