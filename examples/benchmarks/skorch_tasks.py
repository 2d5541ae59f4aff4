"""Five tasks from skorch's examples, solved with skorch and with skdeep.

The tasks are a module in a pipeline, the same in a grid search, images, fine-tuning of
a pretrained network, and a regression. Both libraries get the same network, optimizer,
learning rate, number of epochs and batch size. The script prints both scores on test
rows; they differ by no more than two seeds do.

Run it with ``python examples/benchmarks/skorch_tasks.py [--seeds 3]``. If the
environment variable ``SKDEEP_DATA`` names a folder with ``mnist/mnist.npz``, the images
are MNIST's; otherwise scikit-learn's small digits.
"""

# %%
import argparse
import contextlib
import copy
import os
import warnings
from pathlib import Path

import numpy as np
import skorch
import torch
from sklearn.datasets import load_digits, make_classification, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Freezer
from torch import nn

from skdeep import ModuleClassifier, ModuleRegressor

# %%
# The same settings in both libraries
# -----------------------------------
# skorch takes the sizes of the network from the user; skdeep infers them from the data
# and passes them to the module. skorch draws from torch's global generators, which are
# seeded for it; skdeep has ``random_state``.
#
# By default skdeep stops when the loss no longer falls and penalizes large weights a
# little. Both are switched off here, as in skorch.

PLAIN = {"alpha": 0, "n_iter_no_change": np.inf}
PLAIN_SKORCH = {"train_split": None, "iterator_train__shuffle": True, "verbose": 0}


@contextlib.contextmanager
def seeded(seed):
    """Seed torch's generators and restore them afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


# %%
# A pipeline and a grid search
# ----------------------------
# The module has two dense layers with dropout between them and returns raw scores. Its
# further arguments are parameters of the estimator: ``module_params`` sets them
# together; ``module__num_units`` sets one in ``set_params`` and in searches.


class TwoLayers(nn.Module):
    """A hidden layer with dropout, and a layer of scores."""

    def __init__(self, n_features, n_outputs, num_units=10, dropout=0.5):
        super().__init__()
        self.hidden = nn.Linear(n_features, num_units)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(num_units, n_outputs)

    def forward(self, X):
        return self.output(self.dropout(self.hidden(X).relu()))


def load_table():
    """Return rows of two classes; half of the features are informative."""
    X, y = make_classification(1000, 20, n_informative=10, random_state=0)
    return train_test_split(X.astype(np.float32), y, random_state=0, stratify=y)


def pipe(net):
    return Pipeline([("scale", StandardScaler()), ("net", net)])


def classify_table(seed=0, epochs=20):
    """Return the test accuracy of a pipeline in each library."""
    X_train, X_test, y_train, y_test = load_table()
    ours = pipe(
        ModuleClassifier(
            TwoLayers,
            module_params={"num_units": 30},
            learning_rate_init=0.01,
            batch_size=128,
            max_iter=epochs,
            random_state=seed,
            **PLAIN,
        )
    ).fit(X_train, y_train)
    theirs = pipe(
        skorch.NeuralNetClassifier(
            TwoLayers,
            module__n_features=20,
            module__n_outputs=2,
            module__num_units=30,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=0.01,
            batch_size=128,
            max_epochs=epochs,
            **PLAIN_SKORCH,
        )
    )
    with seeded(seed):
        their_score = theirs.fit(X_train, y_train).score(X_test, y_test)
    return {"skdeep": ours.score(X_test, y_test), "skorch": their_score}


# %%
# In a pipeline, prefix the names with the step: ``net__module__num_units``.


def search_table(seed=0, epochs=(10, 20), units=(10, 30), rates=(0.003, 0.01)):
    """Return the test accuracy of the best of a grid in each library."""
    X_train, X_test, y_train, y_test = load_table()
    ours = GridSearchCV(
        pipe(ModuleClassifier(TwoLayers, batch_size=128, random_state=seed, **PLAIN)),
        {
            "net__learning_rate_init": list(rates),
            "net__max_iter": list(epochs),
            "net__module__num_units": list(units),
        },
        cv=3,
    ).fit(X_train, y_train)
    net = skorch.NeuralNetClassifier(
        TwoLayers,
        module__n_features=20,
        module__n_outputs=2,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=128,
        **PLAIN_SKORCH,
    )
    theirs = GridSearchCV(
        pipe(net),
        {
            "net__lr": list(rates),
            "net__max_epochs": list(epochs),
            "net__module__num_units": list(units),
        },
        cv=3,
    )
    with seeded(seed):
        their_score = theirs.fit(X_train, y_train).score(X_test, y_test)
    return {"skdeep": ours.score(X_test, y_test), "skorch": their_score}


# %%
# Handwritten digits
# ------------------
# The module is the same; skdeep infers the new number of features. The optimizer is a
# torch class whose arguments are in ``solver_params``; skorch calls them
# ``optimizer__x``.


def load_images(n_train=10_000):
    """Return rows of pixels from 0 to 1: MNIST if available, otherwise digits."""
    folder = os.environ.get("SKDEEP_DATA")
    if not folder:
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        return train_test_split(X, y, random_state=0, stratify=y)
    mnist = np.load(Path(folder) / "mnist" / "mnist.npz")
    X_train, X_test = (
        (X / 255).astype(np.float32)
        for X in (mnist["X_train"][:n_train], mnist["X_test"])
    )
    y_train, y_test = mnist["y_train"][:n_train], mnist["y_test"]
    return X_train, X_test, y_train.astype(np.int64), y_test.astype(np.int64)


def classify_images(seed=0, epochs=10):
    """Return the test accuracy of a dense network in each library."""
    X_train, X_test, y_train, y_test = load_images()
    ours = ModuleClassifier(
        TwoLayers,
        module_params={"num_units": 100},
        solver=torch.optim.SGD,
        solver_params={"momentum": 0.9, "nesterov": True},
        learning_rate_init=0.05,
        batch_size=64,
        max_iter=epochs,
        random_state=seed,
        **PLAIN,
    ).fit(X_train, y_train)
    theirs = skorch.NeuralNetClassifier(
        TwoLayers,
        module__n_features=X_train.shape[1],
        module__n_outputs=10,
        module__num_units=100,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        lr=0.05,
        batch_size=64,
        max_epochs=epochs,
        **PLAIN_SKORCH,
    )
    with seeded(seed):
        their_score = theirs.fit(X_train, y_train).score(X_test, y_test)
    return {"skdeep": ours.score(X_test, y_test), "skorch": their_score}


# %%
# Fine-tuning
# -----------
# A convolutional body and its head learn to read digits from half of the images. The
# new task is the remainder of the digit when divided by five, so that 1 and 6 are one
# class; only 40 other images have a label. The trained body, a part of ``module_``,
# goes into a new network with a new head. skorch's callback ``Freezer`` keeps the
# body's weights, and only the head is trained; skdeep accepts skorch's callbacks. For
# comparison, the same network is also trained from scratch.
#
# The body is copied, so that one fit does not change the network of another.


class BodyAndHead(nn.Module):
    """A body that turns images into features, and a head that scores them."""

    def __init__(self, n_features, n_outputs, body=None):
        super().__init__()
        self.body = make_body(n_features) if body is None else body
        self.head = nn.Linear(32, n_outputs)

    def forward(self, X):  # (n, side, side) -> (n, n_outputs)
        return self.head(self.body(X))


def make_body(side):
    return nn.Sequential(
        nn.Unflatten(1, (1, side)),
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (side // 4) ** 2, 32),
        nn.ReLU(),
    )


def load_two_tasks(n_few=40):
    """Return images and digits, and other images and their remainders."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32).reshape(-1, 8, 8)
    X, X_new, y, y_new = train_test_split(X, y, test_size=0.5, random_state=0)
    X_train, X_test, y_train, y_test = train_test_split(
        X_new, y_new, train_size=n_few, random_state=0, stratify=y_new
    )
    return (X, y), (X_train, X_test, y_train % 5, y_test % 5)


def fine_tune(seed=0, epochs=20, head_epochs=40):
    """Return the test accuracy of a new head in each library, and without a body."""
    (X, y), (X_train, X_test, y_train, y_test) = load_two_tasks()

    model = ModuleClassifier(
        BodyAndHead,
        learning_rate_init=0.005,
        batch_size=64,
        max_iter=epochs,
        random_state=seed,
        **PLAIN,
    ).fit(X, y)
    head = ModuleClassifier(
        BodyAndHead,
        module_params={"body": copy.deepcopy(model.module_.body)},
        callbacks=[Freezer("body.*")],
        learning_rate_init=0.01,
        batch_size=20,
        max_iter=head_epochs,
        random_state=seed,
        **PLAIN,
    ).fit(X_train, y_train)
    whole = ModuleClassifier(
        BodyAndHead,
        learning_rate_init=0.01,
        batch_size=20,
        max_iter=head_epochs,
        random_state=seed,
        **PLAIN,
    ).fit(X_train, y_train)

    settings = {
        "module__n_features": 8,
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        **PLAIN_SKORCH,
    }
    with seeded(seed):
        net = skorch.NeuralNetClassifier(
            BodyAndHead,
            module__n_outputs=10,
            lr=0.005,
            batch_size=64,
            max_epochs=epochs,
            **settings,
        ).fit(X, y)
        net_head = skorch.NeuralNetClassifier(
            BodyAndHead,
            module__n_outputs=5,
            module__body=copy.deepcopy(net.module_.body),
            callbacks=[Freezer("body.*")],
            lr=0.01,
            batch_size=20,
            max_epochs=head_epochs,
            **settings,
        ).fit(X_train, y_train)
        their_score = net_head.score(X_test, y_test)
    for before, after in ((model, head), (net, net_head)):
        pairs = zip(
            before.module_.body.parameters(),
            after.module_.body.parameters(),
            strict=True,
        )
        assert all(torch.equal(a, b) for a, b in pairs), "the body has moved"
    return {
        "skdeep": head.score(X_test, y_test),
        "skorch": their_score,
        "without the body": whole.score(X_test, y_test),
    }


# %%
# A regression
# ------------
# Friedman's function has ten features, five of them informative.
# Networks learn a target of mean 0 and standard deviation 1 best. skdeep takes it as
# scikit-learn does, one-dimensional and of any type; skorch needs float32, and a column
# if the module returns one.


def predict_numbers(seed=0, epochs=40):
    """Return R² on test rows in each library."""
    X, y = make_friedman1(1500, noise=1.0, random_state=0)
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(np.float32), y, random_state=0
    )
    mean, spread = y_train.mean(), y_train.std()
    y_train, y_test = (y_train - mean) / spread, (y_test - mean) / spread
    ours = pipe(
        ModuleRegressor(
            TwoLayers,
            module_params={"num_units": 50, "dropout": 0.1},
            learning_rate_init=0.01,
            batch_size=64,
            max_iter=epochs,
            random_state=seed,
            **PLAIN,
        )
    ).fit(X_train, y_train)
    theirs = pipe(
        skorch.NeuralNetRegressor(
            TwoLayers,
            module__n_features=10,
            module__n_outputs=1,
            module__num_units=50,
            module__dropout=0.1,
            optimizer=torch.optim.Adam,
            lr=0.01,
            batch_size=64,
            max_epochs=epochs,
            **PLAIN_SKORCH,
        )
    )
    with seeded(seed):
        theirs.fit(X_train, y_train.astype(np.float32)[:, np.newaxis])
        their_score = theirs.score(X_test, y_test)
    return {"skdeep": ours.score(X_test, y_test), "skorch": their_score}


# %%
# All of them
# -----------

TASKS = {
    "pipeline": (classify_table, "accuracy"),
    "grid search": (search_table, "accuracy"),
    "digits": (classify_images, "accuracy"),
    "fine-tuning": (fine_tune, "accuracy"),
    "regression": (predict_numbers, "R²"),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    seeds = range(parser.parse_args(arguments).seeds)
    # The number of epochs is fixed on purpose.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name, (solve, measure) in TASKS.items():
            found = [solve(seed) for seed in seeds]
            for who in found[0]:
                scores = [scores[who] for scores in found]
                each = " ".join(f"{score:.3f}" for score in scores)
                print(f"{name:<12} {who:<17} {measure} {np.mean(scores):.3f} ({each})")


if __name__ == "__main__":
    main()
