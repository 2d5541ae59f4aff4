"""Devices, numbers of threads, memory errors and torch's global generators."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from skdeep._messages import first_line

# Multiply-adds of a batch for each thread. With less work, threads wait for each other
# longer than they compute, and compete with the threads of other processes.
_WORK_PER_THREAD = 2**21

# Substrings of torch's errors when memory is short or a size overflows.
_MEMORY_MESSAGES = (
    "can't allocate memory",
    "not enough memory",
    "Storage size calculation overflowed",
    "Overflow when unpacking long",
    "numel: integer multiplication overflow",
    "invalid size, tried to allocate",
)

# Torch's global generators belong to the process. The lock is reentrant, because a
# callback may fit another model within a fit.
_lock = threading.RLock()
_thread_state = threading.local()


def resolve_device(device: str, *, fall_back: bool = False) -> torch.device:
    """Return the device called ``device``.

    Parameters
    ----------
    device : str
        "auto" (an accelerator if available), "cpu", "cuda", "cuda:1" or "mps".
    fall_back : bool, default=False
        Whether to return the CPU if the device is not available.

    Raises
    ------
    ValueError
        If the name is unknown or the device is not available.
    """
    if device == "auto":
        return torch.device(_best_kind())
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"Unknown device={device!r}. Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from error
    problem = _unavailable_reason(found)
    if problem is None:
        return found
    if fall_back:
        return torch.device("cpu")
    raise ValueError(f"device={device!r} is not available: {problem}.")


@functools.cache  # asking torch takes a tenth of the time to predict a row
def _best_kind() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _unavailable_reason(device: torch.device) -> str | None:
    """Return why a device cannot be used, or None if it can."""
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            return "torch finds no CUDA device"
        if (device.index or 0) >= count:
            return f"torch finds only {count} CUDA device(s)"
    if device.type == "mps" and not torch.backends.mps.is_available():
        return "torch finds no MPS device"
    if device.type not in ("cpu", "cuda", "mps"):
        return "skdeep supports 'cpu', 'cuda' and 'mps' only"
    return None


@functools.cache
def _openmp() -> ThreadpoolController:
    """Return the controller of OpenMP's number of threads in the calling thread."""
    return ThreadpoolController().select(user_api="openmp")


@functools.cache
def _set_mkl_threads() -> Callable[[int], int]:
    """Return the function that sets MKL's number of threads in the calling thread.

    The function returns the previous number, or 0 if none was set. If torch is built
    without MKL, it does nothing.
    """
    for path in Path(torch.__file__).parent.glob("lib/*torch_cpu.*"):
        with contextlib.suppress(OSError, AttributeError):
            return ctypes.CDLL(str(path)).MKL_Set_Num_Threads_Local
    return lambda count: 0


def worthwhile_threads(work: int, available: int) -> int:
    """Return how many of the available threads to use for ``work`` multiply-adds."""
    return max(1, min(available, -(-work // _WORK_PER_THREAD)))


def n_threads_for(n_jobs: int | None) -> int:
    """Return the number of threads for ``n_jobs``: at most those that torch uses.

    None and -1 mean all of them, -2 all but one, and so on; at least one.
    """
    available = torch.get_num_threads()
    if n_jobs is None:
        return available
    return max(1, min(n_jobs if n_jobs > 0 else available + 1 + n_jobs, available))


@contextlib.contextmanager
def on_threads(count: int, device: torch.device) -> Iterator[None]:
    """Compute with ``count`` threads on the CPU; do nothing on other devices.

    The setting applies to the calling thread only and is restored.
    (``torch.set_num_threads`` is no substitute: it changes the default of new threads,
    and MKL's setting in all threads.)
    """
    # The first call of get_num_threads applies torch's default to the calling thread.
    # Without it, torch would do so later and overwrite the setting made here.
    if device.type != "cpu" or count == torch.get_num_threads():
        yield
        return
    set_mkl_threads = _set_mkl_threads()
    with _openmp().limit(limits=count):
        before = set_mkl_threads(count)
        try:
            yield
        finally:
            set_mkl_threads(before)


def threads_for(
    work: int | None, device: torch.device
) -> contextlib.AbstractContextManager[None]:
    """Compute with as many threads as are worthwhile for the work.

    ``work`` is the number of multiply-adds of a batch. If it is None, the work is
    unknown and the number of threads is not changed.
    """
    available = torch.get_num_threads()
    count = available if work is None else worthwhile_threads(work, available)
    return on_threads(count, device)


class memory_errors:
    """Raise a MemoryError if torch raises another error because memory is short.

    An accelerator's ``torch.OutOfMemoryError`` is not changed, because users catch it.
    (This is a class because a generator would take a microsecond longer, which matters
    in the prediction of one row.)
    """

    def __enter__(self) -> memory_errors:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, torch.OutOfMemoryError):
            return
        if isinstance(error, (RuntimeError, TypeError)) and is_memory_error(error):
            raise MemoryError(first_line(error)) from error


def is_memory_error(error: Exception) -> bool:
    """Return whether an error was raised because memory is short."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(text in str(error) for text in _MEMORY_MESSAGES)


class GlobalGenerators:
    """Exclusive access to torch's global generators, for one thread at a time.

    Modules such as ``nn.Dropout`` draw from the global generators and take no other.
    """

    def __init__(self, device: torch.device):
        self._generators = [torch.random.default_generator]
        if device.type == "cuda":
            current = torch.cuda.current_device()
            index = current if device.index is None else device.index
            self._generators.append(torch.cuda.default_generators[index])
        elif device.type == "mps":
            # MPS has its own generator, which torch.manual_seed seeds too.
            self._generators.append(torch.mps._get_default_mps_generator())
        self._before: list[Tensor] = []
        self._is_acquired = False

    def acquire(self, seed: int) -> None:
        """Wait for access to the generators and seed them."""
        self._wait()
        for generator in self._generators:
            generator.manual_seed(seed)

    def release(self) -> None:
        """Restore the states before ``acquire``; do nothing if not acquired."""
        if not self._is_acquired:
            return
        try:
            self.set_states(self._before)
        finally:
            self._is_acquired = False
            _thread_state.n_held -= 1
            _lock.release()

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Release the generators temporarily; then continue the sequence of draws."""
        own = self.states()
        self.release()
        try:
            yield
        finally:
            # An interrupt may end this wait: ``release`` must then do nothing.
            self._wait()
            self.set_states(own)

    def _wait(self) -> None:
        _lock.acquire()
        self._is_acquired = True
        _thread_state.n_held = getattr(_thread_state, "n_held", 0) + 1
        self._before = self.states()

    def states(self) -> list[Tensor]:
        """Return the states of the generators."""
        return [generator.get_state() for generator in self._generators]

    def set_states(self, states: list[Tensor]) -> None:
        """Restore the states that ``states`` returned."""
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)


def holds_generators() -> bool:
    """Return whether the calling thread has acquired torch's global generators."""
    return getattr(_thread_state, "n_held", 0) > 0


@contextlib.contextmanager
def seeded_generators(seed: int, device: torch.device) -> Iterator[GlobalGenerators]:
    """Acquire and seed torch's global generators, and restore them at the end."""
    generators = GlobalGenerators(device)
    try:
        generators.acquire(seed)
        yield generators
    finally:
        generators.release()
