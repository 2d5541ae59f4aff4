"""Checks of the cross-validation folds of a search."""

from __future__ import annotations

import numpy as np

from skdeep._messages import warn


def check_cv_iterable(given, cv) -> None:
    """Raise if cv is not a splitter, or is an iterable of anything but pairs."""
    if not hasattr(cv, "get_n_splits"):  # tensors have a split method too
        raise ValueError(f"cv must be a splitter or an iterable of folds, got {cv!r}.")
    folds = [] if hasattr(given, "split") else getattr(cv, "cv", [])
    for number, fold in enumerate(folds):
        if not hasattr(fold, "__len__") or len(fold) != 2:
            raise ValueError(
                "cv must be an iterable of pairs (training rows, test rows), but fold "
                f"{number} is {fold!r}."
            )


def check_folds(folds: list, n_splits: int, n_samples: int) -> None:
    """Raise if a fold lacks rows, or has rows in both of its parts."""
    if not folds:
        raise ValueError(
            "cv yields no folds. No fits were performed: the CV iterator is empty."
        )
    if len(folds) != n_splits:
        raise ValueError(
            "cv.split and cv.get_n_splits return inconsistent results. Expected "
            f"{n_splits} splits, got {len(folds)}"
        )
    for number, fold in enumerate(folds):
        train, test = (_row_positions(part, n_samples, number) for part in fold)
        for name, part in (("training", train), ("test", test)):
            if not len(part):
                raise ValueError(f"Fold {number} of cv has no {name} rows.")
        shared = np.intersect1d(train, test)
        if len(shared):
            raise ValueError(
                f"Fold {number} of cv has {len(shared)} rows in both the training and "
                f"the test set, such as row {shared[0]}; the scores would be biased."
            )


def warn_if_folds_vary(cv) -> None:
    """Warn if a splitter draws other folds in each run."""
    is_drawn = getattr(cv, "shuffle", True) and hasattr(cv, "random_state")
    if is_drawn and cv.random_state is None:
        warn(
            f"The random_state of cv={cv} is None, so its folds differ in each run and "
            "the study in the storage cannot be resumed. Set it to an integer.",
        )


def _row_positions(part, n_samples: int, number: int) -> np.ndarray:
    """Return the row positions of one part of a fold, which may be a mask."""
    part = np.asarray(part)
    # An empty list becomes an array of floats.
    if part.size and part.dtype.kind not in "iub":
        raise ValueError(
            f"Fold {number} of cv must hold row positions or a boolean mask, got "
            f"{part.dtype} values."
        )
    try:
        return np.arange(n_samples)[part if part.size else part.astype(int)]
    except IndexError as error:
        raise ValueError(
            f"Fold {number} of cv has rows outside of the {n_samples} rows of X: "
            f"{error}."
        ) from error
