"""Random draws that come in mirrored pairs.

Where a local model is linear it then has nothing to say of what is even around the
row: curvature costs R², but does not blur the effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Draws come in so many parts, each of whole pairs, so that parts can be compared.
N_PARTS = 4


@dataclass
class Drawn:
    """Draws around a row.

    Parameters
    ----------
    units : ndarray of shape (n_draws, n_units)
        The draws in the terms of the local model.
    distances : ndarray of shape (n_draws,)
        How far they are from the row: the steps of what is moved, 1 for each switch
        that is off.
    content : object
        What the rows drawn are made of.
    """

    units: np.ndarray
    distances: np.ndarray
    content: Any


def draw_normal(rng, n_draws: int, n_units: int) -> np.ndarray:
    """Return standard normal numbers, (n_draws, n_units), in pairs of both signs."""
    half = rng.standard_normal((_n_half(n_draws), n_units))
    return _paired(half, -half)[:n_draws]


def draw_switches(rng, n_draws: int, n_units: int) -> np.ndarray:
    """Return which switches are on, (n_draws, n_units).

    Half of them are, in pairs one of which has on what the other has off.
    """
    half = rng.random((_n_half(n_draws), n_units)) < 0.5
    return _paired(half, ~half)[:n_draws]


def _n_half(n_draws: int) -> int:
    """Return how many pairs make so many draws, the same number in each part."""
    return -(-n_draws // (2 * N_PARTS)) * N_PARTS


def _paired(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Put pairs into the same part."""
    n_units = first.shape[1]
    parts = [
        half.reshape(N_PARTS, len(half) // N_PARTS, n_units) for half in (first, second)
    ]
    return np.concatenate(parts, axis=1).reshape(2 * len(first), n_units)
