"""The ledger of trials: which process runs which trial, and which processes are dead.

The trials of a search have positions 0 to n_trials - 1. A position is free until a
process claims a waiting trial for it. A process that is killed leaves a trial that
seems to run forever; it is failed, and its position becomes free again. So any number
of processes, killed at any time, together do the work of a single one.
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
from skdeep.model_selection._search_space import Suggestion, suggest
from skdeep.model_selection._storage import (
    SearchStudy,
    batch_writes,
    checksum,
    corruption_error,
)
from skdeep.model_selection._trial import TrialOutcome

# Seconds between heartbeats, and seconds without one after which a process counts as
# dead.
_HEARTBEAT_INTERVAL = 20.0
_HEARTBEAT_TIMEOUT = 120.0
# The same for a trial that is running but has no owner yet: a process may be killed
# between the two writes.
_NO_OWNER_TIMEOUT = 10.0

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}

# Tokens of the searches that are running in this process.
_active: set[str] = set()


class _FixedValues(optuna.samplers.BaseSampler):
    """A sampler that records values sampled elsewhere."""

    def __init__(self):
        self.values: dict = {}

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self.values[param_name]


class TrialLedger:
    """The trials of a search and the processes that run them.

    Parameters
    ----------
    study : SearchStudy
        Where the trials are stored.
    """

    def __init__(self, study: SearchStudy):
        self.study = study
        self.token = uuid.uuid4().hex
        self._claims: dict[int, optuna.Trial] = {}
        self._seen: dict[int, tuple] = {}
        self._verified: set[int] = set()
        # Parameters are sampled by TrialSampler; the study only records them.
        self._sampler = study.sampler = _FixedValues()
        study.pruner = optuna.pruners.NopPruner()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, daemon=True)

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
                self._fail(trial.number)
            self._fail_superfluous()
        except StorageError:
            if error[0] is None:  # otherwise the earlier error is the one to raise
                raise
        finally:
            _active.discard(self.token)

    def finished(self) -> dict[int, FrozenTrial]:
        """Return the finished trial of each position, in order."""
        found: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            # The attribute "state" is written last but one, before the state itself. A
            # trial without it comes from a process that was killed while writing.
            if trial.state == _STATES.get(str(trial.user_attrs.get("state"))):
                self._verify(trial)
                # "place" is the stored name of the position. If two processes have run
                # the same position, the first trial counts.
                found.setdefault(trial.user_attrs["place"], trial)
        return dict(sorted(found.items()))

    def claim(self, positions: Iterable[int], limit: int) -> list[int]:
        """Claim up to ``limit`` of these positions; return those claimed."""
        self._fail_dead_trials()
        n_waiting = self._enqueue(list(positions))
        claimed: list[int] = []
        for _ in range(min(limit, n_waiting)):
            position = self._claim_waiting()
            if position is not None:
                claimed.append(position)
        return sorted(claimed)

    def finish(
        self, position: int, suggestion: Suggestion, outcome: TrialOutcome
    ) -> FrozenTrial | None:
        """Store the outcome of a trial; return None if another process failed it."""
        trial = self._claims.pop(position)
        try:
            with batch_writes(self.study._storage):
                self._write(trial, suggestion, outcome)
            is_ours = self._finish_trial(
                trial.number, outcome.values, _STATES[outcome.state]
            )
        except UpdateFinishedTrialError:
            is_ours = False
        return self._trials()[trial.number] if is_ours else None

    def _write(
        self, trial: optuna.Trial, suggestion: Suggestion, outcome: TrialOutcome
    ) -> None:
        self._sampler.values = suggestion.values
        for name, distribution in suggestion.distributions.items():
            suggest(trial, name, distribution)
        for name, value in suggestion.system_attrs.items():
            trial.storage.set_trial_system_attr(trial._trial_id, name, value)
        for step, value in outcome.reports.items():
            trial.report(value, step)
        if suggestion.outside:
            trial.set_user_attr("outside", suggestion.outside)
        attrs = {"result": json.dumps(outcome.to_dict()), "state": outcome.state}
        for name, value in attrs.items():
            trial.set_user_attr(name, value)
        trial.set_user_attr(
            "check",
            _trial_checksum(
                {**trial.user_attrs, **attrs},
                outcome.values,
                trial.params,
                trial.distributions,
                outcome.reports,
                suggestion.system_attrs,
            ),
        )

    def _finish_trial(self, number: int, values, state: TrialState) -> bool:
        """End a trial; return False if another process has ended it."""
        try:
            self.study.tell(number, values, state=state)
        except (ValueError, UpdateFinishedTrialError):
            if self._trials()[number].state.is_finished():
                return False
            raise
        return True

    def _verify(self, trial: FrozenTrial) -> None:
        """Raise if a finished trial has changed since it was written."""
        if trial.number in self._verified:
            return
        attrs = trial.user_attrs
        try:
            found = _trial_checksum(
                attrs,
                trial.values,
                trial.params,
                trial.distributions,
                trial.intermediate_values,
                trial.system_attrs,
            )
        except (TypeError, ValueError):  # a value outside its distribution
            found = ""
        # Trials of earlier releases have no checksum.
        check = attrs.get("check", found)
        if not found or check != found or not {"place", "result"} <= set(attrs):
            what = f"trial {trial.number} of the study {self.study.study_name!r}"
            raise corruption_error(self.study._storage, what)
        self._verified.add(trial.number)

    def _fail(self, number: int) -> None:
        """End a trial as failed."""
        self._finish_trial(number, None, TrialState.FAIL)

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _enqueue(self, positions: list[int]) -> int:
        """Enqueue a trial for each free position; return how many trials wait."""
        trials = [t for t in self._trials() if not t.state.is_finished()]
        taken = {trial.user_attrs.get("place") for trial in trials}
        for position in positions:
            if position not in taken:
                self.study.enqueue_trial({}, user_attrs={"place": position})
        return sum(t.state == TrialState.WAITING for t in self._trials())

    def _fail_superfluous(self) -> None:
        """Fail waiting trials whose position is done.

        Two processes may have enqueued the same position.
        """
        done = self.finished()
        for trial in self._trials():
            is_idle = trial.state == TrialState.WAITING
            if is_idle and trial.user_attrs.get("place") in done:
                with suppress(UpdateFinishedTrialError):
                    self.study._storage.set_trial_state_values(
                        trial._trial_id, TrialState.FAIL
                    )

    def _claim_waiting(self) -> int | None:
        """Claim the first waiting trial; return None if its position is taken."""
        trial = self.study.ask()
        position = trial.user_attrs.get("place")
        if (
            position is None
            or position in self.finished()
            or self._is_running(position, trial.number)
        ):
            self._fail(trial.number)
            return None
        trial.set_user_attr("owner", {**this_process(), "token": self.token})
        self._claims[position] = trial
        return position

    def _is_running(self, position: int, number: int) -> bool:
        """Return whether an earlier trial is running for a position."""
        return any(
            t.state == TrialState.RUNNING and t.user_attrs.get("place") == position
            for t in self._trials()[:number]
        )

    def _fail_dead_trials(self) -> None:
        """Fail the running trials of dead processes."""
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and self._is_dead(trial):
                self._fail(trial.number)

    def _is_dead(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get("owner")
        if isinstance(owner, dict):
            if this_process().items() <= owner.items():
                return owner.get("token") not in _active
            dead = is_dead(owner)
            if dead is not None:
                return dead
        sign = trial.user_attrs.get("beat"), owner is None
        # Clocks of machines differ, so changes of heartbeats are timed on this clock.
        now = time.monotonic()
        last, since = self._seen.get(trial.number, (None, now))
        if last != sign:
            since = now
        self._seen[trial.number] = sign, since
        return now - since > (
            _NO_OWNER_TIMEOUT if owner is None else _HEARTBEAT_TIMEOUT
        )

    def _send_heartbeats(self) -> None:
        """Write heartbeats for our trials, for processes on other machines."""
        count = 0
        while not self._end.wait(_HEARTBEAT_INTERVAL):
            count += 1
            for trial in list(self._claims.values()):
                # A failing storage raises in the search itself.
                with suppress(StorageError, UpdateFinishedTrialError):
                    trial.set_user_attr("beat", count)


def _trial_checksum(attrs: dict, values, params, distributions, reports, notes) -> str:
    """Return a checksum of everything that is read from a finished trial."""
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
