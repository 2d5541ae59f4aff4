"""
Explain a prediction with LIME
==============================

Why does the network call this tumor malignant? :func:`~skdeep.lime_explain` samples
points around one row, gets the network's predictions for them, and fits a weighted
linear model. Its weights say which features moved this prediction, and R² says how well
the linear model fits the network near the row.
"""

# %%
# A network
# ---------

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X, y = X.iloc[:, :10], y.map({0: "malignant", 1: "benign"})
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)
model = make_pipeline(
    StandardScaler(),
    MLPClassifier(
        (32,), alpha=1.0, learning_rate_init=0.01, early_stopping="loss", random_state=0
    ),
)
model.fit(X_train, y_train)
print(f"test accuracy {model.score(X_test, y_test):.2f}")

# %%
# One prediction
# --------------
# The background rows tell LIME how far each feature usually varies. With
# ``link="logit"`` the effects are in log-odds, which suits probabilities near 0 or 1.

from skdeep import lime_explain

options = dict(background=X_train, target="malignant", link="logit", random_state=0)
is_malignant = model.predict(X_test) == "malignant"
patient = X_test[is_malignant].iloc[[1]]
explanation = lime_explain(model, patient, **options)
print(f"R² of the local model: {explanation.r2_[0]:.2f}")
explanation.to_frame()[["unit", "value", "effect"]].head(5).round(2)

# %%
# :class:`~skdeep.inspection.LimeDisplay` draws the largest effects.

import matplotlib.pyplot as plt

from skdeep.inspection import LimeDisplay

LimeDisplay(explanation=explanation).plot()
plt.show()

# %%
# Many predictions
# ----------------
# The mean size of the effects over many rows shows what the network relies on in
# general.

import numpy as np

many = lime_explain(model, X_test[:50], num_samples=300, **options)
sizes = np.abs(many.effects_).mean(axis=0)
order = np.argsort(sizes)
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.barh(np.array(many.unit_names_)[order], sizes[order])
ax.set_xlabel("mean size of the effect (log-odds)")
plt.show()
