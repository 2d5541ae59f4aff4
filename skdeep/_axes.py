"""The matplotlib axes that displays draw on."""

from __future__ import annotations

import numpy as np

from skdeep._input_checks import tensor_to_numpy
from skdeep._optional_dependencies import import_optional


def import_pyplot(display, method: str = "plot"):
    """Return ``matplotlib.pyplot`` for a method of a display.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    owner = display if isinstance(display, type) else type(display)
    user = f"{owner.__name__}.{method}"
    return import_optional("matplotlib.pyplot", extra="plot", user=user)


def get_axes(display, ax, size=None):
    """Return the axes passed to a display, or those of a new figure if ax is None.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If ``ax`` is not a matplotlib Axes.
    """
    plt = import_pyplot(display)
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    check_axes(ax)
    return ax


def check_axes(ax) -> None:
    """Raise a TypeError if ``ax`` is not a matplotlib Axes."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes, got {type(ax).__name__}.")


def to_axes_array(ax) -> np.ndarray:
    """Return one or several axes as an array, (n_axes,).

    Raises
    ------
    TypeError
        If one of them is not a matplotlib Axes.
    """
    axes = np.atleast_1d(np.asarray(tensor_to_numpy(ax, "ax"), dtype=object)).ravel()
    for each in axes:
        check_axes(each)
    return axes
