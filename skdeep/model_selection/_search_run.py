"""Running a search: opening the study, running the trials, collecting the results.

This module and those that it imports need Optuna. ``OptunaSearchCV.fit`` imports it
after ``import_optuna``.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.utils import check_random_state

from skdeep._failed_fits import is_outermost_fit
from skdeep._messages import warn
from skdeep.model_selection._cv_results import make_results, trial_params
from skdeep.model_selection._lockstep import SINGLE_METRIC, CrossValidation
from skdeep.model_selection._sampling import (
    TrialSampler,
    make_pruner,
    make_sampler,
    quiet_optuna,
)
from skdeep.model_selection._search_goal import SearchGoal
from skdeep.model_selection._search_progress import make_progress
from skdeep.model_selection._search_signature import digest, search_signature
from skdeep.model_selection._search_space import make_space
from skdeep.model_selection._storage import (
    DEFAULT_NAME,
    as_value_errors,
    open_storage,
    open_study,
    study_info,
)
from skdeep.model_selection._trial_ledger import TrialLedger
from skdeep.model_selection._trial_loop import TrialLoop, has_complete_trial

# Cap of the timeout in seconds; a very large int has no float.
_MAX_TIMEOUT = 1e12
_DIRECTIONS = ("maximize", "minimize")


@dataclass
class SearchResult:
    """The result of a search.

    Parameters
    ----------
    study : optuna.Study
        The study, with the sampler and the pruner of the search.
    cv_results : dict of ndarray
        Results of all trials, in scikit-learn's format.
    goal : SearchGoal
        The objectives.
    """

    study: Any
    cv_results: dict
    goal: SearchGoal


def run_search(
    search, cross_validation: CrossValidation, routed, make_contexts
) -> SearchResult:
    """Run the trials of a search.

    Parameters
    ----------
    search : OptunaSearchCV
        Its parameters are read.
    cross_validation : CrossValidation
        The cross-validation of every trial.
    routed : Bunch
        Metadata for the estimator, the scorers and the splitter.
    make_contexts : callable
        Returns the callback contexts of the folds of a trial, or None.
    """
    estimator = cross_validation.estimator
    space = make_space(search.param_distributions, estimator)
    goal = _make_goal(search, cross_validation.scorers)
    initial = space.initial(estimator)
    with quiet_optuna(), as_value_errors():
        study, seed = _open_study(search, cross_validation, routed, space, goal)
        trial_sampler = TrialSampler(
            space, initial, search.sampler, search.pruner, goal.directions, seed
        )
        trials = _run_trials(
            search, study, trial_sampler, cross_validation, goal, make_contexts
        )
    params = [trial_params(trial, space, initial) for trial in trials.values()]
    results = make_results(
        trials,
        params,
        search.n_splits_,
        search.error_score,
        goal,
        search._format_results,
    )
    # The ledger has replaced the sampler and the pruner; restore the user's choice.
    study.sampler = make_sampler(search.sampler, seed)
    study.pruner = make_pruner(search.pruner)
    return SearchResult(study, results, goal)


def _make_goal(search, scorers) -> SearchGoal:
    """Return the objectives of a search."""
    names = None
    if isinstance(scorers, _MultimetricScorer):
        names = list(scorers._scorers)
    refit = search.refit
    if not isinstance(refit, str):
        refit = bool(refit) and not callable(refit)
    if search.directions is None:
        if names is not None:
            names = [refit] if isinstance(refit, str) else names[:1]
        return SearchGoal(names, ["maximize"], refit)
    directions = list(search.directions)
    if not directions or any(given not in _DIRECTIONS for given in directions):
        raise ValueError(
            "directions must hold 'maximize' or 'minimize' for each metric of scoring, "
            f"in their order, got {directions!r}."
        )
    goal = SearchGoal(names, directions, refit)
    if names is not None or not callable(search.scoring):
        goal.metrics(names or [SINGLE_METRIC])  # checks the number of directions
    return goal


def _open_study(
    search, cross_validation: CrossValidation, routed, space, goal: SearchGoal
):
    """Return the study, new or resumed, and its seed."""
    rng = check_random_state(search.random_state)
    signature: dict[str, str] = {}
    if search.storage is not None:
        given = {**routed.estimator.fit, **routed.splitter.split}
        names = goal.names
        if names is None and callable(search.scoring) and search.directions is None:
            names = [search.refit] if isinstance(search.refit, str) else None
        signature = search_signature(
            cross_validation.estimator,
            cross_validation.X,
            cross_validation.y,
            given,
            cross_validation.folds,
            space,
            [search.scoring, names, goal.directions],
        )
    # The seed is drawn even if the study is resumed with another: what `random_state`
    # draws next must not depend on the storage.
    info = {"seed": int(rng.randint(2**31 - 1)), "signature": signature}
    storage = open_storage(search.storage)
    fallback_name = _fallback_name(search, signature)
    study = open_study(storage, search.study_name, goal.directions, info, fallback_name)
    return study, study_info(study)["seed"]


def _fallback_name(search, signature: dict[str, str]) -> str | None:
    """Return the study name to use if another search has the first choice.

    There is none for a name that the user chose, unless the search is nested in another
    estimator or a cross-validation, which fits it to several sets of rows.
    """
    if search.storage is None or (search.study_name and is_outermost_fit()):
        return None
    return f"{search.study_name or DEFAULT_NAME}-{digest(signature)}"


def _run_trials(
    search,
    study,
    trial_sampler: TrialSampler,
    cross_validation: CrossValidation,
    goal: SearchGoal,
    make_contexts,
) -> dict[int, FrozenTrial]:
    """Run the trials; return the finished ones by position."""
    until = math.inf
    if search.timeout is not None:
        until = time.monotonic() + min(search.timeout, _MAX_TIMEOUT)
    progress = make_progress(search.verbose, search.n_trials)
    try:
        with TrialLedger(study) as ledger:
            loop = TrialLoop(
                ledger,
                trial_sampler,
                cross_validation,
                goal,
                search.n_trials,
                until,
                search.n_jobs,
                list(search.callbacks or ()),
                progress,
                make_contexts,
            )
            try:
                return loop.run()
            except KeyboardInterrupt:
                done = ledger.finished()
                # Inside another fit, an incomplete search would bias its results.
                if not (has_complete_trial(done) and is_outermost_fit()):
                    raise
                _warn_of_interrupt(search, len(done))
                return done
    finally:
        progress.close()


def _warn_of_interrupt(search, n_done: int) -> None:
    next_step = " The best parameters are refitted now." if search.refit else ""
    warn(
        f"Search interrupted by user: the results are those of {n_done} of "
        f"{search.n_trials} trials.{next_step}",
    )
