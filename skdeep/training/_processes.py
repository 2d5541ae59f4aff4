"""Jobs of a parallel call, divided among processes.

Each process runs its jobs in threads and trains their fits as populations of its own.
The threads of one process share one interpreter lock, which everything outside the
arithmetic of training needs: copying, checking, scaling and scoring.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from joblib.externals.loky.process_executor import TerminatedWorkerError

from skdeep.training._scheduler import Cancelled, Job, ParallelCall, PopulationScheduler

# A process is used for each of so many jobs. With fewer, the gain would be small.
JOBS_PER_PROCESS = 16
# Smallest number of jobs that a process takes at a time.
_FEWEST_PER_BUNDLE = 8
# Rough seconds of a job outside training, which one process does one after the other.
_SECONDS_PER_JOB = 0.007
# Rough multiply-adds per second of training, and the share of the time that is saved
# when the threads of a process do not wait for each other's interpreter lock.
_WORK_PER_SECOND = 1e10
_SAVED_SHARE = 0.1
# Seconds that several processes must save. Starting them takes as long, once.
_LEAST_SAVING = 2.5
# Worker processes that are running answer much sooner.
_SECONDS_TO_ANSWER = 0.25

Outcome = tuple[Any, BaseException | None]


def is_worth_sharing(n_jobs: int, work: int, n_processes: int) -> bool:
    """Return whether jobs of ``work`` multiply-adds each are worth several processes.

    The time is estimated, not measured: the same call is always shared, or never, since
    populations of other sizes give results that differ in the last digits.
    """
    one_by_one = n_jobs * _SECONDS_PER_JOB
    training = n_jobs * work / _WORK_PER_SECOND / n_processes
    saved = one_by_one * (1 - 1 / n_processes) + _SAVED_SHARE * training
    return saved > _LEAST_SAVING


class SharedJobs:
    """Jobs of one call, shared among worker processes.

    The jobs are divided into bundles. Each worker process takes the next bundle when
    it has completed one. While worker processes are starting, which takes seconds, this
    process runs bundles, too. Which process runs a bundle does not change its results.

    Parameters
    ----------
    jobs : list of Job
        The jobs.
    workers : joblib backend
        Backend that submits functions to worker processes.
    n_processes : int
        Number of worker processes.
    n_threads : int
        Number of threads of each process.
    memory_budget : int
        Memory in bytes that waiting fits of all processes may use.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        workers: Any,
        n_processes: int,
        n_threads: int,
        memory_budget: int,
    ):
        size = max(_FEWEST_PER_BUNDLE, -(-len(jobs) // (2 * n_processes)))
        self._size = min(size, -(-len(jobs) // n_processes))
        starts = range(0, len(jobs), self._size)
        self._bundles = deque(jobs[start : start + self._size] for start in starts)
        self._n_left = len(self._bundles)
        self._late: list[Job] = []
        self._returned: deque[Sequence[Job]] = deque()
        self._workers, self._n_processes = workers, n_processes
        # Worker processes that are not running yet, and bundles at those that are.
        self._n_starting, self._n_sent = n_processes, 0
        self._settings = (n_threads, memory_budget // n_processes)
        self._filters: list[Any] = list(warnings.filters)
        self._scheduler = PopulationScheduler(*self._settings)
        self._call: ParallelCall | None = None
        self._is_cancelled = False
        # Guards the bundles, their numbers and the call; notified when they change.
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._work_here, name="skdeep", daemon=True
        )

    def start(self) -> None:
        """Start the thread of this process and the worker processes."""
        self._thread.start()
        for _ in range(self._n_processes):
            self._workers.submit(_get_ready, self._set_ready)

    def add(self, job: Job) -> None:
        """Add a job, in the callback of another one."""
        with self._changed:
            self._late.append(job)
            if len(self._late) == self._size:
                self._append_late()
                self._send_bundles()

    def _append_late(self) -> None:
        """Make a bundle of the added jobs. The caller holds the lock."""
        if self._late and not self._is_cancelled:
            self._bundles.append(self._late)
            self._n_left += 1
            self._late = []
            self._changed.notify_all()

    def cancel(self) -> None:
        """Cancel the jobs: those of other processes end with the processes."""
        with self._changed:
            self._is_cancelled = True
            self._bundles.clear()
            self._returned.clear()
            self._changed.notify_all()
            call = self._call
        if call is not None:
            self._scheduler.cancel_call(call)

    def join(self) -> None:
        """Wait for the thread that runs jobs in this process."""
        self._thread.join()

    # -- this process ------------------------------------------------------------------

    def _work_here(self) -> None:
        while (bundle := self._wait_for_bundle()) is not None:
            try:
                _run_jobs(self._scheduler, bundle, self._set_call)
            except BaseException as error:
                # Without a thread no job has run. One of them reports the error.
                bundle[-1].error = error
                bundle[-1].callback(bundle[-1])
            self._complete()

    def _wait_for_bundle(self) -> Sequence[Job] | None:
        """Return the next bundle for this process, or None if there is no other."""
        with self._changed:
            self._changed.wait_for(lambda: not self._n_starting, _SECONDS_TO_ANSWER)
            while self._n_left and not self._is_cancelled:
                if self._returned:
                    return self._returned.popleft()
                if self._bundles and self._n_starting:
                    return self._bundles.popleft()
                self._changed.wait()
        return None

    def _set_call(self, call: ParallelCall) -> None:
        with self._changed:
            self._call = call
            is_cancelled = self._is_cancelled
        if is_cancelled:
            self._scheduler.cancel_call(call)

    def _complete(self) -> None:
        with self._changed:
            self._n_left -= 1
            if not self._n_left:
                self._append_late()
            self._changed.notify_all()
        self._send_bundles()

    # -- worker processes --------------------------------------------------------------

    def _set_ready(self, future: Any) -> None:
        """Note that a worker process has started; give it work."""
        with self._changed:
            self._n_starting -= future.exception() is None
            self._changed.notify_all()
        self._send_bundles()

    def _send_bundles(self) -> None:
        """Send a bundle, if there are any, to each running process without one."""
        with self._changed:
            n_running = self._n_processes - self._n_starting
            while self._bundles and self._n_sent < n_running:
                bundle = self._bundles.popleft()
                functions = [job.function for job in bundle]
                task = functools.partial(
                    _run_in_worker, functions, self._filters, *self._settings
                )
                self._n_sent += 1
                try:
                    self._workers.submit(task, functools.partial(self._receive, bundle))
                except RuntimeError:  # a worker process has died
                    self._n_sent -= 1
                    self._return(bundle)

    def _receive(self, bundle: Sequence[Job], future: Any) -> None:
        """Take the results of a bundle from a worker process."""
        with self._changed:
            self._n_sent -= 1
        try:
            outcomes = future.result()
        except TerminatedWorkerError as error:
            # Killed, perhaps for want of memory: do not try it here.
            outcomes = [(None, error)] * len(bundle)
        except BaseException:
            # The functions or their results cannot be pickled or unpickled.
            self._return(bundle)
            self._send_bundles()
            return
        for job, outcome in zip(bundle, outcomes, strict=True):
            job.result, job.error = outcome
            if not isinstance(job.error, Cancelled):
                job.callback(job)
        self._complete()

    def _return(self, bundle: Sequence[Job]) -> None:
        """Leave a bundle to this process."""
        with self._changed:
            if not self._is_cancelled:
                self._returned.append(bundle)
            self._changed.notify_all()


def _get_ready() -> None:
    """Do nothing: a worker process that has run this has imported skdeep."""


def _run_jobs(
    scheduler: PopulationScheduler,
    jobs: Sequence[Job],
    announce: Callable[[ParallelCall], None] = lambda call: None,
) -> None:
    """Run jobs as one call of a scheduler and wait for their ends."""
    call = scheduler.start_call(len(jobs))
    announce(call)
    try:
        for job in jobs:
            scheduler.submit(call, job.function, functools.partial(_hand_over, job))
    finally:
        scheduler.end_call(call)


def _hand_over(job: Job, run: Job) -> None:
    """Copy the outcome of a job that a scheduler has run, and call its callback."""
    job.result, job.error = run.result, run.error
    job.callback(job)


def _run_in_worker(
    functions: Sequence[Callable[[], Any]],
    filters: list[Any],
    n_threads: int,
    memory_budget: int,
) -> list[Outcome]:
    """Run functions in a worker process; return their results and errors.

    ``filters`` are the warning filters of the caller. scikit-learn sets them for each
    job, but jobs in several threads restore them in the wrong order.
    """
    scheduler = PopulationScheduler(n_threads, memory_budget)
    calls: list[ParallelCall] = []

    def end(job: Job) -> None:
        if job.error is not None:
            # The caller raises the error: the other jobs need not go on.
            scheduler.cancel_call(calls[0])

    jobs = [Job(function, end, (i,)) for i, function in enumerate(functions)]
    with warnings.catch_warnings():
        # In the copy that `catch_warnings` has made, although its declared type is
        # read-only.
        warnings.filters[:] = filters  # type: ignore[index]
        _run_jobs(scheduler, jobs, calls.append)
    return [(job.result, job.error) for job in jobs]
