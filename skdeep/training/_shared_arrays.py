"""Arrays that many fits read, checked and kept once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable

import numpy as np
import numpy.typing as npt

# Number of values of a flat array in its key, and of rows and columns of a table.
_N_VALUES, _N_ROWS, _N_COLUMNS = 16, 32, 64
# Number of arrays with the same key with which an array is compared.
_N_CANDIDATES = 4

Array = npt.NDArray[np.generic]


def sample(values: Array) -> bytes:
    """Return bytes that are equal for equal flat arrays and often differ for others."""
    # An odd step: one that divides the number of columns would only see the first
    # columns, which may be constant.
    step = max(1, len(values) // _N_VALUES - 1) | 1
    return values[::step].tobytes()


class SharedArrays:
    """Arrays that have passed a check; equal ones share one copy.

    A copy, because the owner of an array may change it while others train on it. Copies
    live as long as they are used.

    Parameters
    ----------
    most_bytes : int
        Memory in bytes that copies may take.
    """

    def __init__(self, most_bytes: int):
        self._most_bytes = most_bytes
        self._copies: weakref.WeakValueDictionary[Hashable, Array] = (
            weakref.WeakValueDictionary()
        )

    def checked(self, array: Array, check: Callable[[Array], bool]) -> Array | None:
        """Return an array with the same values and layout; None if the check fails.

        The check is left out if an equal array has passed it and is still in use.
        """
        layout = array.flags
        if not (layout.c_contiguous or layout.f_contiguous):
            return array if check(array) else None
        n_rows, n_columns = array.shape
        rows = slice(None, None, max(1, n_rows // _N_ROWS))
        columns = slice(None, None, max(1, n_columns // _N_COLUMNS))
        values = array[rows, columns].tobytes()
        key = array.shape, layout.c_contiguous, values
        candidates = [(key, number) for number in range(_N_CANDIDATES)]
        for candidate in candidates:
            known = self._copies.get(candidate)
            if known is not None and np.array_equal(known, array):
                return known
        if not check(array):
            return None
        free = [each for each in candidates if each not in self._copies]
        copies = [reference() for reference in self._copies.valuerefs()]
        n_bytes = sum(copy.nbytes for copy in copies if copy is not None)
        if not free or n_bytes + array.nbytes > self._most_bytes:
            return array
        copy = array.copy("K")
        copy.flags.writeable = False
        self._copies[free[0]] = copy
        return copy
