"""Pictures of images and signals, and grids of axes for them."""

from __future__ import annotations

import math
import textwrap
from reprlib import repr as short

import numpy as np

from skdeep._axes import import_pyplot, to_axes_array

_ASPECT = 1.8  # of a grid of axes: columns per row, about that of a slide
_EMPTY = 5.0  # how bad it is if all places of a grid are empty
_LETTERS = 9.5  # of a title, per inch of its figure
_TITLE_SHARE = 0.12  # height of the title above a grid inside an axes
COLORBAR = 0.8  # width that a color bar needs, in inches


def as_pictures(images: np.ndarray) -> np.ndarray:
    """Return images as they are drawn.

    Parameters
    ----------
    images : ndarray of shape (n, *sizes, n_channels)
        Signals, images or volumes.

    Returns
    -------
    pictures : ndarray of shape (n, length, n_channels), (n, height, width) or \
            (n, height, width, 3)
        Signals as they are; images in gray or RGB, from 0 to 1; the middle slices of
        volumes.
    """
    if images.ndim == 3:
        return images
    if images.ndim == 5:
        images = images[:, images.shape[1] // 2]
    scaled = _to_unit_range(images)
    if images.shape[-1] in (3, 4):
        return scaled[..., :3]
    return scaled.mean(axis=-1)


def _to_unit_range(images: np.ndarray) -> np.ndarray:
    """Return images from 0 to 1: bytes by their type, others by their range."""
    if images.dtype == np.uint8:
        return images / 255
    images = images.astype(np.float64)
    is_known = np.isfinite(images)
    known = images[is_known]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    if 0 <= low and 0.5 < high <= 1:
        return images
    if low == high:
        return np.zeros_like(images)
    # Halves: the range of large numbers would overflow.
    scaled = np.full_like(images, np.nan)
    scaled[is_known] = (known / 2 - low / 2) / (high / 2 - low / 2)
    return scaled


def draw_picture(ax, picture: np.ndarray, is_signal: bool, **style) -> list:
    """Draw a picture without ticks; return its lines or its image."""
    if is_signal:
        return draw_lines(ax, picture, **style)
    ax.set_axis_off()
    style = {"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"} | style
    return [ax.imshow(picture, **style)]


def draw_lines(ax, values: np.ndarray, **style) -> list:
    """Draw a line for each column of values, (length, n_channels)."""
    lines = ax.plot(values, **{"linewidth": 1.2} | style)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.margins(x=0)
    ax.spines[:].set_alpha(0.3)
    return lines


def check_cmap(display, cmap) -> None:
    """Raise if this is neither a colormap nor the name of one.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        Naming ``cmap``.
    """
    import_pyplot(display)
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    is_name = isinstance(cmap, str) and cmap in colormaps
    if not is_name and not isinstance(cmap, Colormap):
        raise ValueError(
            f"cmap must be a matplotlib Colormap or the name of one, got {short(cmap)}."
        )


def n_columns(n: int) -> int:
    """Return the number of columns of a grid for n pictures: wide, with few gaps."""

    def badness(columns):
        rows = -(-n // columns)
        empty = 1 - n / (columns * rows)
        return abs(math.log(columns / rows / _ASPECT)) + _EMPTY * empty

    return min(range(1, n + 1), key=badness)


def grid_axes(display, ax, n: int, size: tuple[float, float], extra: float = 0.0):
    """Return axes for n pictures, and what has their title: a figure, an axes, or None.

    Parameters
    ----------
    display : object
        The display that draws, for messages.
    ax : Axes, array-like of Axes or None
        One axes per picture; an axes in whose place the grid is drawn; or None, for a
        new figure.
    n : int
        Number of pictures.
    size : tuple of float
        Width and height of each in a new figure, in inches.
    extra : float, default=0.0
        Width of what is beside the grid.

    Raises
    ------
    TypeError, ValueError
        If ``ax`` holds something else, or the wrong number of axes.
    """
    plt = import_pyplot(display)
    columns = n_columns(n)
    rows = -(-n // columns)
    if ax is None:
        room = (max(size[0] * columns, 4.0) + extra, size[1] * rows + 0.35)
        figure = plt.figure(figsize=room, layout="constrained")
        return fill(figure, figure.add_gridspec(rows, columns), n), figure
    axes = to_axes_array(ax)
    if len(axes) == 1:
        return fill(axes[0].figure, split(axes[0], rows, columns), n), axes[0]
    if len(axes) != n:
        raise ValueError(
            f"ax must be one matplotlib Axes, or hold one for each of the {n} "
            f"pictures, got {len(axes)}."
        )
    return axes, None


def split(ax, rows: int, columns: int, **ratios):
    """Return a grid in the place of an axes, which keeps its title alone."""
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax must be an axes of plt.subplots, whose place a grid of pictures can "
            "take."
        )
    ax.set_axis_off()
    # The layout does not move a grid inside an axes away from the title of the axes.
    parts = place.subgridspec(2, 1, height_ratios=[_TITLE_SHARE, 1], hspace=0)
    return parts[1].subgridspec(rows, columns, **ratios)


def fill(figure, grid, n: int) -> np.ndarray:
    """Return n axes in a grid, row by row."""
    axes = [figure.add_subplot(grid[k // grid.ncols, k % grid.ncols]) for k in range(n)]
    return np.array(axes, dtype=object)


def write_title(owner, title: str) -> None:
    """Write the title of a grid: on a figure, in an axes, or nowhere for None."""
    if hasattr(owner, "suptitle"):
        width = int(_LETTERS * owner.get_figwidth())
        owner.suptitle("\n".join(textwrap.wrap(title, width)), parse_math=False)
    elif owner is not None:
        owner.set_title(title, y=1, pad=0, va="top", parse_math=False)


def add_colorbar(figure, image, axes, label: str):
    """Add a thin color bar for all axes of a grid."""
    colorbar = figure.colorbar(image, ax=list(axes), aspect=30, pad=0.015)
    colorbar.set_label(label)
    colorbar.outline.set_visible(False)
    return colorbar
