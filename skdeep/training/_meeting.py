"""Where fits in many threads meet, to be trained as one population.

A thread that comes to the epochs of a fit hands the fit over and waits. When no thread
is left that might bring another, one of those that wait trains all the fits together,
and every thread goes on with its own. So the fits of a search, each behind its own
Pipeline, need not know of each other.

Threads that compute are no more than the cores; the others wait for their turn.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from skdeep.training._epochs import Fit
from skdeep.training._population import run_population

# Copies of a fit's inputs that its thread keeps while it waits: the rows of its fold,
# what a Pipeline has made of them, and one more to be safe.
_COPIES = 3

_here = threading.local()


def current_meeting() -> Meeting | None:
    """Return the meeting that fits of the calling thread may join."""
    seat = _seat()
    return None if seat is None else seat.call.meeting


def _seat() -> _Seat | None:
    return getattr(_here, "seat", None)


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
    parent : Call or None
        The call whose job has begun this one.
    place : tuple of int
        Where in the order of all jobs it stands.
    """

    meeting: Meeting
    capacity: int
    parent: Call | None
    place: tuple[int, ...]
    is_dispatching: bool = False
    threads: list[threading.Thread] = field(default_factory=list)
    pending: deque[Job] = field(default_factory=deque)
    n_active: int = 0
    n_jobs: int = 0
    was_cancelled: bool = False

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants the results, or those of a call above."""
        above = self.parent is not None and self.parent.is_cancelled
        return self.was_cancelled or above


@dataclass
class _Seat:
    """A job that is running in the calling thread."""

    call: Call
    place: tuple[int, ...]


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
        Cores to compute on.
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
        seat = self._own_seat()
        if seat is not None:
            return Call(self, capacity, seat.call, seat.place)
        with self._lock:
            self._n_busy += 1
        return Call(self, capacity, None, (), is_dispatching=True)

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
        thread = threading.Thread(
            target=self._work, args=(call, job), name="skdeep", daemon=True
        )
        call.threads.append(thread)
        thread.start()
        return job

    @contextlib.contextmanager
    def waits_for(self, call: Call) -> Iterator[None]:
        """Let the calling thread wait for its call's jobs."""
        self._end_dispatch(call)
        with self._aside():
            yield

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
        self._end_dispatch(call)
        with self._aside():
            for thread in call.threads:
                if thread is not threading.current_thread():
                    thread.join()

    def _end_dispatch(self, call: Call) -> None:
        with self._lock:
            if call.is_dispatching:
                call.is_dispatching = False
                self._n_busy -= 1
                self._settle()

    def _own_seat(self) -> _Seat | None:
        """Return the calling thread's seat, if it is one of this meeting."""
        seat = _seat()
        return seat if seat is not None and seat.call.meeting is self else None

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Let others compute while the calling thread waits."""
        if self._own_seat() is None:
            yield
            return
        with self._lock:
            self._n_busy -= 1
            self._settle()
        self._cores.release()
        try:
            yield
        finally:
            with self._lock:
                self._n_busy += 1
            self._cores.acquire()

    # -- threads -----------------------------------------------------------------------

    def _work(self, call: Call, job: Job | None) -> None:
        """Run a job, and others of the call while some are left."""
        while job is not None:
            self._enter(call)
            _here.seat = _Seat(call, job.place)
            try:
                job.result = self._result(call, job)
            except BaseException as error:
                job.error = error
            finally:
                del _here.seat
            job.done(job)
            job = self._leave(call)

    def _result(self, call: Call, job: Job) -> Any:
        if call.is_cancelled:
            raise Cancelled
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
        """Give the core back; return another job of the call, if one is left."""
        self._cores.release()
        with self._lock:
            if call.pending:
                return call.pending.popleft()
            call.n_active -= 1
            self._n_busy -= 1
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
            self._waiting.append(request)
            self._held += n_bytes
            self._n_busy -= 1
            self._settle()
        self._cores.release()
        request.event.wait()
        if request.batch:
            self._run(request.batch)
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
        finally:
            with self._lock:
                self._in_training = []
                for request in batch:
                    if not request.is_abandoned:
                        self._n_busy += 1
                        request.event.set()


def _bytes_of(fit: Fit) -> int:
    """Return what a waiting fit keeps in memory, about."""
    inputs = sum(t.nbytes for t in fit.task.train.rows.take(slice(None)))
    return _COPIES * inputs + 6 * fit.trainer.flat.values.nbytes
