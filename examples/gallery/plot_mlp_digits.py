"""
A first network: MLPClassifier and scikit-learn's
=================================================

:class:`~skdeep.MLPClassifier` takes the same parameters as
:class:`sklearn.neural_network.MLPClassifier`, so changing the import is enough. It
then offers what scikit-learn's network lacks, such as dropout. This example trains both
on images of handwritten digits and compares them.
"""

# %%
# The data
# --------
# 1,797 images of 8 × 8 pixels, of which we hold out a quarter for testing.

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=0.25, stratify=y, random_state=0
)

# %%
# The same parameters for both
# ----------------------------
# Both networks have one hidden layer of 100 units and stop early: each sets aside a
# tenth of the training rows and ends the training when the accuracy on them no longer
# improves.

from sklearn.neural_network import MLPClassifier as SklearnMLP

from skdeep import MLPClassifier

parameters = dict(
    hidden_layer_sizes=(100,),
    learning_rate_init=0.005,
    early_stopping=True,
    random_state=0,
)
models = {
    "scikit-learn": SklearnMLP(**parameters),
    "skdeep": MLPClassifier(**parameters),
    "skdeep, dropout": MLPClassifier(**parameters, dropout=0.3),
}
for name, model in models.items():
    model.fit(X_train, y_train)
    accuracy = model.score(X_test, y_test)
    print(f"{name:16s} {model.n_iter_:3d} epochs, test accuracy {accuracy:.3f}")

# %%
# The networks are equally accurate, as they should be: they minimize the same loss with
# the same optimizer. Use skdeep when you need something that scikit-learn's network
# does not have, or a GPU.
#
# Training curves
# ---------------
# ``history_`` records every epoch, with the loss on the training rows and, with early
# stopping, the score on the validation rows.

import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for name, model in models.items():
    left.plot(model.loss_curve_, label=name)
    right.plot(model.validation_scores_, label=name)
left.set(xlabel="epoch", ylabel="training loss", yscale="log")
right.set(xlabel="epoch", ylabel="validation accuracy")
left.legend()
plt.show()

# %%
# Which digits are confused?
# --------------------------
# A fitted network works with every tool that takes a scikit-learn classifier.

from sklearn.metrics import ConfusionMatrixDisplay

display = ConfusionMatrixDisplay.from_estimator(
    models["skdeep, dropout"], X_test, y_test, cmap="Blues", colorbar=False
)
display.ax_.set_title("skdeep, dropout")
plt.show()
