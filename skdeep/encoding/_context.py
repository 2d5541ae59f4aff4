"""The rows before the first row: what an estimator of time-ordered rows remembers.

A moving average, a sliding window or a recurrent forecaster needs the rows before the
one it looks at. For the first rows of new data those are the last training rows, if
the new data follow them, and nobody knows them if it does not.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

CONTEXTS = ("auto", "train", "pad")

# Equal rows, computed from other neighbours or in float32, may differ by this share of
# the largest number in their column.
ROUNDING = 1e-6


def time_labels(X) -> np.ndarray | None:
    """Return the time of each row of X, strictly increasing, or None.

    Labels are what an index of dates, periods, time differences or numbers gives.
    Arrays have none, and neither has an index of text or of numbers out of order.

    Raises
    ------
    ValueError
        If X has an index of dates that are missing, repeated or out of order.
    """
    index = getattr(X, "index", None)
    if not isinstance(index, pd.Index) or isinstance(index, pd.MultiIndex):
        return None  # (the values of a MultiIndex are not read: pandas changes it then)
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        return _dates(index)
    values = index.to_numpy()
    if values.dtype.kind not in "iufm" or not _is_increasing(values):
        return None
    return values


def _dates(index: pd.DatetimeIndex) -> np.ndarray:
    if index.hasnans:
        raise ValueError(
            "The index of X must give the date of every row; it is missing for row "
            f"{int(np.flatnonzero(index.isna())[0])}."
        )
    late = np.flatnonzero(index[1:] <= index[:-1])
    if late.size:
        before, after = index[late[0]], index[late[0] + 1]
        problem = "is repeated" if before == after else f"comes after {before}"
        raise ValueError(
            "The rows of X must be in time order, each date once; in its index "
            f"{after} {problem} (row {late[0] + 1}). Several series must be "
            "transformed one by one."
        )
    if index.tz is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    return index.to_numpy()


def _is_increasing(values: np.ndarray) -> bool:
    return bool(np.all(values[1:] > values[:-1]))


def _are_close(rows: np.ndarray, others: np.ndarray) -> bool:
    """Whether rows are equal to rounding; a missing number equals a missing one."""
    largest = np.abs(np.nan_to_num(others)).max(axis=0, initial=0)
    close = np.isclose(rows, others, rtol=0, atol=ROUNDING * largest, equal_nan=True)
    return bool(close.all())


class RowContext:
    """The ends of the training rows, and whether other rows follow them.

    Everything stored is a numpy array or a plain Python object, so that the estimator
    that keeps it can be pickled and written by skops.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, ...)
        The training rows, in time order.
    labels : ndarray of shape (n_rows,) or None
        The time of each, as `time_labels` gives it.
    n_kept : int
        How many rows of either end to keep.
    """

    def __init__(self, rows: np.ndarray, labels: np.ndarray | None, n_kept: int):
        self.head = rows[:n_kept].copy()
        self.tail = rows[max(len(rows) - n_kept, 0) :].copy()
        # The first and the last time, and the longest step: empty where unknown.
        self.ends = np.empty(0) if labels is None else labels[[0, -1]]
        steps = np.empty(0) if labels is None else np.diff(labels)
        self.largest_step = steps.max(keepdims=True) if steps.size else steps
        self.has_warned = False

    def rows_before(
        self,
        rows: np.ndarray,
        labels: np.ndarray | None,
        context: str,
        caller: str,
        stacklevel: int = 2,
    ) -> np.ndarray:
        """Return the training rows to put before `rows`; there may be none.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, ...)
            The rows to transform, in time order.
        labels : ndarray of shape (n_rows,) or None
            The time of each, as `time_labels` gives it.
        context : {"auto", "train", "pad"}
            "auto": only where the labels show that `rows` follow the training rows.
            "train": unless the labels show that they do not. "pad": never.
        caller : str
            Who asks, for the warning.
        stacklevel : int
            Which line the warning points at, counted as `warnings.warn` does: 1 is the
            line that calls this method, 2 the line that calls the function it is in.

        Returns
        -------
        before : ndarray of shape (n_before, ...)
            The last training rows, or none.

        Warns
        -----
        UserWarning
            Once, when "auto" or "train" finds that `rows` do not follow the training
            rows and are not these themselves.
        """
        nothing = rows[:0]
        if context == "pad" or not len(self.tail):
            return nothing
        if self._is_training_start(rows, labels):
            return nothing
        if self._follows(labels, context):
            return self.tail
        self._warn(caller, stacklevel)
        return nothing

    def _is_training_start(self, rows, labels) -> bool:
        """Whether `rows` begin as the training rows did: they are the training rows."""
        n = min(len(rows), len(self.head))
        if self._has_times_like(labels) and labels[0] != self.ends[0]:
            return False
        return _are_close(rows[:n], self.head[:n])

    def _follows(self, labels, context: str) -> bool:
        if not self._has_times_like(labels):
            return context == "train"
        if labels[0] <= self.ends[1]:  # never hand a row its own future
            return False
        is_close = bool(np.any(labels[0] - self.ends[1] <= self.largest_step))
        return context == "train" or is_close

    def _has_times_like(self, labels) -> bool:
        """Whether the training rows and these have times of one kind."""
        if labels is None or not self.ends.size:
            return False
        kinds = {labels.dtype.kind, self.ends.dtype.kind}
        return len(kinds) == 1 or kinds <= set("iuf")

    def _warn(self, caller: str, stacklevel: int) -> None:
        if self.has_warned:
            return
        self.has_warned = True
        warnings.warn(
            f"{caller}: these rows are not known to follow the training rows, so "
            "nothing is put before the first of them. If they do follow, pass "
            "DataFrames with an index of dates or set context='train'; "
            "context='pad' asks for this and does not warn.",
            UserWarning,
            stacklevel=stacklevel + 2,  # from here by way of rows_before
        )
