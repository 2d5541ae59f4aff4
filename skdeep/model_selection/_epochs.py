"""Callbacks of scikit-learn's that see the epochs of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class EndOfEpoch:
    """A callback of scikit-learn's that hands each epoch's network to a function.

    Parameters
    ----------
    function : callable
        Takes the fitted estimator; says whether to stop training.
    """

    def __init__(self, function: Callable[[Any], bool]):
        self.function = function

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Hand an epoch's network over."""
        if context.task_name != "epoch" or fitted_estimator is None:
            return False
        return self.function(fitted_estimator)


class StopAfter:
    """A callback of scikit-learn's that ends training after some epochs."""

    def __init__(self, n_epochs: int):
        self.n_epochs = n_epochs

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context):
        """Say whether enough epochs are over."""
        return context.task_name == "epoch" and context.task_id + 1 >= self.n_epochs


def last_step(estimator):
    """Return the estimator itself, or what stands at the end of its Pipelines."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


class watched:
    """While it lasts, an estimator's last step has one callback more.

    Parameters
    ----------
    estimator : estimator
        A network, or a Pipeline that ends in one.
    callback : callback
        What it has meanwhile.
    """

    def __init__(self, estimator, callback):
        self.network, self.callback = last_step(estimator), callback

    def __enter__(self):
        self.before = list(getattr(self.network, "_skl_callbacks", []))
        self.network.set_callbacks(*self.before, self.callback)

    def __exit__(self, *error):
        self.network.set_callbacks(*self.before)


def takes_callbacks(estimator) -> bool:
    """Say whether an estimator may report its epochs."""
    return hasattr(last_step(estimator), "set_callbacks")
