"""Choosing a strategy by its cost in cross-validation, and learning its rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skdeep._messages import warn
from skdeep.estimators._cost_sensitive._decisions import DecisionRule
from skdeep.estimators._cost_sensitive._model_training import OutOfFold
from skdeep.estimators._cost_sensitive._strategies import (
    STRATEGIES,
    TrainingMode,
    TrainingRows,
    unusable_reason,
)
from skdeep.estimators._cost_sensitive._threshold_tuning import fit_rule

# With fewer rows of a class, a learned threshold is mostly noise.
_MIN_ROWS_OF_CLASS = 10


def candidate_strategies(strategy: str, estimator, rows: TrainingRows) -> list[str]:
    """Return the names of the strategies to compare, the simplest first.

    Raises
    ------
    ValueError
        If ``strategy`` is not 'auto' and cannot be used with the estimator.
    """
    if strategy != "auto":
        reason = unusable_reason(estimator, strategy, rows)
        if reason is not None:
            raise ValueError(reason)
        return [strategy]
    names = [n for n in STRATEGIES if unusable_reason(estimator, n, rows) is None]
    if len(rows.classes) > 2:
        names = [name for name in names if not STRATEGIES[name].tuned]
    if "weighted" in names:
        mode = rows.training_mode("weighted")
        if rows.training_weight(mode) is rows.weight:
            names.remove("weighted")  # all errors cost the same
    return names


def needs_out_of_fold(strategy: str, mode: TrainingMode, calibration) -> bool:
    """Return whether a strategy learns from out-of-fold probabilities."""
    return (
        strategy == "auto"
        or STRATEGIES[strategy].tuned
        or calibration_method(mode, calibration) is not None
    )


def calibration_method(mode: TrainingMode, calibration: str | None) -> str | None:
    """Return how a model is calibrated; 'sigmoid' if it must be and nothing is set."""
    return calibration or (None if mode.predicts_probabilities else "sigmoid")


def choose_strategy(
    strategy: str,
    names: list[str],
    rows: TrainingRows,
    out: OutOfFold,
    calibration: str | None,
) -> dict:
    """Choose the strategy with the lowest out-of-fold cost, and learn its rule.

    Returns the attributes of the estimator to set, except the models.
    """
    constant = constant_costs(out, rows)
    by_fold = {name: costs_by_fold(name, out, rows, calibration) for name in names}
    by_fold |= constant
    name = names[0]
    if strategy == "auto":
        # With row costs, a few expensive rows would determine a tuned threshold.
        tunes = "tuned" in names and not rows.costs_differ_by_row
        name = cheapest(by_fold, default="tuned" if tunes else "threshold")
    if name in constant:
        rule = DecisionRule(rows.positive, constant=list(constant).index(name))
    else:
        rule = learn_rule(name, out, rows, calibration)
    # If a constant decision wins, the plain models provide the probabilities.
    mode = rows.training_mode(name if name in STRATEGIES else names[0])
    return {
        "strategy_": name,
        "_training_mode": mode,
        "_rule": rule,
        "_class_weights": rows.class_weights(mode),
        "_costs_by_fold": by_fold,
        "_retuning": retuning_data(name, out, rows, calibration),
    }


def learn_rule(
    name: str,
    out: OutOfFold,
    rows: TrainingRows,
    calibration: str | None,
    among=slice(None),
) -> DecisionRule:
    """Learn the rule of a strategy from a subset of the out-of-fold probabilities."""
    mode = rows.training_mode(name)
    rule = fit_rule(
        out.probabilities[mode][among],
        rows.labeled.take(out.index[among]),
        rows.positive,
        calibration_method(mode, calibration),
        STRATEGIES[name].tuned,
    )
    return replace(rule, costs=costs_of_training(name, rows))


def costs_of_training(name: str, rows: TrainingRows) -> np.ndarray | None:
    """Return the costs that replace those of each row in the decisions of a strategy.

    A network trained on the expected cost has taken the costs of rows into account.
    """
    return rows.mean_costs if name == "direct" else None


def costs_by_fold(
    name: str, out: OutOfFold, rows: TrainingRows, calibration: str | None
) -> np.ndarray:
    """Return the mean cost of a strategy in each fold, by rules from other folds."""
    p = out.probabilities[rows.training_mode(name)]
    costs = []
    for fold in np.unique(out.fold):
        rule = learn_rule(name, out, rows, calibration, out.usable_for(fold))
        in_fold = out.fold == fold
        held_out = rows.labeled.take(out.index[in_fold])
        decisions = rule.decide(rule.probabilities(p[in_fold]), held_out.costs)
        costs.append(held_out.mean_cost(decisions))
    return np.array(costs)


def constant_costs(out: OutOfFold, rows: TrainingRows) -> dict[str, np.ndarray]:
    """Return the mean cost of each constant decision in each fold."""
    folds = [
        rows.labeled.take(out.index[out.fold == fold]) for fold in np.unique(out.fold)
    ]
    return {
        name: np.array([held_out.mean_cost(code) for held_out in folds])
        for code, name in enumerate(_constant_names(rows))
    }


def _constant_names(rows: TrainingRows) -> list[str]:
    """Return the names of the constant decisions, in the order of the decisions."""
    if len(rows.classes) == 2:
        names = ["never", "always"] if rows.positive == 1 else ["always", "never"]
    else:
        names = [f"always {label}" for label in rows.classes]
    can_abstain = rows.labeled.costs.shape[2] > len(rows.classes)
    return [*names, "abstain"] if can_abstain else names


def cheapest(by_fold: dict[str, np.ndarray], default: str) -> str:
    """Return the cheapest strategy, or ``default`` unless it costs clearly more.

    The smallest of several noisy costs is partly small by chance, so another strategy
    must be cheaper than the default by two standard errors of the difference over the
    folds. It also wins if the default costs more than 1.5 times as much, even if a
    single fold is the reason.
    """
    # A fold whose rows all have weight 0 has no cost (NaN).
    costs = {name: np.nanmean(found) for name, found in by_fold.items()}
    best = min(costs, key=costs.__getitem__)
    if costs[default] == costs[best]:
        return default
    # Relative, so that the unit of the costs has no effect.
    differences = (by_fold[default] - by_fold[best]) / costs[default]
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2 or costs[default] > 1.5 * costs[best]:
        return best
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return default if differences.mean() <= 2 * error else best


def retuning_data(
    name: str, out: OutOfFold, rows: TrainingRows, calibration: str | None
) -> dict | None:
    """Return what is needed to tune the threshold again after a change of costs."""
    if name not in STRATEGIES or not STRATEGIES[name].tuned:
        return None
    mode = rows.training_mode(name)
    costs = {
        name: None if costs is None else np.asarray(costs)[out.index]
        for name, costs in rows.row_costs.items()
    }
    return {
        "p": out.probabilities[mode],
        "codes": rows.labeled.codes[out.index],
        "weight": rows.labeled.weight[out.index],
        "costs": costs,
        "calibration": calibration_method(mode, calibration),
    }


def warn_of_constant_rule(strategy: str, rule: DecisionRule, rows: TrainingRows):
    """Warn if all rows get the same decision and a class has few rows."""
    code, labels = rule.only_decision, rows.classes.tolist()
    has_weight = rows.labeled.weight > 0
    counts = np.bincount(rows.labeled.codes[has_weight], minlength=len(labels))
    # A code beyond the classes means to abstain.
    if code is None or code >= len(labels) or counts.min() >= _MIN_ROWS_OF_CLASS:
        return
    warn(
        f"strategy {strategy!r} found it cheapest to predict {labels[code]!r} for "
        f"every row, but y holds only {counts.min()} rows of class "
        f"{labels[counts.argmin()]!r}, too few to learn a threshold from. "
        "strategy='threshold' decides by the costs and the probabilities alone.",
    )
