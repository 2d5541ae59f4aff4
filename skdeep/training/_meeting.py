"""Where fits in many threads meet, to be trained as one population.

A thread that comes to the epochs of a fit hands the fit over and waits. When no thread
is left that might bring another, one of those that wait trains all the fits together,
and every thread goes on with its own. So the fits of a search, each behind its own
Pipeline, need not know of each other.

Threads that compute are no more than the cores; the others wait for their turn.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from skdeep.training._device import holds_generators, on_threads
from skdeep.training._epochs import Fit
from skdeep.training._population import run_population

# Copies of a fit's inputs that its thread keeps while it waits: the rows of its fold,
# what a Pipeline has made of them, and one more to be safe.
_COPIES = 3

_here = threading.local()


def current_meeting() -> Meeting | None:
    """Return the meeting that fits of the calling thread may join."""
    seat = getattr(_here, "seat", None)
    # A thread that is aside is counted as waiting, and one that has torch's global
    # generators would keep others from coming.
    if seat is None or seat.retrieved or holds_generators():
        return None
    return seat.call.meeting


class Cancelled(BaseException):
    """Ends a thread whose result nobody wants any more."""


@dataclass
class Job:
    """A function to be run in a thread, and what came of it."""

    function: Callable[[], Any]
    done: Callable[[Job], None]
    place: tuple[int, ...]
    result: Any = None
    error: BaseException | None = None


@dataclass
class Call:
    """Jobs that were begun together and that somebody waits for.

    Parameters
    ----------
    meeting : Meeting
        Where their fits meet.
    capacity : int
        How many may have begun and not ended.
    caller : _Seat or None
        The job that has begun it, if a job has.
    """

    meeting: Meeting
    capacity: int
    caller: _Seat | None = None
    threads: list[threading.Thread] = field(default_factory=list)
    pending: deque[Job] = field(default_factory=deque)
    n_active: int = 0
    n_jobs: int = 0
    is_dispatching: bool = False
    was_cancelled: bool = False

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants the results, or those of the job that waits for them."""
        caller = self.caller
        return self.was_cancelled or (caller is not None and caller.call.is_cancelled)

    @property
    def place(self) -> tuple[int, ...]:
        """Where in the order of all jobs it stands."""
        return () if self.caller is None else self.caller.place


@dataclass
class _Seat:
    """A job that is running in the calling thread.

    ``retrieved`` are calls of its own whose results it is taking; while one of them has
    jobs that are not done, it does not count as busy.
    """

    call: Call
    place: tuple[int, ...]
    retrieved: list[Call] = field(default_factory=list)
    is_busy: bool = True


@dataclass
class _Request:
    """A fit that waits for a population.

    ``batch`` are fits that the waiting thread is to run itself, its own among them.
    """

    fit: Fit
    seat: _Seat
    event: threading.Event = field(default_factory=threading.Event)
    batch: list[_Request] = field(default_factory=list)
    is_abandoned: bool = False


class Meeting:
    """Brings the fits of many threads together.

    Parameters
    ----------
    n_workers : int
        Threads that compute at a time.
    memory_budget : int
        Bytes that the data of waiting fits may take before no more threads begin.
    """

    def __init__(self, n_workers: int, memory_budget: int):
        self.n_workers = n_workers
        self.memory_budget = memory_budget
        self._cores = threading.Semaphore(n_workers)
        self._lock = threading.Lock()
        # All that follows is read and written while the lock is held. Who is busy may
        # yet bring a fit; at the gate are those among them that wait for memory.
        self._n_busy = 0
        self._held = 0
        self._gate: deque[tuple[Call, threading.Event]] = deque()
        self._waiting: list[_Request] = []
        self._in_training: list[_Request] = []

    def _settle(self) -> None:
        """See, after each change, who can go on."""
        if self._gate and self._held < self.memory_budget:
            self._gate.popleft()[1].set()
        all_are_here = self._n_busy == len(self._gate)
        if self._waiting and all_are_here and not self._in_training:
            batch = sorted(self._waiting, key=lambda request: request.seat.place)
            self._in_training, self._waiting = batch, []
            batch[0].batch = batch
            batch[0].event.set()

    # -- calls -------------------------------------------------------------------------

    def begin(self, capacity: int) -> Call:
        """Begin a call. Nobody is late before its jobs are waited for."""
        call = Call(self, capacity, self._own_seat())
        if call.caller is None:
            with self._lock:
                call.is_dispatching = True
                self._n_busy += 1
            _dispatching().append(call)
        return call

    def submit(
        self, call: Call, function: Callable[[], Any], done: Callable[[Job], None]
    ) -> Job:
        """Run a function in a thread, as soon as the call's capacity allows."""
        with self._lock:
            job = Job(function, done, (*call.place, call.n_jobs))
            call.n_jobs += 1
            if call.n_active == call.capacity:
                call.pending.append(job)
                return job
            call.n_active += 1
            self._n_busy += 1
            if call.caller is not None:
                self._count(call.caller)
        self._start_thread(call, job)
        return job

    def _start_thread(self, call: Call, job: Job) -> None:
        thread = threading.Thread(
            target=self._work, args=(call, job), name="skdeep", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # there are as many as the system allows
            with self._lock:
                call.n_active -= 1
                self._n_busy -= 1
                if call.n_active == 0:
                    raise
                call.pending.append(job)
        else:
            call.threads.append(thread)

    @contextlib.contextmanager
    def waits_for(self, call: Call) -> Iterator[None]:
        """Let the calling thread wait for its call's jobs."""
        _end_dispatches(call)
        seat = self._own_seat()
        if seat is None:
            yield
            return
        if not seat.retrieved:
            self._cores.release()
        seat.retrieved.append(call)
        self._update(seat)
        try:
            yield
        finally:
            seat.retrieved.remove(call)
            self._update(seat)
            if not seat.retrieved:
                self._cores.acquire()

    def _update(self, seat: _Seat) -> None:
        with self._lock:
            self._count(seat)
            self._settle()

    def _count(self, seat: _Seat) -> None:
        """Count a thread as busy or not, as it is now."""
        is_busy = not any(call.n_active for call in seat.retrieved)
        self._n_busy += is_busy - seat.is_busy
        seat.is_busy = is_busy

    def cancel(self, call: Call) -> None:
        """Make the jobs of a call end as soon as they can."""
        with self._lock:
            call.was_cancelled = True
            call.pending.clear()
            for waiting, ticket in self._gate:
                if waiting.is_cancelled:
                    ticket.set()
            self._gate = deque(g for g in self._gate if not g[0].is_cancelled)
            for request in [*self._waiting, *self._in_training]:
                if request.seat.call.is_cancelled and not request.batch:
                    self._abandon(request)
            self._waiting = [r for r in self._waiting if not r.is_abandoned]
            self._settle()

    def _abandon(self, request: _Request) -> None:
        """Let a thread go on whose fit nobody wants."""
        if not request.is_abandoned:
            request.is_abandoned = True
            self._n_busy += 1
            request.event.set()

    def end(self, call: Call) -> None:
        """End a call; none of its threads is left."""
        _end_dispatches(call)
        seat = self._own_seat()
        is_computing = seat is not None and not seat.retrieved
        if is_computing:
            self._cores.release()
        for thread in call.threads:
            if thread is not threading.current_thread():
                thread.join()
        if is_computing:
            self._cores.acquire()

    def _end_dispatch(self, call: Call) -> None:
        with self._lock:
            if call.is_dispatching:
                call.is_dispatching = False
                self._n_busy -= 1
                self._settle()

    def _own_seat(self) -> _Seat | None:
        """Return the calling thread's seat, if it is one of this meeting."""
        seat = getattr(_here, "seat", None)
        return seat if seat is not None and seat.call.meeting is self else None

    # -- threads -----------------------------------------------------------------------

    def _work(self, call: Call, job: Job | None) -> None:
        """Run a job, and others of the call while some are left."""
        while job is not None:
            self._enter(call)
            _here.seat = _Seat(call, job.place)
            try:
                job.result = self._result(call, job)
            except BaseException as error:
                job.error = _with_traceback(error)
            del _here.seat
            self._cores.release()
            try:
                job.done(job)
            except BaseException:  # nobody would hear of it; there may be more to do
                threading.excepthook(
                    threading.ExceptHookArgs(
                        (*sys.exc_info(), threading.current_thread())
                    )
                )
            job = self._leave(call)

    def _result(self, call: Call, job: Job) -> Any:
        if call.is_cancelled:
            raise Cancelled
        # There are as many jobs as cores already.
        with on_threads(1, torch.device("cpu")):
            return job.function()

    def _enter(self, call: Call) -> None:
        """Wait for memory and a core."""
        while True:
            self._cores.acquire()
            with self._lock:
                if self._held < self.memory_budget or call.is_cancelled:
                    self._settle()
                    return
                ticket = threading.Event()
                self._gate.append((call, ticket))
                self._settle()
            self._cores.release()
            ticket.wait()

    def _leave(self, call: Call) -> Job | None:
        """Return another job of the call, if one is left."""
        with self._lock:
            if call.pending:
                return call.pending.popleft()
            call.n_active -= 1
            self._n_busy -= 1
            if call.caller is not None:
                # It will see in a moment; who meets whom must not depend on that.
                self._count(call.caller)
            self._settle()
            return None

    # -- fits --------------------------------------------------------------------------

    def train(self, fit: Fit) -> None:
        """Have the epochs of the calling thread's fit run, together with others.

        Raises
        ------
        Cancelled
            If nobody wants the fit any more.
        """
        seat = self._own_seat()
        assert seat is not None
        request, n_bytes = _Request(fit, seat), _bytes_of(fit)
        with self._lock:
            if seat.call.is_cancelled:
                raise Cancelled
            self._waiting.append(request)
            self._held += n_bytes
            self._n_busy -= 1
            self._settle()
        self._cores.release()
        request.event.wait()
        if request.batch:
            self._run(request.batch)
            request.batch = []  # it holds the request itself
        self._cores.acquire()
        with self._lock:
            self._held -= n_bytes
            self._settle()
        if seat.call.is_cancelled:
            raise Cancelled

    def _run(self, batch: list[_Request]) -> None:
        """Run fits as one population, and let their threads go on."""
        calls = {id(request.fit): request.seat.call for request in batch}
        try:
            run_population(
                [request.fit for request in batch],
                self.n_workers,
                lambda fit: calls[id(fit)].is_cancelled,
            )
        except BaseException as error:
            for request in batch:
                if not request.fit.is_over:
                    request.fit.error = request.fit.error or error
        finally:
            with self._lock:
                self._in_training = []
                for request in batch:
                    if not request.is_abandoned:
                        self._n_busy += 1
                        request.event.set()


def _dispatching() -> list[Call]:
    """Return the calls that the calling thread has begun and not waited for."""
    if not hasattr(_here, "dispatching"):
        _here.dispatching = []
    return _here.dispatching


def _end_dispatches(call: Call) -> None:
    """Take note that a call is dispatched, and all that the calling thread has begun.

    A thread that waits dispatches no more.
    """
    call.meeting._end_dispatch(call)
    others = _dispatching()
    while others:
        other = others.pop()
        other.meeting._end_dispatch(other)


def _with_traceback(error: BaseException) -> BaseException:
    """Note in an error where it came from; joblib drops the traceback itself."""
    if not getattr(error, "__notes__", None):
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
    return error


def _bytes_of(fit: Fit) -> int:
    """Return what a waiting fit keeps in memory, about."""
    inputs = sum(t.nbytes for t in fit.task.train.rows.take(slice(None)))
    return _COPIES * inputs + 6 * fit.trainer.flat.values.nbytes
