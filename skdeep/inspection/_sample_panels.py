"""Panels that compare the columns of real and of sampled rows."""

from __future__ import annotations

import numpy as np

from skdeep._input_checks import is_integer
from skdeep.inspection._sample_columns import (
    Column,
    bin_shares,
    category_shares,
    limits_of,
    missing_shares,
    strongest_pairs,
)

_MOST_POINTS = 1000  # of each kind in a scatter plot
_MOST_LETTERS = 16  # of a category
# Of the real rows and of the samples.
_COLORS = ("C0", "C1")
NAMES = ("real", "samples")


def shorten(label) -> str:
    text = str(label)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def panels_of(columns: list[Column], n_pairs: int) -> list[tuple]:
    """Return what to draw in each axes: a function and its arguments."""
    pairs = [(_draw_pair, *pair) for pair in strongest_pairs(columns, n_pairs)]
    if len(pairs) == 1 and all(is_integer(column.name) for column in columns):
        if len(columns) == 2:
            return pairs  # vectors in a plane: their coordinates alone tell little
    panels: list[tuple] = [(_draw_column, column) for column in columns]
    missing = missing_shares(columns)
    if missing[0]:
        panels.append((_draw_bars, "missing entries", *missing))
    return panels + pairs


def _draw_column(ax, column: Column) -> None:
    if column.is_numeric:
        _draw_histogram(ax, column)
    else:
        _draw_bars(ax, column.label, *category_shares(column))


def _draw_histogram(ax, column: Column) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    edges, real, samples = bin_shares(column)
    ax.stairs(real, edges, fill=True, color=_COLORS[0], alpha=0.5)
    ax.stairs(samples, edges, color=_COLORS[1], linewidth=1.5)
    ax.set_title(shorten(column.label), fontsize="medium", parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.tick_params(labelsize="small")


def _draw_bars(ax, title: str, names: list[str], real, samples) -> None:
    """Draw shares as bars beside each other, from top to bottom."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    places = np.arange(len(names))
    ax.barh(places - 0.2, real, 0.4, color=_COLORS[0], alpha=0.5)
    ax.barh(places + 0.2, samples, 0.4, color=_COLORS[1])
    labels = [shorten(name) for name in names]
    ax.set_yticks(places, labels=labels, parse_math=False)
    ax.tick_params(labelsize="small")
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_title(shorten(title), fontsize="medium", parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(PercentFormatter(1))


def _draw_pair(ax, first: Column, second: Column) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.ticker import MaxNLocator

    x_limits, y_limits = limits_of(first), limits_of(second)
    rng = np.random.RandomState(0)
    parts = [
        np.column_stack([x.clip(*x_limits), y.clip(*y_limits)])
        for x, y in ((first.real, second.real), (first.samples, second.samples))
    ]
    parts = [part[~np.isnan(part).any(1)] for part in parts]
    n = min(_MOST_POINTS, *map(len, parts))
    parts = [part[rng.permutation(len(part))[:n]] for part in parts]
    colors = np.repeat([to_rgba(color) for color in _COLORS], n, axis=0)
    # In random order: otherwise the samples would hide the real rows.
    order = rng.permutation(2 * n)
    points = np.concatenate(parts)[order]
    ax.scatter(*points.T, s=5, c=colors[order], alpha=0.6, linewidths=0)
    ax.set(xlim=x_limits, ylim=y_limits)
    ax.set_xlabel(first.label, parse_math=False)
    ax.set_ylabel(second.label, parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(labelsize="small")


def draw_legend(owner, ax):
    """Write the legend of the colors: below a figure, or else in an axes."""
    from matplotlib.patches import Patch

    handles = [
        Patch(color=_COLORS[0], alpha=0.5, label=NAMES[0]),
        Patch(color=_COLORS[1], label=NAMES[1]),
    ]
    if hasattr(owner, "suptitle"):
        place = {"loc": "outside lower center", "ncols": 2, "frameon": False}
        return owner.legend(handles=handles, **place)
    return ax.legend(handles=handles, fontsize="small")
