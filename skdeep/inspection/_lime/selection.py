"""Which units a short local model has, chosen as the lime package chooses them.

The lime package needs all perturbations for this. Sums of their products give the same
units: ridge regression, forward selection and the lasso path depend on nothing else.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import lars_path_gram

SELECTIONS = ("forward_selection", "highest_weights", "lasso_path")

# The penalty of lime's ridge regression.
_PENALTY = 0.01

# Variance that is left of a unit, relative to its own, once the chosen units explain
# it. Less is rounding, and dividing by it would make a copy of a chosen unit the best.
_LEAST_LEFT = 1e-10


def select_units(
    moments: np.ndarray, row: np.ndarray, n_draws: int, num_features: int, method: str
) -> np.ndarray:
    """Return the positions of the units to fit, in ascending order.

    Parameters
    ----------
    moments : ndarray of shape (n_units + 2, n_units + 2)
        Weighted sums of the products of 1, the units and the output.
    row : ndarray of shape (n_units,)
        The explained row, in units.
    n_draws : int
        Number of perturbations.
    num_features : int
        Number of units to select, at most.
    method : {"forward_selection", "highest_weights", "lasso_path"}
        As in lime.
    """
    first = moments[0]
    centered = moments[1:, 1:] - np.outer(first[1:], first[1:]) / first[0]
    gram, products = centered[:-1, :-1], centered[:-1, -1]
    if method == "highest_weights":
        chosen = _largest_effects(gram, products, row, num_features)
    elif method == "forward_selection":
        chosen = _forward(gram, products, num_features)
    else:
        chosen = _lasso(gram, products, n_draws, num_features)
    return np.sort(chosen)


def _largest_effects(gram, products, row, n: int) -> np.ndarray:
    """Return the units with the largest effects in a ridge regression on all."""
    weights = np.linalg.solve(gram + _PENALTY * np.eye(len(gram)), products)
    return np.argsort(-np.abs(weights * row), kind="stable")[:n]


def _forward(gram, products, n: int) -> np.ndarray:
    """Return units one after another, each the one that raises R² most."""
    least = _LEAST_LEFT * np.diag(gram)
    chosen: list[int] = []
    for _ in range(min(n, len(products))):
        left = np.diag(gram)
        varies = left > least
        gains = np.where(varies, products**2 / np.where(varies, left, 1), 0)
        gains[chosen] = -1
        best = int(gains.argmax())
        chosen.append(best)
        if varies[best]:
            # Take what the chosen unit explains out of all others (Gram-Schmidt).
            shares = gram[best] / left[best]
            products = products - products[best] * shares
            gram = gram - np.outer(gram[best], shares)
    return np.array(chosen, dtype=np.intp)


def _lasso(gram, products, n_draws: int, n: int) -> np.ndarray:
    """Return the units of the last model on the lasso path with at most n of them."""
    varying = np.flatnonzero(np.diag(gram) > 0)
    if len(varying) == 0:
        return varying
    _, _, paths = lars_path_gram(
        products[varying],
        gram[np.ix_(varying, varying)],
        n_samples=n_draws,
        method="lasso",
    )
    # As in lime, the first step stands if even that has more units.
    sizes = (paths != 0).sum(axis=0)
    steps = [k for k in range(1, len(sizes)) if sizes[k] <= n]
    return varying[np.flatnonzero(paths[:, steps[-1] if steps else 1])]
