"""Early stopping."""

from __future__ import annotations

import math


class Stopping:
    """Counts the epochs without improvement, as scikit-learn does.

    Parameters
    ----------
    tol : float
        Minimum improvement.
    patience : int or inf
        Maximum number of consecutive epochs without such an improvement.
    best : float, default=-inf
        The best value of an earlier training that is continued.
    count : int, default=0
        Number of epochs without improvement at its end.
    """

    def __init__(
        self, tol: float, patience: float, best: float = -math.inf, count: int = 0
    ):
        self.tol = tol
        self.patience = patience
        self.best = best
        self.count = count

    def update(self, value: float) -> bool:
        """Add the value of an epoch (higher is better); return whether it is best."""
        # As in scikit-learn, an improvement smaller than ``tol`` counts as none, but
        # the best value still moves.
        self.count = self.count + 1 if value < self.best + self.tol else 0
        is_best = value > self.best
        if is_best:
            self.best = value
        return is_best

    @property
    def improved(self) -> bool:
        """Whether the last epoch improved on the best one by at least ``tol``."""
        return self.count == 0

    @property
    def is_due(self) -> bool:
        """Whether training should stop."""
        return self.count > self.patience
