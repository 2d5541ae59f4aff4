"""Making `cv_results_` from finished trials."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping

import numpy as np
from optuna.trial import FixedTrial, FrozenTrial
from scipy.stats import rankdata
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures

from skdeep.model_selection._lockstep import SINGLE_METRIC, metric_names
from skdeep.model_selection._search_goal import SearchGoal


def trial_params(trial: FrozenTrial, space, initial) -> dict:
    """Return the parameters of the estimator in a trial."""
    if trial.user_attrs["place"] == 0:
        return initial.params
    return space(FixedTrial(trial.params, number=trial.number))


def make_results(
    trials: Mapping[int, FrozenTrial],
    params: list[dict],
    n_splits: int,
    error_score,
    goal: SearchGoal,
    format_results: Callable,
) -> dict:
    """Return the results of all trials, in the format of scikit-learn's searches.

    Parameters
    ----------
    trials : dict of int to FrozenTrial
        The finished trials, by position.
    params : list of dict
        Their parameters.
    n_splits : int
        Number of folds.
    error_score : float or 'raise'
        Score of failed trials.
    goal : SearchGoal
        The objectives.
    format_results : callable
        ``BaseSearchCV._format_results``.

    Returns
    -------
    results : dict
        scikit-learn's entries, and "state" and "n_epochs" of each trial.

    Raises
    ------
    ValueError
        If no trial is complete.
    """
    outcomes = [json.loads(trial.user_attrs["result"]) for trial in trials.values()]
    state = np.array([outcome["state"] for outcome in outcomes], dtype=object)
    _report_failures(outcomes, n_splits, error_score)
    complete = [outcome for outcome in outcomes if outcome["state"] == "complete"]
    kinds = ("test_scores", "train_scores")
    names = {
        kind: metric_names([outcome[kind] for outcome in complete]) for kind in kinds
    }
    folds = [fold for outcome in outcomes for fold in _fold_results(outcome, names)]
    # Scores near the largest float have no standard deviation.
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        # Pruned trials have no scores; scikit-learn warns about them.
        warnings.filterwarnings("ignore", "One or more of the .* scores")
        results = format_results(params, n_splits, folds)
    objectives = goal.metrics(names["test_scores"])
    for name, direction in zip(objectives, goal.directions, strict=True):
        if direction == "minimize":
            results[f"rank_test_{name}"] = _ranks(-results[f"mean_test_{name}"])
    if error_score != "raise":
        _fill_error_score(results, state == "failed", error_score)
    n_epochs = [outcome["n_epochs"] for outcome in outcomes]
    results["state"] = state
    results["n_epochs"] = np.array(n_epochs, dtype=float)
    return results


def _report_failures(outcomes: list[dict], n_splits: int, error_score) -> None:
    """Warn about failed trials; raise if all failed."""
    errors = [outcome["error"] for outcome in outcomes]
    fits = [{"fit_error": error} for error in errors]
    _warn_or_raise_about_fit_failures(fits, error_score)
    if not any(outcome["state"] == "complete" for outcome in outcomes):
        raise ValueError(
            f"None of the {len(outcomes)} trials is complete: all were pruned or "
            f"failed (error: {next(filter(None, errors), 'none')})."
        )


def _fold_results(outcome: dict, names: Mapping[str, list[str]]) -> list[dict]:
    """Return the results of each fold as scikit-learn's own loop does."""
    missing = [np.nan] * len(outcome["fit_times"])

    def scores(kind: str, fold: int):
        found = outcome[kind]
        # If a scorer failed, there is one score for all metrics.
        default = found.get(SINGLE_METRIC, missing)
        values = {name: found.get(name, default)[fold] for name in names[kind]}
        return values[SINGLE_METRIC] if list(values) == [SINGLE_METRIC] else values

    results = []
    for fold, times in enumerate(
        zip(outcome["fit_times"], outcome["score_times"], strict=True)
    ):
        results.append({"fit_time": times[0], "score_time": times[1]})
        results[-1]["test_scores"] = scores("test_scores", fold)
        if names["train_scores"]:
            results[-1]["train_scores"] = scores("train_scores", fold)
    return results


def _ranks(means: np.ndarray) -> np.ndarray:
    """Return ranks, 1 for the highest; NaN values share the last rank."""
    return rankdata(-np.nan_to_num(means, nan=-np.inf), method="min").astype(np.int32)


def _fill_error_score(results: dict, failed: np.ndarray, error_score: float) -> None:
    """Set the scores of failed trials to the error score; their rank stays the last."""
    for name, column in results.items():
        if name.startswith(("split", "mean_test", "mean_train")):
            column[failed] = error_score
        elif name.startswith(("std_test", "std_train")):
            column[failed] = error_score * 0
