"""Validation rows set aside from the training rows."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import train_test_split


def hold_out_rows(
    n_samples: int,
    fraction: float,
    *,
    is_last: bool,
    gap: int,
    strata: np.ndarray | None,
    rng: np.random.RandomState,
    n_valid_min: int = 2,
) -> list[np.ndarray]:
    """Return the positions of the training rows and of the validation rows.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    fraction : float
        Share of the validation rows.
    is_last : bool
        Whether they are the last rows; otherwise they are a random part.
    gap : int
        Number of rows left out before the last rows.
    strata : ndarray of shape (n_samples,) or None
        Labels by which a random part is stratified.
    rng : numpy.random.RandomState
        Draws the random part.
    n_valid_min : int, default=2
        Minimum number of validation rows; R² needs two.

    Raises
    ------
    ValueError
        If too few rows are left for training or for validation.
    """
    n_valid = int(np.ceil(fraction * n_samples))
    n_train = max(n_samples - n_valid - (gap if is_last else 0), 0)
    if n_valid < n_valid_min or n_train < 1:
        # The first sentence is scikit-learn's.
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or "
            f"the size of your dataset. Of {n_samples} samples, {n_train} are left "
            f"for training and {n_valid} for validation, which needs at least "
            f"{n_valid_min}."
        )
    if is_last:
        rows = np.arange(n_samples)
        return [rows[:n_train], rows[n_samples - n_valid :]]
    return _random_split(n_train, n_valid, strata, rng)


def _random_split(n_train: int, n_valid: int, strata, rng) -> list[np.ndarray]:
    """Return training and validation rows, stratified as far as the classes allow.

    If a class is too rare, or there are too many classes, each class keeps a row in
    training, provided that this leaves enough rows for validation.
    """
    n_samples = n_train + n_valid
    if strata is not None:
        _, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
        # train_test_split raises for such strata.
        if counts.min() < 2 or len(counts) > min(n_train, n_valid):
            order = np.lexsort((rng.permutation(n_samples), codes))
            # The first row of each class, in random order, stays in training.
            spare = np.delete(order, counts.cumsum() - counts)
            spare = order if len(spare) < n_valid else spare
            # Evenly spaced among rows sorted by class.
            steps = (np.arange(n_valid) + rng.uniform()) * len(spare) / n_valid
            valid_rows = rng.permutation(spare[steps.astype(int)])
            return [np.setdiff1d(order, valid_rows), valid_rows]
    return train_test_split(
        np.arange(n_samples), test_size=n_valid, random_state=rng, stratify=strata
    )
