"""One trial: the folds in lockstep, reports after every epoch, an early end."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from optuna.trial import FrozenTrial
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skdeep.model_selection._epoch_callbacks import last_step, takes_callbacks
from skdeep.model_selection._lockstep import (
    SINGLE,
    CrossValidation,
    Fold,
    Record,
    metric,
    names_of,
)
from skdeep.model_selection._sampling import Judge, quiet


@dataclass(frozen=True)
class Goal:
    """What is to be made large or small.

    Parameters
    ----------
    names : list of str or None
        Metrics, one for each direction. ``None`` if only a call of `scoring` tells
        which there are; `refit` then chooses.
    directions : list of str
        "maximize" or "minimize".
    refit : str or bool
        The parameter of the search; a callable counts as ``False``.
    """

    names: list[str] | None
    directions: list[str]
    refit: str | bool = False

    @property
    def is_single(self) -> bool:
        """Whether there is one objective, so that trials can be pruned."""
        return len(self.directions) == 1

    def metrics(self, found: list[str]) -> list[str]:
        """Return the names of the objectives among the metrics of `scoring`.

        Raises
        ------
        ValueError
            If `scoring`, being a callable, has returned other metrics than `refit` and
            `directions` need.
        """
        names = self.names or self._chosen(found)
        missing = [name for name in names if name not in found]
        if missing:
            raise ValueError(
                "scoring must return the same metrics each time: it has returned "
                f"{found}, without {missing[0]!r}."
            )
        if len(names) != len(self.directions):
            raise ValueError(
                f"directions has {len(self.directions)} entries, but the metrics of "
                f"scoring are {names}."
            )
        return names

    def _chosen(self, found: list[str]) -> list[str]:
        """Return the metrics to optimise of a scorer that is a callable."""
        if len(self.directions) > 1 or found == [SINGLE]:
            return found
        if self.refit is False:
            return found[:1]
        if self.refit not in found:
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to a scorer "
                "key or a callable that returns the index of the best trial. If this "
                "is not needed, refit should be set to False explicitly. "
                f"{self.refit!r} was passed, and scoring returned {found}."
            )
        return [str(self.refit)]

    def values(self, records: list[Record]) -> list[float]:
        """Return the mean over folds of each objective."""
        tests = [record.test for record in records]
        names = self.metrics(names_of(tests))
        return [float(np.mean([metric(t, name) for t in tests])) for name in names]

    def best(self, values: list[float]) -> int | None:
        """Return the position of the best value, the first of them; None if all NaN."""
        if np.isnan(values).all():
            return None
        best = np.nanargmax if self.directions[0] == "maximize" else np.nanargmin
        return int(best(values))


@dataclass
class Outcome:
    """What came of a trial, in plain Python.

    Parameters
    ----------
    state : {'complete', 'pruned', 'failed'}
        How it ended.
    values : list of float or None
        The objectives, if it is complete.
    reports : dict of int to float
        The mean over folds at each step.
    test_scores, train_scores : dict of str to list of float
        For each metric the scores of the folds.
    fit_times, score_times : list of float
        Seconds, for each fold.
    n_epochs : int or None
        Epochs after which the values were the best.
    error : str or None
        Why it failed.
    """

    state: str
    values: list[float] | None = None
    reports: dict[int, float] = field(default_factory=dict)
    test_scores: dict[str, list[float]] = field(default_factory=dict)
    train_scores: dict[str, list[float]] = field(default_factory=dict)
    fit_times: list[float] = field(default_factory=list)
    score_times: list[float] = field(default_factory=list)
    n_epochs: int | None = None
    error: str | None = None

    def to_dict(self) -> dict:
        """Return all but what a trial of Optuna keeps itself."""
        kept = dataclasses.asdict(self)
        return {k: v for k, v in kept.items() if k not in ("values", "reports")}


class Trial:
    """A trial of a search.

    Parameters
    ----------
    cross_validation : CrossValidation
        Fits and scores that all trials have in common.
    params : dict
        Parameters of the estimator.
    goal : Goal
        The objectives.
    judge : Judge or None
        Decides when to prune; None never prunes.
    contexts : list of CallbackContext or None
        Callback context of the fit of each fold.
    """

    def __init__(
        self,
        cross_validation: CrossValidation,
        params: dict,
        goal: Goal,
        judge: Judge | None,
        contexts=None,
    ):
        self.cross_validation, self.goal, self.judge = cross_validation, goal, judge
        estimator = clone(cross_validation.estimator).set_params(
            **clone(params, safe=False)
        )
        keeps_best = bool(getattr(last_step(estimator), "early_stopping", False))
        reports = goal.is_single and takes_callbacks(estimator)
        reports = reports and (judge is not None or not keeps_best)
        self.chooses_epochs = reports and not keeps_best
        contexts = contexts or [None] * len(cross_validation.folds)
        self.folds = [
            Fold(cross_validation, params, number, reports, keeps_best, context)
            for number, context in enumerate(contexts)
        ]
        self.reports: dict[int, float] = {}

    def run(self) -> Outcome:
        """Fit and score all folds, or as much of that as is worth it."""
        try:
            with warnings.catch_warnings():
                if self.chooses_epochs:
                    # Nobody asks whether training converges: the best epoch counts.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                pruned = any(self._give_up(*report) for report in self._advance())
                self._abandon()
                return self._end(pruned)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        try:
            for fold in self.folds:
                fold.abandon()
        finally:
            # If Ctrl-C ends the wait for one of them, none waits for its turn for ever.
            for fold in self.folds:
                fold.stop_training()

    def _advance(self) -> Iterator[tuple[int, float]]:
        """Train all folds by an epoch, and again; give each step and its value."""
        while not all(fold.is_done for fold in self.folds):
            for i, fold in enumerate(self.folds):
                if fold.is_done:
                    continue
                fold.advance()
                if fold.error is not None:
                    return
                if fold.final is not None and not fold.records and self.goal.is_single:
                    # It cannot tell of epochs: the folds are the steps.
                    yield i, self._value([f.final for f in self.folds[: i + 1]])
            if all(fold.records for fold in self.folds):
                epoch = max(len(fold.records) for fold in self.folds) - 1
                yield epoch, self._value([f.record(epoch) for f in self.folds])

    def _value(self, records) -> float:
        return self.goal.values(records)[0]

    def _give_up(self, step: int, value: float) -> bool:
        """Take note of a value; say whether to prune, if there is something left."""
        if step in self.reports:
            return False  # folds that end after their last epoch train no more
        self.reports[step] = value
        is_epoch = bool(self.folds[0].records)
        worthless = self.judge is not None and self.judge.gives_up(
            value, step, is_epoch
        )
        return worthless and not all(fold.is_done for fold in self.folds)

    def _end(self, pruned: bool) -> Outcome:
        if pruned:
            n_epochs = len(self.folds[0].records)
            return self._outcome("pruned", n_epochs=n_epochs or None)
        failed = [fold.error for fold in self.folds if fold.error is not None]
        if failed:
            return self._outcome("failed", error=failed[0])
        if not self.chooses_epochs or not self.folds[0].records:
            return self._complete([fold.final for fold in self.folds], None)
        n_epochs = max(len(fold.records) for fold in self.folds)
        rounds = [[f.record(e) for f in self.folds] for e in range(n_epochs)]
        best = self.goal.best([self._value(records) for records in rounds])
        if best is None:
            return self._complete(rounds[0], None)
        return self._complete(rounds[best], best + 1)

    def _complete(self, records: list, n_epochs: int | None) -> Outcome:
        values = self.goal.values(records)
        if np.isnan(values).any():
            names = self.goal.metrics(names_of([record.test for record in records]))
            return self._outcome(
                "failed", error=f"The score of a fold is not a number ({names})."
            )
        outcome = self._outcome("complete", n_epochs=n_epochs)
        outcome.values = values
        outcome.test_scores = _by_metric([record.test for record in records])
        if self.cross_validation.return_train_score:
            outcome.train_scores = _by_metric([record.train for record in records])
        return outcome

    def _outcome(self, state: str, **given) -> Outcome:
        return Outcome(
            state,
            reports={k: v for k, v in self.reports.items() if not np.isnan(v)},
            fit_times=[fold.fit_time for fold in self.folds],
            score_times=[fold.score_time for fold in self.folds],
            **given,
        )


def _by_metric(scores: list[dict]) -> dict[str, list[float]]:
    """Return for each metric the scores of all folds."""
    return {name: [metric(s, name) for s in scores] for name in names_of(scores)}


def run_trial(
    cross_validation: CrossValidation,
    params: dict,
    goal: Goal,
    pruner,
    earlier: list[FrozenTrial],
    place: int,
    contexts=None,
) -> Outcome:
    """Run a trial, in whatever process.

    Parameters
    ----------
    cross_validation : CrossValidation
        Fits and scores that all trials have in common.
    params : dict
        Parameters of the estimator.
    goal : Goal
        The objectives.
    pruner : str, pruner of Optuna or None
        As given by the user.
    earlier : list of FrozenTrial
        The trials of earlier batches, in order of place.
    place : int
        Place of this trial.
    contexts : list of CallbackContext or None
        Callback context of the fit of each fold.

    Returns
    -------
    outcome : Outcome
        Result of the trial.
    """
    with quiet():
        judge = None
        if pruner not in (None, "none") and goal.is_single:
            judge = Judge(pruner, goal.directions, earlier, place)
        return Trial(cross_validation, params, goal, judge, contexts).run()
