"""
Your own PyTorch module, and fine-tuning
========================================

:class:`~skdeep.ModuleClassifier` gives any ``torch.nn.Module`` the interface of
scikit-learn. Here a small convolutional network learns to read digits. Its body is then
reused for a new task with few labels: only the head is trained.
"""

# %%
# Two tasks
# ---------
# The first task, with half of the images, is to recognize the digit. The second is to
# recognize its remainder when divided by five, so that 1 and 6 are one class; only 40
# images have a label.

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32").reshape(-1, 8, 8)
X, X_new, y, y_new = train_test_split(X, y, test_size=0.5, random_state=0)
X_few, X_test, y_few, y_test = train_test_split(
    X_new, y_new % 5, train_size=40, random_state=0, stratify=y_new
)

# %%
# The module
# ----------
# skdeep calls the module with the number of features and of outputs; further arguments
# are set through ``module_params``. ``forward`` returns raw scores.

import torch
from torch import nn


class BodyAndHead(nn.Module):
    """A convolutional body and a linear head."""

    def __init__(self, n_features, n_outputs, body=None):
        super().__init__()
        self.body = body or nn.Sequential(
            nn.Unflatten(1, (1, 8)),
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 16, 32),
            nn.ReLU(),
        )
        self.head = nn.Linear(32, n_outputs)

    def forward(self, X):
        return self.head(self.body(X))


from skdeep import ModuleClassifier

parameters = dict(learning_rate="one_cycle", learning_rate_init=0.01, random_state=0)
reader = ModuleClassifier(BodyAndHead, max_iter=15, batch_size=64, **parameters)
reader.fit(X, y)

# %%
# A new head on the old body
# --------------------------
# The trained module is ``module_``. A copy of its body goes into a new network; the
# skorch callback ``Freezer`` keeps its weights as they are. Any callback of skorch
# works in skdeep.

import copy

from skorch.callbacks import Freezer

few = dict(parameters, max_iter=40, batch_size=20)
body = copy.deepcopy(reader.module_.body)
tuned = ModuleClassifier(
    BodyAndHead, module_params={"body": body}, callbacks=[Freezer("body.*")], **few
).fit(X_few, y_few)
scratch = ModuleClassifier(BodyAndHead, **few).fit(X_few, y_few)
scores = {
    "from scratch": scratch.score(X_test, y_test),
    "fine-tuned head": tuned.score(X_test, y_test),
}
print(scores)

# %%
# What the body has learned
# -------------------------
# Two principal components of the body's output, for images of the second task.

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA

with torch.no_grad():
    outputs = reader.module_.body(torch.as_tensor(X_test)).numpy()
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.bar(list(scores), list(scores.values()), color=["C7", "C0"])
left.set(ylabel="test accuracy", ylim=(0, 1), title="40 labeled images")
points = right.scatter(
    *PCA(2).fit_transform(outputs).T, c=y_test, cmap="tab10", vmax=9, s=8
)
right.set(title="output of the body, colored by class", xlabel="PC 1", ylabel="PC 2")
right.legend(*points.legend_elements(), title="class")
plt.show()
