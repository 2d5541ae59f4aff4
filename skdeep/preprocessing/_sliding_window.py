"""Rows in time order into windows of rows, as a scikit-learn transformer."""

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


def _windows(rows: np.ndarray, before: np.ndarray, window: int) -> np.ndarray:
    """Return the window that ends at each row.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Rows, in time order.
    before : ndarray of shape (n_before, n_features)
        Rows before the first of these. Where they do not fill a window, the first row
        of all is repeated.
    window : int
        Rows in a window.

    Returns
    -------
    windows : ndarray of shape (n_rows, window, n_features)
        A view, which numpy makes read-only.
    """
    before = before[max(len(before) - window + 1, 0) :].astype(rows.dtype)
    first = before[:1] if len(before) else rows[:1]
    try:
        edge = np.repeat(first, window - 1 - len(before), axis=0)
    except (OverflowError, ValueError) as error:
        raise MemoryError(f"There is no memory for window={window} rows.") from error
    padded = np.concatenate([edge, before, rows])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)
    return windows.transpose(0, 2, 1)  # from (n_rows, n_features, window)


class SlidingWindow(
    ObservedFit, ArrayOutput, ExplainedParameters, VersionedPickle, BaseEstimator
):
    """Give each row the rows before it: a time axis for networks that read sequences.

    Row t becomes rows t - window + 1 to t, oldest first. The number of rows stays, so
    the transformer stands in a pipeline before an estimator of sequences, and y needs
    no change. A window ends with its own row and holds no later one.

    Parameters
    ----------
    window : int, default=30
        Rows in a window, at least 1.

    context : {"auto", "train", "pad"}, default="auto"
        What stands before the first row given to `transform`. `fit` stores the last
        ``window - 1`` training rows.

        - "auto": the stored rows, if the index of X (dates or numbers) goes on where
          that of the training rows ended, with no more dates of their calendar left
          out than between two training rows; else as "pad", with a warning, once.
          Arrays have no index, so they are padded.
        - "train": the stored rows, unless the index of X starts within or before
          the training rows.
        - "pad": the first row, repeated.

        X that begins with the first training rows is the training data, and never has
        its own end put before it.

    freq : str or pandas offset, default=None
        The calendar of the index of X, such as ``"B"``, ``"MS"`` or
        ``pd.offsets.CustomBusinessDay(holidays=...)``; each date must be on it. None
        takes the ``freq`` of the index, or infers it.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if X has names that are all text.

    See Also
    --------
    TrendFeatures : Indicators of prices, each computed from a window of its own.
    skdeep.model_selection.PurgedTimeSeriesSplit : Folds for rows in time order.

    Notes
    -----
    The windows are a view of one copy of X with `window` - 1 rows before it: 10,000
    windows of 30 rows take the memory of 10,029 rows. As windows share rows, the view
    is read-only; ``windows.copy()`` may be written to.

    The output has three axes, which no data frame can hold: `set_output` leaves it an
    array. A step before this one drops the dates unless it is asked to keep them, as by
    ``StandardScaler().set_output(transform="pandas")`` or by ``set_output`` of the
    whole pipeline.

    Missing values (NaN) are passed on: whether a window may hold one is for the
    estimator behind to say. Rows of one series follow each other; windows of several
    series below one another would reach from one into the next, so transform them one
    by one.

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

    The day after the training rows finds them:

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
        """Learn the columns, and keep the ends of the training rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, in time order, oldest first. An index of dates must not repeat one;
            gaps in it are a warning.

        y : Ignored
            Here so that the transformer can stand in a pipeline.

        Returns
        -------
        self : SlidingWindow
            The fitted transformer.
        """
        with self._observed(X, y):
            times = times_of(X)
            rows = self._check(X, reset=True)
            axis = learn_time_axis(times, self.freq)
            if self.window > len(rows):
                warn(
                    f"{type(self).__name__}: window={self.window} is longer than the "
                    f"{len(rows)} rows of X, so that every window begins with copies "
                    "of the first row."
                )
            self._context = RowContext(rows, axis, self.window - 1)
        return self

    def transform(self, X):
        """Return the window that ends at each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, in time order, oldest first.

        Returns
        -------
        windows : ndarray of shape (n_rows, window, n_features)
            A read-only view, in the float type of X; float64 if X has none.
        """
        check_is_fitted(self)
        times = times_of(X)
        rows = self._check(X, reset=False)
        self._context.check(times)
        name = type(self).__name__
        before = self._context.rows_before(rows, times, self.context, name)
        return _windows(rows, before, int(self.window))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the last axis of the windows: those of the columns of X.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X, if it had none in `fit`; if it had, the same
            names.

        Returns
        -------
        names : ndarray of shape (n_features,)
            The names.
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
