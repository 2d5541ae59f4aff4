"""The joblib backend "skdeep", which trains parallel fits as one population."""

from __future__ import annotations

import contextlib
import os
import warnings
import weakref
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import torch
from joblib import register_parallel_backend
from joblib.parallel import (
    FallbackToBackend,
    Parallel,
    ParallelBackendBase,
    SequentialBackend,
)

from skdeep.training._device import holds_generators
from skdeep.training._scheduler import Job, PopulationScheduler

# Maximum number of active jobs of one call, each in its own thread.
_MAX_ACTIVE_JOBS = 1024


def _quarter_of_memory() -> int:
    """Return a quarter of the machine's memory in bytes, or 2 GiB if unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (AttributeError, OSError, ValueError):
        return 2**31


class PopulationBackend(ParallelBackendBase):
    """Backend that runs jobs in threads and trains their fits as populations.

    Parameters
    ----------
    nesting_level : int, default=None
        Number of parallel calls around this one.
    inner_max_num_threads : int, default=None
        Not supported: joblib raises if it is set.
    memory_budget : int, default=None
        Memory in bytes that waiting fits may use. If they need more, the population is
        split. ``None`` is a quarter of the machine's memory.
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
        scheduler: PopulationScheduler | None = None,
        **options: Any,
    ):
        if options:
            raise TypeError(
                f"The backend 'skdeep' takes memory_budget, not {sorted(options)}."
            )
        super().__init__(nesting_level, inner_max_num_threads)
        if scheduler is None:
            memory_budget = _check_memory_budget(memory_budget)
            scheduler = PopulationScheduler(torch.get_num_threads(), memory_budget)
        self.scheduler = scheduler

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
        backend = _SingleCallBackend(self.nesting_level, scheduler=self.scheduler)
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

    def configure(self, n_jobs: Any = 1, parallel: Any = None, **options: Any) -> int:
        self._n_jobs = self.effective_n_jobs(n_jobs)
        # Weak, because the Parallel holds this backend: a cycle would keep its data.
        self._parallel = weakref.ref(parallel)
        return self._n_jobs

    def start_call(self) -> None:
        _drop_aborted_tasks(self._parallel())
        # The warning filters are global. Jobs that change them in several threads
        # restore them in the wrong order, so restore them here after the call.
        self._filters = contextlib.ExitStack()
        if not self.nesting_level:
            self._filters.enter_context(warnings.catch_warnings())
        self._call = self.scheduler.start_call(self._n_jobs)

    def submit(self, func: Callable[[], Any], callback: Any = None) -> Job:
        return self.scheduler.submit(self._call, func, callback)

    def retrieve_result_callback(self, out: Job) -> Any:
        if out.error is not None:
            raise out.error
        return out.result

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        with self.scheduler.waiting_for(self._call):
            yield

    def abort_everything(self, ensure_ready: bool = True) -> None:
        self.scheduler.cancel_call(self._call)

    def stop_call(self) -> None:
        try:
            self.scheduler.end_call(self._call)
        finally:
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


register_parallel_backend("skdeep", PopulationBackend)
