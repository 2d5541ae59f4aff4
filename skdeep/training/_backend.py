"""The joblib backend "skdeep": parallel fits are trained as one population."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import torch
from joblib import register_parallel_backend
from joblib.parallel import ParallelBackendBase

from skdeep.training._meeting import Call, Job, Meeting

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
        self._n_jobs = _WIDTH
        self._calls: list[tuple[Call, Any]] = []

    def effective_n_jobs(self, n_jobs):
        """Return how many jobs may have begun: as many as asked for, or very many."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        return n_jobs if n_jobs is not None and n_jobs > 0 else _WIDTH

    def configure(self, n_jobs=1, parallel=None, **options):
        """Take note of the number of jobs."""
        self._n_jobs = super().configure(n_jobs, parallel)
        return self._n_jobs

    def get_nested_backend(self):
        """Return a backend for calls inside of a job, which meet at the same place."""
        level = (self.nesting_level or 0) + 1
        return PopulationBackend(level, meeting=self.meeting), None

    def start_call(self):
        """Begin a call."""
        # Jobs change the filters of warnings in threads, which Python restores in the
        # wrong order.
        filters = warnings.catch_warnings() if not self.nesting_level else None
        if filters is not None:
            filters.__enter__()
        self._calls.append((self.meeting.begin(self._n_jobs), filters))

    def submit(self, func, callback=None):
        """Run a job in a thread."""
        return self.meeting.submit(self._call, func, callback)

    def retrieve_result_callback(self, out: Job):
        """Return a job's result, or raise its error."""
        if out.error is not None:
            raise out.error
        return out.result

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Let the calling thread wait for the jobs."""
        with self.meeting.waits_for(self._call):
            yield

    def abort_everything(self, ensure_ready=True):
        """End the jobs of the latest call."""
        if self._calls:
            self.meeting.cancel(self._call)

    def stop_call(self):
        """End a call, and all its threads."""
        call, filters = self._calls.pop()
        try:
            self.meeting.end(call)
        finally:
            if filters is not None:
                filters.__exit__()

    @property
    def _call(self) -> Call:
        return self._calls[-1][0]


def _checked(memory_budget) -> int:
    """Return the memory budget in bytes."""
    if memory_budget is None:
        return _quarter_of_memory()
    if not isinstance(memory_budget, Integral) or memory_budget <= 0:
        raise ValueError(
            "memory_budget must be a positive number of bytes or None, got "
            f"{memory_budget!r}."
        )
    return int(memory_budget)


register_parallel_backend("skdeep", PopulationBackend)
