"""The joblib backend "skdeep": parallel fits are trained as one population."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from numbers import Integral

import torch
from joblib import register_parallel_backend
from joblib.parallel import (
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from skdeep.training._device import holds_generators
from skdeep.training._meeting import Job, Meeting

#: Jobs of one call that may have begun and not ended.
_WIDTH = 1024


def _quarter_of_memory() -> int:
    """Return a quarter of the machine's memory in bytes; where unknown, 2 GiB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (AttributeError, OSError, ValueError):
        return 2**31


class PopulationBackend(ParallelBackendBase):
    """Runs jobs in threads whose fits meet.

    Parameters
    ----------
    memory_budget : int, default=None
        Bytes that the data of fits that wait for each other may take; with more than
        that a population is split. ``None`` is a quarter of the machine's memory.
    meeting : Meeting, default=None
        Where fits meet, if there is one already: nested calls share it.
    nesting_level : int, default=None
        How many calls this one is inside of.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True
    supports_sharedmem = True
    uses_threads = True

    def __init__(
        self,
        nesting_level=None,
        inner_max_num_threads=None,
        *,
        memory_budget=None,
        meeting=None,
        **options,
    ):
        if options:
            raise TypeError(
                f"The backend 'skdeep' takes memory_budget, not {sorted(options)}."
            )
        super().__init__(nesting_level, inner_max_num_threads)
        if meeting is None:
            meeting = Meeting(torch.get_num_threads(), _checked(memory_budget))
        self.meeting = meeting

    def effective_n_jobs(self, n_jobs):
        """Return how many jobs may have begun: as many as asked for, or very many."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        return n_jobs if n_jobs is not None and n_jobs > 0 else _WIDTH

    def configure(self, n_jobs=1, parallel=None, **options):
        """Hand over to a backend for this ``Parallel`` alone: there may be others."""
        # Who wants threads, as forests do, seldom has networks to train, and the jobs
        # around have the cores.
        wants_threads = (
            options.get("prefer") == "threads" or options.get("require") == "sharedmem"
        )
        # Others would wait for the generators, and never come.
        if (self.nesting_level and wants_threads) or holds_generators():
            raise FallbackToBackend(SequentialBackend(self.nesting_level))
        own = _OfOneParallel(self.nesting_level, meeting=self.meeting)
        raise FallbackToBackend(own)

    def get_nested_backend(self):
        """Return a backend for calls inside of a job, which meet at the same place."""
        level = (self.nesting_level or 0) + 1
        return PopulationBackend(level, meeting=self.meeting), None

    def submit(self, func, callback=None):
        """Not done by the backend that is shared."""
        raise NotImplementedError


class _OfOneParallel(PopulationBackend):
    """The backend of one ``Parallel``, which has one call at a time."""

    def configure(self, n_jobs=1, parallel=None, **options):
        self._n_jobs = self.effective_n_jobs(n_jobs)
        return self._n_jobs

    def start_call(self):
        # Jobs change the filters of warnings in threads, which Python restores in the
        # wrong order.
        self._filters = None if self.nesting_level else warnings.catch_warnings()
        if self._filters is not None:
            self._filters.__enter__()
        self._call = self.meeting.begin(self._n_jobs)

    def submit(self, func, callback=None):
        return self.meeting.submit(self._call, func, callback)

    def retrieve_result_callback(self, out: Job):
        if out.error is not None:
            raise out.error
        return out.result

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        with self.meeting.waits_for(self._call):
            yield

    def abort_everything(self, ensure_ready=True):
        self.meeting.cancel(self._call)

    def stop_call(self):
        try:
            self.meeting.end(self._call)
        finally:
            if self._filters is not None:
                self._filters.__exit__(None, None, None)


def _checked(memory_budget) -> int:
    """Return the memory budget in bytes."""
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
