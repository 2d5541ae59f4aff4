"""scikit-learn callbacks that are called after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class EpochCallback:
    """A callback that passes the network to a function after each epoch.

    Parameters
    ----------
    function : callable
        Takes the fitted estimator and returns whether to stop training.
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
        """Call the function after an epoch."""
        # Callbacks are called for nested tasks too, such as the folds of a search.
        if context.task_name != "epoch" or fitted_estimator is None:
            return False
        return self.function(fitted_estimator)


class StopAfterEpochs:
    """A callback that stops training after a number of epochs.

    Parameters
    ----------
    n_epochs : int
        Number of epochs.
    """

    def __init__(self, n_epochs: int):
        self.n_epochs = n_epochs

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context):
        """Return whether the number of epochs is reached."""
        return context.task_name == "epoch" and context.task_id + 1 >= self.n_epochs


def last_pipeline_step(estimator):
    """Return the last step of a Pipeline, also if nested, or the estimator itself."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


class added_callback:
    """Context manager that adds a callback to the last step of an estimator.

    Parameters
    ----------
    estimator : estimator
        A network, or a Pipeline whose last step is a network.
    callback : callback
        The callback to add.
    """

    def __init__(self, estimator, callback):
        self.network, self.callback = last_pipeline_step(estimator), callback

    def __enter__(self):
        self.before = list(getattr(self.network, "_skl_callbacks", []))
        self.network.set_callbacks(*self.before, self.callback)

    def __exit__(self, *error):
        # Estimators are kept and pickled after the fit; the callback must not be.
        self.network.set_callbacks(*self.before)


def supports_callbacks(estimator) -> bool:
    """Return whether the last step of an estimator supports callbacks."""
    return hasattr(last_pipeline_step(estimator), "set_callbacks")
