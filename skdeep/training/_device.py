"""Where a network computes, in which precision and with how many threads."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from skdeep._messages import first_line

# Multiply-adds of a batch for each thread: with less to do, threads would wait for each
# other longer than they compute, and fight with those of other processes.
_WORK_PER_THREAD = 2**21

# What torch says where it gets no memory, or is asked for more than there can be.
_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "Storage size calculation overflowed",
    "Overflow when unpacking long",
    "numel: integer multiplication overflow",
    "invalid size, tried to allocate",
)

_lock = threading.RLock()
_here = threading.local()


def resolve_device(device: str, *, fall_back: bool = False) -> torch.device:
    """Return the device called ``device``.

    Parameters
    ----------
    device : str
        "auto" (an accelerator where there is one), "cpu", "cuda", "cuda:1", "mps".
    fall_back : bool, default=False
        Whether a device that is not there is replaced by the CPU.

    Raises
    ------
    ValueError
        If the name is unknown or the device is not there.
    """
    if device == "auto":
        return torch.device(_best_kind())
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"Unknown device={device!r}. Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from error
    problem = _problem(found)
    if problem is None:
        return found
    if fall_back:
        return torch.device("cpu")
    raise ValueError(f"device={device!r} was asked for, but {problem}.")


def _best_kind() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _problem(device: torch.device) -> str | None:
    """Say why ``device`` cannot be used, if it cannot."""
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            return "torch finds no CUDA device"
        if (device.index or 0) >= count:
            return f"torch finds only {count} CUDA device(s)"
    if device.type == "mps" and not torch.backends.mps.is_available():
        return "torch finds no MPS device"
    if device.type not in ("cpu", "cuda", "mps"):
        return "skdeep computes on 'cpu', 'cuda' and 'mps' only"
    return None


@functools.cache
def _openmp() -> ThreadpoolController:
    """Return what sets OpenMP's number of threads, for the calling thread alone."""
    return ThreadpoolController().select(user_api="openmp")


@functools.cache
def _set_mkl_threads() -> Callable[[int], int]:
    """Return MKL's function for the threads of the calling thread, as torch has it.

    It gives the number set before, 0 meaning none. Where torch is built without MKL,
    this is a function that does nothing.
    """
    for path in Path(torch.__file__).parent.glob("lib/*torch_cpu.*"):
        with contextlib.suppress(OSError, AttributeError):
            return ctypes.CDLL(str(path)).MKL_Set_Num_Threads_Local
    return lambda count: 0


def worthwhile_threads(work: int, available: int) -> int:
    """Return how many of the threads to use for this many multiply-adds."""
    return max(1, min(available, -(-work // _WORK_PER_THREAD)))


@contextlib.contextmanager
def on_threads(count: int, device: torch.device) -> Iterator[None]:
    """Compute on so many threads, if it is on the CPU.

    The setting holds for the calling thread and is restored.
    (``torch.set_num_threads`` would not do: it changes what other threads start with,
    and MKL for all of them.)
    """
    # The first time, this also sets the calling thread up by torch's default.
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
    """Compute on no more threads than the work, in multiply-adds a batch, is worth.

    ``None`` means that the work is not known; the threads are then left alone.
    """
    available = torch.get_num_threads()
    count = available if work is None else worthwhile_threads(work, available)
    return on_threads(count, device)


class memory_errors:
    """Raise a MemoryError where torch raises another error for want of memory.

    That of an accelerator stays ``torch.OutOfMemoryError``, which users catch. (A
    generator would take a microsecond, which counts in the prediction of one row.)
    """

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, torch.OutOfMemoryError):
            return
        if isinstance(error, (RuntimeError, TypeError)) and is_of_memory(error):
            raise MemoryError(first_line(error)) from error


def is_of_memory(error: Exception) -> bool:
    """Say whether an error is for want of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(text in str(error) for text in _OF_MEMORY)


class GlobalGenerators:
    """Torch's global generators, which one user in a process may have at a time."""

    def __init__(self, device: torch.device):
        self._generators = [torch.random.default_generator]
        if device.type == "cuda":
            current = torch.cuda.current_device()
            index = current if device.index is None else device.index
            self._generators.append(torch.cuda.default_generators[index])
        self._before: list[Tensor] = []
        self._has_them = False

    def take(self, seed: int) -> None:
        """Wait until they are free, and seed them."""
        self._wait()
        for generator in self._generators:
            generator.manual_seed(seed)

    def leave(self) -> None:
        """Leave them as they were; it may be that they are not had at all."""
        if not self._has_them:
            return
        try:
            self.set_states(self._before)
        finally:
            self._has_them = False
            _here.n_held -= 1
            _lock.release()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let others have them; then go on where the own draws ended."""
        own = self.states()
        self.leave()
        try:
            yield
        finally:
            # If an interrupt ends the wait, there is nothing to leave any more.
            self._wait()
            self.set_states(own)

    def _wait(self) -> None:
        _lock.acquire()
        self._has_them = True
        _here.n_held = getattr(_here, "n_held", 0) + 1
        self._before = self.states()

    def states(self) -> list[Tensor]:
        """Return the states of the generators."""
        return [generator.get_state() for generator in self._generators]

    def set_states(self, states: list[Tensor]) -> None:
        """Put back what ``states`` gave."""
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)


def holds_generators() -> bool:
    """Say whether the calling thread has torch's global generators."""
    return getattr(_here, "n_held", 0) > 0


@contextlib.contextmanager
def own_generators(seed: int, device: torch.device) -> Iterator[GlobalGenerators]:
    """Seed torch's global generators for modules that know no other; restore them."""
    generators = GlobalGenerators(device)
    try:
        generators.take(seed)
        yield generators
    finally:
        generators.leave()
