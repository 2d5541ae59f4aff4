"""SlidingWindow: turns rows in time order into windows of rows."""

from __future__ import annotations

from datetime import timedelta
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
)

from skdeep._messages import warn
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import (
    CONTEXTS,
    RowContext,
    learn_time_axis,
    naming,
    times_of,
)
from skdeep.preprocessing._base import ArrayOutput, ObservedFit, check_rows


def _cut_windows(rows: np.ndarray, before: np.ndarray, window: int) -> np.ndarray:
    """Return the window that ends at each row.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Rows, in time order.
    before : ndarray of shape (n_before, n_features)
        The context: rows before the first of ``rows``. If they do not fill a window,
        the very first row is repeated.
    window : int
        Number of rows in a window.

    Returns
    -------
    windows : ndarray of shape (n_rows, window, n_features)
        A read-only view of one padded copy.
    """
    # ``window`` may have been changed after fit, so there may be too many rows.
    before = before[max(len(before) - window + 1, 0) :].astype(rows.dtype)
    first = before[:1] if len(before) else rows[:1]
    try:
        edge = np.repeat(first, window - 1 - len(before), axis=0)
    except (OverflowError, ValueError) as error:  # more rows than numpy can count
        raise MemoryError(f"Not enough memory for window={window} rows.") from error
    # One copy, of which all windows are views.
    padded = np.concatenate([edge, before, rows])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)
    return windows.transpose(0, 2, 1)  # from (n_rows, n_features, window)


class SlidingWindow(
    ObservedFit, ArrayOutput, ExplainedParameters, VersionedPickle, BaseEstimator
):
    """Turn each row into the window of rows that ends with it.

    Row t becomes rows t - window + 1 to t, oldest first. The number of rows does not
    change, so the transformer can precede an estimator of sequences, such as
    LSTMClassifier, in a pipeline, and y needs no change. A window ends with its own row
    and contains no later one.

    Parameters
    ----------
    window : int, default=30
        Number of rows in a window, at least 1.

    context : {"auto", "train", "pad"}, default="auto"
        Which rows `transform` puts before the first row of X. `fit` stores the last
        ``window - 1`` training rows.

        - "auto": the stored rows, if the index of X (dates or numbers) continues that
          of the training rows, without a longer gap than the training rows have;
          otherwise padding as with "pad", with a warning the first time. Arrays have no
          index, so they are padded.
        - "train": the stored rows, unless the index of X starts within or before
          the training rows.
        - "pad": copies of the first row of X.

        X that begins with the first training rows is treated as the training data, and
        is padded, except for a few rows of whole numbers without an index and with
        "train", since these may be equal by chance.

    freq : str or pandas offset, default=None
        The frequency of the index of X, such as ``"B"``, ``"MS"`` or
        ``pd.offsets.CustomBusinessDay(holidays=...)``; every date must conform to it.
        None takes the ``freq`` of the index, or infers it.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if they are all strings.

    See Also
    --------
    TrendFeatures : Technical indicators of prices, each computed over its own window.
    skdeep.model_selection.PurgedTimeSeriesSplit : Folds for rows in time order.

    Notes
    -----
    The windows are a view of one copy of X with ``window - 1`` rows before it: 10,000
    windows of 30 rows take the memory of 10,029 rows. As windows share rows, the view
    is read-only; ``windows.copy()`` is writable.

    The output has three axes, which a data frame cannot hold: `set_output` does not
    change it. Preceding steps drop the dates unless told to keep them, by
    ``StandardScaler().set_output(transform="pandas")`` or by ``set_output`` of the
    whole pipeline.

    Missing values (NaN) are passed on to the next estimator. X must be a single series:
    windows of several stacked series would reach from one into the next, so transform
    each one separately.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdeep.preprocessing import SlidingWindow
    >>> days = pd.date_range("2024-01-01", periods=5)
    >>> series = pd.DataFrame({"value": [1.0, 2.0, 3.0, 4.0, 5.0]}, index=days)
    >>> windows = SlidingWindow(window=3).fit(series[:4])
    >>> windows.transform(series[:4])[:, :, 0]
    array([[1., 1., 1.],
           [1., 1., 2.],
           [1., 2., 3.],
           [2., 3., 4.]])

    The day after the training rows has them as its context:

    >>> windows.transform(series[4:])[:, :, 0]
    array([[3., 4., 5.]])
    """

    _parameter_constraints: dict = {
        "window": [Interval(Integral, 1, None, closed="left")],
        "context": [StrOptions(set(CONTEXTS))],
        "freq": [None, str, timedelta, pd.offsets.BaseOffset],
    }

    def __init__(self, window=30, context="auto", freq=None):
        self.window = window
        self.context = context
        self.freq = freq

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the columns, and store the first and last training rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in time order, oldest first. Dates in the index must be unique; gaps
            raise a warning.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : SlidingWindow
            The fitted transformer.

        Examples
        --------
        >>> from skdeep.preprocessing import SlidingWindow
        >>> SlidingWindow(window=2).fit([[1.0], [2.0], [3.0]]).n_features_in_
        1
        """
        with self._observed(X, y):
            # Times first: an unsorted X must raise the error about its order.
            times = times_of(X)
            rows = self._check(X, reset=True)
            axis = learn_time_axis(times, self.freq)
            if self.window > len(rows):
                warn(
                    f"{type(self).__name__}: window={self.window} is longer than the "
                    f"{len(rows)} row(s) of X, so every window begins with copies of "
                    "the first row."
                )
            self._context = RowContext(rows, axis, self.window - 1)
        return self

    def transform(self, X):
        """Return the window that ends at each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows in time order, oldest first.

        Returns
        -------
        windows : ndarray of shape (n_rows, window, n_features)
            A read-only view, in the float type of X; float64 if X is not of floats.

        Examples
        --------
        >>> from skdeep.preprocessing import SlidingWindow
        >>> windows = SlidingWindow(window=2, context="train").fit([[1.0], [2.0]])
        >>> windows.transform([[3.0], [4.0]])[:, :, 0]
        array([[2., 3.],
               [3., 4.]])
        """
        check_is_fitted(self)
        self._validate_params()  # window and context may have changed since fit
        times = times_of(X)
        rows = self._check(X, reset=False)
        self._context.check(times)
        name = type(self).__name__
        before = self._context.rows_before(rows, times, self.context, name)
        return _cut_windows(rows, before, int(self.window))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of X, which are the last axis of the windows.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns, if X had none in `fit`; otherwise the same names.

        Returns
        -------
        names : ndarray of shape (n_features,)
            The names.

        Examples
        --------
        >>> from skdeep.preprocessing import SlidingWindow
        >>> windows = SlidingWindow(window=2).fit([[1.0], [2.0]])
        >>> windows.get_feature_names_out(["price"])
        array(['price'], dtype=object)
        """
        check_is_fitted(self)
        with naming("input_features"):
            return _check_feature_names_in(self, input_features)

    def _check(self, X, reset: bool) -> np.ndarray:
        return check_rows(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            reset=reset,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
