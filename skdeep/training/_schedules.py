"""Learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skdeep.training._task import TrainingOptions

LEARNING_RATES = [
    "constant",
    "invscaling",
    "adaptive",
    "cosine",
    "one_cycle",
    "exponential",
    "plateau",
]

_ADAPTIVE_DIVISOR = 5.0
_ADAPTIVE_SMALLEST = 1e-6
_EXPONENTIAL_END = 0.01
_PLATEAU_FACTOR = 0.2
_WARM_UP = 0.3


def _cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov & Hutter, 2017)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _one_cycle(progress: float) -> float:
    """Rise from 1/25 to 1 in the first 30 %, then fall to nearly 0 (Smith, 2018)."""
    if progress < _WARM_UP:
        return 0.04 + 0.96 * (1 - _cosine(progress / _WARM_UP))
    return _cosine((progress - _WARM_UP) / (1 - _WARM_UP))


def _exponential(progress: float) -> float:
    """Fall by the same factor in every step, to 1 % at the end."""
    return float(_EXPONENTIAL_END**progress)


_CURVES: dict[str, Callable[[float], float]] = {
    "cosine": _cosine,
    "one_cycle": _one_cycle,
    "exponential": _exponential,
}


class LearningRate:
    """The current learning rate and its schedule.

    Parameters
    ----------
    options : TrainingOptions
        Options with the schedule.
    current : float or None, default=None
        The last rate of an earlier training that is continued.
    n_epochs : int, default=0
        Number of its epochs.
    """

    def __init__(
        self, options: TrainingOptions, current: float | None = None, n_epochs: int = 0
    ):
        self.options = options
        self.current = options.learning_rate_init if current is None else current
        self.n_epochs = n_epochs
        self._curve = _CURVES.get(options.learning_rate)
        # As in scikit-learn, these two apply to sgd only.
        sgd = options.solver == "sgd"
        self._invscaling = sgd and options.learning_rate == "invscaling"
        self._adaptive = sgd and options.learning_rate == "adaptive"
        self._plateau = options.learning_rate == "plateau"
        self._stalled_epochs = 0

    def state(self) -> tuple[float, int, int]:
        """Return the state of the schedule."""
        return self.current, self.n_epochs, self._stalled_epochs

    def load_state(self, state: tuple[float, int, int]) -> None:
        """Restore what ``state`` returned."""
        self.current, self.n_epochs, self._stalled_epochs = state

    @property
    def is_curve(self) -> bool:
        """Whether the rate follows a curve over ``max_iter`` epochs, step by step."""
        return self._curve is not None

    def within_epoch(self, share: float) -> float:
        """Return the rate when ``share`` of the epoch is completed."""
        if self._curve is not None:
            progress = min((self.n_epochs + share) / self.options.max_iter, 1.0)
            self.current = self.options.learning_rate_init * self._curve(progress)
        return self.current

    def end_epoch(self, n_samples_seen: int, improved: bool) -> None:
        """Update the rate after an epoch."""
        self.n_epochs += 1
        if self._invscaling:
            # In floats: a power of large Python ints would exhaust the memory.
            with np.errstate(over="ignore"):
                decay = np.float64(n_samples_seen + 1) ** self.options.power_t
            self.current = float(self.options.learning_rate_init / decay)
        self._stalled_epochs = 0 if improved else self._stalled_epochs + 1
        if self._plateau and self._stalled_epochs >= self._patience:
            self.current *= _PLATEAU_FACTOR
            self._stalled_epochs = 0

    @property
    def _patience(self) -> int:
        """Number of epochs without improvement after which the rate is lowered."""
        # n_iter_no_change may be infinite, and inf // 2 is NaN.
        return max(1, math.floor(min(self.options.n_iter_no_change, 2**60)) // 2)

    def lower_instead_of_stopping(self) -> bool:
        """Lower the rate of an adaptive schedule; return whether it was lowered."""
        if not self._adaptive or self.current <= _ADAPTIVE_SMALLEST:
            return False
        self.current /= _ADAPTIVE_DIVISOR
        return True
