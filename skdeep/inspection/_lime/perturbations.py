"""Perturbations: random draws around a row, in mirrored pairs.

Even functions of the displacement cancel within a pair: curvature lowers R² (the fit),
but does not bias the linear effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Draws are split into parts of whole pairs. Stability compares the parts.
N_PARTS = 4
N_TOGETHER = 2 * N_PARTS


@dataclass
class Perturbations:
    """Perturbations of a row.

    Parameters
    ----------
    units : ndarray of float or bool of shape (n_draws, n_units of the row)
        The features of the local model: the units that the row has.
    distances : ndarray of shape (n_draws,)
        Distances from the row: moved columns count in steps, and each unit that is
        switched off counts 1.
    content : object
        The data that ``join`` of the rows' class turns into rows.
    """

    units: np.ndarray
    distances: np.ndarray
    content: Any


def draw_normal(rng, n_draws: int, n_units: int) -> np.ndarray:
    """Return standard normal numbers, (n_draws, n_units), in pairs of both signs."""
    pairs = _empty_pairs(n_draws, n_units, float)
    pairs[:, 0] = rng.standard_normal(pairs[:, 0].shape)
    np.negative(pairs[:, 0], out=pairs[:, 1])
    return pairs.reshape(pairs.shape[0] * 2 * pairs.shape[2], n_units)[:n_draws]


def draw_switches(rng, n_draws: int, n_units: int) -> np.ndarray:
    """Return random switches, (n_draws, n_units), in pairs of opposites.

    Half of them are on.
    """
    pairs = _empty_pairs(n_draws, n_units, bool)
    count = pairs[:, 0].size
    bits = np.frombuffer(rng.bytes(-(-count // 8)), dtype=np.uint8)
    pairs[:, 0] = np.unpackbits(bits, count=count).reshape(pairs[:, 0].shape)
    np.logical_not(pairs[:, 0], out=pairs[:, 1])
    return pairs.reshape(pairs.shape[0] * 2 * pairs.shape[2], n_units)[:n_draws]


def _empty_pairs(n_draws: int, n_units: int, dtype) -> np.ndarray:
    """Return an empty array of shape (N_PARTS, 2, n_pairs of a part, n_units)."""
    n_pairs = -(-n_draws // (2 * N_PARTS))
    return np.empty((N_PARTS, 2, n_pairs, n_units), dtype)
