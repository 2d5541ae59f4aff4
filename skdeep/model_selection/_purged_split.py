"""Folds of rows in time order whose labels look ahead."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.validation import _num_samples

from skdeep._input_checks import naming
from skdeep._messages import warn

_AT_LEAST_1 = Interval(Integral, 1, None, closed="left")
_AT_LEAST_0 = Interval(Integral, 0, None, closed="left")

_CONSTRAINTS: dict = {
    "n_splits": [Interval(Integral, 2, None, closed="left")],
    "purge": [_AT_LEAST_0],
    "embargo": [_AT_LEAST_0],
    "train_after": ["boolean"],
    "max_train_size": [_AT_LEAST_1, None],
    "test_size": [_AT_LEAST_1, None],
}


class PurgedTimeSeriesSplit(BaseCrossValidator):
    """Folds of rows in time order, for labels that look ahead.

    A label such as "higher in five days" is known five rows after its own. Then the
    last training rows before a test block have labels that are made of the test rows:
    a model that learns them has seen its examination paper. They are left out.

    Without `purge` and `train_after` the folds are those of
    :class:`sklearn.model_selection.TimeSeriesSplit`: as many test blocks of one size as
    there are splits, at the end of the rows and in their order, and all rows before a
    block to train on.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.

    purge : int, default=0
        How many rows ahead a label looks: the label of row i is known at row i +
        `purge`. A row is trained on only if its label and those of the test block look
        at no row in common: `purge` rows before the block are left out, and as many
        after it.

    embargo : int, default=0
        How many rows more are left out after a test block. What a row after the block
        reads, such as an average of the days before it, may still resemble the block.
        Rows before the block know nothing of it, so they have no embargo, and without
        `train_after` this changes nothing.

    train_after : bool, default=False
        Whether to train on rows after the test block too. Off, a fold asks how well a
        model predicts the future. On, every fold has almost all rows to train on, and
        asks how well a model predicts a time it has not seen, past or future.

    max_train_size : int or None, default=None
        Number of training rows at most: those nearest to the test block.

    test_size : int or None, default=None
        Rows in a test block. By default ``n_samples // (n_splits + 1)``, so that there
        are rows before the first block; with `train_after` ``n_samples // n_splits``,
        so that every row, but for a remainder of the first, is tested once.

    Attributes
    ----------
    n_splits : int
        As given, like all parameters.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : The same without rows after the block;
        its ``gap`` is `purge`.
    skdeep.preprocessing.SlidingWindow : Rows into windows of rows.

    Notes
    -----
    All lengths are in rows, whatever time lies between two of them. The embargo comes
    after the purged rows: training goes on `purge` + `embargo` rows after the block.
    López de Prado gives the embargo as a share of all rows; here it is a number.

    Rows at the end of the data whose label is not yet known have to be dropped before;
    no splitter can tell which they are.

    References
    ----------
    .. [1] M. López de Prado, "Advances in Financial Machine Learning", chapter 7,
       "Cross-Validation in Finance", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.model_selection import PurgedTimeSeriesSplit
    >>> X = np.zeros((12, 1))
    >>> for train, test in PurgedTimeSeriesSplit(n_splits=2, purge=1).split(X):
    ...     print(train, test)
    [0 1 2] [4 5 6 7]
    [0 1 2 3 4 5 6] [ 8  9 10 11]
    >>> folds = PurgedTimeSeriesSplit(3, purge=1, embargo=2, train_after=True)
    >>> for train, test in folds.split(X):
    ...     print(train, test)
    [ 7  8  9 10 11] [0 1 2 3]
    [ 0  1  2 11] [4 5 6 7]
    [0 1 2 3 4 5 6] [ 8  9 10 11]
    """

    def __init__(
        self,
        n_splits=5,
        *,
        purge=0,
        embargo=0,
        train_after=False,
        max_train_size=None,
        test_size=None,
    ):
        self.n_splits = n_splits
        self.purge = purge
        self.embargo = embargo
        self.train_after = train_after
        self.max_train_size = max_train_size
        self.test_size = test_size
        validate_parameter_constraints(_CONSTRAINTS, vars(self), type(self).__name__)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            The number of folds.
        """
        return self.n_splits

    def split(self, X, y=None, groups=None):
        """Give the rows to train on and the rows to test on, fold by fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows, in time order, oldest first. Only their number is read.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        groups : array-like of shape (n_samples,), default=None
            Ignored, with a warning.

        Returns
        -------
        folds : iterator of (train, test)
            For each fold the positions of the rows to train on and of those to test
            on: two ndarrays of integers, ascending.

        Raises
        ------
        ValueError
            If there are too few rows for a fold to have some of both.
        """
        if groups is not None:
            warn(f"The groups parameter is ignored by {type(self).__name__}")
        with naming("X"):
            (X,) = indexable(X)
            n_samples = _num_samples(X)
        size = self._test_size(n_samples)
        starts = range(n_samples - self.n_splits * size, n_samples, size)
        tests = [np.arange(start, start + size) for start in starts]
        trains = [self._train(n_samples, start, start + size) for start in starts]
        for fold, train in enumerate(trains):
            if not train.size:
                raise ValueError(
                    f"Fold {fold} has no row to train on: n_splits={self.n_splits}, "
                    f"purge={self.purge}, embargo={self.embargo} and test blocks of "
                    f"{size} rows are too much for n_samples={n_samples}."
                )
        return zip(trains, tests, strict=True)

    def _test_size(self, n_samples: int) -> int:
        n_blocks = self.n_splits if self.train_after else self.n_splits + 1
        size = n_samples // n_blocks if self.test_size is None else self.test_size
        if not 0 < size * self.n_splits <= n_samples:
            raise ValueError(
                f"n_splits={self.n_splits} and test_size={self.test_size} need at "
                f"least {max(size * self.n_splits, n_blocks)} rows, got "
                f"n_samples={n_samples}."
            )
        return size

    def _train(self, n_samples: int, start: int, stop: int) -> np.ndarray:
        """Return the rows to train on if those from `start` to `stop` are tested."""
        before = np.arange(max(start - self.purge, 0))
        first_after = stop + self.purge + self.embargo
        after = np.arange(first_after if self.train_after else n_samples, n_samples)
        train = np.concatenate([before, after])
        distance = np.where(train < start, start - train, train - stop + 1)
        nearest = np.argsort(distance, kind="stable")[: self.max_train_size]
        return np.sort(train[nearest])
