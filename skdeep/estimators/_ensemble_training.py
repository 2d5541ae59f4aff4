"""Rounds of training of an ensemble: how many networks, and for how many epochs."""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skdeep.encoding import Features
from skdeep.training import HistoryCallbacks, SteppedTraining, Task

# Number of sets in the first round, and in each later one.
_N_FIRST, _N_MORE = 4, 2
# Number of epochs of a new set.
_N_EPOCHS = 36
# After half of them, a set ends whose loss is so many times that of the best one.
_HOPELESS = 1.35
# Further sets are trained if the loss of the average of the first ones is lower than
# that of the best one by this share, and as long as they lower it by this share.
_GAIN_OF_AVERAGE, _LEAST_GAIN = 0.05, 0.03
# If the validation loss of the best set falls by this factor in the second half of a
# cycle, longer training lowers it more than further sets.
_STEEP = 0.7
# Number of sets that are trained longer then, and for how many epochs. They are trained
# even longer if that lowers the loss of the average to less than this share.
_N_LONGER, _N_EPOCHS_LONGER, _MUCH_LOWER = 2, 112, 0.4
# With less time than for so many epochs of all sets of a round, it has fewer sets.
_FEWEST_EPOCHS = 8
# Seconds of training between two looks at the networks.
_LONGEST_WAIT = 1.0
# Number of epochs from which the speed is estimated if they are slower than others.
_N_RECENT = 3
# Share of the time limit that is kept for what cannot be predicted.
_MARGIN = 0.05


@dataclass(eq=False)
class NetworkSet:
    """Networks with the same hyperparameters and features, one for each fold.

    ``folds`` has the fold of each row, and ``held_out`` the prediction of each row by
    the network not trained on it.
    """

    hyperparameters: dict
    features: Features
    folds: np.ndarray
    tasks: list[Task]
    held_out: Any = None

    @functools.cached_property
    def work(self) -> float:
        """Approximate number of multiply-adds of an epoch."""
        return _work(self.tasks)

    @property
    def n_epochs(self) -> int:
        """Largest number of epochs of any network."""
        return max(len(task.state.history) for task in self.tasks)

    @property
    def valid_loss(self) -> float:
        """Mean of the last validation losses."""
        losses = [task.state.history[-1]["valid_loss"] for task in self.tasks]
        return float(np.mean(losses))

    @property
    def fall(self) -> float:
        """Validation loss at the end of the last cycle, as a share of its middle."""
        ratios = []
        for task in self.tasks:
            losses = [r["valid_loss"] for r in task.state.history[-task.state.n_iter :]]
            middle = losses[(len(losses) - 1) // 2]
            ratios.append(losses[-1] / middle if middle > 0 else 1.0)
        return float(np.median(ratios))

    def plan(self, n_epochs: int) -> None:
        """Let the next training have ``n_epochs`` epochs and its own schedule."""
        for task in self.tasks:
            is_first = not task.state.history
            patience = task.options.n_iter_no_change if is_first else n_epochs
            task.options = replace(
                task.options, max_iter=n_epochs, n_iter_no_change=patience
            )
            task.learner.options = None  # those of the task
            # A rising learning rate raises the loss before it falls again.
            task.state.stalled = 0


def _work(tasks: Iterable[Task]) -> float:
    """Return the approximate number of multiply-adds of an epoch."""
    return sum(len(task.train) * task.learner.module.work_per_row for task in tasks)


class Clock:
    """The time that a fit may take.

    Parameters
    ----------
    limit : float or None
        Seconds from now on; None for any time.
    """

    def __init__(self, limit: float | None):
        self._start = time.perf_counter()
        self.limit = math.inf if limit is None else float(limit)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return math.isfinite(self.limit)

    @property
    def is_early(self) -> bool:
        """Whether at most a tenth of the time has passed."""
        return self.elapsed <= 0.1 * self.limit

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._start

    @property
    def left(self) -> float:
        """Seconds that remain, without a margin."""
        return max(0.0, self.limit * (1 - _MARGIN) - self.elapsed)


@dataclass
class Pace:
    """Seconds that the parts of a fit take, as measured in a trial.

    Parameters
    ----------
    train, predict : float
        Seconds per multiply-add of an epoch, to train it and to predict afterwards the
        rows that networks were not trained on.
    select : float
        Seconds for each row and set, to select from several sets.
    row : float
        Seconds for each row of a set that is trained for an epoch.
    """

    train: float = 0.0
    predict: float = 0.0
    select: float = 0.0
    row: float = 0.0

    @classmethod
    def measure(
        cls,
        make_set: Callable[[], NetworkSet],
        predict_held_out: Callable[[NetworkSet], np.ndarray],
        select: Callable[[list[NetworkSet]], tuple[np.ndarray, float]],
        n_threads: int,
    ) -> Pace:
        """Measure the pace with a set of a few rows."""
        trial = make_set()
        trial.plan(2)
        with SteppedTraining(trial.tasks, n_threads) as training:
            training.run_epochs()  # allocates memory
            times = [time.perf_counter()]
            training.run_epochs()
            times.append(time.perf_counter())
        trial.held_out = predict_held_out(trial)
        times.append(time.perf_counter())
        select([trial, trial])
        times.append(time.perf_counter())
        train, predict, select_two = np.diff(times).tolist()
        n_rows, work = len(trial.folds), trial.work
        return cls(
            train / work,
            predict / work,
            select_two / (2 * n_rows),
            (train + predict) / n_rows,
        )


class Progress:
    """Records, prints and reports the epochs of an ensemble.

    Parameters
    ----------
    callbacks : sequence of skorch callbacks
        They are copied, if they can be.
    max_epochs : int
        Maximum number of epochs of all rounds.
    verbose : bool or int
        Whether to print a line for each epoch.

    Attributes
    ----------
    history : list of dict
        The records of the epochs.
    is_stopped : bool
        Whether a callback has stopped the training.
    """

    def __init__(self, callbacks: Sequence[Any], max_epochs: int, verbose):
        self.callbacks = [_copy_of(callback) for callback in callbacks]
        self._observer = HistoryCallbacks(self.callbacks, max_epochs, verbose)
        self._verbose = verbose
        self.history: list[dict[str, Any]] = []
        self.is_stopped = False

    def begin(self) -> None:
        """Begin the training."""
        self._observer.begin()

    @property
    def has_callbacks(self) -> bool:
        """Whether there are callbacks."""
        return bool(self.callbacks)

    def begin_epoch(self) -> None:
        """Tell the callbacks, if any, that an epoch begins."""
        if self.has_callbacks:
            self._observer.begin_epoch()

    def add_epoch(
        self, records: list[dict], n_round: int, duration: float, most_left: float
    ) -> None:
        """Add an epoch with these records of the networks.

        ``duration`` has the seconds that it took, and ``most_left`` an upper bound of
        the seconds that are left.
        """
        names = ("train_loss", "valid_loss", "valid_score", "learning_rate")
        means = {n: float(np.mean([record[n] for record in records])) for n in names}
        epoch = {"epoch": len(self.history) + 1, "round": n_round}
        record = epoch | {"n_active": len(records)} | means | {"duration": duration}
        self.history.append(record)
        if self._verbose:
            print(
                f"Iteration {record['epoch']}, {len(records)} networks, loss = "
                f"{record['train_loss']:.6f}, validation loss = "
                f"{record['valid_loss']:.6f}, at most {most_left:.1f} s left"
            )
        if self.has_callbacks:
            self.is_stopped = self._observer.end_epoch(record)

    def end_round(self, loss: float, n_sets: int) -> None:
        """Record the loss of the average after a round."""
        self.history[-1]["average_loss"] = loss
        if self._verbose:
            print(f"Average of {n_sets} sets: validation loss = {loss:.6f}")

    def end(self) -> None:
        """End the training."""
        self._observer.end()


def _copy_of(callback):
    """Return a copy of a callback, or the callback if it cannot be copied."""
    callback = callback[-1] if isinstance(callback, tuple) else callback
    try:
        return copy.deepcopy(callback)
    except Exception:  # open files and locks cannot be copied
        return callback


class Rounds:
    """Trains sets of networks in rounds, as long as they lower the loss of the average.

    The first round has several sets; those with a high loss end after half of it. If
    the validation loss of the best set still falls steeply at the end, the best sets
    are trained longer, and otherwise further sets are added.

    Parameters
    ----------
    new_sets : list of callable
        Each makes a set.
    predict_held_out : callable
        Returns the prediction of each row of a set by the network not trained on it.
    select : callable
        Returns the weights of sets in their best average, and its loss.
    max_iter : int
        Maximum number of epochs of a network.
    n_threads : int
        Number of threads.
    progress : Progress
        Told of all epochs.
    clock : Clock
        Has the time that is left.
    pace : Pace
        The speed, if the time is limited.

    Attributes
    ----------
    sets : list of NetworkSet
        The trained sets.
    weights : ndarray of shape (n_sets,)
        Their weights in the best average.
    loss : float
        Its loss.
    """

    def __init__(
        self,
        new_sets: list[Callable[..., NetworkSet]],
        predict_held_out: Callable[[NetworkSet], np.ndarray],
        select: Callable[[list[NetworkSet]], tuple[np.ndarray, float]],
        *,
        max_iter: int,
        n_threads: int,
        progress: Progress,
        clock: Clock,
        pace: Pace,
    ):
        self._new_sets = new_sets
        self._predict_held_out = predict_held_out
        self._select = select
        self._max_iter = max_iter
        self._n_threads = n_threads
        self._progress = progress
        self._clock = clock
        self.sets: list[NetworkSet] = []
        self._n_rounds = 0
        self.weights, self.loss = np.ones(0), math.inf
        self._pace = pace

    def run(self) -> None:
        """Train the sets."""
        self._progress.begin()
        first = self._make_sets(_N_FIRST, _FEWEST_EPOCHS)
        self._train(first, min(_N_EPOCHS, self._max_iter))
        if self._falls_steeply():
            self._train_longer()
        else:
            self._add_sets()
        self._progress.end()

    # -- which sets, and for how long --------------------------------------------------

    def _make_sets(self, count: int, n_epochs: int) -> list[NetworkSet]:
        """Return up to ``count`` new sets, as many as there is time for."""
        start = len(self.sets)
        made: list[NetworkSet] = []
        for make in self._new_sets[start : start + count]:
            # Before the next set is made, which takes time, the last one stands for it.
            last = [*self.sets, *made][-1:]
            if last and self._affordable(made + last, n_epochs) < n_epochs:
                break
            more = [*made, make()]
            if last and self._affordable(more, n_epochs) < n_epochs:
                break
            made = more
        return made

    def _falls_steeply(self) -> bool:
        """Return whether the best set would profit from longer training."""
        return bool(self.sets) and self._best(1)[0].fall < _STEEP

    def _best(self, count: int) -> list[NetworkSet]:
        """Return the sets with the lowest losses."""
        return sorted(self.sets, key=lambda each: self._select([each])[1])[:count]

    def _train_longer(self) -> None:
        """Train the best sets longer; the learning rate rises and falls again."""
        best, before = self._best(_N_LONGER), math.inf
        while self.loss < _MUCH_LOWER * before and not self._progress.is_stopped:
            n_done = max(each.n_epochs for each in best)
            n_epochs = min(_N_EPOCHS_LONGER, self._max_iter - n_done)
            if self._affordable(best, n_epochs) < _FEWEST_EPOCHS:
                return
            before = self.loss
            self._train(best, n_epochs)

    def _add_sets(self) -> None:
        """Add sets as long as they help, if averaging helps."""
        n_epochs = min(_N_EPOCHS, self._max_iter)
        before, least = self._select(self._best(1))[1], _GAIN_OF_AVERAGE
        while before - self.loss > least * before and not self._progress.is_stopped:
            more = self._make_sets(_N_MORE, n_epochs)
            if not more:
                return
            before, least = self.loss, _LEAST_GAIN
            self._train(more, n_epochs)

    # -- time --------------------------------------------------------------------------

    def _seconds_after(self, sets: list[NetworkSet]) -> float:
        """Return the seconds needed after the training of sets."""
        predicting = self._pace.predict * sum(each.work for each in sets)
        n_sets = len(self.sets) + len(sets)
        if n_sets == 1:
            return predicting
        return predicting + self._pace.select * len(sets[0].folds) * n_sets

    def _n_in_time(self, sets: list[NetworkSet], work: float) -> float:
        """Return for how many epochs with so much work there is time."""
        if not self._clock.is_limited or not work:
            return math.inf
        left = self._clock.left - self._seconds_after(sets)
        return max(0.0, left // (self._pace.train * work))

    def _affordable(self, sets: list[NetworkSet], n_epochs: int) -> int:
        """Return how many epochs there is time for: ``n_epochs`` or fewer."""
        # One epoch in any case: an ensemble needs a set.
        least = 0 if self.sets else 1
        possible = self._n_in_time(sets, sum(each.work for each in sets))
        return int(max(least, min(n_epochs, possible)))

    def _most_seconds_left(
        self, sets: list[NetworkSet], n_left: int, work: float
    ) -> float:
        """Estimate the longest time left, in a round with ``n_left`` epochs of work."""
        is_first, is_new = self._n_rounds == 1, sets[0] not in self.sets
        n_later = 0  # epochs of a set in later rounds
        if is_new:
            n_more = len(self._new_sets) - len(self.sets) - len(sets)
            n_later = n_more * min(_N_EPOCHS, self._max_iter)
        if is_first or not is_new:
            n_done = max(each.n_epochs for each in sets)
            n_longer = _N_LONGER * (self._max_iter - n_done - n_left)
            n_later = max(n_later, n_longer)
        work_of_set = sum(each.work for each in sets) / len(sets)
        seconds = self._pace.train * (work * n_left + work_of_set * n_later)
        return min(seconds, self._clock.left)

    def _train(self, sets: list[NetworkSet], n_wanted: int) -> None:
        """Train sets for some epochs, fewer if the time is short, and add them."""
        self._n_rounds += 1
        n_epochs = self._affordable(sets, n_wanted)
        for each in sets:
            each.plan(n_epochs)
        tasks = [task for each in sets for task in each.tasks]
        with SteppedTraining(tasks, self._n_threads) as training:
            self._train_epochs(training, sets, n_epochs, n_wanted)
            training.finish()
        for each in sets:
            each.held_out = self._predict_held_out(each)
        self.sets += [each for each in sets if each not in self.sets]
        self.weights, self.loss = self._select(self.sets)
        self._progress.end_round(self.loss, len(self.sets))

    def _train_epochs(
        self, training, sets: list[NetworkSet], n_epochs: int, n_wanted: int
    ) -> None:
        n_done, n_next = 0, 1
        paces: list[float] = []
        while n_done < n_epochs and training.active and not self._progress.is_stopped:
            self._progress.begin_epoch()
            active = training.active
            n_before = [len(task.state.history) for task in active]
            started = time.perf_counter()
            epochs = training.run_epochs(n_next)
            duration = time.perf_counter() - started
            n_done += len(epochs)
            # Networks may have ended in any of these epochs.
            done = sum(
                _work([task]) * (len(task.state.history) - n)
                for task, n in zip(active, n_before, strict=True)
            )
            paces += [duration / done] * len(epochs)
            # Other programs may have begun to compute.
            self._pace.train = float(max(np.mean(paces), np.mean(paces[-_N_RECENT:])))
            n_in_time = self._n_in_time(sets, _work(training.active))
            n_possible = min(n_wanted, n_done + n_in_time)
            # The schedule must end in time. Early on, it may be extended as well.
            is_early = n_done == 1 or 4 * n_done <= n_epochs
            if n_possible < n_epochs or (is_early and n_epochs < n_possible):
                n_epochs = int(n_possible)
                training.set_length(n_epochs)
            if n_done == n_epochs // 2:
                training.stop(self._tasks_without_promise(sets))
            work = _work(training.active)
            left = self._most_seconds_left(sets, n_epochs - n_done, work)
            for records in epochs:
                seconds = duration / len(epochs)
                self._progress.add_epoch(records, self._n_rounds, seconds, left)
            n_next = self._n_at_a_time(self._pace.train * work, n_done, n_epochs)

    def _n_at_a_time(self, seconds: float, n_done: int, n_epochs: int) -> int:
        """Return the number of epochs to train before looking at the networks.

        The result does not depend on it, unless a callback ends the training.
        """
        half = n_epochs // 2
        n_left = half - n_done if n_done < half else n_epochs - n_done
        if self._progress.has_callbacks or not seconds:
            return 1
        most = min(_LONGEST_WAIT, _MARGIN / 2 * self._clock.limit)
        return max(1, min(n_left, int(most / seconds)))

    def _tasks_without_promise(self, sets: list[NetworkSet]) -> list[Task]:
        """Return the tasks of the sets that are too bad for the average."""
        losses = [each.valid_loss for each in sets]
        best = min([*losses, *(each.valid_loss for each in self.sets)])
        return [
            task
            for each, loss in zip(sets, losses, strict=True)
            if loss > _HOPELESS * best
            for task in each.tasks
        ]
