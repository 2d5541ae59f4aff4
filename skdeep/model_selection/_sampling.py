"""What a trial tries and when it is given up, from the batches of trials before it.

Optuna's samplers and pruners look at the trials that happen to be finished. Here they
look at a study in memory that holds the trials of earlier batches alone, and begin from
a seed of the trial's own: what they answer does not depend on how many run at a time.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from skdeep.model_selection._search_space import Draw

#: Trials that are drawn together, knowing nothing of each other's scores.
BATCH_SIZE = 4

#: Epochs in which "median" gives no trial up: first scores tell of little but the
#: learning rate, and of that the wrong way.
N_WARM_UP = 4

SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "gp": optuna.samplers.GPSampler,
    "nsgaii": optuna.samplers.NSGAIISampler,
}
PRUNERS: dict[str, Callable] = {
    # One batch to compare with.
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=BATCH_SIZE),
    "hyperband": optuna.pruners.HyperbandPruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "none": optuna.pruners.NopPruner,
}

_lock = threading.Lock()
_depth = 0
_before = logging.INFO


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's log and its warnings of experiments to ourselves meanwhile."""
    global _depth, _before
    with _lock:
        if _depth == 0:
            _before = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.ERROR)
        _depth += 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                optuna.logging.set_verbosity(_before)


def make_sampler(given, seed: int) -> optuna.samplers.BaseSampler:
    """Return a sampler that begins at ``seed``, or the user's own as it is."""
    if isinstance(given, optuna.samplers.BaseSampler):
        return given
    if callable(given):
        try:
            sampler = given(seed)
        except Exception as error:
            error.add_note(f"It was raised by sampler, called with the seed {seed}.")
            raise
        if not isinstance(sampler, optuna.samplers.BaseSampler):
            raise TypeError(f"sampler(seed) must return a sampler, got {sampler!r}.")
        return sampler
    if given == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise ImportError("sampler='cmaes' needs the package cmaes.")
    return SAMPLERS[given or "tpe"](seed=seed)


def make_pruner(given) -> optuna.pruners.BasePruner:
    """Return a new pruner, or a copy of the user's own."""
    if isinstance(given, optuna.pruners.BasePruner):
        return copy.deepcopy(given)
    return PRUNERS[given or "none"]()


def seed_of(seed: int, place: int) -> int:
    """Return the seed of the trial at a place."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0])


def memory_study(directions, sampler=None, pruner=None, trials=()) -> optuna.Study:
    """Return a study in memory; its name is fixed since Hyperband looks at it."""
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        study_name="search",
        directions=directions,
        sampler=sampler or optuna.samplers.RandomSampler(),
        pruner=pruner or optuna.pruners.NopPruner(),
    )
    study.add_trials(trials)
    return study


def _placeholder() -> FrozenTrial:
    """Return a trial that says nothing, so that numbers are places."""
    return create_trial(state=TrialState.FAIL)


class Drawing:
    """Draws what the trials of a batch try.

    Parameters
    ----------
    space : TableSpace or CallableSpace
        What is searched.
    own : Draw
        The estimator's own parameters: what the first trial tries.
    sampler, pruner
        As the user gives them.
    directions : list of str
        "maximize" or "minimize" for each objective.
    seed : int
        Decides, with the place of a trial, what is drawn for it.
    """

    def __init__(self, space, own: Draw, sampler, pruner, directions, seed: int):
        self.space, self.own = space, own
        self.sampler, self.pruner = sampler, pruner
        self.directions, self.seed = directions, seed
        self._last: tuple[int, dict[int, Draw]] = (-1, {})
        self._notes: dict = {}

    def batch(self, start: int, earlier: Mapping[int, FrozenTrial]) -> dict[int, Draw]:
        """Return the draws of the batch that begins at place ``start``.

        ``earlier`` are the finished trials of all places before.
        """
        if self._last[0] != start:
            self._last = start, self._draw_all(start, earlier)
        return self._last[1]

    def _draw_all(self, start: int, earlier) -> dict[int, Draw]:
        history = [self._seen(earlier[place]) for place in range(start)]
        study = memory_study(
            self.directions, pruner=make_pruner(self.pruner), trials=history
        )
        storage, number = study._storage, study._study_id
        for name, value in self._notes.items():
            storage.set_study_system_attr(number, name, value)
        draws = {p: self._draw(study, p) for p in range(start, start + BATCH_SIZE)}
        if isinstance(self.sampler, optuna.samplers.BaseSampler):
            # A user's sampler finds what it wrote into the study of the last batch: a
            # quasi-random one counts its points there.
            self._notes = storage.get_study_system_attrs(number)
        return draws

    def _seen(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial as samplers see it: not at all if it lies out of the space.

        A trial that lacks a parameter would take it out of what TPE samples jointly.
        """
        return _placeholder() if trial.user_attrs.get("outside") else trial

    def _draw(self, study: optuna.Study, place: int) -> Draw:
        """Draw for one trial, which the next one of the batch sees running."""
        if place == 0:
            study.add_trial(self._running_own())
            return self.own
        study.sampler = make_sampler(self.sampler, seed_of(self.seed, place))
        trial = study.ask()
        params = self.space(trial)
        notes = study.get_trials(deepcopy=False)[trial.number].system_attrs
        return Draw(params, trial.params, trial.distributions, dict(notes))

    def _running_own(self) -> FrozenTrial:
        if self.own.outside:
            return _placeholder()
        return create_trial(
            state=TrialState.RUNNING,
            params=self.own.values,
            distributions=self.own.distributions,
        )


class Judge:
    """Says whether to give a trial up, knowing the trials of earlier batches.

    What a trial is worth after an epoch is its best score so far, since it may end
    there: pruners are shown that, of this trial and of the earlier ones. They would
    otherwise weigh its best epoch against any epoch of the others, and noise would
    keep what is no better.

    Parameters
    ----------
    pruner : str, pruner of Optuna or None
        As the user gives it.
    directions : list of str
        A single direction.
    earlier : list of FrozenTrial
        The trials of earlier batches, in order of place.
    place : int
        The trial's own.
    """

    def __init__(self, pruner, directions, earlier: list[FrozenTrial], place: int):
        self.pruner, self.directions = pruner, directions
        self.earlier, self.place = earlier, place
        self._n_warm_up = N_WARM_UP if pruner == "median" else 0
        self._better = np.fmax if directions[0] == "maximize" else np.fmin
        self._best = np.nan
        self._trial: optuna.Trial | None = None

    def gives_up(self, value: float, step: int, is_epoch: bool) -> bool:
        """Take note of a score; say whether the trial is worth no more."""
        if np.isnan(value):
            return False
        if self._trial is None:
            self._trial = self._ask(is_epoch)
        self._best = float(self._better(self._best, value))
        self._trial.report(self._best if is_epoch else value, step)
        if is_epoch and step < self._n_warm_up:
            return False
        return self._trial.should_prune()

    def _ask(self, is_epoch: bool) -> optuna.Trial:
        earlier = map(self._best_so_far, self.earlier) if is_epoch else self.earlier
        rest = [_placeholder() for _ in range(self.place - len(self.earlier))]
        study = memory_study(
            self.directions, pruner=make_pruner(self.pruner), trials=[*earlier, *rest]
        )
        return study.ask()

    def _best_so_far(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial that has reported its best score up to each epoch."""
        shown = copy.copy(trial)
        steps = sorted(trial.intermediate_values)
        values = np.array([trial.intermediate_values[step] for step in steps])
        best = self._better.accumulate(values).tolist()
        shown.intermediate_values = dict(zip(steps, best, strict=True))
        return shown
