"""One trial: its folds in lockstep, reports after every epoch, pruning."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from optuna.trial import FrozenTrial
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skdeep.model_selection._epoch_callbacks import (
    last_pipeline_step,
    supports_callbacks,
)
from skdeep.model_selection._lockstep import (
    CrossValidation,
    FoldFit,
    metric_names,
    metric_score,
)
from skdeep.model_selection._sampling import TrialPruner, quiet_optuna
from skdeep.model_selection._search_goal import SearchGoal


@dataclass
class TrialOutcome:
    """The result of a trial, in plain Python types.

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
        The best number of epochs, or the epochs of a pruned trial.
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
        """Return everything that an Optuna trial does not store itself."""
        kept = dataclasses.asdict(self)
        return {k: v for k, v in kept.items() if k not in ("values", "reports")}


class TrialRun:
    """A run of a trial.

    Parameters
    ----------
    cross_validation : CrossValidation
        The cross-validation of all trials.
    params : dict
        Parameters of the estimator.
    goal : SearchGoal
        The objectives.
    trial_pruner : TrialPruner or None
        Decides when to prune; None never prunes.
    contexts : list of CallbackContext or None
        Callback context of the fit of each fold.
    """

    def __init__(
        self,
        cross_validation: CrossValidation,
        params: dict,
        goal: SearchGoal,
        trial_pruner: TrialPruner | None,
        contexts=None,
    ):
        self.cross_validation, self.goal = cross_validation, goal
        self.trial_pruner = trial_pruner
        estimator = clone(cross_validation.estimator).set_params(
            **clone(params, safe=False)
        )
        restores_best = bool(
            getattr(last_pipeline_step(estimator), "early_stopping", False)
        )
        # Scoring takes time: with early stopping, scores of epochs serve pruning only.
        scores_epochs = (
            goal.is_single
            and supports_callbacks(estimator)
            and (trial_pruner is not None or not restores_best)
        )
        self.selects_epoch = scores_epochs and not restores_best
        contexts = contexts or [None] * len(cross_validation.folds)
        self.folds = [
            FoldFit(
                cross_validation, params, number, scores_epochs, restores_best, context
            )
            for number, context in enumerate(contexts)
        ]
        self.reports: dict[int, float] = {}

    def run(self) -> TrialOutcome:
        """Fit and score all folds, until the end or until the trial is pruned."""
        try:
            with warnings.catch_warnings():
                if self.selects_epoch:
                    # Convergence does not matter: the best epoch counts.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                pruned = any(self._report(*report) for report in self._train_epochs())
                self._cancel_folds()
                return self._make_outcome(pruned)
        finally:
            self._cancel_folds()

    def _cancel_folds(self) -> None:
        try:
            for fold in self.folds:
                fold.cancel()
        finally:
            # If Ctrl-C interrupts the wait for one thread, the others must not wait for
            # their turn forever.
            for fold in self.folds:
                fold.stop_training()

    def _train_epochs(self) -> Iterator[tuple[int, float]]:
        """Train the folds in turns, one epoch each; yield each step and its value."""
        while not all(fold.is_done for fold in self.folds):
            for i, fold in enumerate(self.folds):
                if fold.is_done:
                    continue
                fold.train_epoch()
                if fold.error is not None:
                    return
                if (
                    fold.final_scores is not None
                    and not fold.records
                    and self.goal.is_single
                ):
                    # The estimator does not report epochs: the steps are the folds.
                    yield i, self._value([f.final_scores for f in self.folds[: i + 1]])
            if all(fold.records for fold in self.folds):
                epoch = max(len(fold.records) for fold in self.folds) - 1
                yield epoch, self._value([f.record(epoch) for f in self.folds])

    def _value(self, records) -> float:
        return self.goal.values(records)[0]

    def _report(self, step: int, value: float) -> bool:
        """Record a value; return whether to prune, if any training is left."""
        if step in self.reports:
            return False  # folds that have ended do not add an epoch
        self.reports[step] = value
        is_epoch = bool(self.folds[0].records)
        prunes = self.trial_pruner is not None and self.trial_pruner.should_prune(
            value, step, is_epoch
        )
        return prunes and not all(fold.is_done for fold in self.folds)

    def _make_outcome(self, pruned: bool) -> TrialOutcome:
        if pruned:
            n_epochs = len(self.folds[0].records)
            return self._outcome("pruned", n_epochs=n_epochs or None)
        failed = [fold.error for fold in self.folds if fold.error is not None]
        if failed:
            return self._outcome("failed", error=failed[0])
        if not self.selects_epoch or not self.folds[0].records:
            return self._complete([fold.final_scores for fold in self.folds], None)
        n_epochs = max(len(fold.records) for fold in self.folds)
        rounds = [[f.record(e) for f in self.folds] for e in range(n_epochs)]
        best = self.goal.best([self._value(records) for records in rounds])
        if best is None:
            return self._complete(rounds[0], None)
        return self._complete(rounds[best], best + 1)

    def _complete(self, records: list, n_epochs: int | None) -> TrialOutcome:
        values = self.goal.values(records)
        if np.isnan(values).any():
            names = self.goal.metrics(metric_names([record.test for record in records]))
            return self._outcome(
                "failed", error=f"A fold has a NaN score ({', '.join(names)})."
            )
        outcome = self._outcome("complete", n_epochs=n_epochs)
        outcome.values = values
        outcome.test_scores = _scores_by_metric([record.test for record in records])
        if self.cross_validation.return_train_score:
            outcome.train_scores = _scores_by_metric(
                [record.train for record in records]
            )
        return outcome

    def _outcome(self, state: str, **given) -> TrialOutcome:
        return TrialOutcome(
            state,
            reports={k: v for k, v in self.reports.items() if not np.isnan(v)},
            fit_times=[fold.fit_time for fold in self.folds],
            score_times=[fold.score_time for fold in self.folds],
            **given,
        )


def _scores_by_metric(scores: list[dict]) -> dict[str, list[float]]:
    """Return for each metric the scores of all folds."""
    return {
        name: [metric_score(s, name) for s in scores] for name in metric_names(scores)
    }


def run_trial(
    cross_validation: CrossValidation,
    params: dict,
    goal: SearchGoal,
    pruner,
    earlier: list[FrozenTrial],
    position: int,
    contexts=None,
) -> TrialOutcome:
    """Run a trial, in any process.

    Parameters
    ----------
    cross_validation : CrossValidation
        The cross-validation of all trials.
    params : dict
        Parameters of the estimator.
    goal : SearchGoal
        The objectives.
    pruner : str, Optuna pruner or None
        Parameter of the search.
    earlier : list of FrozenTrial
        The trials of earlier batches, in order.
    position : int
        Position of the trial.
    contexts : list of CallbackContext or None
        Callback context of the fit of each fold.

    Returns
    -------
    outcome : TrialOutcome
        Result of the trial.
    """
    with quiet_optuna():
        trial_pruner = None
        if pruner not in (None, "none") and goal.is_single:
            trial_pruner = TrialPruner(pruner, goal.directions, earlier, position)
        return TrialRun(cross_validation, params, goal, trial_pruner, contexts).run()
