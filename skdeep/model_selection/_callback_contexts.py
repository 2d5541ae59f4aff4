"""The contexts that a search passes to scikit-learn's callbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class SearchContexts:
    """The callback contexts of a search, for use in a ``with`` statement.

    The root context is the fit of the search. It has a context for all trials, which in
    turn has one for the fit of each fold of each trial, and a context for the refit.

    Parameters
    ----------
    search : estimator
        The search whose callbacks are called.
    X, y : array-like
        The data passed to ``fit`` of the search.
    params : dict
        Other parameters of ``fit``.
    """

    def __init__(self, search, X, y, params: dict):
        weight = params.get("sample_weight")
        metadata = None if weight is None else {"sample_weight": weight}
        self.caller = search
        self.fit_data = {"estimator": search, "X": X, "y": y, "metadata": metadata}

    def __enter__(self):
        n_parts = 1 + (self.caller.refit is not False)
        root = self.caller._init_callback_context(max_subtasks=n_parts)
        self.root = root.call_on_fit_task_begin(**self.fit_data)
        return self

    def __exit__(self, kind, error, trace):
        # scikit-learn does not end the context of a fit that raises.
        if kind is None:
            self.root.call_on_fit_task_end(**self.fit_data)

    @contextlib.contextmanager
    def trials(self, n_trials: int, n_splits: int) -> Iterator[Callable]:
        """Open the context of all trials; yield a function to call for each trial.

        The function returns the contexts of the folds of the trial, or None if the
        search has no callbacks or all contexts are used.
        """
        context = self.root.subcontext(
            task_name="search",
            max_subtasks=n_trials * n_splits,
            sequential_subtasks=False,
        )
        context.call_on_fit_task_begin(estimator=self.caller)
        n_made = 0

        def make_contexts() -> list | None:
            nonlocal n_made
            # A trial runs again if its process seems to be dead, so there may be more
            # than `n_trials` calls; scikit-learn allows only `max_subtasks` contexts.
            is_full = n_made >= n_trials * n_splits
            if is_full or not hasattr(self.caller, "_skl_callbacks"):
                return None
            n_made += n_splits
            return [
                context.subcontext(task_name="trial-fold-evaluation", task_id=i)
                for i in range(n_made - n_splits, n_made)
            ]

        yield make_contexts
        context.call_on_fit_task_end(estimator=self.caller)

    @contextlib.contextmanager
    def refit(self, estimator) -> Iterator[None]:
        """Open the context of the refit and pass it on to the estimator."""
        context = self.root.subcontext(task_name="refit-with-best-params")
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(**self.fit_data)
            yield
        context.call_on_fit_task_end(**self.fit_data)
