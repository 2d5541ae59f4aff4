"""Prices adjusted for splits and dividends, and volumes for splits."""

from __future__ import annotations

import numpy as np

# A step of the adjustment factor by more than this is a split; dividends are smaller.
# (The smallest usual split is 5 for 4; the largest dividend of the bundled stocks is
# Microsoft's of 2004: three dollars on a price of thirty.)
SMALLEST_SPLIT = 1.2


def adjust(values: dict[str, np.ndarray], volume_in: str) -> dict[str, np.ndarray]:
    """Adjust a stock's prices by its adjusted close.

    The factor of a day is the adjusted close divided by the close; open, high and low
    of that day are multiplied by it. A split appears as a large step of the factor, and
    volumes before it are in old shares.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_days,)
        "close", "adj_close" and any of "open", "high", "low" and "volume".
    volume_in : {"first", "last"}
        The day in whose shares volumes are counted. With "first", no day depends on a
        later one.

    Returns
    -------
    adjusted : dict of str to ndarray of shape (n_days,)
        The adjusted prices and volumes, without "adj_close".
    """
    factor = _divide(values["adj_close"], values["close"])
    adjusted = {name: values[name] * factor for name in values if name != "adj_close"}
    adjusted["close"] = values["adj_close"]
    if "volume" in values:
        shares = np.cumprod(np.append(1.0, _find_splits(factor)))
        day = {"first": 0, "last": -1}[volume_in]
        adjusted["volume"] = values["volume"] * (shares[day] / shares)
    return adjusted


def _find_splits(factor: np.ndarray) -> np.ndarray:
    """Return how many shares one share became at each step, (n_days - 1,), mostly 1."""
    steps = _divide(factor[1:], factor[:-1])
    is_split = (steps > SMALLEST_SPLIT) | (steps < 1.0 / SMALLEST_SPLIT)
    return np.where(is_split & (steps > 0), steps, 1.0)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; 0 where the quotient is not finite."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        quotient = numerator / denominator
    return np.where(np.isfinite(quotient), quotient, 0.0)
