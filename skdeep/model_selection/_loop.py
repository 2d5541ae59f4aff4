"""The loop over trials: batch by batch, on as many processes as there may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from joblib import effective_n_jobs
from optuna.trial import FrozenTrial, TrialState
from sklearn.utils.parallel import Parallel, delayed

from skdeep.model_selection._lockstep import Task
from skdeep.model_selection._progress import Silent
from skdeep.model_selection._sampling import BATCH_SIZE, Drawing
from skdeep.model_selection._study import Ledger
from skdeep.model_selection._trial import Goal, Outcome, run_trial

# Seconds to wait for trials that other processes run.
_WAIT = 0.2


@dataclass
class Loop:
    """Runs trials until there are enough.

    Parameters
    ----------
    ledger : Ledger
        The trials, and who runs them.
    drawing : Drawing
        What they try.
    task : Task
        What they have in common.
    goal : Goal
        The objectives.
    n_trials : int
        How many are to be done.
    until : float
        The time, by ``time.monotonic``, from which on none is begun.
    n_jobs : int or None
        Processes.
    callbacks : list of callable
        Called with the study and each trial of this process.
    progress : Silent
        What is shown.
    contexts : callable
        Gives the places of a trial's folds in what scikit-learn's callbacks are told.
    """

    ledger: Ledger
    drawing: Drawing
    task: Task
    goal: Goal
    n_trials: int
    until: float
    n_jobs: int | None
    callbacks: list[Callable]
    progress: Silent
    contexts: Callable[[], list | None]

    def run(self) -> dict[int, FrozenTrial]:
        """Run trials; return all that are done, by place."""
        width = effective_n_jobs(self.n_jobs)
        done = self.ledger.finished()
        with Parallel(n_jobs=self.n_jobs, return_as="generator_unordered") as parallel:
            while (missing := self._missing(done)) and not self._is_over(done):
                self._show(done)
                claimed = self.ledger.claim(missing, width)
                if claimed:
                    # Others may be ahead: what waited may be of a later batch.
                    self._run_batch(parallel, claimed, self.ledger.finished())
                else:
                    time.sleep(_WAIT)
                done = self.ledger.finished()
        self._show(done)
        return done

    def _missing(self, done: Mapping[int, FrozenTrial]) -> list[int]:
        """Return the places not done of the first batch that has such."""
        missing = [place for place in range(self.n_trials) if place not in done]
        return [p for p in missing if p // BATCH_SIZE == missing[0] // BATCH_SIZE]

    def _is_over(self, done: Mapping[int, FrozenTrial]) -> bool:
        # However short the time is, there is to be a result.
        is_late = bool(done) and time.monotonic() >= self.until
        return is_late or self.ledger.study.is_stopped

    def _run_batch(self, parallel, places: list[int], done) -> None:
        """Run some trials of a batch and write down what comes of each."""
        start = places[0] // BATCH_SIZE * BATCH_SIZE
        draws = self.drawing.batch(start, done)
        earlier = [done[place] for place in range(start)]
        jobs = (
            delayed(_run)(
                self.task,
                draws[place].params,
                self.goal,
                self.drawing.pruner,
                earlier,
                place,
                self.contexts(),
            )
            for place in places
        )
        for place, outcome in parallel(jobs):
            trial = self.ledger.finish(place, draws[place], outcome)
            if trial is not None:
                self._call_back(trial)
            self._show(self.ledger.finished())

    def _call_back(self, trial: FrozenTrial) -> None:
        for callback in self.callbacks:
            callback(self.ledger.study, trial)

    def _show(self, done: Mapping[int, FrozenTrial]) -> None:
        self.progress.update(len(done), _best(done, self.goal))


def _run(task, params, goal, pruner, earlier, place, contexts) -> tuple[int, Outcome]:
    """Run a trial; say which it was."""
    return place, run_trial(task, params, goal, pruner, earlier, place, contexts)


def _best(done: Mapping[int, FrozenTrial], goal: Goal) -> str:
    """Return the best score, or how many trials none other beats, in words."""
    complete = [t.values for t in done.values() if t.state == TrialState.COMPLETE]
    if not complete:
        return "no score yet"
    if not goal.is_single:
        return f"{len(complete)} with scores"
    best = max if goal.directions[0] == "maximize" else min
    return f"best score {best(complete)[0]:.4f}"
