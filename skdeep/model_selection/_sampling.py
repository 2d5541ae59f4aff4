"""Sampling and pruning that depend only on earlier batches of trials.

Optuna's samplers and pruners use all trials that happen to be finished. Here each trial
gets a study in memory that holds the trials of earlier batches only, and a seed of its
own. Therefore the results do not depend on how many trials run in parallel.
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

from skdeep.model_selection._optuna_import import SAMPLERS
from skdeep.model_selection._search_space import Suggestion

#: Trials that are sampled together, without the scores of the others.
BATCH_SIZE = 4

#: Epochs before "median" prunes: early scores reflect mainly the learning rate, and
#: favor rates that are too high.
N_WARM_UP = 4

_PRUNER_FACTORIES: dict[str, Callable] = {
    # The first batch has no earlier trials to be compared with.
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=BATCH_SIZE),
    "hyperband": optuna.pruners.HyperbandPruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "none": optuna.pruners.NopPruner,
}

_lock = threading.Lock()
_depth = 0
_before = logging.INFO


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log and its warnings about experimental features."""
    global _depth, _before
    with _lock:
        if _depth == 0:
            _before = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.ERROR)
        # Verbosity is process-wide. With nested and concurrent searches, only the
        # outermost one restores it.
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
    """Return a new sampler with a seed, or the user's sampler."""
    if isinstance(given, optuna.samplers.BaseSampler):
        return given
    if callable(given):
        try:
            sampler = given(seed)
        except Exception as error:
            error.add_note(f"Raised by sampler, called with the seed {seed}.")
            raise
        if not isinstance(sampler, optuna.samplers.BaseSampler):
            raise TypeError(
                f"sampler(seed) must return an Optuna sampler, got {sampler!r}."
            )
        return sampler
    if given == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise ImportError("sampler='cmaes' needs cmaes: pip install cmaes")
    return getattr(optuna.samplers, SAMPLERS[given or "tpe"])(seed=seed)


def make_pruner(given) -> optuna.pruners.BasePruner:
    """Return a new pruner, or a copy of the user's pruner."""
    if isinstance(given, optuna.pruners.BasePruner):
        return copy.deepcopy(given)
    return _PRUNER_FACTORIES[given or "none"]()


def trial_seed(seed: int, position: int) -> int:
    """Return the seed of a trial."""
    return int(np.random.SeedSequence([seed, position]).generate_state(1)[0])


def memory_study(directions, sampler=None, pruner=None, trials=()) -> optuna.Study:
    """Return a study in memory. Its name is fixed, because Hyperband depends on it."""
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
    """Return an uninformative trial, which keeps trial numbers equal to positions."""
    return create_trial(state=TrialState.FAIL)


class TrialSampler:
    """Samples the parameters of the trials of a batch.

    Parameters
    ----------
    space : DictSpace or CallableSpace
        The search space.
    initial : Suggestion
        The estimator's current parameters, which the first trial uses.
    sampler, pruner
        Parameters of the search.
    directions : list of str
        "maximize" or "minimize" for each objective.
    seed : int
        Seed of the search.
    """

    def __init__(
        self, space, initial: Suggestion, sampler, pruner, directions, seed: int
    ):
        self.space, self.initial = space, initial
        self.sampler, self.pruner = sampler, pruner
        self.directions, self.seed = directions, seed
        self._last: tuple[int, dict[int, Suggestion]] = (-1, {})
        self._study_attrs: dict = {}

    def batch(
        self, start: int, earlier: Mapping[int, FrozenTrial]
    ) -> dict[int, Suggestion]:
        """Return the suggestions for the batch that begins at position ``start``.

        ``earlier`` are the finished trials of all positions before it.
        """
        if self._last[0] != start:
            self._last = start, self._suggest_all(start, earlier)
        return self._last[1]

    def _suggest_all(self, start: int, earlier) -> dict[int, Suggestion]:
        history = [
            self._replace_if_outside(earlier[position]) for position in range(start)
        ]
        study = memory_study(
            self.directions, pruner=make_pruner(self.pruner), trials=history
        )
        storage, number = study._storage, study._study_id
        for name, value in self._study_attrs.items():
            storage.set_study_system_attr(number, name, value)
        draws = {p: self._suggest(study, p) for p in range(start, start + BATCH_SIZE)}
        if isinstance(self.sampler, optuna.samplers.BaseSampler):
            # A user's sampler may keep state in the study: the quasi-random one counts
            # its points there.
            self._study_attrs = storage.get_study_system_attrs(number)
        return draws

    def _replace_if_outside(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial for the sampler's history.

        A trial that lacks a parameter would exclude it from TPE's joint sampling, so
        trials outside the space become placeholders.
        """
        return _placeholder() if trial.user_attrs.get("outside") else trial

    def _suggest(self, study: optuna.Study, position: int) -> Suggestion:
        """Sample for one trial; it is then running for the next trials of the batch."""
        if position == 0:
            study.add_trial(self._running_initial_trial())
            return self.initial
        # A sampler per trial: a shared one would depend on the order of the calls.
        study.sampler = make_sampler(self.sampler, trial_seed(self.seed, position))
        trial = study.ask()
        params = self.space(trial)
        notes = study.get_trials(deepcopy=False)[trial.number].system_attrs
        return Suggestion(params, trial.params, trial.distributions, dict(notes))

    def _running_initial_trial(self) -> FrozenTrial:
        if self.initial.outside:
            return _placeholder()
        return create_trial(
            state=TrialState.RUNNING,
            params=self.initial.values,
            distributions=self.initial.distributions,
        )


class TrialPruner:
    """Decides whether to prune a trial, from the trials of earlier batches.

    A trial is worth its best epoch, so pruners see the best score up to each epoch, for
    this trial and earlier ones. With the scores themselves they would compare the best
    epoch of this trial with single epochs of others, and noise would keep bad trials
    alive.

    Parameters
    ----------
    pruner : str, Optuna pruner or None
        Parameter of the search.
    directions : list of str
        A single direction.
    earlier : list of FrozenTrial
        The trials of earlier batches, in order.
    position : int
        Position of the trial.
    """

    def __init__(self, pruner, directions, earlier: list[FrozenTrial], position: int):
        self.pruner, self.directions = pruner, directions
        self.earlier, self.position = earlier, position
        self._n_warm_up = N_WARM_UP if pruner == "median" else 0
        self._better = np.fmax if directions[0] == "maximize" else np.fmin
        self._best = np.nan
        self._trial: optuna.Trial | None = None

    def should_prune(self, value: float, step: int, is_epoch: bool) -> bool:
        """Record a score and return whether to prune the trial."""
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
        rest = [_placeholder() for _ in range(self.position - len(self.earlier))]
        study = memory_study(
            self.directions, pruner=make_pruner(self.pruner), trials=[*earlier, *rest]
        )
        return study.ask()

    def _best_so_far(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a copy of a trial that reports its best score up to each epoch."""
        shown = copy.copy(trial)
        steps = sorted(trial.intermediate_values)
        values = np.array([trial.intermediate_values[step] for step in steps])
        best = self._better.accumulate(values).tolist()
        shown.intermediate_values = dict(zip(steps, best, strict=True))
        return shown
