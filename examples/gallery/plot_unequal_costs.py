"""
Unequal costs: when a missed tumor is worse than a false alarm
===============================================================

``predict`` chooses the more probable class. That is right only if both kinds of mistake
cost the same. Here missing a malignant tumor costs ten times as much as a false
alarm: with a false negative at 1, a false positive costs ``alpha=0.1``.
"""

# %%
# A network and its default decisions
# -----------------------------------
# The data are measurements of tumors; "malignant" is the positive class.

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier

data = load_breast_cancer()
X = data.data[:, :10]
y = np.where(data.target == 0, "malignant", "benign")
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
network = MLPClassifier(
    (32,), learning_rate_init=0.01, early_stopping="loss", random_state=0
)
model = make_pipeline(StandardScaler(), network)

# %%
# Cost-sensitive decisions
# ------------------------
# :class:`~skdeep.CostSensitiveClassifier` wraps any classifier. With
# ``strategy="threshold"`` it predicts "malignant" wherever the probability is at
# least α/(1+α), here 1/11. That is the decision with the lowest expected cost if the
# probabilities are right.

from skdeep import CostSensitiveClassifier

careful = CostSensitiveClassifier(
    model, alpha=0.1, strategy="threshold", pos_label="malignant"
)
careful.fit(X_train, y_train)
print(f"threshold: {careful.threshold_:.3f}")

# %%
# The mean cost per patient on the test rows, compared with the two constant decisions:

from skdeep.metrics import expected_cost

decisions = {
    "default threshold": model.fit(X_train, y_train).predict(X_test),
    "cost-sensitive": careful.predict(X_test),
    "never malignant": np.full(len(y_test), "benign"),
    "always malignant": np.full(len(y_test), "malignant"),
}
for name, decided in decisions.items():
    cost = expected_cost(y_test, decided, alpha=0.1, pos_label="malignant")
    missed = np.sum((decided == "benign") & (y_test == "malignant"))
    print(f"{name:18s} cost {cost:.3f}, missed tumors: {missed}")

# %%
# Cost curves
# -----------
# On the left, the cost of every threshold; the dot is the threshold in use. On the
# right, the cost for every ``alpha``, each with its own threshold: the network is
# worth using where its line is below both constant decisions.

import matplotlib.pyplot as plt

from skdeep.metrics import CostCurveDisplay

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
rows = dict(X=X_test, y=y_test, name="network")
CostCurveDisplay.from_estimator(careful, **rows, alpha=0.1, ax=left)
CostCurveDisplay.from_estimator(careful, **rows, against="alpha", ax=right)
plt.show()
