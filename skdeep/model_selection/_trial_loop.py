"""The loop over the trials of a search: batch by batch, in parallel processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from joblib import effective_n_jobs
from optuna.trial import FrozenTrial, TrialState
from sklearn.utils.parallel import Parallel, delayed

from skdeep.model_selection._lockstep import CrossValidation
from skdeep.model_selection._sampling import BATCH_SIZE, TrialSampler
from skdeep.model_selection._search_goal import SearchGoal
from skdeep.model_selection._search_progress import SearchProgress
from skdeep.model_selection._trial import TrialOutcome, run_trial
from skdeep.model_selection._trial_ledger import TrialLedger

# Seconds between checks of trials that other processes run.
_WAIT = 0.2


@dataclass
class TrialLoop:
    """Runs trials until ``n_trials`` are finished or the time is over.

    Parameters
    ----------
    ledger : TrialLedger
        The trials and the processes that run them.
    trial_sampler : TrialSampler
        Samples the parameters of the trials.
    cross_validation : CrossValidation
        The cross-validation of all trials.
    goal : SearchGoal
        The objectives.
    n_trials : int
        Number of trials.
    until : float
        Time, by ``time.monotonic``, after which no trial starts.
    n_jobs : int or None
        Number of processes.
    callbacks : list of callable
        Called with the study and each trial of this process.
    progress : SearchProgress
        Displays the progress.
    make_contexts : callable
        Returns the callback contexts of the folds of a trial, or None.
    """

    ledger: TrialLedger
    trial_sampler: TrialSampler
    cross_validation: CrossValidation
    goal: SearchGoal
    n_trials: int
    until: float
    n_jobs: int | None
    callbacks: list[Callable]
    progress: SearchProgress
    make_contexts: Callable[[], list | None]

    def run(self) -> dict[int, FrozenTrial]:
        """Run trials; return all finished ones by position."""
        width = effective_n_jobs(self.n_jobs)
        done = self.ledger.finished()
        # A batch must end before the next begins, so more processes would be idle.
        n_jobs = self.n_jobs if width <= BATCH_SIZE else BATCH_SIZE
        with Parallel(n_jobs=n_jobs, return_as="generator_unordered") as parallel:
            while (missing := self._next_positions(done)) and not self._is_over(done):
                self._update_progress(done)
                claimed = self.ledger.claim(missing, width)
                if claimed:
                    # Read the finished trials again: other processes may have finished
                    # some, so that the claimed ones belong to a later batch.
                    self._run_batch(parallel, claimed, self.ledger.finished())
                else:
                    time.sleep(_WAIT)
                done = self.ledger.finished()
        self._update_progress(done)
        return done

    def _next_positions(self, done: Mapping[int, FrozenTrial]) -> list[int]:
        """Return the unfinished positions of the first batch that has any."""
        # No list of all positions: n_trials may be huge, with a timeout to end it.
        positions = range(self.n_trials)
        first = next(
            (position for position in positions if position not in done), self.n_trials
        )
        end = (first // BATCH_SIZE + 1) * BATCH_SIZE
        return [position for position in positions[first:end] if position not in done]

    def _is_over(self, done: Mapping[int, FrozenTrial]) -> bool:
        # At least one trial runs, however short the time.
        is_late = bool(done) and time.monotonic() >= self.until
        return is_late or self.ledger.study.is_stopped

    def _run_batch(self, parallel, positions: list[int], done) -> None:
        """Run some trials of a batch and store their outcomes."""
        start = positions[0] // BATCH_SIZE * BATCH_SIZE
        suggestions = self.trial_sampler.batch(start, done)
        earlier = [done[position] for position in range(start)]
        jobs = (
            delayed(_run_at_position)(
                self.cross_validation,
                suggestions[position].params,
                self.goal,
                self.trial_sampler.pruner,
                earlier,
                position,
                self.make_contexts(),
            )
            for position in positions
        )
        # In the order in which they end: a killed search keeps all finished trials.
        for position, outcome in parallel(jobs):
            trial = self.ledger.finish(position, suggestions[position], outcome)
            if trial is not None:
                self._call_back(trial)
            self._update_progress(self.ledger.finished())

    def _call_back(self, trial: FrozenTrial) -> None:
        for callback in self.callbacks:
            callback(self.ledger.study, trial)

    def _update_progress(self, done: Mapping[int, FrozenTrial]) -> None:
        self.progress.update(len(done), _describe_best_score(done, self.goal))


def _run_at_position(
    cross_validation, params, goal, pruner, earlier, position, contexts
) -> tuple[int, TrialOutcome]:
    """Run a trial; return its position and its outcome."""
    outcome = run_trial(
        cross_validation, params, goal, pruner, earlier, position, contexts
    )
    return position, outcome


def has_complete_trial(done: Mapping[int, FrozenTrial]) -> bool:
    """Return whether any of the finished trials is complete."""
    return any(trial.state == TrialState.COMPLETE for trial in done.values())


def _describe_best_score(done: Mapping[int, FrozenTrial], goal: SearchGoal) -> str:
    """Describe the best score or, with several objectives, the number of scores."""
    complete = [t.values for t in done.values() if t.state == TrialState.COMPLETE]
    if not complete:
        return "no score yet"
    if not goal.is_single:
        return f"{len(complete)} with scores"
    best = max if goal.directions[0] == "maximize" else min
    return f"best score {best(complete)[0]:.4f}"
