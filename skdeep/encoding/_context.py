"""The context of rows: the training rows to put before the first of them.

A moving average, a sliding window or a recurrent forecaster reads the rows before each
row. For the first rows of new data, these are the last training rows if the new data
follow them; otherwise they are unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skdeep._messages import warn
from skdeep.encoding._time_axis import TimeAxis

CONTEXTS = ("auto", "train", "pad")

# The same rows, computed from other neighbors or in float32, may differ by this share
# of the largest number in their column.
_ROUNDING_SHARE = 1e-6


def _are_close(rows: np.ndarray, others: np.ndarray) -> bool:
    """Return whether rows are equal up to rounding, where NaN equals NaN."""
    largest = np.abs(np.nan_to_num(others)).max(axis=0, initial=0)
    close = np.isclose(
        rows, others, rtol=0, atol=_ROUNDING_SHARE * largest, equal_nan=True
    )
    return bool(close.all())


class RowContext:
    """The first and last training rows, and whether other rows follow them.

    All attributes are numpy arrays or plain objects, so that the estimator that keeps
    it can be pickled and stored by skops.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, ...)
        The training rows, in time order.
    axis : TimeAxis or None
        Their times.
    n_kept : int
        How many rows to keep at either end.
    """

    def __init__(self, rows: np.ndarray, axis: TimeAxis | None, n_kept: int):
        # Copies: views would keep all rows in memory, and follow the user's changes.
        self.head = rows[:n_kept].copy()
        self.tail = rows[max(len(rows) - n_kept, 0) :].copy()
        self.n_rows = len(rows)
        self.axis: Any = axis
        self.has_warned = False

    def check(self, times: pd.Index | None) -> None:
        """Check that the times of later rows are on the calendar of the training rows.

        See `TimeAxis.check` for errors and warnings.
        """
        if self.axis is not None:
            self.axis.check(times)

    def rows_before(
        self,
        rows: np.ndarray,
        times: pd.Index | None,
        context: str,
        caller: str,
    ) -> np.ndarray:
        """Return the training rows to put before `rows`, possibly none.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, ...)
            The rows to transform, in time order.
        times : Index of length n_rows or None
            Their times, as `times_of` returns them.
        context : {"auto", "train", "pad"}
            "auto": only if the times show that `rows` follow the training rows.
            "train": unless the times show that they do not. "pad": never.
        caller : str
            Name of the estimator, for the warning.

        Returns
        -------
        before : ndarray of shape (n_before, ...)
            The last training rows, or none.

        Warns
        -----
        UserWarning
            Once, if `rows` are not the training rows, and for "auto" or "train" do not
            follow them either.
        """
        nothing = rows[:0]
        if context == "pad" or not len(self.tail):
            return nothing
        is_by_chance = context == "train" and self._may_be_equal_by_chance(rows, times)
        if self._is_training_start(rows, times) and not is_by_chance:
            return nothing
        if self._follows(times, context):
            return self.tail
        self._warn(caller, times)
        return nothing

    def n_training_rows(self, rows: np.ndarray, times: pd.Index | None) -> int:
        """Return how many of the first `rows` are training rows, or as old as them."""
        is_start = self._is_training_start(rows, times)
        if not self._has_times_like(times):
            return min(len(rows), self.n_rows) if is_start else 0
        if self.axis.begins_with(times) and not is_start:
            return 0  # default row numbers, which start at 0 in any table
        return self.axis.n_until_end(times)

    def _is_training_start(self, rows, times) -> bool:
        """Return whether `rows` begin with the first training rows.

        They are then training data, whose own end must not become their context.
        """
        n = min(len(rows), len(self.head))
        if self._has_times_like(times) and not self.axis.begins_with(times):
            return False
        return _are_close(rows[:n], self.head[:n])

    def _may_be_equal_by_chance(self, rows, times) -> bool:
        """Return whether equality with training rows is no evidence: a few counts."""
        is_few = len(rows) < len(self.head) and not self._has_times_like(times)
        return is_few and bool((np.nan_to_num(rows) % 1 == 0).all())

    def _follows(self, times, context: str) -> bool:
        if not self._has_times_like(times):
            return context == "train"
        if context == "train":
            # For rows within the training rows, the last ones would be the future.
            return self.axis.is_before(times)
        return self.axis.follows(times)

    def _has_times_like(self, times) -> bool:
        """Return whether the training rows and these have times of the same kind."""
        return self.axis is not None and self.axis.is_like(times)

    def _warn(self, caller: str, times) -> None:
        if self.has_warned:
            return
        self.has_warned = True
        remedy = ""
        if not self._has_times_like(times):
            reason = "cannot tell whether these rows follow the training rows"
            remedy = (
                "If they do, pass DataFrames with an index of dates, or set "
                "context='train'. "
            )
        elif self.axis.is_before(times):
            reason = "these rows do not start right after the training rows"
            remedy = "Set context='train' to put the training rows before them anyway. "
        else:
            reason = "these rows start before the training rows end"
        warn(
            f"{caller}: {reason}, so the first rows have no history. {remedy}Set "
            "context='pad' to silence this warning."
        )
