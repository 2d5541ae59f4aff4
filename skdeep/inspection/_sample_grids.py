"""Grids of images and signals."""

from __future__ import annotations

import numpy as np

from skdeep.inspection._pictures import as_pictures

_GAP = 0.08  # between images, as a share of their width


def fill_grid(n_rows: int, width: int, n: int) -> np.ndarray:
    """Return the numbers of the images at each place of a grid; -1 for none."""
    places = np.arange(n_rows * width)
    return np.where(places < n, places, -1).reshape(n_rows, width)


def fill_classes(labels: np.ndarray, classes: list, width: int) -> np.ndarray:
    """Return a grid with a row for each class."""
    grid = np.full((len(classes), width), -1)
    for row, label in zip(grid, classes, strict=True):
        own = np.flatnonzero(labels == label)[:width]
        row[: len(own)] = own
    return grid


def grid_size(grid, sizes, is_signal: bool) -> tuple[float, float]:
    """Return width and height of a grid in a new figure, in inches."""
    n_rows, n_columns = grid
    ratio = 0.6 if is_signal else sizes[0] / sizes[1]  # height by width
    width = float(np.clip(0.45 * n_columns, 2.0, 6.0))
    height = width * ratio * n_rows / n_columns
    return width + 0.3, float(np.clip(height, 0.6, 8.0)) + 0.3


def joint_pictures(real: np.ndarray, samples: np.ndarray) -> list[np.ndarray]:
    """Return pictures of both in the scale of the real ones."""
    if samples.ndim > 3 and not real.dtype == samples.dtype == np.uint8:
        with np.errstate(invalid="ignore"):  # NaN has no integer
            samples = samples.clip(*limits_of_pictures(real)).astype(real.dtype)
    return np.split(as_pictures(np.concatenate([real, samples])), [len(real)])


def limits_of_pictures(pictures: np.ndarray) -> tuple[float, float]:
    known = pictures[np.isfinite(pictures)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _tiles(grid: np.ndarray):
    """Yield number, row and column of the images; those shown are numbered anew."""
    for k, (row, column) in enumerate(zip(*np.nonzero(grid >= 0), strict=True)):
        yield k, row, column


def draw_mosaic(ax, pictures: np.ndarray, grid: np.ndarray, limits) -> list[float]:
    """Draw images side by side; return the centers of the rows."""
    height, width = pictures.shape[1:3]
    gap = max(1, round(_GAP * min(height, width)))
    n_rows, n_columns = grid.shape
    shape = (n_rows * (height + gap) - gap, n_columns * (width + gap) - gap)
    is_color = pictures.ndim == 4
    # Transparent between the images.
    canvas = np.zeros((*shape, 4)) if is_color else np.full(shape, np.nan)
    for k, row, column in _tiles(grid):
        top, left = row * (height + gap), column * (width + gap)
        place = canvas[top : top + height, left : left + width]
        if is_color:
            place[..., :3], place[..., 3] = np.nan_to_num(pictures[k]), 1.0
        else:
            place[:] = pictures[k]
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=1)
    return [row * (height + gap) + (height - 1) / 2 for row in range(n_rows)]


def draw_signals(ax, signals: np.ndarray, grid: np.ndarray, limits) -> list[float]:
    """Draw signals as lines in a grid; return the centers of the rows."""
    low, high = limits
    n_rows, n_columns = grid.shape
    x = np.linspace(_GAP, 1 - _GAP, signals.shape[1])
    for k, row, column in _tiles(grid):
        # Halves: the range of large numbers would overflow.
        share = (signals[k] / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
        y = row + 1 - _GAP - (1 - 2 * _GAP) * share
        for channel, values in enumerate(y.T):
            ax.plot(column + x, values, color=f"C{channel}", linewidth=1.0)
    ax.set(xlim=(0, n_columns), ylim=(n_rows, 0))
    return [row + 0.5 for row in range(n_rows)]
