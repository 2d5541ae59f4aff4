"""From finished trials to `cv_results_`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping

import numpy as np
from optuna.trial import FixedTrial, FrozenTrial
from scipy.stats import rankdata
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures

from skdeep.model_selection._lockstep import SINGLE, names_of
from skdeep.model_selection._trial import Goal


def params_of(trial: FrozenTrial, space, own) -> dict:
    """Return the parameters that the estimator had in a trial."""
    if trial.user_attrs["place"] == 0:
        return own.params
    return space(FixedTrial(trial.params, number=trial.number))


def make_results(
    trials: Mapping[int, FrozenTrial],
    params: list[dict],
    n_splits: int,
    error_score,
    goal: Goal,
    format_results: Callable,
) -> dict:
    """Return the results of all trials, in the form of scikit-learn's searches.

    Parameters
    ----------
    trials : dict of int to FrozenTrial
        The finished trials, by place.
    params : list of dict
        Their parameters.
    n_splits : int
        Number of folds.
    error_score : float or 'raise'
        What failed trials score.
    goal : Goal
        The objectives.
    format_results : callable
        ``BaseSearchCV._format_results``.

    Returns
    -------
    results : dict
        With "state" and "n_epochs" of each trial beside scikit-learn's entries.

    Raises
    ------
    ValueError
        If no trial has come to its end.
    """
    outcomes = [json.loads(trial.user_attrs["result"]) for trial in trials.values()]
    state = np.array([outcome["state"] for outcome in outcomes], dtype=object)
    _tell_of_failures(outcomes, n_splits, error_score)
    complete = [outcome for outcome in outcomes if outcome["state"] == "complete"]
    kinds = ("test_scores", "train_scores")
    names = {kind: names_of([outcome[kind] for outcome in complete]) for kind in kinds}
    folds = [fold for outcome in outcomes for fold in _folds(outcome, names)]
    # Scores near the largest float have no standard deviation.
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        # Trials that were pruned have no scores, and that is as it should be.
        warnings.filterwarnings("ignore", "One or more of the .* scores")
        results = format_results(params, n_splits, folds)
    objectives = goal.metrics(names["test_scores"])
    for name, direction in zip(objectives, goal.directions, strict=True):
        if direction == "minimize":
            results[f"rank_test_{name}"] = _ranks(-results[f"mean_test_{name}"])
    if error_score != "raise":
        _fill_in(results, state == "failed", error_score)
    n_epochs = [outcome["n_epochs"] for outcome in outcomes]
    results["state"] = state
    results["n_epochs"] = np.array(n_epochs, dtype=float)
    return results


def _tell_of_failures(outcomes: list[dict], n_splits: int, error_score) -> None:
    """Warn of trials that failed; raise if all did."""
    errors = [outcome["error"] for outcome in outcomes]
    fits = [{"fit_error": error} for error in errors]
    _warn_or_raise_about_fit_failures(fits, error_score)
    if not any(outcome["state"] == "complete" for outcome in outcomes):
        raise ValueError(
            f"None of the {len(outcomes)} trials has come to its end: all are pruned, "
            f"but for failed ones ({next(filter(None, errors), 'there are none')})."
        )


def _folds(outcome: dict, names: Mapping[str, list[str]]) -> list[dict]:
    """Return what scikit-learn's own loop would have of a trial: a dict a fold."""
    missing = [np.nan] * len(outcome["fit_times"])

    def scores(kind: str, fold: int):
        found = outcome[kind]
        # Where a scorer failed there is one score for all of its metrics.
        instead = found.get(SINGLE, missing)
        values = {name: found.get(name, instead)[fold] for name in names[kind]}
        return values[SINGLE] if list(values) == [SINGLE] else values

    made = []
    for fold, times in enumerate(
        zip(outcome["fit_times"], outcome["score_times"], strict=True)
    ):
        made.append({"fit_time": times[0], "score_time": times[1]})
        made[-1]["test_scores"] = scores("test_scores", fold)
        if names["train_scores"]:
            made[-1]["train_scores"] = scores("train_scores", fold)
    return made


def _ranks(means: np.ndarray) -> np.ndarray:
    """Return ranks, 1 for the highest; all that are NaN share the last."""
    return rankdata(-np.nan_to_num(means, nan=-np.inf), method="min").astype(np.int32)


def _fill_in(results: dict, failed: np.ndarray, error_score: float) -> None:
    """Give failed trials the score they are to have; their rank remains the last."""
    for name, column in results.items():
        if name.startswith(("split", "mean_test", "mean_train")):
            column[failed] = error_score
        elif name.startswith(("std_test", "std_train")):
            column[failed] = error_score * 0
