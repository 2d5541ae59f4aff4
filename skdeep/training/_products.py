"""Matrix products of dense networks, in torch's library or in numpy's.

On the CPU, both call a BLAS library, usually MKL and OpenBLAS. Their times differ by
up to a factor of three: MKL is slow for the few columns of a last layer, and for all
products on some processors of other vendors. numpy's arrays share the memory of torch's
tensors, so either library can compute a product.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from skdeep.training._device import on_threads

# One library replaces the other if it takes this many times less time. The measured
# ratio is far from it on most machines (0.7 to 1.1, or above 2), so that the choice,
# and with it the rounding of the results, is the same in each process.
_MARGIN = 1.5
_N_MEASURED = 12


@dataclass(frozen=True)
class Library:
    """A library of matrix products.

    Parameters
    ----------
    name : str
        "torch" or "numpy".
    view : callable
        Returns the operand of a product that shares its memory with a tensor.
    multiply : callable
        ``multiply(a, b, out=out)`` writes the product of two operands into a third.
        They are matrices or stacks of as many matrices.
    """

    name: str
    view: Callable[[Tensor], Any]
    multiply: Callable[..., Any]


def _multiply(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    # A stack of one matrix takes twice as long as the matrix.
    product = torch.mm if a.ndim == 2 else torch.bmm
    return product(a, b, out=out)


TORCH = Library("torch", lambda tensor: tensor, _multiply)
NUMPY = Library("numpy", Tensor.numpy, np.matmul)


def choose_library(device: torch.device) -> Library:
    """Return the library for the products of steps in the calling thread.

    With several threads it is torch's. numpy's would use threads of its own, and two
    sets of threads that wait for work delay each other.
    """
    if device.type != "cpu" or torch.get_num_threads() > 1:
        return TORCH
    return TORCH if _torch_to_numpy() < 1 / _MARGIN else NUMPY


def is_torch_slow() -> bool:
    """Return whether large products take much longer in torch than in numpy."""
    return _torch_to_numpy() > _MARGIN


_measuring = threading.Lock()


def _torch_to_numpy() -> float:
    """Return how many times as long as numpy's a product takes in torch's library.

    It is measured once in a process, which takes a millisecond.
    """
    with _measuring:
        return _measured_ratio()


@functools.cache
def _measured_ratio() -> float:
    # Rows, inputs and units of a usual step.
    x, weight, out = torch.ones(200, 64), torch.ones(100, 64), torch.empty(100, 200)
    seconds: dict[str, list[float]] = {"torch": [], "numpy": []}
    with on_threads(1, torch.device("cpu")), blas_threads(1):
        for _ in range(_N_MEASURED):
            for library in (TORCH, NUMPY):
                a, b, c = map(library.view, (weight, x.mT, out))
                started = time.perf_counter()
                library.multiply(a, b, out=c)
                seconds[library.name].append(time.perf_counter() - started)
    return min(seconds["torch"]) / min(seconds["numpy"])


# -- threads ---------------------------------------------------------------------------


# The names under which builds of OpenBLAS export the function.
_SETTERS = [
    f"{prefix}openblas_set_num_threads{suffix}"
    for prefix in ("scipy_", "")
    for suffix in ("64_", "", "_64")
]


@functools.cache
def _blas() -> list[tuple[Callable[[], int], Callable[[int], Any]]]:
    """Return functions that get and set the threads of numpy's BLAS libraries.

    Libraries that use OpenMP are left out: ``on_threads`` limits them.
    """
    found = []
    for library in ThreadpoolController().select(user_api="blas").lib_controllers:
        if library.info().get("threading_layer") != "openmp":
            found.append((library.get_num_threads, _setter(library)))
    return found


def _setter(library: Any) -> Callable[[int], Any]:
    """Return the function that sets the number of threads of a library.

    threadpoolctl ignores a change of OpenBLAS by another thread than the one that made
    the first, so it could not be restored by the last thread of a population.
    """
    if library.internal_api == "openblas":
        loaded = ctypes.CDLL(library.filepath)
        for name in _SETTERS:
            with contextlib.suppress(AttributeError):
                setter: Callable[[int], Any] = getattr(loaded, name)
                return setter
    fallback: Callable[[int], Any] = library.set_num_threads
    return fallback


class _BlasThreads:
    """Limits numpy's number of threads while at least one caller asks for it.

    The number belongs to the process. It is the smallest that a caller asks for, and
    the number before the first call is restored after the last, in whatever order
    threads enter and leave.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: list[int] = []
        self._before: list[int] = []

    @contextlib.contextmanager
    def __call__(self, count: int) -> Iterator[None]:
        """Use at most ``count`` threads."""
        self._enter(count)
        try:
            yield
        finally:
            self._leave(count)

    def _enter(self, count: int) -> None:
        with self._lock:
            if not self._limits:
                self._before = [get() for get, _ in _blas()]
            self._limits.append(count)
            self._apply()

    def _leave(self, count: int) -> None:
        with self._lock:
            self._limits.remove(count)
            self._apply()

    def _apply(self) -> None:
        for (_, set_number), before in zip(_blas(), self._before, strict=True):
            set_number(min([before, *self._limits]))


blas_threads = _BlasThreads()


@contextlib.contextmanager
def step_threads(count: int, device: torch.device) -> Iterator[None]:
    """Compute steps of dense networks with ``count`` threads on the CPU.

    If torch's products are slow, the threads are numpy's: ``choose_library`` then
    returns numpy's.
    """
    if device.type != "cpu":
        yield
        return
    if count > 1 and not is_torch_slow():
        with on_threads(count, device):
            yield
        return
    with on_threads(1, device), blas_threads(count):
        yield
