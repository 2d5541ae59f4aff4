"""What transformers have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import validate_data

from skdeep._failed_fits import all_or_nothing
from skdeep.encoding import holding_numbers, naming, tensor_to_numpy

_DATES = "The dates of the rows belong in the index."


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


def check_rows(transformer, X, **options) -> np.ndarray:
    """Check rows in time order, which hold numbers.

    Parameters
    ----------
    transformer : transformer
        Learns, or has learnt, the columns.
    X : array-like of shape (n_rows, n_features)
        The user's rows.
    **options : dict
        For scikit-learn's ``validate_data``.
    """
    X = tensor_to_numpy(X, "X")
    with naming("X"), holding_numbers(X, dates=_DATES):
        return validate_data(transformer, X, **options)


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
