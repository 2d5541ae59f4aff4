"""The joblib backend "skdeep", which trains parallel fits as one population."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import torch
from joblib import register_parallel_backend
from joblib.parallel import (
    FallbackToBackend,
    LokyBackend,
    Parallel,
    ParallelBackendBase,
    SequentialBackend,
)

from skdeep.training._device import holds_generators, resolve_device
from skdeep.training._grouping import total_work
from skdeep.training._processes import (
    JOBS_PER_PROCESS,
    SharedJobs,
    is_worth_sharing,
)
from skdeep.training._scheduler import (
    Job,
    PopulationScheduler,
    running_scheduler,
)

# Maximum number of active jobs of one call, each in its own thread.
_MAX_ACTIVE_JOBS = 1024
# Seconds after which a job that has no fit in a population counts as long.
_LONG_JOB = 0.1
_DAEMON_MESSAGE = (
    "n_processes={} is ignored: this is a daemonic process, which cannot start others. "
    "In a Dask worker, set the environment variable "
    "DASK_DISTRIBUTED__WORKER__DAEMON=False before the cluster is created."
)


def _quarter_of_memory() -> int:
    """Return a quarter of the machine's memory in bytes, or 2 GiB if unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (AttributeError, OSError, ValueError):
        return 2**31


class PopulationBackend(ParallelBackendBase):
    """Backend that runs jobs in threads and trains their fits as populations.

    Many jobs are shared among processes, each with its own threads and populations.

    Parameters
    ----------
    nesting_level : int, default=None
        Number of parallel calls around this one.
    inner_max_num_threads : int, default=None
        Not supported: joblib raises if it is set.
    memory_budget : int, default=None
        Memory in bytes that waiting fits may use. If they need more, the population is
        split. ``None`` is a quarter of the machine's memory.
    n_processes : int, default=None
        Number of processes that share the jobs of a call. ``None`` is torch's number
        of threads, and at most one for every 16 jobs; or one if more would not save
        enough time, or if there is an accelerator. Jobs in other processes do not
        change objects of this one, and their warnings are printed; for jobs that do,
        pass 1, or ``prefer="threads"`` to ``Parallel``.
    scheduler : PopulationScheduler, default=None
        Scheduler to use. Nested calls share the scheduler of the outer call. ``None``
        creates one with torch's number of threads.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True
    supports_sharedmem = True
    uses_threads = True

    def __init__(
        self,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        *,
        memory_budget: int | None = None,
        n_processes: int | None = None,
        scheduler: PopulationScheduler | None = None,
        **options: Any,
    ):
        if options:
            raise TypeError(
                "The backend 'skdeep' takes memory_budget and n_processes, not "
                f"{sorted(options)}."
            )
        super().__init__(nesting_level, inner_max_num_threads)
        self.n_processes = _check_n_processes(n_processes)
        if scheduler is None:
            memory_budget = _check_memory_budget(memory_budget)
            scheduler = PopulationScheduler(torch.get_num_threads(), memory_budget)
        self.scheduler = scheduler

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process, nested calls find the scheduler of the job around them.
        return PopulationBackend, (self.nesting_level,)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the maximum number of active jobs.

        It is ``n_jobs`` if that is positive. Otherwise it is not the number of cores:
        waiting jobs use no core, and a population needs as many jobs as possible. The
        number is bounded, because callers such as ``BaggingClassifier`` divide their
        work by it.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or n_jobs < 0:
            return _MAX_ACTIVE_JOBS
        return min(n_jobs, _MAX_ACTIVE_JOBS)

    def configure(self, n_jobs: Any = 1, parallel: Any = None, **options: Any) -> int:
        """Fall back to a backend that serves only this ``Parallel``.

        Several ``Parallel`` objects may share this instance at the same time, so it
        cannot store the state of a call.
        """
        # Nested calls that prefer threads (forests) rarely train networks. Run them
        # serially, because the outer jobs already use the cores.
        wants_threads = (
            options.get("prefer") == "threads" or options.get("require") == "sharedmem"
        )
        # Would deadlock: this thread holds the lock of torch's global generators, and
        # its jobs may wait for that lock.
        if (self.nesting_level and wants_threads) or holds_generators():
            raise FallbackToBackend(SequentialBackend(self.nesting_level))
        backend = _SingleCallBackend(
            self.nesting_level,
            n_processes=self.n_processes,
            scheduler=running_scheduler() or self.scheduler,
        )
        raise FallbackToBackend(backend)

    def get_nested_backend(self) -> tuple[PopulationBackend, None]:
        """Return the backend for nested calls, which share the scheduler."""
        level = (self.nesting_level or 0) + 1
        return PopulationBackend(level, scheduler=self.scheduler), None

    def submit(self, func: Callable[[], Any], callback: Any = None) -> Job:
        """Not supported: ``configure`` falls back to ``_SingleCallBackend``."""
        raise NotImplementedError


class _SingleCallBackend(PopulationBackend):
    """The backend of one ``Parallel``, which makes one call at a time."""

    _workers: LokyBackend | None = None
    _shared: SharedJobs | None = None

    def configure(self, n_jobs: Any = 1, parallel: Any = None, **options: Any) -> int:
        self._n_jobs = self.effective_n_jobs(n_jobs)
        # Weak, because the Parallel holds this backend: a cycle would keep its data.
        self._parallel = weakref.ref(parallel)
        self._options = options
        return self._n_jobs

    def start_call(self) -> None:
        _drop_aborted_tasks(self._parallel())
        # The warning filters are global. Jobs that change them in several threads
        # restore them in the wrong order, so restore them here after the call.
        self._filters = contextlib.ExitStack()
        if not self.nesting_level:
            self._filters.enter_context(warnings.catch_warnings())
        self._call = self.scheduler.start_call(self._n_jobs)
        # Jobs are held back until all are known, if processes might share them.
        self._held: list[tuple[Any, Any]] | None = None
        self._max_processes = self._count_processes()
        if self._max_processes > 1:
            self._held = []

    def _count_processes(self) -> int:
        """Return the number of processes that may share the jobs of this call."""
        parallel: Any = self._parallel()
        if (
            self.nesting_level
            or running_scheduler() is not None
            or self._n_jobs < _MAX_ACTIVE_JOBS
            or parallel.return_generator
            or self._options.get("prefer") == "threads"
            or self._options.get("require") == "sharedmem"
        ):
            return 1
        if self.n_processes is None and resolve_device("auto").type != "cpu":
            return 1
        n_processes = self.n_processes or self.scheduler.n_workers
        if n_processes > 1 and multiprocessing.current_process().daemon:
            if self.n_processes is not None:
                warnings.warn(_DAEMON_MESSAGE.format(n_processes), stacklevel=6)
            return 1
        return n_processes

    def submit(self, func: Callable[[], Any], callback: Any = None) -> Any:
        if self._shared is not None:
            job = Job(func, callback)
            self._shared.add(job)
            return job
        if self._held is not None:
            self._held.append((func, callback))
            return None
        return self.scheduler.submit(self._call, func, callback)

    def retrieve_result_callback(self, out: Job) -> Any:
        if out.error is not None:
            raise out.error
        return out.result

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        self._start_held()
        with self.scheduler.waiting_for(self._call):
            yield

    def _start_held(self) -> None:
        """Start the jobs that were held back, in one process or in several."""
        held, self._held = self._held or [], None
        n_processes = min(self._max_processes, len(held))
        if self.n_processes is None:
            n_processes = self._worthwhile_processes(held)
        if n_processes < 2 or not self._start_workers(n_processes):
            for func, callback in held:
                self.scheduler.submit(self._call, func, callback)
            return
        self._shared = SharedJobs(
            [Job(func, callback) for func, callback in held],
            self._workers,
            n_processes,
            max(1, self.scheduler.n_workers // n_processes),
            self.scheduler.memory_budget,
        )
        self._shared.start()

    def _start_workers(self, n_processes: int) -> bool:
        """Start the worker processes; return whether joblib can."""
        workers = LokyBackend(nesting_level=0)
        try:
            workers.configure(n_processes, self._parallel(), **self._options)
        except FallbackToBackend:
            return False
        self._workers = workers
        return True

    def _worthwhile_processes(self, held: list[tuple[Any, Any]]) -> int:
        """Return how many processes to use.

        To find out, it starts the first job and removes it from ``held``.
        """
        n_jobs = len(held)
        n_processes = min(self._max_processes, n_jobs // JOBS_PER_PROCESS)
        if n_processes < 2:
            return 1
        self.scheduler.submit(self._call, *held.pop(0))
        started = time.monotonic()
        fit = self.scheduler.first_fit(self._call, _LONG_JOB)
        if fit is not None:
            is_worth = is_worth_sharing(n_jobs, total_work(fit), n_processes)
        else:
            # A job without a fit that could join a population.
            is_worth = time.monotonic() - started >= _LONG_JOB
        return n_processes if is_worth else 1

    def abort_everything(self, ensure_ready: bool = True) -> None:
        self._held = None
        self.scheduler.cancel_call(self._call)
        if self._shared is not None and self._workers is not None:
            self._shared.cancel()
            self._workers.abort_everything(ensure_ready=False)
            self._workers = None

    def stop_call(self) -> None:
        try:
            self.scheduler.end_call(self._call)
            if self._shared is not None:
                self._shared.join()
            if self._workers is not None:
                self._workers.terminate()
        finally:
            self._shared = self._workers = None
            self._filters.close()


def _drop_aborted_tasks(parallel: Parallel) -> None:
    """Drop the tasks that an aborted call has left in its ``Parallel``.

    joblib keeps the batches that the call had not dispatched yet, and a task that a
    thread registered while the call was aborted. The next call of the same ``Parallel``
    would run them and return their results, or raise their errors, as its own.
    """
    for name in ("_ready_batches", "_jobs", "_jobs_set"):
        # These attributes are private: another version of joblib may lack some.
        if hasattr(parallel, name):
            setattr(parallel, name, type(getattr(parallel, name))())


def _check_memory_budget(memory_budget: Any) -> int:
    """Validate the memory budget and return it in bytes."""
    if memory_budget is None:
        return _quarter_of_memory()
    is_number = isinstance(memory_budget, Integral) and memory_budget is not True
    if not is_number or memory_budget <= 0:
        raise ValueError(
            "memory_budget must be a positive number of bytes or None, got "
            f"{memory_budget!r}."
        )
    return int(memory_budget)


def _check_n_processes(n_processes: Any) -> int | None:
    """Validate the number of processes."""
    if n_processes is None:
        return None
    is_number = isinstance(n_processes, Integral) and not isinstance(n_processes, bool)
    if not is_number or n_processes <= 0:
        raise ValueError(
            f"n_processes must be a positive integer or None, got {n_processes!r}."
        )
    return int(n_processes)


register_parallel_backend("skdeep", PopulationBackend)
