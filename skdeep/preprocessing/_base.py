"""Base classes and checks of the transformers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import validate_data

from skdeep._failed_fits import all_or_nothing
from skdeep.encoding import explaining_non_numeric, naming, tensor_to_numpy

_DATES_ADVICE = "Put the dates of the rows into the index."


class ObservedFit(CallbackSupportMixin):
    """Supports scikit-learn's callbacks, such as the progress bar of a pipeline."""

    @contextlib.contextmanager
    def _observed(self, X, y=None) -> Iterator[None]:
        """Notify the callbacks when a fit begins and ends; undo a fit that fails."""
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with all_or_nothing(self):
            yield
        context.call_on_fit_task_end(estimator=self, X=X, y=y)


def check_rows(transformer, X, **options) -> np.ndarray:
    """Check that rows are numeric, and return them as an array.

    Parameters
    ----------
    transformer : transformer
        Its ``n_features_in_`` and ``feature_names_in_`` are set or compared.
    X : array-like of shape (n_rows, n_features)
        The user's rows, in time order.
    **options : dict
        Options of scikit-learn's ``validate_data``.
    """
    X = tensor_to_numpy(X, "X")
    with naming("X"), explaining_non_numeric(X, dates=_DATES_ADVICE):
        return validate_data(transformer, X, **options)


class ArrayOutput(TransformerMixin):
    """Accepts ``set_output``, but always returns arrays.

    Without the method, ``pipeline.set_output(transform="pandas")``, by which the other
    steps keep the dates, would raise an error for the whole pipeline.
    """

    def __init_subclass__(cls):
        # None: scikit-learn would otherwise wrap the output of transform.
        super().__init_subclass__(auto_wrap_output_keys=None)

    def set_output(self, *, transform=None):
        """Do nothing: the output is always an array.

        Present so that ``set_output`` of a pipeline applies to its other steps.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : transformer
            The transformer.

        Examples
        --------
        >>> from skdeep.preprocessing import SlidingWindow
        >>> windows = SlidingWindow(window=2).set_output(transform="pandas")
        >>> type(windows.fit_transform([[1.0], [2.0]])).__name__
        'ndarray'
        """
        return self
