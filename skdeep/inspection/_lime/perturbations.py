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
N_TOGETHER = 2 * N_PARTS


@dataclass
class Drawn:
    """Draws around a row.

    Parameters
    ----------
    units : ndarray of float or bool of shape (n_draws, n_units of the row)
        The draws in the terms of the local model: the units that the row has.
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
    pairs = _room_for_pairs(n_draws, n_units, float)
    pairs[:, 0] = rng.standard_normal(pairs[:, 0].shape)
    np.negative(pairs[:, 0], out=pairs[:, 1])
    return pairs.reshape(pairs.shape[0] * 2 * pairs.shape[2], n_units)[:n_draws]


def draw_switches(rng, n_draws: int, n_units: int) -> np.ndarray:
    """Return which switches are on, (n_draws, n_units).

    Half of them are, in pairs one of which has on what the other has off.
    """
    pairs = _room_for_pairs(n_draws, n_units, bool)
    count = pairs[:, 0].size
    bits = np.frombuffer(rng.bytes(-(-count // 8)), dtype=np.uint8)
    pairs[:, 0] = np.unpackbits(bits, count=count).reshape(pairs[:, 0].shape)
    np.logical_not(pairs[:, 0], out=pairs[:, 1])
    return pairs.reshape(pairs.shape[0] * 2 * pairs.shape[2], n_units)[:n_draws]


def _room_for_pairs(n_draws: int, n_units: int, dtype) -> np.ndarray:
    """Return room for pairs, as many in each part: (N_PARTS, 2, n_pairs, n_units)."""
    n_pairs = -(-n_draws // (2 * N_PARTS))
    return np.empty((N_PARTS, 2, n_pairs, n_units), dtype)
