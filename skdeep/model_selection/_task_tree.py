"""What scikit-learn's own callbacks are told of a search."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class TaskTree:
    """The tasks of a search: its trials, each a fit for every fold, and the refit.

    Parameters
    ----------
    search : estimator
        Whose callbacks are told.
    X, y : array-like
        What it is fitted to.
    params : dict
        Other parameters of fit.
    """

    def __init__(self, search, X, y, params: dict):
        weight = params.get("sample_weight")
        metadata = None if weight is None else {"sample_weight": weight}
        self.owner = search
        self.rows = {"estimator": search, "X": X, "y": y, "metadata": metadata}

    def __enter__(self):
        n_parts = 1 + (self.owner.refit is not False)
        root = self.owner._init_callback_context(max_subtasks=n_parts)
        self.root = root.call_on_fit_task_begin(**self.rows)
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.root.call_on_fit_task_end(**self.rows)

    @contextlib.contextmanager
    def search(self, n_trials: int, n_splits: int) -> Iterator[Callable]:
        """Give a function that returns the contexts of a trial's folds, if wanted."""
        context = self.root.subcontext(
            task_name="search",
            max_subtasks=n_trials * n_splits,
            sequential_subtasks=False,
        )
        context.call_on_fit_task_begin(estimator=self.owner)
        n_given = 0

        def contexts() -> list | None:
            nonlocal n_given
            # A trial may be run again, if its process seemed dead.
            is_full = n_given >= n_trials * n_splits
            if is_full or not hasattr(self.owner, "_skl_callbacks"):
                return None
            n_given += n_splits
            return [
                context.subcontext(task_name="trial-fold-evaluation", task_id=i)
                for i in range(n_given - n_splits, n_given)
            ]

        yield contexts
        context.call_on_fit_task_end(estimator=self.owner)

    @contextlib.contextmanager
    def refit(self, estimator) -> Iterator[None]:
        """Tell of the refit, and let the estimator tell of its own tasks."""
        context = self.root.subcontext(task_name="refit-with-best-params")
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(**self.rows)
            yield
        context.call_on_fit_task_end(**self.rows)
