"""Who runs which trial: places, claims, and processes that are dead.

The trials of a search have places, 0 to n_trials - 1. A place is free until a process
takes a trial that waits for it; whoever is killed leaves a trial that runs for ever,
which is failed and whose place is free again. So any number of processes, killed at any
moment, together do what one would have done.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress

import optuna
from optuna.distributions import distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from skdeep.model_selection._journal import StorageError
from skdeep.model_selection._processes import is_dead, this_process
from skdeep.model_selection._search_space import Draw, suggest
from skdeep.model_selection._storage import SearchStudy, checksum, damage, together
from skdeep.model_selection._trial import Outcome

# Seconds between two signs of life, and after how many without one a process is dead.
_BEAT = 20.0
_SILENCE = 120.0
# The same for a trial that has been taken, but not yet signed.
_UNSIGNED = 10.0

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}

# Searches that are going on in this process.
_active: set[str] = set()


class _Given(optuna.samplers.BaseSampler):
    """Writes down the values that have been drawn elsewhere."""

    def __init__(self):
        self.values: dict = {}

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self.values[param_name]


class Ledger:
    """The trials of a search, and who runs them.

    Parameters
    ----------
    study : SearchStudy
        Where they are written.
    """

    def __init__(self, study: SearchStudy):
        self.study = study
        self.token = uuid.uuid4().hex
        self._claims: dict[int, optuna.Trial] = {}
        self._seen: dict[int, tuple] = {}
        self._verified: set[int] = set()
        self._sampler = study.sampler = _Given()
        study.pruner = optuna.pruners.NopPruner()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self):
        _active.add(self.token)
        if not isinstance(self.study._storage, InMemoryStorage):
            self._thread.start()
        return self

    def __exit__(self, *error):
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        try:
            for trial in list(self._claims.values()):
                self._lose(trial.number)
            self._clear()
        except StorageError:
            if error[0] is None:  # else it has been told of
                raise
        finally:
            _active.discard(self.token)

    def finished(self) -> dict[int, FrozenTrial]:
        """Return the trial that counts for each place that is done, in their order."""
        found: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            # A process may be killed after it has written half of the outcome down.
            if trial.state == _STATES.get(str(trial.user_attrs.get("state"))):
                self._verify(trial)
                found.setdefault(trial.user_attrs["place"], trial)
        return dict(sorted(found.items()))

    def claim(self, places: Iterable[int], limit: int) -> list[int]:
        """Take up to ``limit`` of these places; return those that are now ours."""
        self._free_the_dead()
        open_to_all = self._queue(list(places))
        mine: list[int] = []
        for _ in range(min(limit, open_to_all)):
            place = self._take()
            if place is not None:
                mine.append(place)
        return sorted(mine)

    def finish(self, place: int, draw: Draw, outcome: Outcome) -> FrozenTrial | None:
        """Write down what came of a trial; None if it was thought dead meanwhile."""
        trial = self._claims.pop(place)
        try:
            with together(self.study._storage):
                self._write(trial, draw, outcome)
            told = self._tell(trial.number, outcome.values, _STATES[outcome.state])
        except UpdateFinishedTrialError:
            told = False
        return self._trials()[trial.number] if told else None

    def _write(self, trial: optuna.Trial, draw: Draw, outcome: Outcome) -> None:
        self._sampler.values = draw.values
        for name, distribution in draw.distributions.items():
            suggest(trial, name, distribution)
        for name, value in draw.system_attrs.items():
            trial.storage.set_trial_system_attr(trial._trial_id, name, value)
        for step, value in outcome.reports.items():
            trial.report(value, step)
        if draw.outside:
            trial.set_user_attr("outside", draw.outside)
        attrs = {"result": json.dumps(outcome.to_dict()), "state": outcome.state}
        for name, value in attrs.items():
            trial.set_user_attr(name, value)
        trial.set_user_attr(
            "check",
            _check(
                {**trial.user_attrs, **attrs},
                outcome.values,
                trial.params,
                trial.distributions,
                outcome.reports,
                draw.system_attrs,
            ),
        )

    def _tell(self, number: int, values, state: TrialState) -> bool:
        """End a trial; say whether it was ours to end."""
        try:
            self.study.tell(number, values, state=state)
        except (ValueError, UpdateFinishedTrialError):
            if self._trials()[number].state.is_finished():
                return False
            raise
        return True

    def _verify(self, trial: FrozenTrial) -> None:
        """Refuse a finished trial that is not what was written when it ended."""
        if trial.number in self._verified:
            return
        attrs = trial.user_attrs
        try:
            found = _check(
                attrs,
                trial.values,
                trial.params,
                trial.distributions,
                trial.intermediate_values,
                trial.system_attrs,
            )
        except (TypeError, ValueError):  # a value that its distribution does not have
            found = ""
        # Trials of earlier releases have no check.
        check = attrs.get("check", found)
        if not found or check != found or not {"place", "result"} <= set(attrs):
            what = f"trial {trial.number} of the study {self.study.study_name!r}"
            raise damage(self.study._storage, what)
        self._verified.add(trial.number)

    def _lose(self, number: int) -> None:
        """End a trial that came to nothing."""
        self._tell(number, None, TrialState.FAIL)

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _queue(self, places: list[int]) -> int:
        """Let trials wait for places that nobody has; return how many wait."""
        trials = [t for t in self._trials() if not t.state.is_finished()]
        taken = {trial.user_attrs.get("place") for trial in trials}
        for place in places:
            if place not in taken:
                self.study.enqueue_trial({}, user_attrs={"place": place})
        return sum(t.state == TrialState.WAITING for t in self._trials())

    def _clear(self) -> None:
        """End what waits for a place that is done: two processes may have queued it."""
        done = self.finished()
        for trial in self._trials():
            is_idle = trial.state == TrialState.WAITING
            if is_idle and trial.user_attrs.get("place") in done:
                with suppress(UpdateFinishedTrialError):
                    self.study._storage.set_trial_state_values(
                        trial._trial_id, TrialState.FAIL
                    )

    def _take(self) -> int | None:
        """Take the first trial that waits; None if somebody else was quicker."""
        trial = self.study.ask()
        place = trial.user_attrs.get("place")
        if place is None or place in self.finished() or self._runs(place, trial.number):
            self._lose(trial.number)
            return None
        trial.set_user_attr("owner", {**this_process(), "token": self.token})
        self._claims[place] = trial
        return place

    def _runs(self, place: int, number: int) -> bool:
        """Say whether an earlier trial runs for a place already."""
        return any(
            t.state == TrialState.RUNNING and t.user_attrs.get("place") == place
            for t in self._trials()[:number]
        )

    def _free_the_dead(self) -> None:
        """Fail the trials of processes that are no more."""
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and self._is_dead(trial):
                self._lose(trial.number)

    def _is_dead(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get("owner")
        if isinstance(owner, dict):
            if this_process().items() <= owner.items():
                return owner.get("token") not in _active
            dead = is_dead(owner)
            if dead is not None:
                return dead
        sign = trial.user_attrs.get("beat"), owner is None
        now = time.monotonic()
        last, since = self._seen.get(trial.number, (None, now))
        if last != sign:
            since = now
        self._seen[trial.number] = sign, since
        return now - since > (_UNSIGNED if owner is None else _SILENCE)

    def _beat(self) -> None:
        """Give a sign of life for every trial that is ours, for those elsewhere."""
        count = 0
        while not self._end.wait(_BEAT):
            count += 1
            for trial in list(self._claims.values()):
                # The search itself meets a storage that fails.
                with suppress(StorageError, UpdateFinishedTrialError):
                    trial.set_user_attr("beat", count)


def _check(attrs: dict, values, params, distributions, reports, notes) -> str:
    """Return a checksum of all that is read of a finished trial."""
    return checksum(
        [
            [attrs.get(name) for name in ("place", "state", "result", "outside")],
            values if attrs.get("state") == "complete" else None,
            {
                name: [distribution_to_json(d), float(d.to_internal_repr(params[name]))]
                for name, d in distributions.items()
            },
            {str(step): float(value) for step, value in reports.items()},
            {name: note for name, note in notes.items() if name != "fixed_params"},
        ]
    )
