"""The axes that displays draw on."""

from __future__ import annotations

from skdeep._optional_dependencies import import_optional


def import_pyplot(display):
    """Return ``matplotlib.pyplot`` for a display.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    owner = display if isinstance(display, type) else type(display)
    user = f"{owner.__name__}.plot"
    return import_optional("matplotlib.pyplot", extra="plot", user=user)


def get_axes(display, ax, size=None):
    """Return the axes given to a display, or those of a new figure if there are none.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If ``ax`` is not a matplotlib Axes.
    """
    plt = import_pyplot(display)
    from matplotlib.axes import Axes

    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes, got {type(ax).__name__}.")
    return ax
