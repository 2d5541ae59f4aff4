"""
Search parameters with Optuna, with pruning
===========================================

:class:`~skdeep.OptunaSearchCV` is used like scikit-learn's ``RandomizedSearchCV``, but
each trial learns from those before it, and trials that do badly are pruned (stopped
early) after a few epochs.
"""

# %%
# The search space
# ----------------
# Each estimator suggests its own search space; ``param_distributions="auto"`` uses it.
# Here we write one: in a pipeline, prefix the names with the step.

from optuna.distributions import CategoricalDistribution, FloatDistribution
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, OptunaSearchCV

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X[:, :5], y, test_size=0.3, stratify=y, random_state=0
)
model = make_pipeline(
    StandardScaler(), MLPClassifier((32,), max_iter=20, random_state=0)
)
space = {
    "mlpclassifier__learning_rate_init": FloatDistribution(1e-4, 0.1, log=True),
    "mlpclassifier__alpha": FloatDistribution(1e-5, 1.0, log=True),
    "mlpclassifier__dropout": CategoricalDistribution([0.0, 0.2, 0.5]),
}

# %%
# The search
# ----------
# The first trial is the estimator with its own parameters, so the best trial is never
# worse than these. The number of epochs is fixed on purpose, so we silence the warning
# that 20 epochs are too few to converge.

import warnings

from sklearn.exceptions import ConvergenceWarning

warnings.simplefilter("ignore", ConvergenceWarning)
search = OptunaSearchCV(
    model,
    space,
    n_trials=15,
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    scoring="neg_log_loss",
    random_state=0,
)
search.fit(X_train, y_train)
print(f"log loss in cross-validation {-search.best_score_:.3f}")
print(f"log loss on held-out rows    {-search.score(X_test, y_test):.3f}")
search.best_params_

# %%
# What was pruned
# ---------------
# ``cv_results_`` says how each trial ended and after how many epochs. The search spends
# most of its time on good trials.

import matplotlib.pyplot as plt
import pandas as pd

results = pd.DataFrame(search.cv_results_)
print(results["state"].value_counts().to_string())
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
rates = results["param_mlpclassifier__learning_rate_init"].astype(float)
for state, color in {"complete": "C0", "pruned": "C1"}.items():
    rows = results["state"] == state
    right.bar(results.index[rows], results["n_epochs"][rows], color=color, label=state)
left.plot(rates, -results["mean_test_score"], "o")
left.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="log loss")
right.set(xlabel="trial", ylabel="epochs")
right.legend()
plt.show()
