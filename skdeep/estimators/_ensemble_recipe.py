"""Hyperparameters, features, folds and selection of the members of an ensemble."""

from __future__ import annotations

import numpy as np

from skdeep.encoding import (
    Features,
    PeriodicFeatures,
    PiecewiseFeatures,
    PlainFeatures,
    TableEncoder,
    bin_edges,
)

# Up to this many columns get the full number of features. With more columns each gets
# fewer, which keeps the first layer fast.
_FULLY_EXPANDED = 8
# Factor of columns that the forest does not use; a network may still need them.
_LEAST_RELEVANCE = 0.05
_N_TREES = 50
# Numbers of trees after which the time is checked, if it is limited.
_N_TREES_CHECKED = (1, 2, 5, 10, 20, 30, 40, _N_TREES)

# Hyperparameter templates, which suit different tables and are used in this order.
# Tuples are log-uniform ranges, except hidden_layer_sizes.
_TEMPLATES: list[dict] = [
    {
        "embedding": "raw",
        "relevance": 1.0,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
    {
        "embedding": "piecewise",
        "embedding_size": 16,
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.5, 1.5),
        "relevance": 0.0,
        "hidden_layer_sizes": (96, 96),
        "activation": "relu",
        "alpha": (0.5, 2.0),
        "stopped_by": "score",
    },
    {
        "embedding": "piecewise",
        "embedding_size": 32,
        "relevance": 0.0,
        "hidden_layer_sizes": (96, 96),
        "activation": "silu",
        "alpha": (0.01, 0.1),
        "stopped_by": "score",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.5, 1.5),
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "relu",
        "alpha": (0.5, 2.0),
        "stopped_by": "score",
    },
    {
        "embedding": "raw",
        "relevance": 0.5,
        "hidden_layer_sizes": (96, 96, 96),
        "activation": "relu",
        "alpha": (0.1, 1.0),
        "stopped_by": "score",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.15, 0.4),
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.03, 0.1),
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
]
_COMMON: dict = {"learning_rate_init": (7e-3, 1.5e-2)}


def draw_hyperparameters(number: int, rng: np.random.RandomState) -> dict:
    """Draw the hyperparameters of a set; the templates are used in turn."""
    template = _TEMPLATES[number % len(_TEMPLATES)] | _COMMON
    return {name: _draw(name, value, rng) for name, value in template.items()}


def _draw(name: str, value, rng: np.random.RandomState):
    """Return the value, or one drawn from its range."""
    if name == "hidden_layer_sizes" or not isinstance(value, tuple):
        return value
    return float(np.exp(rng.uniform(*np.log(value))))


def make_features(hyper: dict, encoder: TableEncoder, x, importance, rng) -> Features:
    """Return the features of encoded rows that the hyperparameters specify."""
    columns = encoder.expandable_
    relevance = _relevance(importance, hyper["relevance"])
    if hyper["embedding"] == "raw" or not len(columns):
        return PlainFeatures(relevance)
    size = hyper["embedding_size"]
    most = _FULLY_EXPANDED * size // 2
    if len(columns) > most:
        columns = np.sort(rng.choice(columns, most, replace=False))
    n_each = min(size // 2, most // len(columns))
    if hyper["embedding"] == "piecewise":
        edges = bin_edges(x[:, columns], 2 * n_each)
        return PiecewiseFeatures(relevance, columns, edges)
    frequencies = rng.normal(0, hyper["embedding_scale"], (len(columns), n_each))
    return PeriodicFeatures(relevance, columns, frequencies)


def column_importance(
    trees, x: np.ndarray, target: np.ndarray, weight, clock
) -> np.ndarray:
    """Return the feature importances of ``trees``, relative to the largest.

    The trees must have a warm start. If the time is limited, they are grown in small
    numbers, until a tenth of it has passed.
    """
    flat = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
    for n_trees in _N_TREES_CHECKED if clock.is_limited else (_N_TREES,):
        trees.set_params(n_estimators=n_trees).fit(x, flat, weight)
        if not clock.is_early:
            break
    with np.errstate(invalid="ignore"):  # 0 / 0 if no split improves the forest
        importance = trees.feature_importances_
    importance = np.nan_to_num(importance)
    return importance / max(importance.max(), np.finfo(float).tiny)


def _relevance(importance: np.ndarray, power: float) -> np.ndarray:
    """Return factors of the columns that grow with importance, of mean square 1."""
    relevance = (importance**power).clip(_LEAST_RELEVANCE)
    return relevance / np.sqrt(np.mean(relevance**2))


def assign_folds(target: np.ndarray, n_folds: int, rng) -> np.ndarray:
    """Return the fold of each row, stratified by the target, whether class or number.

    Rows are sorted by target, and each block of ``n_folds`` rows is spread over all
    folds.
    """
    n_samples = len(target)
    key = target if target.ndim == 1 else target[:, 0]
    blocks = [rng.permutation(n_folds) for _ in range(-(-n_samples // n_folds))]
    folds = np.empty(n_samples, dtype=int)
    order = np.lexsort((rng.permutation(n_samples), key))
    folds[order] = np.concatenate(blocks)[:n_samples]
    return folds


def spread_rows(target: np.ndarray, count: int) -> np.ndarray:
    """Return up to ``count`` rows, spread evenly over the target, in their order.

    Of each class there is at least one.
    """
    key = target if target.ndim == 1 else target[:, 0]
    order = np.argsort(key, kind="stable")
    chosen = order[np.linspace(0, len(key) - 1, min(count, len(key))).astype(int)]
    if key.dtype.kind in "iu":
        chosen = np.r_[chosen, np.unique(key, return_index=True)[1]]
    return np.unique(chosen)


def choose_greedily(parts: np.ndarray, mean_loss, n_rounds: int) -> np.ndarray:
    """Return weights of models whose average has a low loss (Caruana et al., 2004).

    Models are added one by one, with replacement; the best average on the way is
    returned.

    Parameters
    ----------
    parts : ndarray of shape (n_models, ...)
        The predictions of each model, or a linear part of them.
    mean_loss : callable
        Maps an average of the parts to a loss.
    n_rounds : int
        How many models to add.
    """
    if len(parts) == 1:
        return np.ones(1)
    total = np.zeros_like(parts[0])
    counts = np.zeros(len(parts))
    # If no average has a finite loss, all models weigh the same.
    best_loss, best = np.inf, counts + 1
    for n in range(1, n_rounds + 1):
        losses = [mean_loss((total + part) / n) for part in parts]
        chosen = int(np.argmin(losses))
        total += parts[chosen]
        counts[chosen] += 1
        if losses[chosen] < best_loss:
            best_loss, best = losses[chosen], counts.copy()
    return best / best.sum()
