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

# Multiply-adds of a batch for each thread: with less to do, threads would wait for each
# other longer than they compute, and fight with those of other processes.
_WORK_PER_THREAD = 2**21

_lock = threading.RLock()


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


@contextlib.contextmanager
def threads_for(work: int | None, device: torch.device) -> Iterator[None]:
    """Compute on no more threads than the work, in multiply-adds a batch, is worth.

    ``None`` means that the work is not known; the threads are then left alone. The
    setting holds for the calling thread and is restored. (``torch.set_num_threads``
    would not do: it changes what other threads start with, and MKL for all of them.)
    """
    # The first time, this also sets the calling thread up by torch's default.
    available = torch.get_num_threads()
    count = available if work is None else -(-work // _WORK_PER_THREAD)
    if device.type != "cpu" or count >= available:
        yield
        return
    set_mkl_threads = _set_mkl_threads()
    with _openmp().limit(limits=count):
        before = set_mkl_threads(count)
        try:
            yield
        finally:
            set_mkl_threads(before)


@contextlib.contextmanager
def own_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for modules that know no other; restore them.

    They belong to the whole process, so one fit at a time may hold them.
    """
    cuda = []
    if device.type == "cuda":
        cuda = [torch.cuda.current_device() if device.index is None else device.index]
    with _lock, torch.random.fork_rng(devices=cuda):
        torch.random.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
