"""The axes that displays draw on."""

from __future__ import annotations


def get_axes(ax, size=None):
    """Return the axes of the user, or those of a new figure if ``ax`` is None.

    Raises
    ------
    TypeError
        If ``ax`` is not a matplotlib Axes.
    """
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes, got {type(ax).__name__}.")
    return ax
