"""Training and cross-validating the wrapped classifier."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.metadata_routing import _routing_enabled
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, has_fit_parameter

from skdeep._messages import warn
from skdeep.estimators._cost_sensitive._calibration import remove_class_weights
from skdeep.estimators._cost_sensitive._strategies import (
    TrainingMode,
    TrainingRows,
    is_network,
    split_last_step,
)

# Networks trained on all rows, with different seeds, after cross-validation.
_N_NETWORKS = 3


# -- one model -------------------------------------------------------------------------


def prepare_model(estimator, mode: TrainingMode, rng):
    """Return a clone with the loss of the mode and with integer seeds."""
    model = clone(estimator)
    # Sorted, so that the seeds do not depend on the order of the parameters.
    for name, seed in sorted(model.get_params().items()):
        if name.split("__")[-1] == "random_state" and not isinstance(seed, Integral):
            drawn = (rng if seed is None else check_random_state(seed)).randint(
                np.iinfo(np.int32).max
            )
            model.set_params(**{name: int(drawn)})
    prefix, _ = split_last_step(model)
    if mode.loss is not None:
        model.set_params(**{f"{prefix}loss": mode.loss})
    if mode.loss == "expected_cost":
        # The costs are in the weights, or are set by `train_model`. The user's own
        # matrix would count them twice.
        model.set_params(**{f"{prefix}cost_matrix": None})
    return model


def _reseed(model, number: int):
    """Return a clone with other seeds, derived from the model's."""
    model = clone(model)
    for name, seed in model.get_params().items():
        if name.split("__")[-1] == "random_state":
            # A sequence as a seed: seed + number may be another model's seed.
            rng = np.random.RandomState([int(seed), number])
            model.set_params(**{name: int(rng.randint(np.iinfo(np.int32).max))})
    return model


def train_model(model, mode: TrainingMode, rows: TrainingRows, index=slice(None)):
    """Fit a model to the rows, or to a subset of them."""
    if mode.loss != "expected_cost":
        return _fit(model, mode, rows, index)
    # The expected cost has no gradient where a network is certain, and training it from
    # a random start may end in one decision for all rows. So start from the weights of
    # a network trained on weighted log loss, and keep that network if it costs less,
    # as it may where nearly all rows get the same decision.
    prefix, last = split_last_step(model)
    original = {
        f"{prefix}{name}": getattr(last, name) for name in ("loss", "warm_start")
    }
    model.set_params(**{f"{prefix}loss": "log_loss", f"{prefix}warm_start": True})
    log_loss = copy.deepcopy(_fit(model, TrainingMode(weighted=True), rows, index))
    model.set_params(**{f"{prefix}loss": mode.loss})
    if mode.cost_matrix:
        model.set_params(**{f"{prefix}cost_matrix": rows.cost_matrix(index)})
    direct = _fit(model, mode, rows, index)

    def cost(model) -> float:
        X = _safe_indexing(rows.X, index)
        p = predict_probabilities(model, mode, X, rows.classes)
        return rows.labeled.take(index).mean_cost(p.argmax(1))

    best = direct if cost(direct) <= cost(log_loss) else log_loss
    return best.set_params(**original)


def _fit(model, mode: TrainingMode, rows: TrainingRows, index):
    """Fit a model, passing the sample weights to its last step."""
    X, y, weight = rows.X, rows.y, rows.training_weight(mode)
    params = _check_method_params(X, rows.fit_params, indices=index)
    X, y = _safe_indexing(X, index), y[index]
    if weight is None:
        return model.fit(X, y, **params)
    weight = weight[index]
    prefix, last = split_last_step(model)
    if not has_fit_parameter(last, "sample_weight"):
        warn(
            f"fit of {type(last).__name__} takes no sample_weight: the weights are "
            "used only to compute costs.",
        )
        return model.fit(X, y, **params)
    if not _routing_enabled():
        return model.fit(X, y, **{f"{prefix}sample_weight": weight})
    _request_weight(model, prefix)
    return model.fit(X, y, **{**params, "sample_weight": weight})


def _request_weight(model, prefix: str) -> None:
    """Make the last step of a pipeline request ``sample_weight``.

    The weights come from the costs and are not the user's metadata, so the last step
    always gets them, and other steps only if they request them.
    """
    steps = {**model.get_params(), prefix.removesuffix("__"): split_last_step(model)[1]}
    for name, step in steps.items():
        takes_weight = hasattr(step, "set_fit_request") and has_fit_parameter(
            step, "sample_weight"
        )
        if not takes_weight:
            continue
        is_last = f"{name}__".startswith(prefix)
        requests = step._get_metadata_request().fit.requests
        if is_last or requests["sample_weight"] is None:
            step.set_fit_request(sample_weight=is_last)


def predict_probabilities(model, mode: TrainingMode, X, classes) -> np.ndarray:
    """Return the model's probabilities of all classes, (n_samples, n_classes).

    Ranking scores, which have no scale, go through the logistic function.
    """
    if mode.loss == "pairwise_auc":
        second = expit(np.asarray(model.decision_function(X), dtype=np.float64))
        predicted = np.stack([1 - second, second], axis=1)
    else:
        predicted = np.asarray(model.predict_proba(X), dtype=np.float64)
    _check_predicted_probabilities(predicted, model)
    if len(model.classes_) == len(classes):
        return predicted
    # The training rows of a fold may lack a class.
    p = np.zeros((len(predicted), len(classes)))
    p[:, np.searchsorted(classes, model.classes_)] = predicted
    return p


def _check_predicted_probabilities(p: np.ndarray, model) -> None:
    """Raise if the output of ``predict_proba`` cannot be probabilities."""
    kind, n_classes = type(split_last_step(model)[1]).__name__, len(model.classes_)
    if p.ndim != 2 or p.shape[1] != n_classes:
        raise ValueError(
            f"predict_proba of estimator={kind} must return a column for each of its "
            f"{n_classes} classes, got shape {p.shape}."
        )
    bad = ~(np.isfinite(p) & (p >= 0)).all(1) | ~p.any(1)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"predict_proba of estimator={kind} must return probabilities, got "
            f"{p[at].tolist()} in row {at}."
        )


# -- cross-validation ------------------------------------------------------------------


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold probabilities, and the models that predicted them.

    Parameters
    ----------
    index : ndarray of shape (n,)
        Predicted rows; a row may be in several folds.
    fold : ndarray of shape (n,)
        The fold in which each was predicted.
    in_time_order : bool
        Whether every fold comes after its training rows.
    is_partition : bool
        Whether each row is in exactly one fold.
    models : dict of TrainingMode to list
        For each mode one model per fold.
    probabilities : dict of TrainingMode to ndarray of shape (n, n_classes)
        For each mode the probabilities, without the effect of class weights.
    """

    index: np.ndarray
    fold: np.ndarray
    in_time_order: bool
    is_partition: bool
    models: dict[TrainingMode, list]
    probabilities: dict[TrainingMode, np.ndarray]

    def usable_for(self, fold: int) -> np.ndarray:
        """Return a mask of the predictions that a rule for a fold may be learned from.

        These are the other folds and, if folds are in time order, only earlier rows.
        """
        in_fold = self.fold == fold
        if self.in_time_order:
            return self.index < self.index[in_fold].min()
        return ~in_fold


def are_in_time_order(folds: list) -> bool:
    """Check whether every fold comes after its training rows."""
    return all(train.max() < test.min() for train, test in folds)


def cross_validate_models(
    models: dict[TrainingMode, Any], rows: TrainingRows, folds: list
) -> OutOfFold:
    """Train every model on every fold and predict the held-out rows."""
    # One Parallel call for all modes, so that their fits can run together.
    found = Parallel()(
        # A clone for each job: threads must not share a model.
        delayed(_train_and_predict)(clone(model), mode, rows, *fold)
        for mode, model in models.items()
        for fold in folds
    )
    by_mode = {
        mode: found[i * len(folds) : (i + 1) * len(folds)]
        for i, mode in enumerate(models)
    }
    index = np.concatenate([test for _, test in folds])
    probabilities = {
        mode: remove_class_weights(
            np.concatenate([p for _, p in pairs]), rows.class_weights(mode)
        )
        for mode, pairs in by_mode.items()
    }
    return OutOfFold(
        index=index,
        fold=np.repeat(np.arange(len(folds)), [len(test) for _, test in folds]),
        in_time_order=are_in_time_order(folds),
        is_partition=np.array_equal(np.sort(index), np.arange(len(rows.y))),
        models={mode: [model for model, _ in pairs] for mode, pairs in by_mode.items()},
        probabilities=probabilities,
    )


def _train_and_predict(model, mode: TrainingMode, rows: TrainingRows, train, test):
    model = train_model(model, mode, rows, train)
    X = _safe_indexing(rows.X, test)
    return model, predict_probabilities(model, mode, X, rows.classes)


def train_final_models(
    model, mode: TrainingMode, rows: TrainingRows, out: OutOfFold
) -> list:
    """Return the models to keep after cross-validation; they are averaged.

    Networks are trained again, with several seeds: their predictions vary with the
    seed, and training that stops early suffers from the rows that a fold leaves out.
    Other classifiers are averaged over the folds.
    """
    if is_network(model):
        return Parallel()(
            delayed(train_model)(_reseed(model, number), mode, rows)
            for number in range(_N_NETWORKS)
        )
    if out.is_partition and not out.in_time_order:
        return out.models[mode]
    return [train_model(model, mode, rows)]
