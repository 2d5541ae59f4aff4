"""Networks that are too large for the memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from skdeep._messages import first_line


@contextlib.contextmanager
def building(sizes: str) -> Iterator[None]:
    """Build a network of valid sizes.

    Parameters
    ----------
    sizes : str
        The parameters that determine the size of the network, and their values.

    Raises
    ------
    MemoryError
        If the network cannot be built, with the sizes.
    """
    try:
        yield
    except (RuntimeError, TypeError, OverflowError) as error:
        # The sizes are valid, so memory is short; torch raises a TypeError for sizes
        # beyond 64 bits.
        raise MemoryError(
            f"Not enough memory for {sizes}: {first_line(error)}"
        ) from error
