"""Folds of rows in time order, for labels that look ahead."""

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
    """Cross-validation folds of rows in time order, for labels that look ahead.

    A label such as "higher in five days" is known only five rows later. The labels of
    the last training rows before a test block then depend on rows of the block, and a
    model that learns them leaks information about the test rows. This splitter leaves
    such training rows out.

    Without `purge` and `train_after`, the folds are those of
    :class:`sklearn.model_selection.TimeSeriesSplit`: consecutive test blocks of equal
    size at the end of the rows, each with all earlier rows for training.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.

    purge : int, default=0
        How many rows ahead a label looks: the label of row i is known at row i +
        `purge`. A row is used for training only if its label and the labels of the test
        block depend on no common row: `purge` rows before the block are left out, and
        as many after it.

    embargo : int, default=0
        Number of further rows to leave out after a test block. The features of a row
        after the block, such as an average of earlier days, may still depend on the
        block. Rows before the block do not, so without `train_after` this has no
        effect.

    train_after : bool, default=False
        Whether to train on rows after the test block too. Without, a fold measures how
        well a model predicts the future. With it, every fold has almost all rows for
        training, and measures how well a model predicts any period it has not seen.

    max_train_size : int or None, default=None
        Maximum number of training rows; those nearest to the test block are kept.

    test_size : int or None, default=None
        Number of rows in a test block. By default ``n_samples // (n_splits + 1)``, so
        that there are rows before the first block. With `train_after`, by default
        ``n_samples // n_splits``: then every row is tested once, except for the first
        few if the division has a remainder.

    Attributes
    ----------
    n_splits : int
        The parameter, like all others.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : The same without rows after the block;
        its ``gap`` is `purge`.
    skdeep.preprocessing.SlidingWindow : Turns rows into windows of rows.

    Notes
    -----
    All lengths are numbers of rows, whatever the time between rows. The
    embargo follows the purged rows: training continues `purge` + `embargo` rows after
    the block. López de Prado defines the embargo as a fraction of all rows; here it is
    a number of rows.

    Drop rows at the end of the data whose labels are not yet known: a splitter cannot
    detect them.

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

        Examples
        --------
        >>> from skdeep.model_selection import PurgedTimeSeriesSplit
        >>> PurgedTimeSeriesSplit(n_splits=3).get_n_splits()
        3
        """
        return self.n_splits

    def split(self, X, y=None, groups=None):
        """Generate the training and the test rows of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows in time order, oldest first. Only their number is used.

        y : array-like of shape (n_samples,), default=None
            Ignored.

        groups : array-like of shape (n_samples,), default=None
            Ignored, with a warning.

        Returns
        -------
        folds : iterator of (train, test)
            For each fold the positions of the training rows and of the test rows: two
            ascending ndarrays of integers.

        Raises
        ------
        ValueError
            If there are too few rows for training or test rows in a fold.

        Examples
        --------
        >>> from skdeep.model_selection import PurgedTimeSeriesSplit
        >>> for train, test in PurgedTimeSeriesSplit(2, purge=1).split(range(6)):
        ...     print(train, test)
        [0] [2 3]
        [0 1 2] [4 5]
        """
        if groups is not None:
            warn(f"The groups parameter is ignored by {type(self).__name__}")
        with naming("X"):
            (X,) = indexable(X)
            n_samples = _num_samples(X)
        size = self._test_size(n_samples)
        # The blocks end with the last row, as in TimeSeriesSplit.
        starts = range(n_samples - self.n_splits * size, n_samples, size)
        tests = [np.arange(start, start + size) for start in starts]
        trains = [self._train(n_samples, start, start + size) for start in starts]
        for fold, train in enumerate(trains):
            if not train.size:
                raise ValueError(
                    f"Fold {fold} has no training rows: n_samples={n_samples} is too "
                    f"small for n_splits={self.n_splits}, purge={self.purge}, "
                    f"embargo={self.embargo} and test blocks of {size} rows."
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
        """Return the training rows for a test block from `start` to `stop`."""
        before = np.arange(max(start - self.purge, 0))
        first_after = stop + self.purge + self.embargo
        after = np.arange(first_after if self.train_after else n_samples, n_samples)
        train = np.concatenate([before, after])
        distance = np.where(train < start, start - train, train - stop + 1)
        # Stable: at equal distance the rows before the block are kept, on any platform.
        nearest = np.argsort(distance, kind="stable")[: self.max_train_size]
        return np.sort(train[nearest])
