"""Scheduler that collects fits from many threads and trains them as populations.

Each job of a parallel call runs in its own thread. When a job reaches the epochs of a
fit, its thread submits the fit and waits. As soon as no other thread can submit a fit,
one of the waiting threads trains all submitted fits as one population, and every thread
continues with its own job. The jobs need not know about each other: this works for the
candidates of a search, each fitted inside its own Pipeline.

In the jobs of scikit-learn and skdeep, such as those of a search, the first predictions
of the trained networks are collected in the same way. Jobs of users may do anything
between fit and predict, so that it could take long to wait for all of them.

At most ``n_workers`` threads compute at any time, one per core. The other threads wait
for a core, for memory, for the result of a fit, or for a nested parallel call.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from skdeep.training._device import holds_generators, on_threads
from skdeep.training._epochs import Fit
from skdeep.training._population import run_population
from skdeep.training._shared_arrays import Array, SharedArrays
from skdeep.training._stacked_inference import Prediction, predict_together

# Number of copies of its inputs that a waiting fit is assumed to keep in memory: the
# rows of its fold, the output of the Pipeline, and one copy as a margin.
_INPUT_COPIES = 3

# Seconds without computation after which busy threads are taken to be blocked. Up to
# this share of the time is spent by waiting itself: joblib asks for results.
_PATIENCE, _IDLE_SHARE = 1.0, 0.1

# Per thread: ``running``, the job that the thread runs, and ``dispatching``, the calls
# that the thread has started and does not wait for yet.
_thread_state = threading.local()


def current_scheduler() -> PopulationScheduler | None:
    """Return the scheduler to which the calling thread may submit its fit, if any."""
    running: _RunningJob | None = getattr(_thread_state, "running", None)
    # A thread waiting on its own nested call already counts as idle. A thread that
    # holds the lock of torch's global generators blocks the threads that need it, so
    # waiting for their fits would be a deadlock.
    if running is None or running.awaited or holds_generators():
        return None
    return running.call.scheduler


def running_scheduler() -> PopulationScheduler | None:
    """Return the scheduler of the job that the calling thread runs, if any."""
    running: _RunningJob | None = getattr(_thread_state, "running", None)
    return None if running is None else running.call.scheduler


def check_once(array: Array, check: Callable[[Array], bool]) -> Array | None:
    """Return an array if ``check`` returns True for it, otherwise None.

    In a job, the result may be an equal array that the check of another job has passed.
    """
    running: _RunningJob | None = getattr(_thread_state, "running", None)
    if running is None or not running.may_share:
        return array if check(array) else None
    return running.call.scheduler.arrays.checked(array, check)


class Cancelled(BaseException):
    """Raised in a thread whose parallel call was cancelled."""


# The call whose job runs. A job that starts threads of its own may copy its context.
_current_call: contextvars.ContextVar[ParallelCall | None] = contextvars.ContextVar(
    "_current_call", default=None
)


def check_cancelled() -> None:
    """Raise ``Cancelled`` in a job, or a thread of it, whose call was cancelled."""
    call = _current_call.get()
    if call is not None and call.is_cancelled:
        raise Cancelled


@dataclass
class Job:
    """A function to run in a thread, and its result.

    Parameters
    ----------
    function : callable
        Function without arguments.
    callback : callable
        Called with the job when the function has returned or raised.
    position : tuple of int
        Position in the order of all jobs: the indices of the enclosing jobs in their
        calls, from the outermost call inwards, then the index of this job.
    result : object
        Return value of the function.
    error : BaseException or None
        Exception that the function raised.
    """

    function: Callable[[], Any]
    callback: Callable[[Job], None]
    position: tuple[int, ...] = ()
    result: Any = None
    error: BaseException | None = None


@dataclass
class ParallelCall:
    """The jobs of one call of ``joblib.Parallel``.

    Parameters
    ----------
    scheduler : PopulationScheduler
        Scheduler to which the jobs submit their fits.
    capacity : int
        Maximum number of active jobs. A job is active from its start to its end, also
        while its thread waits.
    caller : _RunningJob or None
        The job that made this call, if the call is nested.

    Attributes
    ----------
    threads : list of threading.Thread
        Threads of the jobs that have been started, or are being started.
    pending : deque of Job
        Jobs that wait until fewer than ``capacity`` jobs are active.
    n_active : int
        Number of active jobs.
    n_jobs : int
        Number of jobs submitted so far.
    is_dispatching : bool
        Whether the thread that made this call counts as busy because it may still
        submit jobs. Used for calls that are not nested.
    was_cancelled : bool
        Whether this call itself was cancelled.
    """

    scheduler: PopulationScheduler
    capacity: int
    caller: _RunningJob | None = None
    threads: list[threading.Thread] = field(default_factory=list)
    pending: deque[Job] = field(default_factory=deque)
    n_active: int = 0
    n_jobs: int = 0
    is_dispatching: bool = False
    was_cancelled: bool = False

    @property
    def is_cancelled(self) -> bool:
        """Whether this call or one of the calls around it was cancelled."""
        caller = self.caller
        return self.was_cancelled or (caller is not None and caller.call.is_cancelled)

    def is_within(self, call: ParallelCall) -> bool:
        """Whether this is the given call or one nested in it."""
        caller = self.caller
        return self is call or (caller is not None and caller.call.is_within(call))

    @property
    def position(self) -> tuple[int, ...]:
        """Position of the caller in the order of all jobs."""
        return () if self.caller is None else self.caller.position


@dataclass
class _RunningJob:
    """The job that a thread runs.

    Parameters
    ----------
    call : ParallelCall
        The call to which the job belongs.
    position : tuple of int
        Position of the job in the order of all jobs.
    awaited : list of ParallelCall
        Nested calls whose results the job retrieves. The job is idle while one of them
        has active jobs.
    is_busy : bool
        Whether the job counts as busy.
    may_share : bool
        Whether the job shares rows and predictions with others: if its function belongs
        to scikit-learn or skdeep.
    trained : nn.Module or None
        The network that the last population has trained for the job, until it predicts.
    n_trained : int
        Number of its training rows.
    """

    call: ParallelCall
    position: tuple[int, ...]
    awaited: list[ParallelCall] = field(default_factory=list)
    is_busy: bool = True
    may_share: bool = False
    trained: Any = None
    n_trained: int = 0


@dataclass(eq=False)
class _Request:
    """Submitted work, a fit or a prediction, whose thread waits.

    Parameters
    ----------
    work : Fit or Prediction
        The fit to train, or the prediction to compute.
    running : _RunningJob
        The job to which the work belongs.
    event : threading.Event
        Set to wake the waiting thread.
    batch : list of _Request
        The requests whose work the woken thread must do, with this one among them;
        empty if another thread does it.
    is_released : bool
        Whether the thread was woken before the end of the work, because its call was
        cancelled.
    """

    work: Fit | Prediction
    running: _RunningJob
    event: threading.Event = field(default_factory=threading.Event)
    batch: list[_Request] = field(default_factory=list)
    is_released: bool = False


class PopulationScheduler:
    """Runs jobs in threads and trains their fits as populations.

    A thread is busy if it may still submit a fit. A thread is idle if it waits for the
    training of its fit, for its prediction or for a nested call with active jobs. A
    population is trained when no other work is in progress and no busy thread can
    proceed: there is none, or all of them wait for memory, which only training can
    free. If predictions wait as well, they come first, because their threads may submit
    further fits. A thread counts as busy before it is started or woken, so the grouping
    of fits and predictions does not depend on how fast the threads run, unless a
    capacity, the memory budget or jobs that wait for each other split a group.

    Parameters
    ----------
    n_workers : int
        Maximum number of threads that compute at the same time.
    memory_budget : int
        Memory in bytes that waiting fits may use. No job starts while they use as much
        or more.

    Attributes
    ----------
    arrays : SharedArrays
        The checked inputs of fits and predictions.
    """

    def __init__(self, n_workers: int, memory_budget: int):
        self.n_workers = n_workers
        self.memory_budget = memory_budget
        self.arrays = SharedArrays(memory_budget // 64)
        self._cores = threading.Semaphore(n_workers)
        self._lock = threading.Lock()
        # Hold the lock to read or write the attributes below. Busy threads may still
        # submit a fit; blocked ones are busy threads that wait for memory.
        self._n_busy = 0
        self._n_bytes = 0
        self._blocked_on_memory: deque[tuple[ParallelCall, threading.Event]] = deque()
        self._waiting: list[_Request] = []
        self._in_progress: list[_Request] = []
        self._core_added = -math.inf

    def _wake(self) -> None:
        """Wake whichever threads can proceed. Call after every state change.

        The caller holds the lock.
        """
        if self._blocked_on_memory and self._n_bytes < self.memory_budget:
            # One thread at a time: it calls this method again when it has started.
            _, event = self._blocked_on_memory.popleft()
            event.set()
        if self._n_busy == len(self._blocked_on_memory):
            self._start_batch()

    def _start_batch(self) -> None:
        """Let a thread do the work that waits. The caller holds the lock."""
        if self._waiting and not self._in_progress:
            # Sorted, because the threads arrive in any order.
            waiting = sorted(
                self._waiting, key=lambda request: request.running.position
            )
            predictions = [r for r in waiting if isinstance(r.work, Prediction)]
            fits = [r for r in waiting if isinstance(r.work, Fit)]
            batch, self._waiting = (predictions, fits) if predictions else (fits, [])
            self._in_progress = batch
            batch[0].batch = batch
            batch[0].event.set()

    def _resolve_stall(self) -> None:
        """Do the work that waits without that of busy threads, which are blocked."""
        with self._lock:
            self._start_batch()

    def _add_core(self) -> None:
        """Let one more thread compute, because blocked ones hold all cores.

        Many threads may notice it together: they add one each time, not one each.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._core_added >= _PATIENCE:
                self._core_added = now
                self._cores.release()

    # -- calls -------------------------------------------------------------------------

    def start_call(self, capacity: int) -> ParallelCall:
        """Start a parallel call; the calling thread is busy until it waits for it."""
        call = ParallelCall(self, capacity, self._running_job())
        if call.caller is None:
            # Appended first: if an interrupt comes here, the next call of this thread
            # counts this one as dispatched.
            _dispatching().append(call)
            with self._lock:
                call.is_dispatching = True
                self._n_busy += 1
        return call

    def submit(
        self,
        call: ParallelCall,
        function: Callable[[], Any],
        callback: Callable[[Job], None],
    ) -> Job:
        """Run a function in a thread as soon as the capacity of the call allows."""
        with self._lock:
            job = Job(function, callback, (*call.position, call.n_jobs))
            call.n_jobs += 1
            if call.n_active == call.capacity:
                call.pending.append(job)
                return job
            thread = threading.Thread(
                target=self._run_jobs, args=(call, job), name="skdeep", daemon=True
            )
            call.n_active += 1
            self._n_busy += 1
            # Added before it is started, because an interrupt may end start() while
            # the thread runs already.
            call.threads.append(thread)
            if call.caller is not None:
                self._update_busy(call.caller)
        self._start_thread(call, job, thread)
        return job

    def _start_thread(
        self, call: ParallelCall, job: Job, thread: threading.Thread
    ) -> None:
        try:
            thread.start()
        except RuntimeError:
            # The system allows no more threads: an active thread runs the job later.
            with self._lock:
                call.threads.remove(thread)
                call.n_active -= 1
                self._n_busy -= 1
                if call.n_active == 0:
                    raise
                call.pending.append(job)

    def first_fit(self, call: ParallelCall, seconds: float) -> Fit | None:
        """Wait for the first fit of a call, which must have started a single job.

        Returns
        -------
        fit : Fit or None
            The fit that waits for its training; None if the job has ended without one,
            or after ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                fits = [
                    request.work
                    for request in self._waiting
                    if request.running.call.is_within(call)
                    and isinstance(request.work, Fit)
                ]
                if fits or not call.n_active:
                    return fits[0] if fits else None
            time.sleep(0.0005)
        return None

    @contextlib.contextmanager
    def waiting_for(self, call: ParallelCall) -> Iterator[None]:
        """Release the core of the calling thread while it retrieves results."""
        _end_dispatching(call)
        running = self._running_job()
        if running is None:
            yield
            return
        if not running.awaited:
            self._cores.release()
        running.awaited.append(call)
        self._update_awaited(running)
        try:
            yield
        finally:
            running.awaited.remove(call)
            self._update_awaited(running)
            if not running.awaited:
                self._cores.acquire()

    def _update_awaited(self, running: _RunningJob) -> None:
        with self._lock:
            self._update_busy(running)
            self._wake()

    def _update_busy(self, running: _RunningJob) -> None:
        """Update whether a job counts as busy. The caller holds the lock."""
        is_busy = not any(call.n_active for call in running.awaited)
        self._n_busy += is_busy - running.is_busy
        running.is_busy = is_busy

    def cancel_call(self, call: ParallelCall) -> None:
        """Cancel the jobs of a call and of the calls nested in it.

        Jobs that have not started are dropped. Waiting threads are woken and raise
        ``Cancelled``; a population stops training the fits at their next epoch.
        """
        with self._lock:
            call.was_cancelled = True
            call.pending.clear()
            for blocked, event in self._blocked_on_memory:
                if blocked.is_cancelled:
                    event.set()
            self._blocked_on_memory = deque(
                pair for pair in self._blocked_on_memory if not pair[0].is_cancelled
            )
            for request in [*self._waiting, *self._in_progress]:
                # A thread that works for others must complete the work.
                if request.running.call.is_cancelled and not request.batch:
                    self._release(request)
            self._waiting = [r for r in self._waiting if not r.is_released]
            self._wake()

    def _release(self, request: _Request) -> None:
        """Wake the thread of a cancelled request. The caller holds the lock."""
        if not request.is_released:
            request.is_released = True
            self._n_busy += 1
            request.event.set()

    def end_call(self, call: ParallelCall) -> None:
        """End a call: wait until all its threads have ended."""
        _end_dispatching(call)
        running = self._running_job()
        is_computing = running is not None and not running.awaited
        if is_computing:
            self._cores.release()
        for thread in call.threads:
            if thread is not threading.current_thread():
                _join(thread)
        self._undo_unstarted(call)
        if is_computing:
            self._cores.acquire()

    def _undo_unstarted(self, call: ParallelCall) -> None:
        """Undo the counts of threads that an interrupt kept from being started."""
        with self._lock:
            started = [thread for thread in call.threads if thread.ident is not None]
            n_unstarted = len(call.threads) - len(started)
            call.threads = started
            call.n_active -= n_unstarted
            self._n_busy -= n_unstarted
            self._wake()

    def _set_dispatched(self, call: ParallelCall) -> None:
        """Count the thread that made a call as idle, if it counts as dispatching."""
        with self._lock:
            if call.is_dispatching:
                call.is_dispatching = False
                self._n_busy -= 1
                self._wake()

    def _running_job(self) -> _RunningJob | None:
        """Return the job of the calling thread, if it runs in this scheduler."""
        running: _RunningJob | None = getattr(_thread_state, "running", None)
        is_own = running is not None and running.call.scheduler is self
        return running if is_own else None

    # -- threads -----------------------------------------------------------------------

    def _run_jobs(self, call: ParallelCall, job: Job | None) -> None:
        """Run a job, then pending jobs of its call: the target of each thread."""
        _current_call.set(call)
        while job is not None:
            self._wait_for_resources(call)
            _thread_state.running = _RunningJob(
                call, job.position, may_share=_is_from_library(job.function)
            )
            try:
                job.result = self._result(call, job)
            except BaseException as error:
                job.error = _with_traceback(error)
            # Not held in joblib's callback, which waits for a lock and dispatches jobs.
            del _thread_state.running
            self._cores.release()
            try:
                job.callback(job)
            except BaseException:
                # Report the exception, which nothing would catch, and continue with
                # the pending jobs.
                threading.excepthook(
                    threading.ExceptHookArgs(
                        (*sys.exc_info(), threading.current_thread())
                    )
                )
            job = self._next_job(call)

    def _result(self, call: ParallelCall, job: Job) -> Any:
        if call.is_cancelled:
            raise Cancelled
        # One thread per job, because the scheduler already runs one job per core.
        with on_threads(1, torch.device("cpu")):
            return job.function()

    def _wait_for_resources(self, call: ParallelCall) -> None:
        """Wait until memory and a core are available; acquire the core."""
        while True:
            self._cores.acquire()
            with self._lock:
                if self._n_bytes < self.memory_budget or call.is_cancelled:
                    self._wake()
                    return
                event = threading.Event()
                self._blocked_on_memory.append((call, event))
                self._wake()
            self._cores.release()
            event.wait()

    def _next_job(self, call: ParallelCall) -> Job | None:
        """Return a pending job of the call; if there is none, end the thread."""
        with self._lock:
            if call.pending:
                return call.pending.popleft()
            call.n_active -= 1
            self._n_busy -= 1
            if call.caller is not None:
                # Update the caller's count now, so that grouping is deterministic: the
                # caller itself would do so only when its thread runs next.
                self._update_busy(call.caller)
            self._wake()
            return None

    # -- fits --------------------------------------------------------------------------

    def train(self, fit: Fit) -> None:
        """Train all epochs of a fit, in a population with the fits of other threads.

        Parameters
        ----------
        fit : Fit
            A started fit of the calling thread. An exception that it raises in the
            population is stored in ``fit.error``.

        Raises
        ------
        Cancelled
            If the parallel call of the calling thread was cancelled.
        """
        running = self._do_together(fit, _estimate_bytes(fit))
        if running.may_share:
            running.trained = fit.learner.module
            running.n_trained = len(fit.task.train)

    def take_trained(self, network: Any) -> int:
        """Return the number of training rows if the job has just trained a network.

        Otherwise, and at the second call, return 0: a job that predicts many times
        would wait for all others each time.
        """
        running = self._running_job()
        if running is None or running.trained is not network:
            return 0
        running.trained = None
        return running.n_trained

    def predict(self, prediction: Prediction) -> None:
        """Compute raw scores, in one pass with those of other threads.

        Parameters
        ----------
        prediction : Prediction
            A prediction of the calling thread. If it matches no other, or an exception
            is raised, its ``raw`` remains None.

        Raises
        ------
        Cancelled
            If the parallel call of the calling thread was cancelled.
        """
        n_bytes = _INPUT_COPIES * prediction.inputs.nbytes + prediction.n_raw_bytes
        self._do_together(prediction, n_bytes)

    def _do_together(self, work: Fit | Prediction, n_bytes: int) -> _RunningJob:
        """Submit work and wait until it is done; return the job of this thread."""
        running = self._running_job()
        assert running is not None
        request = _Request(work, running)
        with self._lock:
            if running.call.is_cancelled:
                raise Cancelled
            self._waiting.append(request)
            self._n_bytes += n_bytes
            self._n_busy -= 1
            self._wake()
        self._cores.release()
        _wait(request.event.wait, self._resolve_stall)
        if request.batch:
            self._do_batch(request.batch)
            request.batch = []  # the batch contains the request: break the cycle
        _wait(lambda seconds: self._cores.acquire(timeout=seconds), self._add_core)
        with self._lock:
            self._n_bytes -= n_bytes
            self._wake()
        if running.call.is_cancelled:
            raise Cancelled
        return running

    def _do_batch(self, batch: list[_Request]) -> None:
        """Do the work of a batch and wake its threads."""
        try:
            self._compute(batch)
        except BaseException as error:
            for request in batch:
                # A prediction is left to its own thread.
                if isinstance(request.work, Fit):
                    request.work.fail(error)
        finally:
            with self._lock:
                # The threads count as busy before they wake, so that no population is
                # started without the fits that they submit next.
                self._in_progress = []
                for request in batch:
                    if not request.is_released:
                        self._n_busy += 1
                        request.event.set()

    def _compute(self, batch: list[_Request]) -> None:
        """Train the fits of a batch as one population, or compute its predictions."""
        fits = [r.work for r in batch if isinstance(r.work, Fit)]
        if fits:
            calls = {id(request.work): request.running.call for request in batch}
            run_population(
                fits, self.n_workers, lambda fit: calls[id(fit)].is_cancelled
            )
        else:
            predictions = [r.work for r in batch if isinstance(r.work, Prediction)]
            predict_together(predictions, self.n_workers)


def _wait(wait: Callable[[float], bool], resolve: Callable[[], None]) -> None:
    """Wait for something; call ``resolve`` whenever the process computes nothing.

    Jobs may wait for each other in ways that the scheduler does not see: a job that
    waits for its fit may hold a lock that the other ones wait for.
    """
    before = time.process_time()
    while not wait(_PATIENCE):
        now = time.process_time()
        if now - before < _IDLE_SHARE * _PATIENCE:
            resolve()
        before = now


def _is_from_library(function: Any) -> bool:
    """Return whether a function, or joblib's batch, is scikit-learn's or skdeep's."""
    calls = getattr(function, "items", None) or [(function, (), {})]
    names = [getattr(each, "__module__", None) or "" for each, *_ in calls]
    return all(name.partition(".")[0] in ("sklearn", "skdeep") for name in names)


def _dispatching() -> list[ParallelCall]:
    """Return the calls that the calling thread has started and not waited for."""
    if not hasattr(_thread_state, "dispatching"):
        _thread_state.dispatching = []
    calls: list[ParallelCall] = _thread_state.dispatching
    return calls


def _end_dispatching(call: ParallelCall) -> None:
    """Mark a call, and all calls that the calling thread has started, as dispatched.

    A thread that waits for one call cannot submit jobs of another one.
    """
    call.scheduler._set_dispatched(call)
    others = _dispatching()
    while others:
        others[-1].scheduler._set_dispatched(others[-1])
        others.pop()


def _join(thread: threading.Thread) -> None:
    """Wait until a thread has ended, unless it has not been started.

    An interrupt may end ``start`` before the thread runs; it may begin a little later.
    """
    for _ in range(1000):
        try:
            thread.join()
            return
        except RuntimeError:  # not started yet
            time.sleep(0.001)


def _with_traceback(error: BaseException) -> BaseException:
    """Add the traceback to an exception as a note, because joblib drops it."""
    if not getattr(error, "__notes__", None):
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
    return error


def _estimate_bytes(fit: Fit) -> int:
    """Return an estimate of the memory in bytes that a waiting fit uses."""
    batch: Any = fit.task.train.batch(slice(None))
    n_bytes: int = sum(x.nbytes for x in batch.inputs)
    # The network's buffer and its gradient, the two moments of Adam, the best weights
    # of early stopping, and the copy in the population.
    n_network_bytes: int = 6 * fit.learner.flat.values.nbytes
    return _INPUT_COPIES * n_bytes + n_network_bytes
