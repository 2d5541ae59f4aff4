"""What transformers have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sklearn.base import TransformerMixin
from sklearn.callback import CallbackSupportMixin

from skdeep._compat import all_or_nothing


class ObservedFit(CallbackSupportMixin):
    """Takes scikit-learn's callbacks, such as the bar of a pipeline."""

    @contextlib.contextmanager
    def _observed(self, X, y=None) -> Iterator[None]:
        """Tell the callbacks that a fit begins and ends; undo one that fails."""
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with all_or_nothing(self):
            yield
        context.call_on_fit_task_end(estimator=self, X=X, y=y)


class ArrayOutput(TransformerMixin):
    """Takes ``set_output`` and goes on returning arrays.

    Without the method, ``pipeline.set_output(transform="pandas")``, which keeps the
    dates for a step like `SlidingWindow`, would refuse the whole pipeline.
    """

    def __init_subclass__(cls):
        super().__init_subclass__(auto_wrap_output_keys=None)

    def set_output(self, *, transform=None):
        """Do nothing: the output is an array, whatever is asked for.

        Here so that a pipeline can be asked for data frames from its other steps.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : transformer
            The transformer.
        """
        return self
